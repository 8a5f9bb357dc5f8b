//! The services that are called: what each calls itself, and how it is spoken to.

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// A form goes in, XML comes out. `lists` stands between a list's name and the number of its item.
    Query { version: &'static str, lists: &'static str },
    /// JSON goes in and comes out; a header names the action.
    Json { target: &'static str, version: &'static str },
    /// Method and path name the action, and JSON goes in and comes out.
    Rest,
}

/// A service of AWS.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// As signatures name it.
    pub(super) signing: &'static str,
    /// The first part of its address.
    pub(super) host: &'static str,
    /// Its service id, as in `AWS_ENDPOINT_URL_<id>`.
    pub(super) id: &'static str,
    /// Whether it has one address for all Regions of a partition.
    pub(super) is_global: bool,
    pub(super) protocol: Protocol,
}

const fn query(host: &'static str, id: &'static str, version: &'static str) -> Service {
    let protocol = Protocol::Query { version, lists: ".member" };
    Service { signing: host, host, id, is_global: false, protocol }
}

const fn json(host: &'static str, id: &'static str, target: &'static str, version: &'static str) -> Service {
    Service { signing: host, host, id, is_global: false, protocol: Protocol::Json { target, version } }
}

const fn rest(host: &'static str, id: &'static str) -> Service {
    Service { signing: host, host, id, is_global: false, protocol: Protocol::Rest }
}

/// Amazon EC2.
pub const EC2: Service =
    Service { protocol: Protocol::Query { version: "2016-11-15", lists: "" }, ..query("ec2", "EC2", "") };
/// AWS Security Token Service.
pub const STS: Service = query("sts", "STS", "2011-06-15");
/// AWS Identity and Access Management.
pub const IAM: Service = Service { is_global: true, ..query("iam", "IAM", "2010-05-08") };
/// AWS CloudFormation.
pub const CLOUDFORMATION: Service = query("cloudformation", "CLOUDFORMATION", "2010-05-15");
/// Amazon CloudWatch.
pub const CLOUDWATCH: Service = json("monitoring", "CLOUDWATCH", "GraniteServiceVersion20100801", "1.0");
/// Amazon SNS.
pub const SNS: Service = query("sns", "SNS", "2010-03-31");
/// Amazon SQS.
pub const SQS: Service = json("sqs", "SQS", "AmazonSQS", "1.0");
/// AWS Step Functions.
pub const STEP_FUNCTIONS: Service = json("states", "SFN", "AWSStepFunctions", "1.0");
/// AWS Step Functions, for what it answers only once it is done.
pub const STEP_FUNCTIONS_SYNC: Service = Service { host: "sync-states", ..STEP_FUNCTIONS };
/// Amazon EventBridge.
pub const EVENTBRIDGE: Service = json("events", "EVENTBRIDGE", "AWSEvents", "1.1");
/// AWS Systems Manager.
pub const SSM: Service = json("ssm", "SSM", "AmazonSSM", "1.1");
/// AWS Key Management Service.
pub const KMS: Service = json("kms", "KMS", "TrentService", "1.1");
/// Amazon CloudWatch Logs.
pub const LOGS: Service = json("logs", "CLOUDWATCH_LOGS", "Logs_20140328", "1.1");
/// Service Quotas.
pub const QUOTAS: Service = json("servicequotas", "SERVICE_QUOTAS", "ServiceQuotasV20190624", "1.1");
/// AWS Lambda.
pub const LAMBDA: Service = rest("lambda", "LAMBDA");
/// Amazon EventBridge Scheduler.
pub const SCHEDULER: Service = rest("scheduler", "SCHEDULER");
/// The EBS direct APIs.
pub const EBS: Service = rest("ebs", "EBS");
/// Recycle Bin.
pub const RECYCLE_BIN: Service = rest("rbin", "RBIN");

/// All of them.
pub(super) const ALL: [Service; 18] = [
    EC2,
    STS,
    IAM,
    CLOUDFORMATION,
    CLOUDWATCH,
    SNS,
    SQS,
    STEP_FUNCTIONS,
    STEP_FUNCTIONS_SYNC,
    EVENTBRIDGE,
    SSM,
    KMS,
    LOGS,
    QUOTAS,
    LAMBDA,
    SCHEDULER,
    EBS,
    RECYCLE_BIN,
];
