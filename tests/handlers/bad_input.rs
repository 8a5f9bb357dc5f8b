//! Bad input of every kind is refused by the name of its field, before anything is called that
//! changes anything; good input at the edge of what is allowed is not.

use ami_from_instance::{error::Error, model::tags::Tags, plan::request::Request};
use local_ec2::SEED_INSTANCE;
use proptest::{collection, prelude::*};
use serde_json::{Value, json};

use crate::inputs::{create, not, refusal, shared, wrong_field};

/// 2026-11-23, in seconds since 1970.
const NOW: i64 = 1_795_392_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_wrong_field_is_refused_by_its_name_and_nothing_is_changed((field, value) in wrong_field()) {
        let mut input = create();
        input[&field] = value;
        let error = refusal(input, Tags::from([("Team".to_owned(), "platform".to_owned())]));
        let named: String = field.chars().take(100).flat_map(char::escape_debug).collect();
        match &error {
            Some(Error::InvalidRequest { field: refused, problem }) => {
                prop_assert!(refused.starts_with(&named) || field == "action", "{refused} for {field}");
                prop_assert!(problem.len() < 400, "{problem}");
            }
            other => prop_assert!(false, "{other:?}"),
        }
        prop_assert!(shared().1.mutating_calls().is_empty());
    }

    #[test]
    fn what_is_no_object_is_refused(value in not(Value::is_object)) {
        let error = Request::parse(&value, NOW).unwrap_err();
        prop_assert!(error.to_string().starts_with("input: "), "{error}");
    }

    #[test]
    fn a_missing_field_is_refused_by_its_name(field in "name|sourceInstanceId") {
        let mut input = create();
        input.as_object_mut().unwrap().remove(&field);
        let error = Request::parse(&input, NOW).unwrap_err();
        prop_assert!(error.to_string().starts_with(&format!("{field}: must be given")), "{error}");
    }

    #[test]
    fn good_input_at_the_edge_is_accepted(
        name in "[a-zA-Z0-9() ./'@_\\[\\]-]{3,128}",
        description in "[ -~]{0,255}",
        tags in collection::btree_map("[a-z]{1,128}", "[ -~а-я]{0,256}", 0..48),
        create in 60u64..=86_400,
    ) {
        let input = json!({
            "name": name,
            "sourceInstanceId": SEED_INSTANCE,
            "description": description,
            "tags": tags,
            "timeouts": {"create": create},
        });
        prop_assert!(Request::parse(&input, NOW).is_ok());
    }
}
