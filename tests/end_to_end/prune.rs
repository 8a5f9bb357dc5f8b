//! Retention: of a series stays what the request keeps.

use std::time::Duration;

use ami_from_instance::model::{run::RUN_TAG, tags::SERIES_TAG};
use local_aws::deployment::Deployment;
use serde_json::{Value, json};

use crate::{
    ends::{failed, succeeded},
    event, execute, new_create, on_aws, unique,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Ten nights with the schedule's request, the images a day older each morning.
#[test]
fn ten_nights_leave_the_newest_three_and_what_a_launch_template_names() {
    on_aws(async |aws| {
        let (instance, _) = new_create(aws, json!({}));
        let series = unique("series");
        let mut all: Vec<String> = vec![];
        let mut last = Value::Null;
        let mut named = String::new();
        for night in 0..10 {
            let changes = json!({"name": unique("night"), "sourceInstanceId": instance, "series": series});
            let (_, outcome) = execute(aws, &event("create-with-retention.json", changes)).await;
            last = succeeded(&outcome).clone();
            all.push(last["id"].as_str().unwrap().to_owned());
            if night == 2 {
                named = aws.ec2.add_launch_template(unique("template"), &[&all[2]]);
            }
            // EC2's time is ahead here: a night is as long as it takes to be a day by the functions' clock.
            all.iter().for_each(|id| aws.ec2.age_image(id, DAY * 2));
        }
        let left: Vec<_> = (0..10).filter(|night| aws.ec2.image(&all[*night]).is_some()).collect();
        assert_eq!(left, [2, 7, 8, 9], "{last}");
        let kept = last["kept"].as_array().unwrap();
        assert_eq!(kept.len(), 4, "{last}");
        let because =
            |id: &str| kept.iter().find(|one| one["id"] == id).unwrap()["because"].as_str().unwrap().to_owned();
        assert!(because(&all[2]).contains(&named) && because(&all[9]).contains("atLeast"), "{last}");
        assert_eq!(last["pruned"], json!([all[6]]));
    });
}

fn old_images(aws: &Deployment, series: &str, count: usize) -> Vec<String> {
    let one = |_| aws.ec2.add_foreign_image(unique("old"), &[(RUN_TAG, &aws.past_run()), (SERIES_TAG, series)]);
    (0..count).map(one).collect()
}

#[test]
fn a_prune_by_hand_removes_the_rest_of_a_series_and_refuses_too_much() {
    on_aws(async |aws| {
        let series = unique("series");
        let all = old_images(aws, &series, 4);
        let request = |retain: Value| event("prune.json", json!({"series": series, "retain": retain}));
        let (_, outcome) = execute(aws, &request(json!({"count": 1, "maxPerRun": 2}))).await;
        let (error, cause) = failed(&outcome);
        assert!(error == "PruneRefused" && cause.contains("maxPerRun is 2"), "{error}: {cause}");
        assert!(all.iter().all(|id| aws.ec2.image(id).is_some()));
        let (_, outcome) = execute(aws, &request(json!({"count": 2}))).await;
        assert_eq!(succeeded(&outcome)["pruned"].as_array().map(Vec::len), Some(2));
        assert_eq!(all.iter().filter(|id| aws.ec2.image(id).is_some()).count(), 2);
    });
}
