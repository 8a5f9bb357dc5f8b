// Takes every statement of the template's policies away, each of its actions, resources and conditions too,
// and widens each; then check.mjs's calls must go otherwise than expected for at least one combination of the
// parameters. What makes no difference is a right that nothing needs, or a limit that no attack tries.
//
// usage: mutate.mjs ROLES CALLS...

import { readFileSync } from "node:fs";
import { STACK } from "./arns.mjs";
import { list, roleOf } from "./evaluate.mjs";
import { applies, describe, expectations, isMet } from "./expectations.mjs";

/** Mutants that make no difference, and why that is so. */
const EXPLAINED = {
  "StartCreateFunctionRole TagOnlyWhileMaking: any action of ec2": "only CreateTags knows ec2:CreateAction",
  "StartUpdateFunctionRole KeepTheRunTag: any action of ec2": "only what tags knows aws:TagKeys",
  "InstanceStateFunctionRole TakeTheInstance: any action of ec2": "only what tags knows aws:TagKeys, and it may remove that tag",
  "ReadRequestFunctionRole LetEc2LookForIt: without ec2:DescribeInstances": "it may describe instances anyway",
  "CleanupFunctionRole LetEc2LookForIt: without ec2:DescribeInstances": "it may describe instances anyway",
  "CleanupFunctionRole ForgetWhatItHasRetired: any action of ec2": "only what tags knows aws:TagKeys, and it may put these on",
  "OperationMachineRole SayWhatItWaitsFor: any action of events": "only PutEvents knows both a bus and events:source",
};

const without = (items, index) => items.toSpliced(index, 1);

/** Each change of a statement by its name; null takes it away. */
function* changes(statement) {
  yield ["removed", null];
  for (const part of ["Action", "Resource"]) {
    const items = list(statement[part]);
    for (const [index, item] of items.length > 1 ? items.entries() : []) {
      yield [`without ${item}`, { ...statement, [part]: without(items, index) }];
    }
  }
  for (const [operator, keys] of Object.entries(statement.Condition ?? {})) {
    for (const key of Object.keys(keys)) {
      const changed = structuredClone(statement);
      delete changed.Condition[operator][key];
      yield [`without the condition ${key}`, changed];
    }
  }
  // A resource's own policy is about no other.
  if (!statement.Principal && statement.Resource !== "*") yield ["on any resource", { ...statement, Resource: "*" }];
  for (const service of new Set(list(statement.Action).map((action) => action.split(":")[0]))) {
    yield [`any action of ${service}`, { ...statement, Action: [...list(statement.Action), `${service}:*`] }];
  }
  if (statement.Principal) yield ["by anybody", { ...statement, Principal: "*" }];
}

function* changed(document, name) {
  for (const [index, statement] of document.Statement.entries()) {
    for (const [what, replacement] of changes(statement)) {
      const { Statement } = document;
      const statements = replacement ? Statement.with(index, replacement) : without(Statement, index);
      yield [`${name} ${statement.Sid ?? index + 1}: ${what}`, statements.length ? { ...document, Statement: statements } : undefined];
    }
  }
}

/** Each deployment that differs from this one by one change, and whose policy it is. */
function* mutants(deployment) {
  const { roles, resources } = deployment;
  for (const [id, role] of Object.entries(roles)) {
    const put = (change) => ({ ...deployment, roles: { ...roles, [id]: { ...role, ...change } } });
    const owner = { role: id, resource: role.arn };
    for (const [name, document] of Object.entries(role.policies)) {
      for (const [what, replacement] of changed(document, id)) {
        const { [name]: _, ...others } = role.policies;
        yield [what, owner, put({ policies: replacement ? { ...others, [name]: replacement } : others })];
      }
    }
    for (const [what, trust] of changed(role.trust, `trust of ${id}`)) yield [what, owner, put({ trust })];
    for (const [index, arn] of role.managed.entries()) {
      yield [`${id}: without ${arn.split("/").at(-1)}`, owner, put({ managed: without(role.managed, index) })];
    }
    if (role.boundary) yield [`${id}: without its boundary`, owner, put({ boundary: null })];
  }
  for (const [arn, document] of Object.entries(resources)) {
    const name = arn.split(/[:/]/).at(-1).replace(`${STACK}-`, "");
    for (const [what, replacement] of changed(document, `policy of ${name}`)) {
      yield [what, { resource: arn }, { ...deployment, resources: { ...resources, [arn]: replacement } }];
    }
  }
}

async function isNoticed(deployment, owner, expected) {
  for (const expectation of expected) {
    const { principal, resource } = expectation;
    const concerns = resource === owner.resource || (owner.role && roleOf(deployment, principal) === owner.role);
    if (concerns && applies(expectation, deployment) && !(await isMet(expectation, deployment))) return describe(expectation);
  }
  return null;
}

const [roles, ...files] = process.argv.slice(2);
const deployments = JSON.parse(readFileSync(roles, "utf8"));
const expected = expectations(deployments, files);
const noticed = new Map();
const tried = new Set();

for (const deployment of deployments) {
  for (const [what, owner, mutant] of mutants(deployment)) {
    // Many combinations of parameters make the same role.
    const policies = deployment.roles[owner.role] ?? deployment.resources[owner.resource];
    const key = JSON.stringify([what, policies, deployment.parameters.AllowUnmanagedImages]);
    if (noticed.get(what) || tried.has(key)) continue;
    tried.add(key);
    noticed.set(what, await isNoticed(mutant, owner, expected));
  }
}

const survivors = [...noticed].filter(([what, by]) => !by && !EXPLAINED[what]);
const outdated = Object.keys(EXPLAINED).filter((what) => !noticed.has(what) || noticed.get(what));
for (const [what, by] of noticed) {
  const verdict = by ? "noticed" : EXPLAINED[what] ? "no matter" : "NOT NOTICED";
  console.log(`${verdict.padEnd(12)} ${what}  <-  ${by ?? EXPLAINED[what] ?? "nothing"}`);
}
for (const what of outdated) console.log(`explained, but not so: ${what}`);
console.log(`${noticed.size} changes, ${survivors.length} of them not noticed, ${Object.keys(EXPLAINED).length} explained`);
process.exitCode = survivors.length + outdated.length ? 1 : 0;
