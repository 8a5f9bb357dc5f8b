// Prints what each role of a deployment must be allowed and denied, for tests/verify/rights.json: the calls that were
// seen, without what differs from run to run, what AWS calls by itself, and the attacks. A line each, in JSON.
//
// usage: rights.mjs ROLES CALLS...

import { readFileSync } from "node:fs";
import { expectations } from "./expectations.mjs";
import { isService } from "./evaluate.mjs";
import attacks from "./attacks.mjs";

const [roles, ...files] = process.argv.slice(2);
const deployments = JSON.parse(readFileSync(roles, "utf8"));
const named = new Set(attacks.filter(({ principal }) => principal !== "*").map(({ principal, what }) => `${principal} ${what}`));
const byAll = new Set(attacks.filter(({ principal }) => principal === "*").map(({ what }) => what));
const PREFIX = "ami-from-instance:";

/** The ids and names that differ from run to run. */
function fixed(text) {
  return text
    .replace(/\b(ami|snap|i|vol)-[0-9a-f]{8,17}\b/g, "$1-0123456789abcdef0")
    .replace(/(:execution:[^:]+-(lifecycle|operation)):.*/, (_, start, machine) => `${start}:nightly${machine === "operation" ? "-create" : ""}`);
}

/** What a policy may ask about: not the tags of users, nor the values of our own but the run. */
function context(of) {
  const kept = Object.entries(of).filter(([key]) => !/^aws:(Resource|Request)Tag\//.test(key) || key.includes(PREFIX));
  const value = (key, value) => {
    if (key === "aws:TagKeys") return [...new Set(value.map((name) => (name.startsWith(PREFIX) ? name : "Team")))].sort();
    if (typeof value !== "string") return value;
    return value.startsWith("arn:") || !key.includes("Tag/") || value === "allowed" ? fixed(value) : "any";
  };
  return Object.fromEntries(kept.map(([key, text]) => [key, value(key, text)]).sort());
}

// What the managed policies allow that the roles have besides their own is AWS's concern.
const attached = ({ managed, action }) => managed && /^(logs|xray):/.test(action);
const all = expectations(deployments, files).filter((call) => !isService(call.principal) && !attached(call));
const made = new Set(all.filter(({ kind }) => kind !== "attacks").map(({ principal, action }) => `${principal}Role ${action}`));

/** Of what nobody may do and of other Regions, only what a role has an action for: a condition may be lost there. */
function isAsked({ kind, principal, action, what }) {
  if (kind !== "attacks" || named.has(`${principal} ${what}`)) return true;
  return what === "in another Region" || (byAll.has(what) && made.has(`${principal} ${action}`));
}

const lines = all
  .filter(isAsked)
  .map(({ kind, principal, action, resource, context: of = {}, given = {}, what }) => ({
    allowed: kind !== "attacks",
    principal: principal.replace(/(Function|Machine|Sweep)Role$/, "$1"),
    action,
    resource: fixed(resource),
    context: context(of),
    given,
    ...(what ? { what } : {}),
  }));
for (const line of [...new Set(lines.map((line) => JSON.stringify(line)))].sort()) console.log(line);
