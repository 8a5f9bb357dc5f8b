//! Who is told: alarms, the metrics behind them, the topic, and the queue of what could not be delivered.

use serde_json::{Value, json};

use super::{add_all, check, rights::one_or_many};
use crate::{
    aws::{Aws, CLOUDWATCH, KMS, LOGS, SNS, SQS, items, text},
    report::{Check, Report},
    stack::Stack,
};

pub(super) async fn look(aws: &Aws, stack: &Stack, report: &Report<'_>) {
    let filters = stack.of_kind("AWS::Logs::MetricFilter").map(|(name, id)| {
        check(format!("look/metric/{name}"), "its log group has the metric filter", async move {
            let mut found = false;
            for group in ["MachinesLogGroup", "FunctionsLogGroup"] {
                let arguments = json!({"logGroupName": stack.id(group)?, "filterNamePrefix": id});
                let answer = aws.call(LOGS, "DescribeMetricFilters", arguments).await?;
                found |= items(&answer["metricFilters"]).iter().any(|filter| text(&filter["filterName"]) == id);
            }
            Ok((found, if found { id.to_owned() } else { "there is none".to_owned() }))
        })
    });
    add_all(report, filters).await;
    report.add(queue(aws, stack).await);
    if let Some(key) = stack.parameters.get("KmsKeyArn").filter(|arn| !arn.is_empty()) {
        report.add(key_policy(aws, stack, key).await);
    }
    let Some(topic) = stack.topic() else { return };
    let alarms = stack.of_kind("AWS::CloudWatch::Alarm").map(|(name, id)| alarm(aws, name, id, &topic));
    add_all(report, alarms).await;
    report.add(subscription(aws, &topic).await);
    if stack.resources.contains_key("NotificationTopic") {
        report.add(policy(aws, &topic).await);
    }
}

async fn alarm(aws: &Aws, name: &str, id: &str, topic: &str) -> Check {
    let expected = format!("its actions are on, and tell {topic}");
    check(format!("look/alarm/{name}"), &expected, async {
        let answer = aws.call(CLOUDWATCH, "DescribeAlarms", json!({"AlarmNames": [id]})).await?;
        let Some(alarm) = items(&answer["MetricAlarms"]).first() else { return Ok((false, "there is none".into())) };
        let is_on = alarm["ActionsEnabled"] == json!(true);
        let tells = items(&alarm["AlarmActions"]).iter().any(|action| text(action) == topic);
        Ok((
            is_on && tells,
            format!("actions {}, they tell {}", if is_on { "on" } else { "off" }, alarm["AlarmActions"]),
        ))
    })
    .await
}

async fn subscription(aws: &Aws, topic: &str) -> Check {
    check("look/topic/subscription".to_owned(), "at least one confirmed subscription", async {
        let answer = aws.call(SNS, "ListSubscriptionsByTopic", json!({"TopicArn": topic})).await?;
        let all = items(&answer["Subscriptions"]);
        let confirmed = all.iter().filter(|one| text(&one["SubscriptionArn"]).starts_with("arn:")).count();
        Ok((confirmed > 0, format!("{confirmed} confirmed of {}", all.len())))
    })
    .await
}

/// EventBridge and CloudWatch may publish to the stack's own topic.
async fn policy(aws: &Aws, topic: &str) -> Check {
    let services = ["events.amazonaws.com", "cloudwatch.amazonaws.com"];
    let expected = "its policy lets EventBridge and CloudWatch publish, and no other service";
    check("look/topic/policy".to_owned(), expected, async {
        let answer = aws.call(SNS, "GetTopicAttributes", json!({"TopicArn": topic})).await?;
        let policy = attribute(&answer["Attributes"], "Policy");
        let policy: Value = serde_json::from_str(&policy)?;
        let may = |service: &str| {
            items(&policy["Statement"]).iter().any(|one| {
                one["Effect"] == "Allow" && one["Principal"]["Service"] == service && one["Action"] == "sns:Publish"
            })
        };
        let is_one_of_ours = |one: &Value| services.iter().any(|service| one["Principal"]["Service"] == *service);
        let others: Vec<_> = items(&policy["Statement"]).iter().filter(|one| !is_one_of_ours(one)).collect();
        let others: Vec<_> = others.iter().map(|one| one.to_string()).collect();
        let missing: Vec<_> = services.into_iter().filter(|service| !may(service)).collect();
        Ok((
            missing.is_empty() && others.is_empty(),
            format!("missing: [{}]; others: [{}]", missing.join(", "), others.join(", ")),
        ))
    })
    .await
}

/// A map's value: SNS answers with a list of entries.
fn attribute(attributes: &Value, key: &str) -> String {
    let entries = attributes["entry"].as_array().cloned().unwrap_or_else(|| vec![attributes["entry"].clone()]);
    let entry = entries.iter().find(|entry| text(&entry["key"]) == key);
    entry.map(|entry| text(&entry["value"]).to_owned()).unwrap_or_default()
}

/// The services that use the key by themselves may do so by its policy.
async fn key_policy(aws: &Aws, stack: &Stack, key: &str) -> Check {
    let logs = format!("logs.{}.amazonaws.com", stack.region);
    let mut services = vec![logs.as_str()];
    // The key is the topic's too, if the stack makes it.
    if stack.resources.contains_key("NotificationTopic") {
        services.extend(["events.amazonaws.com", "cloudwatch.amazonaws.com"]);
    }
    let expected = format!("the policy of {key} lets {} encrypt and decrypt", services.join(", "));
    check("look/key/policy".to_owned(), &expected, async {
        let arguments = json!({"KeyId": key, "PolicyName": "default"});
        let answer = aws.call(KMS, "GetKeyPolicy", arguments).await?;
        let policy: Value = serde_json::from_str(text(&answer["Policy"]))?;
        let missing: Vec<_> = services.iter().filter(|service| !may_use_key(&policy, service)).copied().collect();
        Ok((missing.is_empty(), format!("missing: [{}]", missing.join(", "))))
    })
    .await
}

/// Whether a key's policy lets a service make data keys and decrypt them, and denies it nothing outright. Under which
/// conditions is not looked at.
fn may_use_key(policy: &Value, service: &str) -> bool {
    let of = |value: &Value| -> Vec<String> { one_or_many(value).iter().map(|one| text(one).to_owned()).collect() };
    let is_it = |name: &String| name == "*" || name.strip_suffix(".cn").unwrap_or(name) == service;
    let named =
        |one: &Value| of(&one["Principal"]).iter().any(is_it) || of(&one["Principal"]["Service"]).iter().any(is_it);
    let statements = one_or_many(&policy["Statement"]);
    let statements = |effect: &'static str| statements.iter().filter(move |one| one["Effect"] == effect && named(one));
    let allows = |action: &str| {
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => action.starts_with(start),
            None => action == pattern,
        };
        statements("Allow").any(|one| of(&one["Action"]).iter().any(matches))
    };
    allows("kms:GenerateDataKey") && allows("kms:Decrypt") && statements("Deny").all(|one| one["Condition"].is_object())
}

async fn queue(aws: &Aws, stack: &Stack) -> Check {
    check("look/queue/empty".to_owned(), "every schedule's delivery has arrived", async {
        let url = stack.id("ScheduleDeadLetterQueue")?;
        let arguments = json!({"QueueUrl": url, "AttributeNames": ["ApproximateNumberOfMessages"]});
        let answer = aws.call(SQS, "GetQueueAttributes", arguments).await?;
        let count = text(&answer["Attributes"]["ApproximateNumberOfMessages"]);
        Ok((count == "0", format!("{count} could not be delivered")))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_may_use_a_key_only_if_its_policy_lets_it() {
        let statement = |effect: &str, service: Value, action: Value| json!({"Effect": effect, "Principal": {"Service": service}, "Action": action, "Resource": "*"});
        let policy = |statements: &[Value]| json!({"Version": "2012-10-17", "Statement": statements});
        let logs = "logs.eu-west-1.amazonaws.com";
        let both = json!(["kms:GenerateDataKey*", "kms:Decrypt"]);
        let right = statement("Allow", json!(["events.amazonaws.com", logs]), both.clone());
        for statements in [
            vec![right.clone()],
            vec![statement("Allow", json!(logs), json!("kms:*"))],
            vec![
                statement("Allow", json!(logs), json!("kms:Decrypt")),
                statement("Allow", json!(logs), json!("kms:GenerateDataKey")),
            ],
        ] {
            assert!(may_use_key(&policy(&statements), logs), "{statements:?}");
        }
        for statements in [
            vec![],
            vec![statement("Allow", json!("events.amazonaws.com"), both)],
            vec![statement("Allow", json!(logs), json!("kms:Decrypt"))],
            vec![statement("Allow", json!(logs), json!("kms:Describe*"))],
            vec![right, statement("Deny", json!(logs), json!("kms:Decrypt"))],
        ] {
            assert!(!may_use_key(&policy(&statements), logs), "{statements:?}");
        }
    }
}
