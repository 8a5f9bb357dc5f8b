// Asks IAM's evaluation whether a deployment allows a call.

import { createRequire } from "node:module";
import { own } from "./arns.mjs";

// Where .ci/run installs it.
const { runSimulation } = createRequire(new URL("../../target/iam/", import.meta.url))("@cloud-copilot/iam-simulate");

const policy = (Effect, Action) => ({ Version: "2012-10-17", Statement: [{ Effect, Action, Resource: "*" }] });
const TRACES = policy("Allow", [
  "xray:PutTraceSegments",
  "xray:PutTelemetryRecords",
  "xray:GetSamplingRules",
  "xray:GetSamplingTargets",
  "xray:GetSamplingStatisticSummaries",
]);

/** AWS's managed policies, from the AWS Managed Policy Reference Guide. */
const MANAGED = {
  "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole": policy("Allow", [
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
  ]),
  "arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess": TRACES,
  "arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess": TRACES,
  "arn:aws:iam::aws:policy/AdministratorAccess": policy("Allow", "*"),
  "arn:aws:iam::aws:policy/AWSDenyAll": policy("Deny", "*"),
};

function managed(arn) {
  if (!MANAGED[arn]) throw new Error(`the document of ${arn} is not known here`);
  return { name: arn, policy: MANAGED[arn] };
}

/** The default key policy: the account's policies decide. */
const KEY_POLICY = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { AWS: `arn:aws:iam::${own.account}:root` }, Action: "kms:*", Resource: "*" }],
};

export const isService = (principal) => principal.endsWith(".amazonaws.com");

/** What a function makes of an object, made once. */
function once(make) {
  const made = new WeakMap();
  return (object) => {
    if (!made.has(object)) made.set(object, make(object));
    return made.get(object);
  };
}

/** The id of each role of a deployment by what has it. */
const rolesByUser = once(
  ({ roles }) => new Map(Object.entries(roles).flatMap(([id, role]) => role.usedBy.map((user) => [user, id]))),
);

/** The trust of each role of a deployment by the role's ARN. */
const trustByArn = once(({ roles }) => new Map(Object.values(roles).map(({ arn, trust }) => [arn, trust])));

/** The id of the role that a function, machine or schedule of a deployment has. */
export function roleOf(deployment, principal) {
  return rolesByUser(deployment).get(principal);
}

function resourcePolicy(deployment, resource) {
  if (resource.includes(":kms:")) return KEY_POLICY;
  return trustByArn(deployment).get(resource) ?? deployment.resources[resource];
}

const numbers = new Map();

/** A number for each text. */
function numbered(text) {
  if (!numbers.has(text)) numbers.set(text, numbers.size);
  return numbers.get(text);
}

const numberOf = once((document) => numbered(JSON.stringify(document)));

export const list = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

/** Whether a statement is about the action. */
function isAbout(statement, action) {
  const matches = (pattern) =>
    new RegExp(`^${pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`, "i").test(action);
  return statement.NotAction !== undefined || list(statement.Action).some(matches);
}

const byAction = once(() => new Map());

/**
 * A number for all that a role's policies say about an action. Most combinations of the parameters, and most mutants,
 * differ in statements about other actions, which decide nothing here.
 */
function saysAbout(role, action) {
  const said = byAction(role);
  if (!said.has(action)) {
    const { arn, policies, managed } = role;
    const about = Object.values(policies).map(({ Version, Statement }) => [
      Version,
      list(Statement).filter((statement) => isAbout(statement, action)),
    ]);
    said.set(action, numbered(JSON.stringify([arn, about, managed])));
  }
  return said.get(action);
}

const answers = new Map();

/**
 * Whether a deployment lets the principal, a service or the logical id of what has a role, call the action
 * on the resource. Whatever the resource's account, it is taken for one that lets the principal in.
 */
export async function allows(deployment, call) {
  const { principal, action, resource, recorded } = call;
  const role = isService(principal) ? undefined : deployment.roles[roleOf(deployment, principal)];
  if (!role && !isService(principal)) throw new Error(`${principal} has no role`);
  const policy = resourcePolicy(deployment, resource);
  const within = (boundary) => {
    const key = [numberOf(call), role && saysAbout(role, action), policy && numberOf(policy), boundary].join();
    if (!answers.has(key)) answers.set(key, ask(call, role, policy, boundary));
    return answers.get(key);
  };
  let { allowed, unknown } = await within(null);
  // A boundary gives no rights: what is denied without one is denied with it.
  if (allowed && role?.boundary) ({ allowed, unknown } = await within(role.boundary));
  // IAM ignores what it does not know for the action: no harm in a record, but in a list it decides nothing.
  if (unknown.length && !recorded) throw new Error(`${principal}: ${action} on ${resource} does not know ${unknown}`);
  return allowed;
}

async function ask({ principal: caller, action, resource, context = {} }, role, resourcePolicy, boundary) {
  const principal = role?.arn ?? caller;
  const request = { principal, action, resource: { resource, accountId: own.account }, contextVariables: context };
  const identityPolicies = [
    ...Object.entries(role?.policies ?? {}).map(([name, policy]) => ({ name, policy })),
    ...(role?.managed ?? []).map(managed),
  ];
  const permissionBoundaryPolicies = boundary ? [managed(boundary)] : undefined;
  const policies = { identityPolicies, resourcePolicy, permissionBoundaryPolicies };
  const answer = await runSimulation({ request, serviceControlPolicies: [], resourceControlPolicies: [], ...policies }, {});
  const call = `${principal}: ${action} on ${resource}`;
  if (answer.errors) throw new Error(`${call}: ${JSON.stringify(answer.errors)}`);
  if (answer.resultType === "wildcard") throw new Error(`${call}: IAM knows resources of the action, name one`);
  return { allowed: answer.overallResult === "Allowed", unknown: answer.result.ignoredContextKeys };
}
