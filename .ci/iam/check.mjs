// Puts every call to IAM's evaluation, for every combination of the parameters that change a policy: what the
// test suite saw and what AWS does by itself is allowed, every attack is denied.
//
// usage: check.mjs ROLES CALLS...
//   ROLES  what roles.py printed
//   CALLS  the calls that were seen; expectations.mjs has their format

import { readFileSync } from "node:fs";
import { applies, describe, expectations, isMet } from "./expectations.mjs";

const [roles, ...files] = process.argv.slice(2);
const deployments = JSON.parse(readFileSync(roles, "utf8"));
const wrong = new Map();
const counts = {};

for (const expectation of expectations(deployments, files)) {
  counts[expectation.kind] = (counts[expectation.kind] ?? 0) + 1;
  const places = deployments.filter((deployment) => applies(expectation, deployment));
  if (!places.length) wrong.set(`never applies: ${describe(expectation)}`, {});
  for (const deployment of places) {
    if (!(await isMet(expectation, deployment))) wrong.set(describe(expectation), deployment.parameters);
  }
}

if (!counts.allowed) wrong.set("no calls were recorded", {});
for (const [what, parameters] of wrong) console.log(`${what}\n    with ${JSON.stringify(parameters)}`);
console.log(`${deployments.length} deployments, ${Object.entries(counts).map(([kind, count]) => `${count} ${kind}`).join(", ")}, ${wrong.size} wrong`);
process.exitCode = wrong.size ? 1 : 0;
