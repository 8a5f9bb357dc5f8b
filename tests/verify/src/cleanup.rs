//! Removing what proofs have made, which is known by its tag.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    aws::{Aws, EC2, EVENTBRIDGE, Refusal, SCHEDULER, SNS, SQS, STEP_FUNCTIONS, escaped, items, text},
    net, recycle_bin,
    report::{Check, Verdict},
    stack::Stack,
    world::{PREFIX, TAG, World},
};

/// How many looks in a row must find nothing.
const EMPTY_LOOKS: u32 = 4;
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// Removing takes as long as rollbacks that are under way.
const REMOVED_WITHIN: Duration = Duration::from_secs(20 * 60);

/// Removes what this proof has made, or what every proof of the stack has, and looks until nothing is left.
pub async fn remove(world: &World, aws: &Aws, stack: &Stack, whose: Whose, say: &(dyn Fn(&str) + Sync)) -> Check {
    let expected = "no execution, image, snapshot, instance, volume, launch template or stack of a proof is left";
    let start = std::time::Instant::now();
    let check = |verdict, saw: String| {
        let seconds = aws.elapsed(start.elapsed()).as_secs_f64();
        Check { seconds, ..Check::new("nothing-left", verdict, expected, saw) }
    };
    let (value, prefix) = match whose {
        Whose::Own => (world.value(), world.prefix()),
        Whose::Anyones => (format!("{}/*", stack.name), PREFIX.to_owned()),
    };
    let own = Tagged { aws, value: &value, prefix: &prefix };
    let (mut empty_looks, mut seen, mut taken_back) = (0, BTreeSet::new(), BTreeSet::new());
    loop {
        let mut left = remove_once(&own, stack).await;
        seen.extend(left.iter().cloned());
        if left.is_empty() {
            left = take_back(aws, whose.taken_back(&prefix), &seen, &mut taken_back).await;
        }
        // What was begun a moment ago may show only in a while.
        empty_looks = if left.is_empty() { empty_looks + 1 } else { 0 };
        if empty_looks == EMPTY_LOOKS {
            let id = world.net().filter(|_| whose == Whose::Own);
            match net::fold(aws, &stack.name, id, |value| own.is_ours(value)).await {
                Ok(None) => {
                    let (verdict, saw) = nothing_is_left(aws, &prefix, &seen).await;
                    return check(verdict, saw);
                }
                Ok(Some(stack)) => left.push(stack),
                Err(error) => left.push(format!("{error:#}")),
            }
            empty_looks = 0;
        }
        if aws.elapsed(start.elapsed()) > REMOVED_WITHIN {
            let how = format!("cargo verify --stack {} --account {} --clean", stack.name, stack.caller.account);
            return check(Verdict::Failed, format!("left: {}; try {how}", left.join(", ")));
        }
        if !left.is_empty() {
            say(&format!("removing {}", left.join(", ")));
        }
        aws.sleep(LOOK_EVERY).await;
    }
}

/// Nobody can remove anything from the Recycle Bin: it is taken out, once, and removed again. What is in the bin after
/// that the account's own rules keep.
async fn take_back(
    aws: &Aws,
    prefix: Option<&str>,
    seen: &BTreeSet<String>,
    taken_back: &mut BTreeSet<String>,
) -> Vec<String> {
    // Without its name, what cannot be asked now is asked at the end.
    let Ok(kept) = recycle_bin::kept(aws, prefix, seen).await else { return vec![] };
    let new: BTreeSet<_> = kept.into_keys().filter(|id| !taken_back.contains(id)).collect();
    if new.is_empty() {
        return vec![];
    }
    taken_back.extend(new.iter().cloned());
    match recycle_bin::take_back(aws, &new).await {
        Ok(()) => new.into_iter().collect(),
        Err(error) => vec![format!("{error:#}")],
    }
}

async fn nothing_is_left(aws: &Aws, prefix: &str, seen: &BTreeSet<String>) -> (Verdict, String) {
    match recycle_bin::kept(aws, Some(prefix), seen).await {
        Ok(kept) if kept.is_empty() => (Verdict::Passed, "nothing is left".to_owned()),
        Ok(kept) => {
            let kept: Vec<_> = kept.iter().map(|(id, exit)| format!("{id} until {exit}")).collect();
            let kept = kept.join(", ");
            (Verdict::Passed, format!("nothing is left but in the Recycle Bin, by the account's rules: {kept}"))
        }
        Err(error) => (Verdict::Unknown, format!("what the Recycle Bin keeps could not be asked: {error:#}")),
    }
}

/// Removes what can be removed now, and names all that is there, and what could not be asked.
async fn remove_once(own: &Tagged<'_>, stack: &Stack) -> Vec<String> {
    let mut left = vec![];
    let mut add = |found: Result<Vec<String>>| match found {
        Ok(found) => left.extend(found),
        Err(error) => left.push(format!("{error:#}")),
    };
    for machine in ["create", "lifecycle", "operation"] {
        let machine = stack.arn("states", &format!("stateMachine:{}-{machine}", stack.name));
        add(own.executions(&machine).await);
    }
    // What they keep could not be removed for good.
    add(own.bin_rules().await);
    add(own.instances().await);
    add(own.of_ec2("DescribeImages", "imagesSet", "imageId", "DeregisterImage", "ImageId").await);
    add(own.of_ec2("DescribeSnapshots", "snapshotSet", "snapshotId", "DeleteSnapshot", "SnapshotId").await);
    add(own.of_ec2("DescribeVolumes", "volumeSet", "volumeId", "DeleteVolume", "VolumeId").await);
    let (shows, id) = ("DescribeLaunchTemplates", "launchTemplateId");
    add(own.of_ec2(shows, "launchTemplates", id, "DeleteLaunchTemplate", "LaunchTemplateId").await);
    add(own.schedules().await);
    add(own.rules().await);
    add(own.queues(stack.topic().as_deref()).await);
    left
}

/// Whose things are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This proof's.
    Own,
    /// Every proof's of the stack.
    Anyones,
}

impl Whose {
    /// How the names begin of images that are taken out of the Recycle Bin, besides those that were removed just now. The
    /// bin shows no tags: another proof's name does not say of which stack it is.
    fn taken_back(self, prefix: &str) -> Option<&str> {
        Some(prefix).filter(|_| self == Self::Own)
    }
}

/// What has a tag of proofs, or a name that begins so and says which stack's it is.
struct Tagged<'a> {
    aws: &'a Aws,
    value: &'a str,
    prefix: &'a str,
}

/// What is gone already is no failure.
fn done(answer: Result<Value>) -> Result<Value> {
    match answer {
        Err(error) if Refusal::of(&error).is_some_and(Refusal::is_not_there) => Ok(Value::Null),
        answer => answer,
    }
}

/// What EC2 refuses for now, the next look tries again.
fn later(answer: Result<Value>) -> Result<()> {
    match answer {
        Err(error) if Refusal::of(&error).is_some_and(|refusal| refusal.status == 400) => Ok(()),
        answer => answer.map(drop),
    }
}

impl Tagged<'_> {
    fn filter(&self) -> Value {
        json!([{"Name": format!("tag:{TAG}"), "Value": [self.value]}])
    }

    /// Whether a tag's value, or a description, says that something is one of these proofs'.
    fn is_ours(&self, value: &Value) -> bool {
        match self.value.strip_suffix('*') {
            Some(start) => text(value).starts_with(start),
            None => text(value) == self.value,
        }
    }

    /// The executions of a machine that are running. Operations end with their runs, and rollbacks by themselves.
    async fn executions(&self, machine: &str) -> Result<Vec<String>> {
        let (mut running, mut token) = (vec![], Value::Null);
        loop {
            let mut arguments = json!({"stateMachineArn": machine, "statusFilter": "RUNNING"});
            if !token.is_null() {
                arguments["nextToken"] = token;
            }
            let answer = done(self.aws.call(STEP_FUNCTIONS, "ListExecutions", arguments).await)?;
            let ours = items(&answer["executions"]).iter().filter(|one| text(&one["name"]).starts_with(self.prefix));
            running.extend(ours.map(|one| text(&one["executionArn"]).to_owned()));
            token = answer["nextToken"].clone();
            if token.is_null() {
                break;
            }
        }
        if !machine.ends_with("-operation") {
            for arn in &running {
                let arguments = json!({"executionArn": arn, "cause": "the proof that started it is over"});
                done(self.aws.call(STEP_FUNCTIONS, "StopExecution", arguments).await)?;
            }
        }
        Ok(running)
    }

    async fn bin_rules(&self) -> Result<Vec<String>> {
        let rules = recycle_bin::rules(self.aws, |description| self.is_ours(description)).await?;
        recycle_bin::delete_rules(self.aws, &rules).await?;
        Ok(rules.into_iter().map(|rule| format!("rule {rule} of the Recycle Bin")).collect())
    }

    async fn instances(&self) -> Result<Vec<String>> {
        let answer = self.aws.call(EC2, "DescribeInstances", json!({"Filter": self.filter()})).await?;
        let all = items(&answer["reservationSet"]).iter().flat_map(|one| items(&one["instancesSet"]));
        let there = all.filter(|one| text(&one["instanceState"]["name"]) != "terminated");
        let there: Vec<_> = there.map(|one| text(&one["instanceId"]).to_owned()).collect();
        for instance in &there {
            later(done(self.aws.call(EC2, "TerminateInstances", json!({"InstanceId": [instance]})).await))?;
        }
        Ok(there)
    }

    /// What an action of EC2 shows, and another one removes.
    async fn of_ec2(&self, shows: &str, set: &str, id: &str, removes: &str, named: &str) -> Result<Vec<String>> {
        let mut arguments = json!({"Filter": self.filter()});
        if ["DescribeImages", "DescribeSnapshots"].contains(&shows) {
            arguments["Owner"] = json!(["self"]);
        }
        if shows == "DescribeImages" {
            arguments["IncludeDisabled"] = json!(true);
        }
        let answer = self.aws.call(EC2, shows, arguments).await?;
        let there: Vec<_> = items(&answer[set]).iter().map(|one| text(&one[id]).to_owned()).collect();
        for one in &there {
            if removes == "DeregisterImage" {
                // Of an image that has none, EC2 says so.
                later(self.aws.call(EC2, "DisableImageDeregistrationProtection", json!({named: one})).await)?;
            }
            let removed = done(self.aws.call(EC2, removes, json!({named: one})).await);
            let is_in_use = |error| Refusal::of(error).is_some_and(|refusal| refusal.code == "InvalidSnapshot.InUse");
            if removes == "DeleteSnapshot" && removed.as_ref().err().is_some_and(|error| !is_in_use(error)) {
                // A proof may have locked it. If not, what refused the delete is told.
                let _ = self.aws.call(EC2, "UnlockSnapshot", json!({named: one})).await;
            }
            later(removed)?;
        }
        Ok(there)
    }

    async fn schedules(&self) -> Result<Vec<String>> {
        let (mut left, mut token) = (vec![], String::new());
        loop {
            let path = format!("/schedules?NamePrefix={}{token}", self.prefix);
            let listed = self.aws.rest(SCHEDULER, "GET", &path, Value::Null).await?;
            for schedule in items(&listed["Schedules"]) {
                let path = format!("/schedules/{}", text(&schedule["Name"]));
                if self.is_ours(&done(self.aws.rest(SCHEDULER, "GET", &path, Value::Null).await)?["Description"]) {
                    done(self.aws.rest(SCHEDULER, "DELETE", &path, Value::Null).await)?;
                    left.push(text(&schedule["Name"]).to_owned());
                }
            }
            match text(&listed["NextToken"]) {
                "" => return Ok(left),
                next => token = format!("&NextToken={}", escaped(next)),
            }
        }
    }

    async fn rules(&self) -> Result<Vec<String>> {
        let listed = self.aws.call(EVENTBRIDGE, "ListRules", json!({"NamePrefix": self.prefix})).await?;
        let ours = items(&listed["Rules"]).iter().filter(|rule| self.is_ours(&rule["Description"]));
        let names: Vec<_> = ours.map(|rule| text(&rule["Name"]).to_owned()).collect();
        for name in &names {
            let targets = json!({"Rule": name, "Ids": ["Queue"]});
            done(self.aws.call(EVENTBRIDGE, "RemoveTargets", targets).await)?;
            done(self.aws.call(EVENTBRIDGE, "DeleteRule", json!({"Name": name})).await)?;
        }
        Ok(names)
    }

    /// Queues, each after its subscription.
    async fn queues(&self, topic: Option<&str>) -> Result<Vec<String>> {
        let mut left = vec![];
        let listed = self.aws.call(SQS, "ListQueues", json!({"QueueNamePrefix": self.prefix})).await?;
        for queue in items(&listed["QueueUrls"]) {
            // A deleted queue is listed for a minute.
            let tags = done(self.aws.call(SQS, "ListQueueTags", json!({"QueueUrl": queue})).await)?;
            if !self.is_ours(&tags["Tags"][TAG]) {
                continue;
            }
            let name = text(queue).rsplit('/').next().unwrap_or_default().to_owned();
            if let Some(topic) = topic {
                self.unsubscribe(topic, &format!(":{name}")).await?;
            }
            done(self.aws.call(SQS, "DeleteQueue", json!({"QueueUrl": queue})).await)?;
            left.push(name);
        }
        Ok(left)
    }

    async fn unsubscribe(&self, topic: &str, endpoint: &str) -> Result<()> {
        let mut token = Value::Null;
        loop {
            let arguments = json!({"TopicArn": topic, "NextToken": token});
            let listed = done(self.aws.call(SNS, "ListSubscriptionsByTopic", arguments).await)?;
            for one in items(&listed["Subscriptions"]).iter().filter(|one| text(&one["Endpoint"]).ends_with(endpoint)) {
                done(self.aws.call(SNS, "Unsubscribe", json!({"SubscriptionArn": one["SubscriptionArn"]})).await)?;
            }
            token = listed["NextToken"].clone();
            if text(&token).is_empty() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};

    use super::*;

    #[test]
    fn what_another_stack_s_proof_has_in_the_recycle_bin_stays_there() {
        assert_eq!(Whose::Own.taken_back("cargo-verify-abc-"), Some("cargo-verify-abc-"));
        assert_eq!(Whose::Anyones.taken_back(PREFIX), None);
    }

    #[test]
    fn a_proof_takes_only_what_is_its_own_and_a_clean_up_what_is_any_ones_of_the_stack() {
        let credentials = SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test"));
        let aws = Aws::of("eu-west-1".into(), credentials, BTreeMap::new(), 1.0);
        let is_ours = |value: &str, of: &str| Tagged { aws: &aws, value, prefix: "" }.is_ours(&json!(of));
        assert!(is_ours("web/abc", "web/abc"));
        for other in ["web/abcd", "web/def", "web-2/abc", "", "web"] {
            assert!(!is_ours("web/abc", other), "{other}");
        }
        assert!(is_ours("web/*", "web/abc") && is_ours("web/*", "web/def"));
        for other in ["web-2/abc", "web", ""] {
            assert!(!is_ours("web/*", other), "{other}");
        }
    }
}
