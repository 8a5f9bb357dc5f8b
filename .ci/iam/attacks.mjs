// What nobody may do. The calls that were seen give more of them, see expectations.mjs.

import { LOOKED_FOR } from "./implied.mjs";
import { STACK, arns, madeBy, own, stoppedBy } from "./arns.mjs";

const other = arns("other");
const longer = arns(STACK + "-lifecycle");
const elsewhere = arns(STACK, "999999999999");
const managed = { AllowUnmanagedImages: false };
const topic = { NotificationEmail: true, NotificationTopicArn: false };
const creating = (action) => ({ "ec2:CreateAction": action });
const tagging = (run) => ({ "aws:RequestTag/ami-from-instance:run": run, "aws:TagKeys": ["ami-from-instance:run"] });
const adopting = (run) => ({
  "aws:RequestTag/ami-from-instance:run": run,
  "aws:RequestTag/ami-from-instance:series": "web",
  "aws:TagKeys": ["ami-from-instance:run", "ami-from-instance:series"],
});
const taking = (run) => ({ "aws:RequestTag/ami-from-instance:stopped-by": run, "aws:TagKeys": ["ami-from-instance:stopped-by"] });
const source = "aws:ResourceTag/ami-from-instance:source";
const volumeKey = own.key.replace("of-the-user", "of-a-volume");
const keys = (...names) => ({ "aws:TagKeys": names });
const tagsOf = (action) => (action.endsWith("Tags") ? keys("Team") : {});
const via = (service) => ({ "kms:ViaService": `${service}.us-east-1.amazonaws.com` });
const attack = (what, principal, action, resource, context = {}, given = {}) => ({
  what, principal, action, resources: [resource], context, given,
});
const everyone = "*";
// What EC2 looks for what names an image with; many roles may describe instances by themselves.
const read = LOOKED_FOR.filter(([action]) => action !== "ec2:DescribeInstances");
const calledVia = (...services) => ({ "aws:CalledVia": services.map((service) => `${service}.amazonaws.com`) });

export default [
  attack("an image of another deployment", "CleanupFunction", "ec2:DeregisterImage", own.image, madeBy(other.run), managed),
  attack("an image of a deployment whose name begins alike", "CleanupFunction", "ec2:DeregisterImage", own.image, madeBy(longer.run), managed),
  attack("an image of another account's deployment", "CleanupFunction", "ec2:DeregisterImage", own.image, madeBy(elsewhere.run), managed),
  attack("an image with the tag of an operation", "CleanupFunction", "ec2:DeregisterImage", own.image, madeBy(own.operationOfRun), managed),
  attack("an image with another tag", "CleanupFunction", "ec2:DeregisterImage", own.image, { "aws:ResourceTag/Run": own.run }, managed),
  attack("an untagged image", "CleanupFunction", "ec2:DeregisterImage", own.image, {}, managed),
  attack("a snapshot of another deployment", "CleanupFunction", "ec2:DeleteSnapshot", own.snapshot, madeBy(other.run), managed),
  attack("an untagged snapshot", "CleanupFunction", "ec2:DeleteSnapshot", own.snapshot, {}, managed),
  ...[madeBy(own.run), {}].flatMap((image) => [
    attack("sets a user's tag", "CleanupFunction", "ec2:CreateTags", own.image, { ...image, ...keys("Team", "ami-from-instance:deletable-from") }),
    attack("sets the run tag", "CleanupFunction", "ec2:CreateTags", own.image, { ...image, ...tagging(own.run) }),
    attack("sets a tag without a name", "CleanupFunction", "ec2:CreateTags", own.image, image),
    attack("removes its own note", "CleanupFunction", "ec2:DeleteTags", own.image, { ...image, ...keys("ami-from-instance:deletable-from") }),
  ]),
  ...[own.image, own.snapshot].flatMap((resource) => [
    attack("marks what is another deployment's as rolled back", "CleanupFunction", "ec2:CreateTags", resource, { ...madeBy(other.run), ...keys("ami-from-instance:rolled-back") }),
    attack("marks what is nobody's as rolled back", "CleanupFunction", "ec2:CreateTags", resource, keys("ami-from-instance:rolled-back")),
    attack("takes its mark off", "CleanupFunction", "ec2:DeleteTags", resource, { ...madeBy(own.run), ...keys("ami-from-instance:rolled-back") }),
    attack("marks, and sets a user's tag", "CleanupFunction", "ec2:CreateTags", resource, { ...madeBy(own.run), ...keys("ami-from-instance:rolled-back", "Team") }),
  ]),
  ...[["ec2:RestoreImageFromRecycleBin", own.image], ["ec2:RestoreSnapshotFromRecycleBin", own.snapshot]].flatMap(([action, resource]) => [
    attack("restores what another deployment made", "StartUpdateFunction", action, resource, madeBy(other.run)),
    attack("restores what nobody made", "StartUpdateFunction", action, resource),
    attack("restores what it has removed", "CleanupFunction", action, resource, madeBy(own.run)),
  ]),
  ...["ec2:DisableImage", "ec2:EnableImage", "ec2:EnableImageDeprecation", "ec2:ModifyImageAttribute"].flatMap((action) => [
    attack("retires another deployment's image", "CleanupFunction", action, own.image, madeBy(other.run)),
    attack("retires an untagged image", "CleanupFunction", action, own.image),
  ]),
  attack("makes a disabled image one for ever", "CleanupFunction", "ec2:DeleteTags", own.image, { ...madeBy(own.run), ...keys("ami-from-instance:launch-permissions", "Team") }),
  attack("forgets the quarantine of another deployment's image", "CleanupFunction", "ec2:DeleteTags", own.image, { ...madeBy(other.run), ...keys("ami-from-instance:quarantined-since") }),
  ...read.flatMap(([action, resource]) => [
    attack("looks by itself", everyone, action, resource),
    attack("looks through another service", everyone, action, resource, calledVia("cloudformation")),
    ...["StartCreateFunction", "StartUpdateFunction", "AdoptFunction", "CheckStatusFunction", "StartRollbackFunction"].map((name) =>
      attack("has no need to", name, action, resource, calledVia("ec2-images")),
    ),
  ]),
  ...["ReadRequestFunction", "CleanupFunction"].flatMap((name) => [
    attack("reads what names no image", name, "autoscaling:DescribeTags", "*"),
    ...["ec2:DescribeVpcs", "ssm:ListCommands", "imagebuilder:ListComponents"].map((action) =>
      attack("reads what names no image", name, action, "*", calledVia("ec2-images")),
    ),
  ]),
  attack("stops a run", "CleanupFunction", "states:StopExecution", own.run),
  attack("stops another deployment's operation", "CleanupFunction", "states:StopExecution", other.operationOfRun),
  attack("asks about another deployment's run", "CleanupFunction", "states:DescribeExecution", other.run),
  ...["InstanceStateFunction", "CleanupFunction"].flatMap((name) => [
    attack("starts an instance that no run has stopped", name, "ec2:StartInstances", own.instance),
    attack("starts an instance that another deployment has stopped", name, "ec2:StartInstances", own.instance, stoppedBy(other.run)),
    attack("starts an instance that a run has imaged", name, "ec2:StartInstances", own.instance, madeBy(own.run)),
    attack("removes a user's tag", name, "ec2:DeleteTags", own.instance, { ...stoppedBy(own.run), ...keys("Team", "ami-from-instance:stopped-by") }),
    attack("removes all tags", name, "ec2:DeleteTags", own.instance, stoppedBy(own.run)),
    attack("removes another deployment's tag", name, "ec2:DeleteTags", own.instance, { ...stoppedBy(other.run), ...keys("ami-from-instance:stopped-by") }),
    attack("uses a volume's key of its own accord", name, "kms:CreateGrant", volumeKey, { "kms:GrantIsForAWSResource": "true" }),
    attack("grants a volume's key to somebody", name, "kms:CreateGrant", volumeKey, { "kms:GrantIsForAWSResource": "false", ...via("ec2") }),
    attack("grants another key", name, "kms:CreateGrant", own.key, { "kms:GrantIsForAWSResource": "true", ...via("ec2") }),
    attack("revokes a grant of a volume's key", name, "kms:RevokeGrant", volumeKey, { "kms:GrantIsForAWSResource": "true", ...via("ec2") }),
    attack("decrypts with a volume's key", name, "kms:Decrypt", volumeKey, via("ec2")),
  ]),
  attack("stops an instance that no run has taken", "InstanceStateFunction", "ec2:StopInstances", own.instance),
  attack("stops an instance that another deployment has taken", "InstanceStateFunction", "ec2:StopInstances", own.instance, stoppedBy(other.run)),
  attack("takes an instance for another deployment", "InstanceStateFunction", "ec2:CreateTags", own.instance, taking(other.run)),
  attack("takes an instance from another run", "InstanceStateFunction", "ec2:CreateTags", own.instance, { ...stoppedBy(own.run), ...taking(own.run) }),
  attack("takes an instance from another deployment", "InstanceStateFunction", "ec2:CreateTags", own.instance, { ...stoppedBy(other.run), ...taking(own.run) }),
  attack("takes an instance for nobody", "InstanceStateFunction", "ec2:CreateTags", own.instance, keys("ami-from-instance:stopped-by")),
  attack("sets a user's tag besides", "InstanceStateFunction", "ec2:CreateTags", own.instance, { ...taking(own.run), ...keys("Team", "ami-from-instance:stopped-by") }),
  attack("sets tags without a name", "InstanceStateFunction", "ec2:CreateTags", own.instance, { "aws:RequestTag/ami-from-instance:stopped-by": own.run }),
  attack("takes an image", "InstanceStateFunction", "ec2:CreateTags", own.image, taking(own.run)),
  attack("takes an instance", "CleanupFunction", "ec2:CreateTags", own.instance, taking(own.run)),
  attack("stops an instance that a run has taken", "CleanupFunction", "ec2:StopInstances", own.instance, stoppedBy(own.run)),
  ...[own.image, own.snapshot].flatMap((resource) => [
    attack("takes over an image", "AdoptFunction", "ec2:CreateTags", resource, adopting(own.run), managed),
    attack("takes an image from another run", "AdoptFunction", "ec2:CreateTags", resource, { ...madeBy(own.run), ...adopting(own.run) }),
    attack("takes an image from another stack", "AdoptFunction", "ec2:CreateTags", resource, { ...madeBy(other.run), ...adopting(own.run) }),
    attack("takes over an image for another stack", "AdoptFunction", "ec2:CreateTags", resource, adopting(other.run)),
    attack("takes over an image for nobody", "AdoptFunction", "ec2:CreateTags", resource, keys("ami-from-instance:series")),
    attack("sets a user's tag besides", "AdoptFunction", "ec2:CreateTags", resource, { ...adopting(own.run), ...keys("Team", "ami-from-instance:run") }),
    attack("sets tags without a name", "AdoptFunction", "ec2:CreateTags", resource, { "aws:RequestTag/ami-from-instance:run": own.run }),
    attack("removes a user's tag", "CleanupFunction", "ec2:DeleteTags", resource, { ...madeBy(own.run), ...keys("Team", "ami-from-instance:run") }),
    attack("removes all tags", "CleanupFunction", "ec2:DeleteTags", resource, madeBy(own.run)),
    attack("removes another stack's tags", "CleanupFunction", "ec2:DeleteTags", resource, { ...madeBy(other.run), ...keys("ami-from-instance:run") }),
    attack("removes tags of what no run made", "CleanupFunction", "ec2:DeleteTags", resource, keys("ami-from-instance:run")),
    attack("removes a run's tags", "CleanupFunction", "ec2:DeleteTags", resource, { ...madeBy(own.run), ...keys("ami-from-instance:run") }, managed),
  ]),
  attack("takes over an instance", "AdoptFunction", "ec2:CreateTags", own.instance, adopting(own.run)),
  attack("tags an image that is there", "StartCreateFunction", "ec2:CreateTags", own.image, tagging(own.run)),
  attack("tags an image of its own that is there", "StartCreateFunction", "ec2:CreateTags", own.image, { ...madeBy(own.run), ...tagging(own.run) }),
  attack("tags an image by CopyImage", "StartCreateFunction", "ec2:CreateTags", own.image, { ...creating("CopyImage"), ...tagging(own.run) }),
  attack("tags a snapshot by CreateSnapshot", "StartCreateFunction", "ec2:CreateTags", own.snapshot, { ...creating("CreateSnapshot"), ...tagging(own.run) }),
  attack("tags the instance", "StartCreateFunction", "ec2:CreateTags", own.instance, { ...creating("CreateImage"), ...tagging(own.run) }),
  attack("tags what it makes with another deployment's run", "StartCreateFunction", "ec2:CreateTags", own.image, { ...creating("CreateImage"), ...tagging(other.run) }),
  attack("tags what it makes with another account's run", "StartCreateFunction", "ec2:CreateTags", own.snapshot, { ...creating("CreateImage"), ...tagging(elsewhere.run) }),
  attack("tags what it makes with no run", "StartCreateFunction", "ec2:CreateTags", own.image, creating("CreateImage")),
  attack("makes a snapshot by itself", "StartCreateFunction", "ec2:CreateSnapshot", own.volume),
  attack("tags an instance", "StartUpdateFunction", "ec2:CreateTags", own.instance, { ...madeBy(own.run), ...keys("Team") }),
  attack("untags a volume", "StartUpdateFunction", "ec2:DeleteTags", own.volume, { ...madeBy(own.run), ...keys("Team") }),
  ...["ec2:CreateTags", "ec2:DeleteTags", "ec2:ModifyImageAttribute", "ec2:EnableImageDeprecation", "ec2:DisableImageDeprecation"].flatMap(
    (action) => [
      attack("changes another deployment's image", "StartUpdateFunction", action, own.image, { ...madeBy(other.run), ...tagsOf(action) }, managed),
      attack("changes an untagged image", "StartUpdateFunction", action, own.image, tagsOf(action), managed),
    ],
  ),
  ...[own.image, own.snapshot].flatMap((resource) => [
    attack("changes the run tag", "StartUpdateFunction", "ec2:CreateTags", resource, { ...madeBy(own.run), ...tagging(own.run) }),
    attack("changes the run tag among others", "StartUpdateFunction", "ec2:CreateTags", resource, { ...madeBy(own.run), ...keys("Team", "ami-from-instance:run") }),
    attack("sets a run tag in capitals", "StartUpdateFunction", "ec2:CreateTags", resource, { ...madeBy(own.run), ...keys("AMI-from-instance:run") }),
    attack("removes the run tag", "StartUpdateFunction", "ec2:DeleteTags", resource, { ...madeBy(own.run), ...keys("ami-from-instance:run", "Team") }),
    attack("removes all tags", "StartUpdateFunction", "ec2:DeleteTags", resource, madeBy(own.run)),
  ]),
  attack("shares a snapshot", "StartUpdateFunction", "ec2:ModifySnapshotAttribute", own.snapshot, madeBy(own.run)),
  attack("reads another deployment's history", "WakeFunction", "states:GetExecutionHistory", other.operationOfRun),
  attack("reads the history of a run", "WakeFunction", "states:GetExecutionHistory", own.run),
  attack("fails a Task", "WakeFunction", "states:SendTaskFailure", "*"),
  attack("starts a run", "StartRollbackFunction", "states:StartExecution", own.lifecycle),
  attack("starts another deployment's operation", "StartRollbackFunction", "states:StartExecution", other.operation),
  attack("lists another deployment's runs", "StartRollbackFunction", "states:ListExecutions", other.lifecycle),
  attack("asks about another deployment's run", "StartRollbackFunction", "states:DescribeExecution", other.run),
  attack("asks about another deployment's operation", "StartRollbackFunction", "states:DescribeExecution", other.operationOfRun),
  attack("starts a run from a run", "LifecycleMachine", "states:StartExecution", own.lifecycle),
  attack("starts another deployment's operation", "LifecycleMachine", "states:StartExecution", other.operation),
  attack("stops a run", "LifecycleMachine", "states:StopExecution", own.run),
  attack("changes a rule that is not Step Functions'", "LifecycleMachine", "events:PutTargets", own.ruleOf("WakeFunctionImageEnded")),
  ...["StartCreateFunction", "CheckStatusFunction", "WakeFunction", "StartUpdateFunction", "CleanupFunction", "StartRollbackFunction"].map(
    (name) => attack(`invokes ${name}`, "LifecycleMachine", "lambda:InvokeFunction", own.function(name)),
  ),
  ...["ReadRequestFunction", "WakeFunction", "StartRollbackFunction"].map(
    (name) => attack(`invokes ${name}`, "OperationMachine", "lambda:InvokeFunction", own.function(name)),
  ),
  attack("puts an event of EC2", "OperationMachine", "events:PutEvents", own.bus, { "events:source": ["aws.ec2"] }),
  attack("puts an event of somebody's", "OperationMachine", "events:PutEvents", own.bus, { "events:source": ["orders"] }),
  attack("puts an event of EC2 among its own", "OperationMachine", "events:PutEvents", own.bus, { "events:source": [STACK, "aws.ec2"] }),
  attack("puts an event of no source", "OperationMachine", "events:PutEvents", own.bus),
  attack("puts an event on another bus", "OperationMachine", "events:PutEvents", own.bus.replace("default", "orders"), { "events:source": [STACK] }),
  attack("starts a run of any action", "ScheduleRole", "states:StartExecution", own.lifecycle, {}, { SchedulesOnlyCreate: true }),
  attack("starts another deployment's create", "ScheduleRole", "states:StartExecution", other.create),
  attack("starts an operation", "CreateMachine", "states:StartExecution", own.operation),
  attack("starts itself", "CreateMachine", "states:StartExecution", own.create),
  attack("starts another deployment's run", "CreateMachine", "states:StartExecution", other.lifecycle),
  attack("stops an operation", "CreateMachine", "states:StopExecution", own.operationOfRun),
  attack("changes a rule that is not Step Functions'", "CreateMachine", "events:PutTargets", own.ruleOf("WakeFunctionImageEnded")),
  attack("images an instance without the tag", "StartCreateFunction", "ec2:CreateImage", own.instance, {}, { OnlyTaggedInstances: true }),
  attack("images an instance that forbids it", "StartCreateFunction", "ec2:CreateImage", own.instance, { [source]: "forbidden" }, { OnlyTaggedInstances: true }),
  attack("takes an instance without the tag", "InstanceStateFunction", "ec2:CreateTags", own.instance, taking(own.run), { OnlyTaggedInstances: true }),
  attack("starts an operation", "ScheduleRole", "states:StartExecution", own.operation),
  attack("starts another deployment's run", "ScheduleRole", "states:StartExecution", other.lifecycle),
  attack("sends to another queue", "ScheduleRole", "sqs:SendMessage", other.queue("ScheduleDeadLetterQueue")),
  attack("reads the dead-letter queue", "ScheduleRole", "sqs:ReceiveMessage", own.queue("ScheduleDeadLetterQueue")),
  attack("uses another key", "ScheduleRole", "kms:Decrypt", own.key.replace("of-the-user", "another"), via("sqs")),
  attack("encrypts with the key", "ScheduleRole", "kms:Encrypt", own.key, via("sqs")),
  ...["kms:GenerateDataKey", "kms:Decrypt"].flatMap((action) => [
    attack("uses the key of its own accord", "ScheduleRole", action, own.key),
    attack("uses the key by another service", "ScheduleRole", action, own.key, via("s3")),
    attack("uses the key in another Region", "ScheduleRole", action, own.key, { "kms:ViaService": "sqs.eu-west-1.amazonaws.com" }),
  ]),
  attack("invokes another function", "StartRollbackFunctionSweep", "lambda:InvokeFunction", own.function("CleanupFunction")),
  attack("a schedule of another account", "scheduler.amazonaws.com", "sts:AssumeRole", own.role("ScheduleRole"), { "aws:SourceAccount": elsewhere.account }),
  attack("a schedule of nobody's", "scheduler.amazonaws.com", "sts:AssumeRole", own.role("ScheduleRole")),
  attack("another rule", "events.amazonaws.com", "lambda:InvokeFunction", own.function("WakeFunction"), { "aws:SourceArn": own.ruleOf("StartRollbackFunctionRunEndedBadly") }),
  attack("another account's rule", "events.amazonaws.com", "lambda:InvokeFunction", own.function("StartRollbackFunction"), { "aws:SourceArn": elsewhere.ruleOf("StartRollbackFunctionRunEndedBadly") }),
  attack("a rule changes a function", "events.amazonaws.com", "lambda:UpdateFunctionCode", own.function("WakeFunction"), { "aws:SourceArn": own.ruleOf("WakeFunctionImageEnded") }),
  attack("a rule changes a function", "events.amazonaws.com", "lambda:UpdateFunctionCode", own.function("StartRollbackFunction"), { "aws:SourceArn": own.ruleOf("StartRollbackFunctionRunEndedBadly") }),
  attack("a rule without a permission", "events.amazonaws.com", "lambda:InvokeFunction", own.function("CleanupFunction"), { "aws:SourceArn": own.ruleOf("WakeFunctionImageEnded") }),
  attack("another service invokes a function", "s3.amazonaws.com", "lambda:InvokeFunction", own.function("WakeFunction"), { "aws:SourceArn": own.ruleOf("WakeFunctionImageEnded") }),
  attack("another service invokes a function", "s3.amazonaws.com", "lambda:InvokeFunction", own.function("StartRollbackFunction"), { "aws:SourceArn": own.ruleOf("StartRollbackFunctionRunEndedBadly") }),
  attack("another account's alarm", "cloudwatch.amazonaws.com", "sns:Publish", own.topic("NotificationTopic"), { "aws:SourceAccount": elsewhere.account }, topic),
  attack("another service publishes", "s3.amazonaws.com", "sns:Publish", own.topic("NotificationTopic"), { "aws:SourceAccount": own.account }, topic),
  attack("an alarm subscribes", "cloudwatch.amazonaws.com", "sns:Subscribe", own.topic("NotificationTopic"), { "aws:SourceAccount": own.account }, topic),
  attack("a rule subscribes", "events.amazonaws.com", "sns:Subscribe", own.topic("NotificationTopic"), {}, topic),

  attack("passes a role", everyone, "iam:PassRole", own.role("CleanupFunctionRole")),
  attack("takes another role", everyone, "sts:AssumeRole", own.role("CleanupFunctionRole")),
  attack("changes a role", everyone, "iam:PutRolePolicy", own.role("CleanupFunctionRole")),
  attack("terminates an instance", everyone, "ec2:TerminateInstances", own.instance),
  attack("stops an instance", everyone, "ec2:StopInstances", own.instance),
  attack("deletes a volume", everyone, "ec2:DeleteVolume", own.volume),
  attack("runs an instance", everyone, "ec2:RunInstances", own.instance),
  ...["ReadRequestFunction", "StartCreateFunction", "CheckStatusFunction", "WakeFunction", "StartRollbackFunction"].map(
    (name) => attack("disables an image", name, "ec2:DisableImage", own.image, madeBy(own.run)),
  ),
  attack("reads an attribute that it does not name", everyone, "ec2:DescribeInstanceAttribute", own.instance),
  attack("takes away stop protection", everyone, "ec2:ModifyInstanceAttribute", own.instance, { "ec2:Attribute": "disableApiStop" }),
  attack("reads user data", everyone, "ec2:DescribeInstanceAttribute", own.instance, { "ec2:Attribute": "userData" }),
  attack("invokes another stack's function", everyone, "lambda:InvokeFunction", other.function("CleanupFunction")),
  ...["ReadRequestFunction", "StartCreateFunction", "CheckStatusFunction", "StartUpdateFunction", "CleanupFunction", "StartRollbackFunction"].map(
    (name) => attack(`changes ${name}`, everyone, "lambda:UpdateFunctionCode", own.function(name)),
  ),
  attack("changes the lifecycle machine", everyone, "states:UpdateStateMachine", own.lifecycle),
  attack("deletes the operation machine", everyone, "states:DeleteStateMachine", own.operation),
  attack("starts a run again", everyone, "states:RedriveExecution", own.run),
  attack("starts an operation again", everyone, "states:RedriveExecution", own.operationOfRun),
  attack("deletes the managed rule", everyone, "events:DeleteRule", own.rule("StepFunctionsGetEventsForStepFunctionsExecutionRule")),
  attack("deletes a rule", everyone, "events:DeleteRule", own.ruleOf("WakeFunctionImageEnded")),
  attack("deletes the bus", everyone, "events:DeleteEventBus", own.bus, {}),
  attack("deletes a schedule", everyone, "scheduler:DeleteSchedule", `arn:aws:scheduler:us-east-1:${own.account}:schedule/default/Schedule`),
  attack("deletes the logs", everyone, "logs:DeleteLogGroup", own.logs.replace(":log-stream:any", "")),
  attack("empties the dead-letter queue", everyone, "sqs:PurgeQueue", own.queue("ScheduleDeadLetterQueue")),
  attack("deletes the key", everyone, "kms:ScheduleKeyDeletion", own.key),
  attack("reads a secret", everyone, "secretsmanager:GetSecretValue", `arn:aws:secretsmanager:us-east-1:${own.account}:secret:any`),
];
