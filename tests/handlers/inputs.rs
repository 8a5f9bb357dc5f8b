//! Requests near validity, and what the first state of a run says of one.

use std::{sync::OnceLock, time::SystemTime};

use ami_from_instance::{
    app::App,
    aws::clients::http_client,
    error::Error,
    model::{tags::Tags, timeouts::Timeouts},
    plan,
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
    "stopInstance",
    "acceptInstanceStoreLoss",
    "description",
    "deprecationTime",
    "tags",
    "copyTags",
    "blockDeviceMappings",
    "excludeDataVolumes",
    "excludeDataVolumeTags",
    "series",
    "watermarks",
    "retain",
    "deprecateAfter",
    "deregistrationProtection",
    "timeouts",
    "dryRun",
];

fn settings(default_tags: Tags) -> Settings {
    Settings {
        machines: Ok(Machines {
            lifecycle: "arn:aws:states:us-east-1:000000000000:stateMachine:ami-lifecycle".into(),
            operation: "arn:aws:states:us-east-1:000000000000:stateMachine:ami-operation".into(),
        }),
        default_tags: Ok(default_tags),
        allow_unmanaged_images: false,
        only_tagged_instances: false,
        sweep_only_reports: false,
        timeouts: Ok(Timeouts::default()),
    }
}

fn app(ec2: &Ec2, settings: Settings) -> App {
    let config = aws_sdk_sfn::Config::builder().behavior_version(BehaviorVersion::v2026_01_12());
    let step_functions = aws_sdk_sfn::Client::from_conf(config.http_client(http_client()).build());
    let (ec2, auto_scaling) = (ec2.client(), ec2.auto_scaling());
    App { ec2, auto_scaling, step_functions, settings, now: SystemTime::now, print: |_| {} }
}

/// The local EC2 of all tests, with what runs its calls.
pub(crate) fn shared() -> &'static (Runtime, Ec2) {
    static SHARED: OnceLock<(Runtime, Ec2)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let settings = local_ec2::Settings { speed: 0.0, request_buckets: false, ..local_ec2::Settings::default() };
        let ec2 = runtime.block_on(Ec2::start(settings)).unwrap();
        (runtime, ec2)
    })
}

/// Why the first state of a run refuses a request, where a deployment has these default tags.
pub(crate) fn refusal(request: Value, default_tags: Tags) -> Option<Error> {
    static APP: OnceLock<App> = OnceLock::new();
    let (runtime, ec2) = shared();
    // A new client reads the certificates of all authorities, which takes longer than a request.
    let App { ec2, auto_scaling, step_functions, .. } = APP.get_or_init(|| app(ec2, settings(Tags::new())));
    let (ec2, auto_scaling, step_functions) = (ec2.clone(), auto_scaling.clone(), step_functions.clone());
    let settings = settings(default_tags);
    let app = App { ec2, auto_scaling, step_functions, settings, now: SystemTime::now, print: |_| {} };
    let input = json!({"run": RUN, "startTime": "2026-11-23T12:00:00Z", "request": request});
    runtime.block_on(plan::handle(&app, input)).err()
}

/// A request with no more than it needs.
pub(crate) fn create() -> Value {
    json!({"name": "web", "sourceInstanceId": SEED_INSTANCE})
}

/// Any JSON.
pub(crate) fn json_value() -> impl Strategy<Value = Value> {
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

/// Any JSON but this.
pub(crate) fn not(what: fn(&Value) -> bool) -> impl Strategy<Value = Value> {
    json_value().prop_filter("an allowed value", move |value| !what(value))
}

/// A field with a value that it may not have.
pub(crate) fn wrong_field() -> impl Strategy<Value = (String, Value)> {
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
        of("stopInstance", not(|value| value.is_boolean() || value.is_null()).boxed()),
        of("acceptInstanceStoreLoss", not(Value::is_null).boxed()),
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
        of("copyTags", not(|value| value.is_boolean() || value.is_object() || value.is_null()).boxed()),
        of("copyTags", wrong_patterns().boxed()),
        of("blockDeviceMappings", not(|value| value.is_null() || *value == json!([])).boxed()),
        of("blockDeviceMappings", wrong_mappings().boxed()),
        of("watermarks", not(|value| value.is_null() || value.as_object().is_some_and(Map::is_empty)).boxed()),
        of("watermarks", wrong_watermarks().boxed()),
        of("retain", not(Value::is_null).boxed()),
        of("excludeDataVolumes", not(|value| value.is_boolean() || value.is_null()).boxed()),
        of("excludeDataVolumeTags", wrong_tags().boxed()),
        of("series", not(|value| value.is_string() || value.is_null()).boxed()),
        of(
            "series",
            "|[a-z]{257,300}|[a-z]{0,5}[\\x00-\\x1f\\x7f]|\\{\\{[a-c]{0,3}\\}\\}".prop_map(Value::from).boxed()
        ),
        of("deprecateAfter", not(Value::is_null).boxed()),
        of("deregistrationProtection", not(Value::is_null).boxed()),
        of("deprecateAfter", "0d|[0-9]{1,4}[hwD]?|[4-9][0-9]{3}d|[0-9]{5,9}d|-[0-9]d".prop_map(Value::from).boxed()),
        of("dryRun", not(|value| value.is_boolean() || value.is_null()).boxed()),
        of("timeouts", not(|value| value.is_null() || value.as_object().is_some_and(Map::is_empty)).boxed()),
        of("timeouts", wrong_timeouts().boxed()),
        of("action", not(|value| value.is_null() || value.as_str().is_some_and(|text| text == "create")).boxed()),
        (".{0,30}".prop_filter("a known field", |field| !FIELDS.contains(&field.as_str())), json_value()),
    ]
}

fn wrong_patterns() -> impl Strategy<Value = Value> {
    let wrong = prop_oneof![
        not(|value| value.is_null() || value.is_array()),
        Just(json!([])),
        not(Value::is_string).prop_map(|one| json!(["Cost*", one])),
        Just(json!([""])),
    ];
    prop_oneof![
        ("include|exclude", wrong).prop_map(|(field, value)| json!({field: value})),
        "[a-d]{1,9}".prop_map(|field| json!({field: ["Cost*"]})),
    ]
}

fn wrong_watermarks() -> impl Strategy<Value = Value> {
    let wrong = |right: &'static str| {
        prop_oneof![
            not(|value| value.is_null() || value.as_array().is_some_and(Vec::is_empty)),
            not(Value::is_string).prop_map(move |one| json!([right, one])),
            "[a-z]{0,2}|[a-z]{3}#|[a-z]{129,140}|[0-9]{11}:[a-z]{3}|:[a-z]{3}".prop_map(|one| json!([one])),
            (6usize..9).prop_map(move |count| (0..count).map(|n| json!(format!("{right}{n}"))).collect()),
        ]
    };
    prop_oneof![
        wrong("111122223333:abc").prop_map(|keys| json!({"keep": keys})),
        wrong("abc").prop_map(|names| json!({"attach": names})),
        "[a-d]{1,9}".prop_map(|field| json!({field: ["abc"]})),
    ]
}

fn wrong_mappings() -> impl Strategy<Value = Value> {
    prop_oneof![
        "/dev/sd[g-z]".prop_map(|device| json!([{"deviceName": device, "noDevice": true}])),
        Just(json!([{"deviceName": "/dev/xvda", "noDevice": true}])),
        Just(json!([{"deviceName": "/dev/sdf"}])),
        Just(json!([{"deviceName": "/dev/sdf", "noDevice": true, "ebs": {"deleteOnTermination": true}}])),
        (1usize..3).prop_map(|times| json!(vec![json!({"deviceName": "/dev/sdf", "noDevice": true}); times + 1])),
        not(Value::is_boolean)
            .prop_map(|flag| json!([{"deviceName": "/dev/sdf", "ebs": {"deleteOnTermination": flag}}])),
        "[a-d]{1,9}".prop_map(|field| json!([{"deviceName": "/dev/sdf", "noDevice": true, field: 1}])),
    ]
}

fn wrong_tags() -> impl Strategy<Value = Value> {
    prop_oneof![
        (49usize..60).prop_map(|count| (0..count).map(|n| (format!("k{n}"), json!(""))).collect::<Map<_, _>>().into()),
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
