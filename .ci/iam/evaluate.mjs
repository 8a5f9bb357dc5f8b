// Asks IAM's evaluation whether a deployment allows a call.

import { createRequire } from "node:module";

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
const keyPolicy = (account) => ({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: "kms:*", Resource: "*" }],
});

export const isService = (principal) => principal.endsWith(".amazonaws.com");

/** The id of the role that a function, machine or schedule of a deployment has. */
export function roleOf(deployment, principal) {
  return Object.keys(deployment.roles).find((id) => deployment.roles[id].usedBy.includes(principal));
}

function resourcePolicy(deployment, resource, account) {
  if (resource.includes(":kms:")) return keyPolicy(account);
  const role = Object.values(deployment.roles).find((role) => role.arn === resource);
  return role ? role.trust : deployment.resources[resource];
}

const answers = new Map();

/**
 * Whether a deployment lets the principal, a service or the logical id of what has a role, call the action
 * on the resource. Whatever the resource's account, it is taken for one that lets the principal in.
 */
export async function allows(deployment, { principal, action, resource, context = {}, recorded }) {
  const role = isService(principal) ? undefined : deployment.roles[roleOf(deployment, principal)];
  if (!role && !isService(principal)) throw new Error(`${principal} has no role`);
  const account = Object.values(deployment.roles)[0].arn.split(":")[4];
  const simulation = {
    request: {
      principal: role?.arn ?? principal,
      action,
      resource: { resource, accountId: account },
      contextVariables: context,
    },
    identityPolicies: [
      ...Object.entries(role?.policies ?? {}).map(([name, policy]) => ({ name, policy })),
      ...(role?.managed ?? []).map(managed),
    ],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    resourcePolicy: resourcePolicy(deployment, resource, account),
    permissionBoundaryPolicies: role?.boundary ? [managed(role.boundary)] : undefined,
  };
  const key = JSON.stringify(simulation);
  if (!answers.has(key)) answers.set(key, ask(simulation));
  const { allowed, unknown } = await answers.get(key);
  // IAM ignores what it does not know for the action: no harm in a record, but in a list it decides nothing.
  if (unknown.length && !recorded) throw new Error(`${principal}: ${action} on ${resource} does not know ${unknown}`);
  return allowed;
}

async function ask(simulation) {
  const answer = await runSimulation(simulation, {});
  const { principal, action, resource } = simulation.request;
  const call = `${principal}: ${action} on ${resource.resource}`;
  if (answer.errors) throw new Error(`${call}: ${JSON.stringify(answer.errors)}`);
  if (answer.resultType === "wildcard") throw new Error(`${call}: IAM knows resources of the action, name one`);
  return { allowed: answer.overallResult === "Allowed", unknown: answer.result.ignoredContextKeys };
}
