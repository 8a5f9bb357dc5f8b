// What AWS calls by itself for the functions, machines, rules and schedules, and which page says so. Nothing
// local makes these calls, so no test sees them.

import { own } from "./arns.mjs";

const AWS = "https://docs.aws.amazon.com/";
const FUNCTIONS = [
  "ReadRequestFunction",
  "InstanceStateFunction",
  "StartCreateFunction",
  "CheckStatusFunction",
  "WakeFunction",
  "StartUpdateFunction",
  "AdoptFunction",
  "CleanupFunction",
  "StartRollbackFunction",
];
export const LOOKED_FOR = [
  ["ec2:DescribeInstances", "*"],
  ["ec2:DescribeLaunchTemplates", "*"],
  ["ec2:DescribeLaunchTemplateVersions", "*"],
  ["ssm:DescribeParameters", "*"],
  ["ssm:GetParameters", own.parameter],
  ["imagebuilder:ListImageRecipes", "*"],
  ["imagebuilder:ListContainerRecipes", "*"],
  ["imagebuilder:GetContainerRecipe", own.recipe],
];
const MACHINES = ["LifecycleMachine", "OperationMachine", "CreateMachine"];
const SCHEDULES = { ScheduleRole: "Schedule", StartRollbackFunctionSweepRole: "StartRollbackFunctionSweep" };
const here = { "aws:SourceAccount": own.account };

export default [
  {
    page: AWS + "lambda/latest/dg/lambda-intro-execution-role.html",
    principal: "lambda.amazonaws.com",
    action: "sts:AssumeRole",
    resources: FUNCTIONS.map((name) => own.role(name + "Role")),
    context: here,
  },
  {
    page: AWS + "step-functions/latest/dg/procedure-create-iam-role.html",
    principal: "states.amazonaws.com",
    action: "sts:AssumeRole",
    resources: MACHINES.map((name) => own.role(name + "Role")),
    context: here,
  },
  {
    page: AWS + "scheduler/latest/UserGuide/setting-up.html",
    principal: "scheduler.amazonaws.com",
    action: "sts:AssumeRole",
    resources: Object.keys(SCHEDULES).map(own.role),
    context: here,
  },
  {
    page: AWS + "lambda/latest/dg/lambda-intro-execution-role.html",
    managed: "AWSLambdaBasicExecutionRole",
    principal: FUNCTIONS,
    action: ["logs:CreateLogStream", "logs:PutLogEvents"],
    resources: [own.logs],
  },
  {
    page: AWS + "lambda/latest/dg/services-xray.html",
    managed: "AWSXrayWriteOnlyAccess",
    principal: FUNCTIONS,
    action: ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
    resources: ["*"],
  },
  {
    page: AWS + "step-functions/latest/dg/xray-iam.html",
    managed: "AWSXrayWriteOnlyAccess",
    principal: MACHINES,
    action: ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"],
    resources: ["*"],
  },
  {
    page: AWS + "step-functions/latest/dg/cw-logs.html",
    principal: MACHINES,
    action: [
      "logs:CreateLogDelivery",
      "logs:GetLogDelivery",
      "logs:UpdateLogDelivery",
      "logs:DeleteLogDelivery",
      "logs:ListLogDeliveries",
      "logs:PutResourcePolicy",
      "logs:DescribeResourcePolicies",
      "logs:DescribeLogGroups",
    ],
    resources: ["*"],
  },
  {
    // Of startExecution.sync: polls where no event comes, and stops the child with its parent.
    page: AWS + "step-functions/latest/dg/stepfunctions-iam.html",
    principal: "LifecycleMachine",
    action: ["states:DescribeExecution", "states:StopExecution"],
    resources: [own.operationOfRun],
  },
  {
    page: AWS + "step-functions/latest/dg/stepfunctions-iam.html",
    principal: "CreateMachine",
    action: ["states:DescribeExecution", "states:StopExecution"],
    resources: [own.run],
  },
  {
    page: AWS + "step-functions/latest/dg/stepfunctions-iam.html",
    principal: ["LifecycleMachine", "CreateMachine"],
    action: ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
    resources: [own.rule("StepFunctionsGetEventsForStepFunctionsExecutionRule")],
  },
  {
    // CreateImage puts the tags of its request on.
    page: AWS + "AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html",
    principal: "StartCreateFunction",
    action: "ec2:CreateTags",
    resources: [own.image, own.snapshot],
    context: { "ec2:CreateAction": "CreateImage", "aws:RequestTag/ami-from-instance:run": own.run },
  },
  {
    // EC2 lets an instance use the key of a volume in the name of whoever starts it.
    page: AWS + "ebs/latest/userguide/ebs-encryption-requirements.html",
    principal: ["InstanceStateFunction", "CleanupFunction"],
    action: "kms:CreateGrant",
    resources: [own.key.replace("of-the-user", "of-a-volume")],
    context: { "kms:GrantIsForAWSResource": "true", "kms:ViaService": "ec2.us-east-1.amazonaws.com" },
    given: { VolumeKmsKeyArns: true },
  },
  // EC2 looks for what names an image in the name of whoever asks; the managed policy has the same statement.
  ...LOOKED_FOR.map(([action, resource]) => ({
    page: AWS + "AWSEC2/latest/UserGuide/ec2-ami-references.html",
    managed: "AmazonEC2ImageReferencesAccessPolicy",
    principal: ["ReadRequestFunction", "CleanupFunction"],
    action,
    resources: [resource],
    context: { "aws:CalledVia": ["ec2-images.amazonaws.com"] },
  })),
  // The template's schedule, and schedules of the user's own.
  ...[true, false].flatMap((only) => {
    const resources = [only ? own.create : own.lifecycle];
    const call = { page: AWS + "scheduler/latest/UserGuide/setting-up.html", action: "states:StartExecution", resources };
    return [
      { ...call, principal: "Schedule", given: { ScheduleExpression: true, SchedulesOnlyCreate: only } },
      { ...call, principal: "ScheduleRole", given: { SchedulesOnlyCreate: only } },
    ];
  }),
  {
    page: AWS + "scheduler/latest/UserGuide/configuring-schedule-dlq.html",
    principal: "ScheduleRole",
    action: "sqs:SendMessage",
    resources: [own.queue("ScheduleDeadLetterQueue")],
  },
  {
    page: AWS + "AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html",
    principal: "ScheduleRole",
    action: ["kms:GenerateDataKey", "kms:Decrypt"],
    resources: [own.key],
    context: { "kms:ViaService": "sqs.us-east-1.amazonaws.com" },
    given: { KmsKeyArn: true },
  },
  {
    page: AWS + "scheduler/latest/UserGuide/setting-up.html",
    principal: "StartRollbackFunctionSweep",
    action: "lambda:InvokeFunction",
    resources: [own.function("StartRollbackFunction")],
  },
  {
    page: AWS + "eventbridge/latest/userguide/eb-use-resource-based.html",
    principal: "events.amazonaws.com",
    action: "lambda:InvokeFunction",
    resources: [own.function("WakeFunction")],
    context: { "aws:SourceArn": own.ruleOf("WakeFunctionImageEnded") },
  },
  {
    page: AWS + "eventbridge/latest/userguide/eb-use-resource-based.html",
    principal: "events.amazonaws.com",
    action: "lambda:InvokeFunction",
    resources: [own.function("StartRollbackFunction")],
    context: { "aws:SourceArn": own.ruleOf("StartRollbackFunctionRunEndedBadly") },
  },
  {
    // EventBridge gives no context to a topic's policy.
    page: AWS + "eventbridge/latest/userguide/eb-use-resource-based.html",
    principal: "events.amazonaws.com",
    action: "sns:Publish",
    resources: [own.topic("NotificationTopic")],
    given: { NotificationEmail: true, NotificationTopicArn: false },
  },
  {
    page: AWS + "AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html",
    principal: "cloudwatch.amazonaws.com",
    action: "sns:Publish",
    resources: [own.topic("NotificationTopic")],
    context: here,
    given: { NotificationEmail: true, NotificationTopicArn: false },
  },
];
