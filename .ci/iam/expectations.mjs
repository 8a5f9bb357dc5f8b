// What is to be allowed and what is to be denied, and whether a deployment does so.
//
// A call is
//
//   {
//     "principal": the logical id of the function, machine, schedule or role that calls, or a service
//     "action":    "ec2:CreateImage"
//     "resources": the ARN of each resource, or "*" where the action knows none
//     "context":   {the condition keys of the request and of its resources, if any: a text or a list}
//     "given":     {"AllowUnmanagedImages": true: only where this parameter is "true", or not empty}
//   }
//
// The calls that were seen are files with one such object a line, in JSON. `resources` are those of the local
// AWS (account 000000000000, us-east-1, the stack ami-from-instance); what CloudFormation adds to a name
// at random is ignored. Resources with different tags take a line each. What does not exist yet when it is
// called, such as the image of CreateImage, has any id. A line may come more than once.

import { readFileSync } from "node:fs";
import attacks from "./attacks.mjs";
import { STACK, own } from "./arns.mjs";
import { allows, isService, list, roleOf } from "./evaluate.mjs";
import implied from "./implied.mjs";

const SERVICES = ["lambda", "states", "scheduler", "events", "ec2"].map((name) => `${name}.amazonaws.com`);
// What CloudFormation names, other than what has a role.
const NAMED = ["ScheduleDeadLetterQueue", "NotificationTopic"];
// Where an ARN has the name of the stack.
const FIRST_NAME = new RegExp(`([:/])${STACK}-`);

/** A call for each principal, action and resource; "*" is everyone who has a role. */
function single({ principal, action, resources, ...rest }, everyone) {
  return (principal === "*" ? everyone : list(principal)).flatMap((principal) =>
    list(action).flatMap((action) => resources.map((resource) => ({ ...rest, principal, action, resource }))),
  );
}

function seen(file, names) {
  const random = new RegExp(`(${STACK}-(?:${names.join("|")}))-[A-Za-z0-9]+`, "g");
  const lines = new Set(readFileSync(file, "utf8").split("\n").filter(Boolean));
  return [...lines].map((line) => ({ ...JSON.parse(line.replace(random, "$1")), recorded: true }));
}

/** The same call beyond the Region, the account and the deployment. */
function strays(call) {
  const moved = (what, pattern, replacement, resource = call.resource.replace(pattern, replacement)) =>
    resource === call.resource ? [] : [{ ...call, resource, what }];
  const context = JSON.stringify(call.context ?? {}, (key, value) =>
    typeof value === "string" && !key.startsWith("aws:RequestTag/") ? value.replace(FIRST_NAME, "$1other-") : value,
  );
  // Reading is not narrowed to what runs made, nor imaging to the instances that they have stopped.
  const isNarrow = !/:(Describe|Get|List)/.test(call.action) && !(call.action === "ec2:CreateImage" && call.resource.includes(":instance/"));
  const about = context !== JSON.stringify(call.context ?? {}) && isNarrow;
  const given = { ...call.given, AllowUnmanagedImages: false };
  return [
    ...(call.resource.startsWith("arn:aws:iam:") ? [] : moved("in another Region", ":us-east-1:", ":eu-west-1:")),
    ...moved("in another account", `:${own.account}:`, ":999999999999:"),
    ...moved("of another deployment", FIRST_NAME, "$1other-"),
    ...(about ? [{ ...call, given, context: JSON.parse(context), what: "about another deployment" }] : []),
  ];
}

/** What others than the principals of these calls may not do, as they never did. */
function others(calls, roles, role) {
  const makes = new Set(calls.map((call) => `${role(call.principal)} ${call.action}`));
  return roles.flatMap((principal) =>
    calls
      .filter((call) => !isService(call.principal) && !makes.has(`${principal} ${call.action}`))
      .map((call) => ({ ...call, principal, what: "has no need to" })),
  );
}

/** Who may not take a role that a service may take, and what the service may not do with it. */
function impostors(call) {
  const services = SERVICES.filter((service) => service !== call.principal);
  return [
    ...services.map((principal) => ({ ...call, principal, what: "another service" })),
    { ...call, action: "sts:TagSession", what: "tags its session" },
  ];
}

/** Everything that is expected of the deployments, given the files of the calls that were seen. */
export function expectations(deployments, files) {
  const roles = Object.keys(deployments[0].roles);
  const users = new Set(deployments.flatMap(({ roles }) => Object.values(roles).flatMap((role) => role.usedBy)));
  const role = (principal) => deployments.map((deployment) => roleOf(deployment, principal)).find(Boolean);

  const allowed = files.flatMap((file) => seen(file, [...users, ...NAMED])).flatMap((call) => single(call));
  const byItself = implied.flatMap((call) => single(call));
  // AWS's managed policies are as wide as they are.
  const narrow = [...allowed, ...byItself].filter((call) => !call.managed);
  const denied = [
    ...attacks.flatMap((call) => single(call, roles)),
    ...narrow.flatMap(strays),
    ...others(narrow, roles, role),
    ...byItself.filter((call) => call.action === "sts:AssumeRole").flatMap(impostors),
  ];
  return Object.entries({ allowed, implied: byItself, attacks: denied }).flatMap(([kind, calls]) =>
    unique(calls).map((call) => ({ ...call, kind })),
  );
}

function unique(calls) {
  const key = ({ principal, action, resource, context, given }) =>
    JSON.stringify([principal, action, resource, context ?? {}, given ?? {}]);
  return [...new Map(calls.map((call) => [key(call), call])).values()];
}

/** Whether a deployment has the parameters that an expectation is about. */
export function applies({ given = {} }, { parameters }) {
  return Object.entries(given).every(([name, on]) => !["", "false"].includes(parameters[name]) === on);
}

/** Whether a deployment does as expected. */
export async function isMet(expectation, deployment) {
  // That every role has the boundary shows where it forbids everything.
  const forbidden = deployment.parameters.PermissionsBoundaryArn.endsWith("/AWSDenyAll");
  const wanted = expectation.kind !== "attacks" && (isService(expectation.principal) || !forbidden);
  return (await allows(deployment, expectation)) === wanted;
}

export function describe({ kind, principal, action, resource, context = {}, what, page }) {
  const about = what ?? page;
  return `${kind}: ${principal} ${action} ${resource} ${JSON.stringify(context)}${about ? ` (${about})` : ""}`;
}
