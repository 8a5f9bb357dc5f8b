//! What Step Functions counts.

use performance::cost;
use serde_json::json;

use crate::{ends::succeeded, execute, new_create, on_aws};

#[test]
fn a_create_enters_nine_states_and_three_more_for_each_look() {
    on_aws(async |aws| {
        let (_, input) = new_create(aws, json!({"snapshotWithoutReboot": true}));
        let (run, outcome) = execute(aws, &input).await;
        succeeded(&outcome);
        let entered = run.entered(aws.output("OperationMachineArn")).unwrap();
        let looks = entered.iter().filter(|one| one.state == "Look").count();
        let expected = cost::STATES_OF_A_CREATE + cost::STATES_OF_A_LOOK * looks as f64;
        assert_eq!(entered.len() as f64, expected, "{entered:?}");
    });
}
