//! The calls of the functions and the machines as IAM judges them: who calls what, on which resources and
//! in which context. `.ci/iam/` asks whether the template's roles allow them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use ami_from_instance::{model::run::RUN_TAG, operations::instance_state::STOPPED_BY_TAG, settings::SOURCE_TAG};
use local_ec2::{ACCOUNT, Call, Parameters, REGION, Tags};
use serde::Serialize;
use serde_json::{Value, json};

/// What an image and its snapshots are called where CreateImage failed: an id they could have had.
const NEVER_MADE: [&str; 2] = ["ami-00000000000000000", "snap-00000000000000000"];
const UNMANAGED: &str = "AllowUnmanagedImages";

type Context = BTreeMap<String, Value>;

/// A call, in the format of `.ci/iam/expectations.mjs`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    principal: String,
    action: String,
    resources: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    context: Context,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    given: BTreeMap<String, bool>,
}

impl Line {
    fn new(principal: &str, action: impl Into<String>, resources: Vec<String>) -> Self {
        let (context, given) = (Context::new(), BTreeMap::new());
        Self { principal: principal.to_owned(), action: action.into(), resources, context, given }
    }

    fn with(mut self, context: Context) -> Self {
        self.context.extend(context);
        self
    }

    /// The call is allowed only where the instance's tags need not say so, unless they do.
    fn of_instance(mut self, tags: &Tags) -> Self {
        if tags.get(SOURCE_TAG.0).map(String::as_str) != Some(SOURCE_TAG.1) {
            self.given.insert("OnlyTaggedInstances".to_owned(), false);
        }
        self
    }

    /// What all calls have in common that no policy tells apart: it leaves out ids, names and values, but those
    /// that say whose a resource is.
    fn kind(&self) -> String {
        let resources: BTreeSet<_> = self.resources.iter().map(|arn| without_name(arn)).collect();
        let mut kind = format!("{} {} {resources:?}", self.principal, self.action);
        for (key, value) in &self.context {
            let told = match value {
                Value::String(text) if key.ends_with(RUN_TAG) => without_name(text).to_owned(),
                Value::String(_) if key.contains("Tag/") => String::new(),
                other => other.to_string(),
            };
            kind += &format!(" {key}={told}");
        }
        self.given.iter().for_each(|(parameter, value)| kind += &format!(" {parameter}: {value}"));
        kind
    }
}

/// An ARN without the id, or the name of the execution.
fn without_name(arn: &str) -> &str {
    let end = if arn.contains(":execution:") { arn.rfind(':') } else { arn.rfind('/') };
    &arn[..end.unwrap_or(arn.len())]
}

/// Calls, of each kind the first.
#[derive(Clone, Debug, Default)]
pub struct Lines(BTreeMap<String, Line>);

impl Lines {
    /// Adds what others have seen.
    pub fn append(&mut self, others: Self) {
        for (kind, line) in others.0 {
            self.0.entry(kind).or_insert(line);
        }
    }
}

impl Extend<Line> for Lines {
    fn extend<T: IntoIterator<Item = Line>>(&mut self, lines: T) {
        for line in lines {
            self.0.entry(line.kind()).or_insert(line);
        }
    }
}

/// A line of JSON for each.
impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.values().try_for_each(|line| writeln!(f, "{}", json!(line)))
    }
}

/// What a deployment says of its calls.
#[derive(Clone, Copy, Debug)]
pub struct Deployed<'a> {
    /// What the ARNs of its runs begin with.
    pub runs: &'a str,
    /// Whether it may change images that no run made.
    pub is_unmanaged_allowed: bool,
}

/// Everything that a function must be allowed for a call of EC2, also for one that only asks whether it is.
pub fn needed(call: &Call) -> Vec<Line> {
    let principal = function(&call.caller).unwrap_or_default();
    by_tags(&principal, call).into_iter().map(|(line, _)| line).collect()
}

/// What a function calls of EC2.
pub fn of_ec2(principal: &str, call: &Call, deployed: Deployed<'_>) -> Vec<Line> {
    // What a dry run only asks about may be denied.
    let is_dry = call.parameters.get("DryRun").is_some_and(|dry| dry == "true");
    // Of two rollbacks at once, one may start an instance that the other has just released: its role may not, and it
    // takes that for an answer.
    let is_released = |tags: &Tags| !tags.contains_key(STOPPED_BY_TAG);
    let is_start = principal == "CleanupFunction" && call.action == "StartInstances";
    // A tag of a run that is on already: the answer was lost, or another run was first. The role may not put it on
    // twice, and the two functions that do look whether it is there.
    let put_on_once = match principal {
        "InstanceStateFunction" => Some(STOPPED_BY_TAG),
        "AdoptFunction" => Some(RUN_TAG),
        _ => None,
    };
    let puts_on_again =
        |tags: &Tags| call.action == "CreateTags" && put_on_once.is_some_and(|key| tags.contains_key(key));
    // The same of the run tag that undoing an adopt takes off: another rollback was first, and the next look shows it.
    let takes_run_tag_off = principal == "CleanupFunction"
        && call.action == "DeleteTags"
        && tags_of(&call.parameters, "Tag").contains_key(RUN_TAG);
    let is_repeated = |tags: &Tags| puts_on_again(tags) || takes_run_tag_off && !tags.contains_key(RUN_TAG);
    if is_dry || is_start && call.resources.values().all(is_released) {
        return vec![];
    }
    let is_of_a_run = |tags: &Tags| tags.get(RUN_TAG).is_some_and(|run| run.starts_with(deployed.runs));
    let given = |(mut line, tags): (Line, Option<Tags>)| {
        let is_anybodys = call.mutating && tags.is_some_and(|tags| !is_of_a_run(&tags));
        if deployed.is_unmanaged_allowed && (is_anybodys || is_of_an_adopt(&line)) {
            line.given.insert(UNMANAGED.to_owned(), true);
        }
        line
    };
    let lines = by_tags(principal, call).into_iter();
    lines.filter(|(_, tags)| !tags.as_ref().is_some_and(is_repeated)).map(given).collect()
}

/// Whether only an adopt, or undoing one, takes the call: it needs the parameter whatever the image.
fn is_of_an_adopt(line: &Line) -> bool {
    let unadopts = line.action == "ec2:DeleteTags" && !line.resources.iter().any(|arn| arn.contains(":instance/"));
    line.principal == "AdoptFunction" || line.principal == "CleanupFunction" && unadopts
}

/// What the template calls the function with an application id: `start-create` is `StartCreateFunction`.
pub fn function(caller: &str) -> Option<String> {
    let words = caller.strip_prefix("ami-from-instance-")?.split('-');
    let capitalized = |word: &str| word[..1].to_uppercase() + &word[1..];
    Some(words.map(capitalized).collect::<String>() + "Function")
}

/// A call of EC2, in a line for all resources with the same tags; those of a resource that was there before.
fn by_tags(principal: &str, call: &Call) -> Vec<(Line, Option<Tags>)> {
    let action = call.permission();
    let is_of_a_resource = ["DescribeImageAttribute", "DescribeInstanceAttribute"].contains(&call.action.as_str());
    let looks = call.action.starts_with("Describe") || call.action.starts_with("List");
    if looks && !is_of_a_resource {
        return vec![(Line::new(principal, action, vec!["*".to_owned()]), None)];
    }
    let mut alike: BTreeMap<&Tags, Vec<String>> = BTreeMap::new();
    for (id, tags) in &call.resources {
        alike.entry(tags).or_default().push(arn(id));
    }
    if call.action == "CreateImage" {
        let line = |(tags, arns): (&Tags, _)| Line::new(principal, &action, arns).with(tagged(tags)).of_instance(tags);
        let instances = alike.into_iter().map(line);
        return instances.chain(of_create_image(principal, call)).map(|line| (line, None)).collect();
    }
    let mut requested = requested(&tags_of(&call.parameters, "Tag"));
    if call.action == "DescribeInstanceAttribute" {
        requested.extend(call.parameters.get("Attribute").map(|name| ("ec2:Attribute".to_owned(), json!(name))));
    }
    let takes = call.action == "CreateTags" && call.resources.keys().all(|id| id.starts_with("i-"));
    let line = |(tags, arns): (&Tags, _)| {
        let line = Line::new(principal, &action, arns).with(tagged(tags)).with(requested.clone());
        (if takes { line.of_instance(tags) } else { line }, Some(tags.clone()))
    };
    alike.into_iter().map(line).collect()
}

/// What CreateImage makes, and that it tags it in its caller's name.
fn of_create_image(principal: &str, call: &Call) -> Vec<Line> {
    let mut lines = vec![];
    let made = if call.made.is_empty() { NEVER_MADE.map(str::to_owned).to_vec() } else { call.made.clone() };
    for (kind, prefix) in [("image", "ami-"), ("snapshot", "snap-")] {
        let arns: Vec<_> = made.iter().filter(|id| id.starts_with(prefix)).map(|id| arn(id)).collect();
        let specification = (1..).map(|number| format!("TagSpecification.{number}"));
        let mut specification = specification.map_while(|prefix| {
            let kind = call.parameters.get(&format!("{prefix}.ResourceType"))?;
            Some((kind, tags_of(&call.parameters, &format!("{prefix}.Tag"))))
        });
        let tags = specification.find(|(of, _)| *of == kind).map(|(_, tags)| requested(&tags)).unwrap_or_default();
        lines.push(Line::new(principal, "ec2:CreateImage", arns.clone()).with(tags.clone()));
        if !tags.is_empty() {
            let by = Context::from([("ec2:CreateAction".to_owned(), json!("CreateImage"))]);
            lines.push(Line::new(principal, "ec2:CreateTags", arns).with(tags).with(by));
        }
    }
    lines
}

fn arn(id: &str) -> String {
    match id.split_once('-').map(|(prefix, _)| prefix) {
        Some("ami") => format!("arn:aws:ec2:{REGION}::image/{id}"),
        Some("snap") => format!("arn:aws:ec2:{REGION}::snapshot/{id}"),
        _ => format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{id}"),
    }
}

/// The tags `<name>.1`, `<name>.2` … of a request; to remove a tag, a request needs no value.
fn tags_of(parameters: &Parameters, name: &str) -> BTreeMap<String, Option<String>> {
    let tag = |number: usize| {
        let key = parameters.get(&format!("{name}.{number}.Key"))?;
        Some((key.clone(), parameters.get(&format!("{name}.{number}.Value")).cloned()))
    };
    (1..).map_while(tag).collect()
}

fn requested(tags: &BTreeMap<String, Option<String>>) -> Context {
    let values = tags.iter().filter_map(|(key, value)| Some((format!("aws:RequestTag/{key}"), json!(value.as_ref()?))));
    let keys: Vec<_> = tags.keys().collect();
    let keys = (!keys.is_empty()).then(|| ("aws:TagKeys".to_owned(), json!(keys)));
    values.chain(keys).collect()
}

fn tagged(tags: &Tags) -> Context {
    tags.iter().map(|(key, value)| (format!("aws:ResourceTag/{key}"), json!(value))).collect()
}

/// What a function calls of Step Functions.
pub fn of_step_functions(principal: &str, action: &str, request: &Value) -> Line {
    let named = ["executionArn", "stateMachineArn"].into_iter().find_map(|name| request[name].as_str());
    Line::new(principal, format!("states:{action}"), vec![named.unwrap_or("*").to_owned()])
}

/// What a Task of a machine of the template calls: its resource, such as `arn:aws:states:::lambda:invoke`, with
/// its arguments. None for the machines that the tests make.
pub fn of_machine(machine: &str, resource: &str, arguments: &Value) -> Option<Line> {
    let principal = match machine.rsplit(':').next()? {
        "ami-from-instance-lifecycle" => "LifecycleMachine",
        "ami-from-instance-operation" => "OperationMachine",
        "ami-from-instance-create" => "CreateMachine",
        _ => return None,
    };
    let text = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
    let (_, task) = resource.split_once(":::")?;
    let line = |action: &str, resource| Some(Line::new(principal, action, vec![resource]));
    match task {
        "lambda:invoke" => line("lambda:InvokeFunction", text("FunctionName")),
        "states:startExecution.sync:2" => line("states:StartExecution", text("StateMachineArn")),
        "aws-sdk:sfn:describeExecution" => line("states:DescribeExecution", text("ExecutionArn")),
        "events:putEvents.waitForTaskToken" => {
            let entries = arguments["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
            let all = |name: &str| json!(entries.iter().map(|entry| &entry[name]).collect::<Vec<_>>());
            let context = [("events:source", all("Source")), ("events:detail-type", all("DetailType"))];
            let context = context.map(|(key, values)| (key.to_owned(), values));
            let bus = format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default");
            line("events:PutEvents", bus).map(|line| line.with(Context::from(context)))
        }
        // A call that this does not know is none that the roles allow.
        other => line(other, "*".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn call(action: &str, parameters: &[(&str, &str)], resources: &[(&str, &[(&str, &str)])]) -> Call {
        let texts = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Call {
            action: action.to_owned(),
            parameters: texts(parameters),
            concerns: BTreeSet::new(),
            resources: resources.iter().map(|(id, tags)| ((*id).to_owned(), texts(tags))).collect(),
            made: vec![],
            caller: "ami-from-instance-start-update".to_owned(),
            outcome: Ok(()),
            fault: None,
            answered: true,
            mutating: true,
            at: SystemTime::UNIX_EPOCH,
        }
    }

    fn seen(call: &Call) -> Value {
        json!(by_tags("X", call).into_iter().map(|(line, _)| line).collect::<Vec<_>>())
    }

    #[test]
    fn a_function_is_called_as_in_the_template() {
        assert_eq!(function("ami-from-instance-start-create").as_deref(), Some("StartCreateFunction"));
        assert_eq!(function("aws-sdk-rust"), None);
    }

    #[test]
    fn resources_with_different_tags_take_a_line_each() {
        let resources: [(&str, &[(&str, &str)]); 3] =
            [("ami-1", &[("Team", "web")]), ("snap-1", &[("Team", "web")]), ("snap-2", &[])];
        let parameters = [("Tag.1.Key", "Team"), ("Tag.2.Key", "Stage"), ("Tag.2.Value", "")];
        let keys = json!(["Stage", "Team"]);
        assert_eq!(
            seen(&call("DeleteTags", &parameters, &resources)),
            json!([
                {
                    "principal": "X",
                    "action": "ec2:DeleteTags",
                    "resources": ["arn:aws:ec2:us-east-1::snapshot/snap-2"],
                    "context": {"aws:RequestTag/Stage": "", "aws:TagKeys": keys},
                },
                {
                    "principal": "X",
                    "action": "ec2:DeleteTags",
                    "resources": ["arn:aws:ec2:us-east-1::image/ami-1", "arn:aws:ec2:us-east-1::snapshot/snap-1"],
                    "context": {"aws:RequestTag/Stage": "", "aws:ResourceTag/Team": "web", "aws:TagKeys": keys},
                },
            ])
        );
    }

    #[test]
    fn create_image_names_the_instance_and_tags_what_it_makes() {
        let parameters = [
            ("InstanceId", "i-1"),
            ("TagSpecification.1.ResourceType", "image"),
            ("TagSpecification.1.Tag.1.Key", "Team"),
            ("TagSpecification.1.Tag.1.Value", "web"),
        ];
        let lines = by_tags("X", &call("CreateImage", &parameters, &[("i-1", &[])]));
        let lines: Vec<_> = lines.into_iter().map(|(line, _)| (line.action, line.resources.concat())).collect();
        let instance = "arn:aws:ec2:us-east-1:000000000000:instance/i-1".to_owned();
        let [image, snapshot] = NEVER_MADE.map(arn);
        let action = |name: &str| format!("ec2:{name}");
        assert_eq!(
            lines,
            [
                (action("CreateImage"), instance),
                (action("CreateImage"), image.clone()),
                (action("CreateTags"), image),
                (action("CreateImage"), snapshot),
            ]
        );
    }

    #[test]
    fn calls_that_differ_by_names_only_are_of_one_kind() {
        let of = |id: &str, run: &str| {
            let tags: &[(&str, &str)] = &[(RUN_TAG, run), ("Name", id)];
            by_tags("X", &call("DeregisterImage", &[], &[(id, tags)]))[0].0.kind()
        };
        let run = "arn:aws:states:us-east-1:000000000000:execution:ami-from-instance-lifecycle:";
        assert_eq!(of("ami-1", &format!("{run}one")), of("ami-2", &format!("{run}two")));
        assert_ne!(of("ami-1", &format!("{run}one")), of("ami-1", "of nobody"));
    }
}
