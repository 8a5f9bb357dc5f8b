//! Incidents that other tools' removals of images have caused, played again: ours meets each on the local EC2, and the
//! rules by which the others decide meet the same facts. `docs/retention.md` has the table.

use std::{collections::BTreeSet, fs, time::Duration};

use ami_from_instance::model::{run::RUN_TAG, tags::SERIES_TAG};
use local_aws::prepare::root;
use local_ec2::{Ec2, Fate, SEED_INSTANCE};
use serde_json::{Value, json};

use crate::{RUN, app, ec2, whole};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What names an image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Nothing,
    /// A launch template that an Auto Scaling group uses.
    GroupsTemplate,
    /// A launch template that no group of the account uses.
    OtherTemplate,
    /// A parameter of Systems Manager of that name.
    Parameter(&'static str),
}

/// An image of a series.
#[derive(Clone, Copy)]
struct Fact {
    days: u32,
    is_available: bool,
    named_by: Use,
}

const fn image(days: u32, named_by: Use) -> Fact {
    Fact { days, is_available: true, named_by }
}

/// What happened.
struct Incident {
    /// As the table has it.
    name: &'static str,
    /// The images, the newest first.
    images: &'static [Fact],
    /// Which of them had to stay.
    needed: usize,
    /// What was asked for, in our words.
    request: fn(&[String]) -> Value,
}

fn prune(retain: &Value) -> Value {
    json!({"action": "prune", "series": "web", "retain": retain})
}

const INCIDENTS: [Incident; 6] = [
    Incident {
        name: "launch templates look the image up in a parameter, and the cleaner looks for another name \
               (github-aws-runners #4571)",
        images: &[image(2, Use::Nothing), image(40, Use::Parameter("/runners/ami_id"))],
        needed: 1,
        request: |_| prune(&json!({"age": "30d"})),
    },
    Incident {
        name: "the failed update of a stack deletes the image that it has just made, and a launch template names it already \
               (cdk-github-runners #992)",
        images: &[image(0, Use::GroupsTemplate), image(30, Use::Nothing)],
        needed: 0,
        request: |ids| json!({"action": "delete", "imageId": ids[0]}),
    },
    Incident {
        name: "a launch template that no Auto Scaling group uses names the image (cloud-custodian #6554)",
        images: &[image(2, Use::Nothing), image(40, Use::OtherTemplate)],
        needed: 1,
        request: |_| prune(&json!({"age": "30d"})),
    },
    Incident {
        name: "the old images go before the new one is finished (taskcluster #607)",
        images: &[Fact { days: 1, is_available: false, named_by: Use::Nothing }, image(40, Use::Nothing)],
        needed: 1,
        request: |_| prune(&json!({"count": 1})),
    },
    Incident {
        name: "a monthly prune takes the only image there is (va.gov-team #27613)",
        images: &[image(40, Use::Nothing)],
        needed: 0,
        request: |_| prune(&json!({"age": "30d"})),
    },
    Incident {
        name: "a launch template of a group names an old image (kubernetes-on-aws #2397)",
        images: &[image(2, Use::Nothing), image(10, Use::Nothing), image(40, Use::GroupsTemplate)],
        needed: 2,
        request: |_| prune(&json!({"count": 1})),
    },
];

type Removes = fn(&[Fact], usize) -> bool;

/// The rules of others, as their documentation and source have them: whether they remove the image. What a rule does not
/// ask about it does not know.
const OTHERS: [(&str, Removes); 5] = [
    ("Data Lifecycle Manager, count 1", |images, at| at >= 1 && at < images.len()),
    ("Data Lifecycle Manager, 30 days", |images, at| images[at].days > 30),
    // Of uses it asks for the last launch only.
    ("Image Builder, 30 days, retainAtLeast 1", |images, at| {
        images[at].days > 30 && images[..at].iter().any(|newer| newer.is_available)
    }),
    ("Cloud Custodian, unused, 30 days", |images, at| {
        images[at].days > 30 && images[at].named_by != Use::GroupsTemplate
    }),
    ("ami-housekeeper, 30 days", |images, at| {
        let finds = |name: &str| name.contains("ami-id");
        let is_used = match images[at].named_by {
            Use::Nothing => false,
            Use::GroupsTemplate | Use::OtherTemplate => true,
            Use::Parameter(name) => finds(name),
        };
        images[at].days > 30 && !is_used
    }),
];

async fn play(incident: &Incident) -> (Ec2, Vec<String>) {
    let ec2 = ec2().await;
    let mut ids = vec![];
    for (at, fact) in incident.images.iter().enumerate() {
        let run = format!("{RUN}-{at}");
        let tags: &[(&str, &str)] = &[(RUN_TAG, &run), (SERIES_TAG, "web")];
        let id = if fact.is_available {
            ec2.add_foreign_image(format!("web-{at}"), tags)
        } else {
            ec2.next_image(SEED_INSTANCE, Fate::Never);
            let made = ec2.client().create_image().instance_id(SEED_INSTANCE).name(format!("web-{at}")).send().await;
            let id = made.unwrap().image_id.unwrap();
            ec2.advance(Duration::from_secs(60));
            let tags = tags.iter().map(|(key, value)| crate::tag(key, value)).collect();
            ec2.client().create_tags().resources(&id).set_tags(Some(tags)).send().await.unwrap();
            id
        };
        ec2.age_image(&id, DAY * fact.days);
        match fact.named_by {
            Use::Nothing => {}
            Use::GroupsTemplate | Use::OtherTemplate => drop(ec2.add_launch_template("web", &[&id])),
            Use::Parameter(name) => drop(ec2.add_reference("ssm:Parameter", name, &id)),
        }
        ids.push(id);
    }
    (ec2, ids)
}

#[tokio::test]
async fn what_others_have_lost_stays() {
    for incident in &INCIDENTS {
        let (ec2, ids) = play(incident).await;
        let ended = whole(&ec2, &app(&ec2), (incident.request)(&ids)).await;
        ec2.advance(Duration::from_secs(600));
        assert!(ec2.image(&ids[incident.needed]).is_some(), "{}: {ended}", incident.name);
        // For a reason that is told.
        let told = ended["result"]["kept"].to_string() + &ended["error"].to_string();
        assert!(told.contains(&ids[incident.needed]), "{}: {ended}", incident.name);
    }
}

#[test]
fn the_table_of_incidents_is_what_the_rules_say() {
    let removes = |incident: &Incident, rule: Removes| rule(incident.images, incident.needed);
    // A delete by its id is no rule's matter.
    let is_pruned = |incident: &&Incident| !incident.name.contains("failed update");
    let rows = INCIDENTS.iter().filter(is_pruned).map(|incident| {
        let others: Vec<_> =
            OTHERS.iter().filter(|(_, rule)| removes(incident, *rule)).map(|(name, _)| *name).collect();
        format!("| {} | {} |\n", incident.name.split_whitespace().collect::<Vec<_>>().join(" "), others.join("; "))
    });
    let table: String = rows.collect();
    let page = fs::read_to_string(root().join("docs/retention.md")).unwrap();
    assert!(page.contains(&table), "docs/retention.md needs these rows:\n{table}");
    let all: BTreeSet<_> = OTHERS.iter().map(|(name, _)| name).collect();
    assert!(all.iter().all(|name| table.contains(*name)), "{table}");
}
