//! Bad input of every kind is refused by the name of its field, before anything is called that
//! changes anything; good input at the edge of what is allowed is not.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::sync::OnceLock;

use ami_from_instance::{
    app::App,
    aws::clients::http_client,
    error::Error,
    model::timeouts::Timeouts,
    plan::{self, request::Request},
    settings::{Machines, Settings},
};
use aws_config::BehaviorVersion;
use local_ec2::{Ec2, SEED_INSTANCE};
use proptest::{collection, prelude::*};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

const RUN: &str = "arn:aws:states:us-east-1:000000000000:execution:ami-lifecycle:nightly";
const FIELDS: &[&str] = &[
    "$schema",
    "action",
    "name",
    "sourceInstanceId",
    "snapshotWithoutReboot",
    "description",
    "deprecationTime",
    "tags",
    "timeouts",
];

/// 2026-11-23, in seconds since 1970.
const NOW: i64 = 1_795_392_000;

fn app(ec2: &Ec2) -> App {
    let config = aws_sdk_sfn::Config::builder().behavior_version(BehaviorVersion::v2026_01_12());
    let step_functions = aws_sdk_sfn::Client::from_conf(config.http_client(http_client()).build());
    let settings = Settings {
        machines: Ok(Machines {
            lifecycle: "arn:aws:states:us-east-1:000000000000:stateMachine:ami-lifecycle".into(),
            operation: "arn:aws:states:us-east-1:000000000000:stateMachine:ami-operation".into(),
        }),
        default_tags: Ok([("Team".to_owned(), "platform".to_owned())].into()),
        allow_unmanaged_images: false,
        timeouts: Ok(Timeouts::default()),
    };
    App { ec2: ec2.client(), step_functions, settings }
}

fn shared() -> &'static (Runtime, Ec2) {
    static SHARED: OnceLock<(Runtime, Ec2)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let settings = local_ec2::Settings { speed: 0.0, request_buckets: false, ..local_ec2::Settings::default() };
        let ec2 = runtime.block_on(Ec2::start(settings)).unwrap();
        (runtime, ec2)
    })
}

/// What the first state of a run says of a request.
fn refusal(request: Value) -> Option<Error> {
    let (runtime, ec2) = shared();
    let input = json!({"run": RUN, "startTime": "2026-11-23T12:00:00Z", "request": request});
    runtime.block_on(plan::handle(&app(ec2), input)).err()
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just(json!("x".repeat(256 * 1024))),
    ];
    leaf.prop_recursive(12, 64, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::hash_map(".{0,10}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn not(what: fn(&Value) -> bool) -> impl Strategy<Value = Value> {
    json_value().prop_filter("an allowed value", move |value| !what(value))
}

/// A field with a value that it may not have.
fn wrong_field() -> impl Strategy<Value = (String, Value)> {
    let of = |field: &'static str, values: BoxedStrategy<Value>| (Just(field.to_owned()), values);
    prop_oneof![
        of("name", not(|value| value.as_str().is_some_and(is_name)).boxed()),
        of("name", "[a-z]{0,2}|[a-z]{129,300}|[a-z]{3,20}[^a-zA-Z0-9() ./'@_\\[\\]-]".prop_map(Value::from).boxed()),
        of("sourceInstanceId", json_value().boxed()),
        of(
            "sourceInstanceId",
            "(ami|snap|vol|I)-[0-9a-f]{17}|i-[0-9a-f]{0,7}|i-[0-9A-F]{17}z".prop_map(Value::from).boxed()
        ),
        of("snapshotWithoutReboot", not(|value| value.is_boolean() || value.is_null()).boxed()),
        of("description", not(|value| value.is_null() || value.as_str().is_some_and(is_description)).boxed()),
        of(
            "description",
            "[a-z]{256,400}|[a-z]{0,9}[\\x00-\\x1f\\x7f-\\u{ffff}][a-z]{0,9}".prop_map(Value::from).boxed()
        ),
        of("deprecationTime", not(|value| value.is_null() || value == "").boxed()),
        of(
            "deprecationTime",
            "(19|200)[0-9]-01-01T00:00:00Z|2[1-9][0-9]{2}-01-01T00:00:00Z".prop_map(Value::from).boxed()
        ),
        of("tags", not(|value| value.is_object() || value.is_null()).boxed()),
        of("tags", wrong_tags().boxed()),
        of("timeouts", not(|value| value.is_null() || value.as_object().is_some_and(Map::is_empty)).boxed()),
        of("timeouts", wrong_timeouts().boxed()),
        of("action", not(|value| value.is_null() || value.as_str().is_some_and(|text| text == "create")).boxed()),
        (".{0,30}".prop_filter("a known field", |field| !FIELDS.contains(&field.as_str())), json_value()),
    ]
}

fn wrong_tags() -> impl Strategy<Value = Value> {
    prop_oneof![
        (50usize..60).prop_map(|count| (0..count).map(|n| (format!("k{n}"), json!(""))).collect::<Map<_, _>>().into()),
        "(aws|AWS|Aws):[a-z]{0,9}|ami-from-instance:[a-z]{0,9}".prop_map(|key| json!({key: "v"})),
        "[a-z]{129,140}|".prop_map(|key| json!({key: "v"})),
        "[a-z]{257,300}".prop_map(|value| json!({"k": value})),
        not(Value::is_string).prop_map(|value| json!({"k": value})),
        "[a-z]{0,5}[\\x00-\\x1f\\x7f]".prop_map(|text| json!({"k": text})),
    ]
}

fn wrong_timeouts() -> impl Strategy<Value = Value> {
    let limit = prop_oneof![
        (0u64..60).prop_map(Value::from),
        (86_401u64..u64::MAX).prop_map(Value::from),
        any::<i64>().prop_filter("a limit", |n| *n < 0).prop_map(Value::from),
        Just(json!(1e300)),
        "[a-z ]{1,9}|[0-9]{1,4}|[0-9]{3,9}h|-[0-9]{1,3}m".prop_map(Value::from),
        not(|value| value.is_number() || value.is_string() || value.is_null()),
    ];
    ("create|update|delete", limit).prop_map(|(operation, limit)| json!({operation: limit}))
}

fn is_name(text: &str) -> bool {
    (3..=128).contains(&text.chars().count())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c))
}

fn is_description(text: &str) -> bool {
    text.len() <= 255 && text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}

fn create() -> Value {
    json!({"name": "web", "sourceInstanceId": SEED_INSTANCE})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_wrong_field_is_refused_by_its_name_and_nothing_is_changed((field, value) in wrong_field()) {
        let mut input = create();
        input[&field] = value;
        let error = refusal(input);
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
        tags in collection::btree_map("[a-z]{1,128}", "[ -~а-я]{0,256}", 0..49),
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
