// Whether two files of rights have the same calls: of each role the same actions on the same kinds of resources allowed,
// with the same parameters of the stack, and the same attacks denied. Which ids and tags a call had differs from run to run.
//
// usage: same-rights.mjs KEPT SEEN

import { readFileSync } from "node:fs";

const [kept, seen] = process.argv.slice(2).map((file) => {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
  // "arn:aws:ec2:us-east-1::image/ami-1" is an image, and the queue in "arn:aws:sqs:us-east-1:000000000000:name" has no kind.
  const kind = (resource) => resource.split(":").slice(2, 3) + " " + (resource.split(":")[5] ?? "").split("/").slice(0, -1);
  const call = ({ allowed, principal, action, resource, given, what = "" }) =>
    `${principal}: ${action} on ${kind(resource)} ${allowed ? "allowed" : "denied"} ${what} ${JSON.stringify(given)}`;
  return new Set(lines.map(call));
});
const stale = [...kept].filter((call) => !seen.has(call));
const missing = [...seen].filter((call) => !kept.has(call));
for (const call of stale) console.log(`no test makes it any more: ${call}`);
for (const call of missing) console.log(`it is not kept: ${call}`);
console.log(`${kept.size} kinds of calls, ${stale.length + missing.length} wrong`);
process.exitCode = stale.length + missing.length || kept.size < 100 ? 1 : 0;
