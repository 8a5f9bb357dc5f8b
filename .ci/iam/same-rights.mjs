// Whether two files of rights have the same calls: of each role the same actions allowed, and the same attacks denied.
// Which ids, tags and parameters a call had differs from run to run.
//
// usage: same-rights.mjs KEPT SEEN

import { readFileSync } from "node:fs";

const [kept, seen] = process.argv.slice(2).map((file) => {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
  const call = ({ allowed, principal, action, what = "" }) => `${principal}: ${action} ${allowed ? "allowed" : "denied"} ${what}`;
  return new Set(lines.map(call));
});
const stale = [...kept].filter((call) => !seen.has(call));
const missing = [...seen].filter((call) => !kept.has(call));
for (const call of stale) console.log(`no test makes it any more: ${call}`);
for (const call of missing) console.log(`it is not kept: ${call}`);
console.log(`${kept.size} kinds of calls, ${stale.length + missing.length} wrong`);
process.exitCode = stale.length + missing.length || kept.size < 100 ? 1 : 0;
