// The ARNs of a deployment's resources, and of what its runs make.

export function arns(stack, account = "000000000000", region = "us-east-1") {
  const execution = (machine, name) => `arn:aws:states:${region}:${account}:execution:${stack}-${machine}:${name}`;
  return {
    account,
    image: `arn:aws:ec2:${region}::image/ami-0123456789abcdef0`,
    snapshot: `arn:aws:ec2:${region}::snapshot/snap-0123456789abcdef0`,
    instance: `arn:aws:ec2:${region}:${account}:instance/i-0123456789abcdef0`,
    volume: `arn:aws:ec2:${region}:${account}:volume/vol-0123456789abcdef0`,
    lifecycle: `arn:aws:states:${region}:${account}:stateMachine:${stack}-lifecycle`,
    create: `arn:aws:states:${region}:${account}:stateMachine:${stack}-create`,
    operation: `arn:aws:states:${region}:${account}:stateMachine:${stack}-operation`,
    run: execution("lifecycle", "nightly"),
    operationOfRun: execution("operation", "nightly-create"),
    logs: `arn:aws:logs:${region}:${account}:log-group:/aws/lambda/${stack}:log-stream:any`,
    bus: `arn:aws:events:${region}:${account}:event-bus/default`,
    key: `arn:aws:kms:${region}:${account}:key/of-the-user`,
    parameter: `arn:aws:ssm:${region}:${account}:parameter/golden`,
    recipe: `arn:aws:imagebuilder:${region}:${account}:container-recipe/golden/1.0.0`,
    rule: (name) => `arn:aws:events:${region}:${account}:rule/${name}`,
    ruleOf: (name) => `arn:aws:events:${region}:${account}:rule/${stack}-${name}`,
    function: (name) => `arn:aws:lambda:${region}:${account}:function:${stack}-${name}`,
    queue: (name) => `arn:aws:sqs:${region}:${account}:${stack}-${name}`,
    topic: (name) => `arn:aws:sns:${region}:${account}:${stack}-${name}`,
    role: (name) => `arn:aws:iam::${account}:role/${stack}-${name}`,
  };
}

export const STACK = "ami-from-instance";
export const own = arns(STACK);

/** The context of a call about an instance that a run has stopped. */
export const stoppedBy = (run) => ({ "aws:ResourceTag/ami-from-instance:stopped-by": run });

/** The context of a call about something that a run has made. */
export const madeBy = (run) => ({ "aws:ResourceTag/ami-from-instance:run": run });
