//! The schema of the request, `docs/request.schema.json`, accepts what the application accepts, for all that
//! the request alone shows. What it does not show is what the schema's comment lists.

use std::{
    fs,
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use ami_from_instance::{
    error::Error,
    model::{deprecation::DeprecationTime, tags::Tags, watermarks::MAX_WATERMARKS},
};
use jsonschema::Validator;
use local_aws::{deployment::MANAGED_IMAGE, prepare::root};
use local_ec2::SEED_INSTANCE;
use proptest::{collection, prelude::*, sample::select, string::string_regex};
use serde_json::{Value, json};

use crate::inputs::{create, json_value, not, refusal, shared, wrong_field};

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let text = fs::read_to_string(root().join("docs/request.schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
});
static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft202012::new(&SCHEMA).unwrap());

/// What the schema says against a request.
fn complaint(request: &Value) -> Option<String> {
    VALIDATOR.iter_errors(request).next().map(|error| format!("{}: {error}", error.instance_path()))
}

/// Why the application refuses a request for its fields. Whether the images and instances are there, and may be
/// used, is looked at after that.
fn refused_field(request: &Value, default_tags: Tags) -> Option<String> {
    match refusal(request.clone(), default_tags) {
        Some(error @ Error::InvalidRequest { .. }) => Some(error.to_string()),
        _ => None,
    }
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Whether more than the request decides: the clock, or a rendered placeholder. The deployment here has no default
/// tags.
fn depends_on_more(request: &Value) -> bool {
    let text = |field: &str| request.get(field).and_then(Value::as_str).unwrap_or_default();
    // The longest timeouts of create and update together are two days.
    let safe = now() + 2 * DAY..now() + 9 * YEAR;
    let by_clock = DeprecationTime::parse(text("deprecationTime")).is_some_and(|time| !safe.contains(&time.seconds()));
    let by_days = (1.."10d".len()).contains(&text("deprecateAfter").len());
    let has_placeholders = |field: &str| text(field).contains("{{");
    let by_length = ["name", "series"].iter().any(|field| has_placeholders(field) && text(field).chars().count() > 60);
    let by_name = ["name", "series"].iter().any(|field| text(field).contains("{{instanceName}}"));
    let in_tags = request["tags"].to_string().contains("{{instanceName}}");
    let by_instance = (by_name || in_tags) && text("sourceInstanceId") != SEED_INSTANCE;
    let by_devices = request.get("blockDeviceMappings").is_some_and(|mappings| !are_of_the_seed(mappings));
    // A prune takes twenty minutes at the least.
    let prunes = request.get("retain").is_some_and(Value::is_object);
    let by_timeouts = prunes && request["timeouts"].get("delete").is_some_and(|limit| !limit.is_null());
    let lists = ["keep", "attach"].map(|list| request["watermarks"][list].as_array().map_or(0, Vec::len));
    let by_watermarks = lists.iter().sum::<usize>() > MAX_WATERMARKS;
    by_timeouts || by_clock || by_days || by_length || by_instance || by_devices || by_watermarks
}

/// Whether every device is one that the instance of the tests has, none is there twice, and the root stays.
fn are_of_the_seed(mappings: &Value) -> bool {
    let devices: Vec<_> =
        mappings.as_array().into_iter().flatten().filter_map(|one| one["deviceName"].as_str()).collect();
    devices.iter().all(|device| *device == "/dev/sdf") && devices.len() < 2
}

fn text(pattern: &str) -> BoxedStrategy<Value> {
    string_regex(pattern).unwrap().prop_map(Value::from).boxed()
}

fn null() -> BoxedStrategy<Value> {
    Just(Value::Null).boxed()
}

/// A time that is well-formed or nearly so.
fn time() -> BoxedStrategy<Value> {
    let digits = "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?";
    prop_oneof![
        2 => text(&format!("{digits}([Zz]|[+-][0-2][0-9]:[0-6][0-9])?")),
        2 => text("20(2[89]|3[0-3])-(0[1-9]|1[0-2])-(2[89]|3[01])T[0-2][0-9]:[0-5][0-9]:(0[0-9]|60)Z"),
        1 => text("[0-9]{2}(00|[0-9]{2})-02-(28|29)T00:00:00Z"),
    ]
    .boxed()
}

/// A timeout that is in range or nearly so.
fn timeout() -> BoxedStrategy<Value> {
    prop_oneof![
        text("([0-9]{1,2}h)?([0-9]{1,2}m)?([0-9]{1,2}s)?"),
        text("[0-9]{1,4}m([0-9]{1,2}s)?"),
        text("[0-9]{1,6}s"),
        text("(24h|1440m|86400s|0m|00s|0s|1s|1m|59s|60s|23h|59m| ){1,3}"),
        (0u64..90_000).prop_map(Value::from).boxed(),
        (0u64..90_000).prop_map(|seconds| json!(seconds as f64)).boxed(),
        (0f64..90_000.0).prop_map(Value::from).boxed(),
        select(vec![json!(59), json!(60), json!(86_400), json!(86_401), json!(60.0), json!(86_400.5)]).boxed(),
        null(),
    ]
    .boxed()
}

fn tags() -> BoxedStrategy<Value> {
    let key = "[a-z:]{1,9}|.{1,9}|[é]{127,129}|[aA]?[wW][sS]:?[a-z]{0,3}|ami-from-instance[:a]?|[a-z][\\x7f-\\u{a0}]";
    let placeholders = text("a?[{]{1,3}(date|instanceId|instanceName|runId|day)[}]{0,3}b?");
    let value = prop_oneof![
        text("[a-z]{0,9}"),
        text(".{0,9}"),
        text("[é]{255,257}"),
        text("[\\x7f-\\u{a0}]"),
        placeholders,
        null()
    ];
    let few = collection::hash_map(string_regex(key).unwrap(), value, 0..4);
    let many = (45usize..53).prop_map(|count| (0..count).map(|n| (format!("k{n}"), json!(""))).collect());
    prop_oneof![4 => few.prop_map(|tags| tags.into_iter().collect()), 1 => many, 1 => null()].boxed()
}

/// Patterns of tags' keys that are allowed, or nearly so.
fn copy_tags() -> BoxedStrategy<Value> {
    let one = prop_oneof![4 => text("[a-z*?]{1,5}"), 1 => null(), 1 => text("")];
    let list = prop_oneof![4 => collection::vec(one, 0..3).prop_map(Value::from), 1 => null(), 1 => text("[a-z]")];
    collection::hash_map("include|exclude|exclud", list, 0..3).prop_map(|all| json!(all)).boxed()
}

/// Rules of what stays that are allowed, or nearly so.
fn retain() -> BoxedStrategy<Value> {
    let number =
        || prop_oneof![4 => (0u32..60_000).prop_map(Value::from), 1 => null(), 1 => Just(json!(1.5)), 1 => text("7")];
    let days = || prop_oneof![4 => text("[0-9]{1,4}d?"), 1 => null(), 1 => any::<u8>().prop_map(Value::from)];
    let exclusions = prop_oneof![
        4 => (days(), tags(), any::<bool>())
            .prop_map(|(days, tags, shared)| json!({"lastLaunched": days, "tagMap": tags, "shared": shared})),
        1 => prop_oneof![null(), any::<bool>().prop_map(Value::from), text("true")]
            .prop_map(|shared| json!({"shared": shared})),
        1 => null(),
        1 => Just(json!({"isPublic": true})),
    ];
    let member = prop_oneof![
        3 => number().prop_map(|number| ("count", number)),
        3 => days().prop_map(|days| ("age", days)),
        1 => number().prop_map(|number| ("atLeast", number)),
        1 => number().prop_map(|number| ("maxPerRun", number)),
        1 => (0u32..102).prop_map(|number| ("maxPercentPerRun", json!(number))),
        1 => exclusions.prop_map(|exclusions| ("exclusions", exclusions)),
        1 => number().prop_map(|number| ("counts", number)),
        2 => prop_oneof![4 => text("DELETE|DISABLE|DEPRECATE"), 1 => text("delete|[A-Z]{3}"), 1 => null()]
            .prop_map(|action| ("action", action)),
        2 => days().prop_map(|days| ("quarantine", days)),
    ];
    collection::vec(member, 0..4)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        .boxed()
}

/// Watermarks that are allowed, or nearly so, and never more than there may be.
fn watermarks() -> BoxedStrategy<Value> {
    let one = prop_oneof![text("[0-9]{11,13}:[a-z#]{2,5}"), text("[a-z#:]{2,5}"), text("[a-z]{127,129}"), null()];
    let list = prop_oneof![4 => collection::vec(one, 0..3).prop_map(Value::from), 1 => null(), 1 => text("[a-z]")];
    collection::hash_map("keep|attach|attac", list, 0..3).prop_map(|all| json!(all)).boxed()
}

/// Mappings of block devices that are allowed, or nearly so.
fn mappings() -> BoxedStrategy<Value> {
    let flag = || prop_oneof![3 => any::<bool>().prop_map(Value::from), 1 => null(), 1 => text("true")];
    let ebs = prop_oneof![
        4 => flag().prop_map(|flag| json!({"deleteOnTermination": flag})),
        1 => null(),
        1 => Just(json!({})),
        1 => Just(json!({"volumeSize": 8}))
    ];
    let member = prop_oneof![
        flag().prop_map(|flag| ("noDevice".to_owned(), flag)),
        ebs.prop_map(|ebs| ("ebs".to_owned(), ebs)),
        Just(("virtualName".to_owned(), json!("ephemeral0")))
    ];
    let mapping = collection::vec(member, 0..3).prop_map(|members| {
        let mut mapping = json!({"deviceName": "/dev/sdf"});
        mapping.as_object_mut().unwrap().extend(members);
        mapping
    });
    prop_oneof![8 => mapping, 1 => Just(json!({"noDevice": true})), 1 => null()]
        .prop_map(|mapping| json!([mapping]))
        .boxed()
}

fn no_device(device: &str) -> Value {
    json!([{"deviceName": device, "noDevice": true}])
}

fn name() -> BoxedStrategy<Value> {
    let placeholder = "date|time|instanceId|instanceName|runId";
    prop_oneof![
        text("[a-zA-Z0-9() ./'@_\\[\\]-]{1,6}"),
        text("[a-zA-Z0-9() ./'@_\\[\\]-]{125,130}"),
        text(&format!("[a-z]{{0,3}}([{{]{{2}}({placeholder})[}}]{{2}}[a-z]{{0,3}}){{1,3}}")),
        text(&format!("[a-z]{{0,3}}[{{]{{1,3}} ?({placeholder}|day|) ?[}}]{{0,3}}[a-z{{}}]{{0,3}}")),
        text(".{0,9}"),
        null(),
    ]
    .boxed()
}

/// Any field of any action with a value that is allowed, or nearly so.
fn near_field() -> impl Strategy<Value = (String, Value)> {
    let of = |field: &'static str, values: BoxedStrategy<Value>| (Just(field.to_owned()), values);
    let flag = || prop_oneof![any::<bool>().prop_map(Value::from), null(), text("true|false")].boxed();
    let id = |prefix: &str, known: &str| {
        prop_oneof![
            text(&format!("{prefix}-([0-9a-f]{{7,9}}|[0-9a-f]{{16,18}})")),
            text(&format!("{prefix}?-[0-9a-g]{{8}}")),
            Just(json!(known)).boxed(),
            null(),
        ]
        .boxed()
    };
    let action = select(vec![
        json!("create"),
        json!("update"),
        json!("disable"),
        json!("enable"),
        json!("restore"),
        json!("adopt"),
        json!("prune"),
        json!("delete"),
        json!("replace"),
        json!("Create"),
        json!(null),
    ]);
    prop_oneof![
        of("$schema", json_value().boxed()),
        of("AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID", json_value().boxed()),
        of("action", action.boxed()),
        of("name", name()),
        of("sourceInstanceId", id("i", SEED_INSTANCE)),
        of("snapshotWithoutReboot", flag()),
        of("stopInstance", flag()),
        of("acceptInstanceStoreLoss", flag()),
        of("description", prop_oneof![text("[ -~]{0,9}"), text("[a-z]{254,256}"), text(".{0,9}"), null()].boxed()),
        of("deprecationTime", prop_oneof![4 => time(), 1 => null(), 1 => text("")].boxed()),
        of("tags", tags()),
        of("excludeDataVolumeTags", tags()),
        of("excludeDataVolumes", flag()),
        of("copyTags", prop_oneof![flag(), copy_tags()].boxed()),
        of("blockDeviceMappings", prop_oneof![4 => mappings(), 1 => null()].boxed()),
        of(
            "series",
            prop_oneof![text(".{0,9}"), text("[{]{0,3}(date|time|day)[}]{0,3}"), text("[a-z]{255,257}"), null()]
                .boxed()
        ),
        of("deprecateAfter", prop_oneof![text("[0-9]{0,5}d?"), text("36[45][0-9]d"), null()].boxed()),
        of(
            "timeouts",
            collection::hash_map("create|update|delete|creat", timeout(), 0..4).prop_map(|all| json!(all)).boxed()
        ),
        of("timeouts", null()),
        of("imageId", id("ami", MANAGED_IMAGE)),
        of("manageEbsSnapshots", flag()),
        of("disableProtection", flag()),
        of("unlessInUse", flag()),
        of("dryRun", flag()),
        of("allSeries", flag()),
        of("retain", prop_oneof![6 => retain(), 1 => null(), 1 => text("[a-z]")].boxed()),
        of("watermarks", prop_oneof![4 => watermarks(), 1 => null()].boxed()),
        of("keepPrevious", flag()),
        of(
            "deregistrationProtection",
            prop_oneof![
                text("(disabled|enabled)(-without|-with)?(-cooldown)?"),
                null(),
                any::<bool>().prop_map(Value::from)
            ]
            .boxed()
        ),
    ]
}

/// A valid request of any action with a few fields changed, added or taken away.
fn near_request() -> impl Strategy<Value = Value> {
    let update = json!({"action": "update", "imageId": MANAGED_IMAGE, "description": "new"});
    let delete = json!({"action": "delete", "imageId": MANAGED_IMAGE});
    let mut replace = create();
    replace["action"] = json!("replace");
    replace["imageId"] = json!(MANAGED_IMAGE);
    let fields: Vec<_> = SCHEMA["properties"].as_object().unwrap().keys().cloned().collect();
    let change = prop_oneof![
        6 => near_field().prop_map(|(field, value)| (field, Some(value))),
        1 => wrong_field().prop_map(|(field, value)| (field, Some(value))),
        2 => select(fields).prop_map(|field| (field, None)),
    ];
    let disable = json!({"action": "disable", "imageId": MANAGED_IMAGE});
    let adopt = json!({"action": "adopt", "imageId": MANAGED_IMAGE});
    let prune = json!({"action": "prune", "series": "web", "retain": {"count": 7}});
    (select(vec![create(), update, disable, adopt, prune, delete, replace]), collection::vec(change, 0..4)).prop_map(
        |(mut request, changes)| {
            for (field, value) in changes {
                match value {
                    Some(value) => request[field] = value,
                    None => drop(request.as_object_mut().unwrap().remove(&field)),
                }
            }
            request
        },
    )
}

#[test]
fn the_schema_is_one_and_describes_every_field() {
    assert!(jsonschema::meta::is_valid(&SCHEMA));
    let properties = |value: &Value| value["properties"].as_object().unwrap().clone();
    let timeouts = properties(&SCHEMA["properties"]["timeouts"]);
    for (field, property) in properties(&SCHEMA).into_iter().chain(timeouts) {
        let description = property["description"].as_str().unwrap_or_default();
        assert!((10..=200).contains(&description.len()) && description.ends_with('.'), "{field}: {description}");
    }
}

#[test]
fn every_request_among_the_events_is_one() {
    for entry in fs::read_dir(root().join("events/requests")).unwrap() {
        let path = entry.unwrap().path();
        let request = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(complaint(&request), None, "{path:?}");
    }
}

#[test]
fn what_the_request_alone_does_not_show_is_what_the_comment_lists() {
    let team = || Tags::from([("Team".to_owned(), "platform".to_owned())]);
    let full: Value = (0..48).map(|n| (format!("k{n}"), json!(""))).collect();
    for (part, listed, field, value, default_tags) in [
        ("The clock", "in the past", "deprecationTime", json!("2020-01-01T00:00:00Z"), Tags::new()),
        ("The clock", "ten years ahead", "deprecationTime", json!("2999-01-01T00:00:00Z"), Tags::new()),
        ("default tags", "48 tags", "tags", full, team()),
        ("The clock", "deprecateAfter", "deprecateAfter", json!("1d"), Tags::new()),
        ("The instance", "devices", "blockDeviceMappings", no_device("/dev/sdx"), Tags::new()),
        ("The instance", "root", "blockDeviceMappings", no_device("/dev/xvda"), Tags::new()),
        (
            "Watermarks",
            "at most 5",
            "watermarks",
            json!({"attach": ["aaa", "bbb", "ccc", "ddd", "eee", "fff"]}),
            Tags::new(),
        ),
        ("Placeholders", "tag's rendered value", "tags", json!({"k": "n".repeat(240) + "{{instanceId}}"}), Tags::new()),
        ("Placeholders", "series", "series", json!("n".repeat(250) + "{{date}}"), Tags::new()),
        ("Placeholders", "3 to 128", "name", json!("n".repeat(125) + "{{date}}"), Tags::new()),
    ] {
        let comment = SCHEMA["$comment"].as_str().unwrap();
        assert!(comment.contains(part) && comment.contains(listed), "{part}: {listed}");
        let mut request = create();
        request[field] = value;
        request["timeouts"] = json!({"create": "24h"});
        assert_eq!(complaint(&request), None);
        assert!(refused_field(&request, default_tags).unwrap().starts_with(field), "{request}");
    }
    assert!(
        SCHEMA["$comment"].as_str().unwrap().contains("where images are pruned, that of a delete must be 20 minutes")
    );
    let prune = json!({"action": "prune", "series": "web", "retain": {"count": 7}, "timeouts": {"delete": "19m"}});
    assert_eq!(complaint(&prune), None);
    assert!(refused_field(&prune, Tags::new()).unwrap().starts_with("timeouts.delete"));
}

/// Where a random request seldom comes.
#[test]
fn the_edges_are_the_same_to_both() {
    let tags = |count: usize| (0..count).map(|n| (format!("k{n}"), json!(""))).collect::<Value>();
    let with = |request: Value, field: &str, value: Value| {
        let mut request = request;
        request[field] = value;
        request
    };
    let update = || json!({"action": "update", "imageId": MANAGED_IMAGE});
    for (request, is_valid) in [
        (with(create(), "tags", tags(48)), true),
        (with(create(), "tags", tags(49)), false),
        (with(create(), "copyTags", json!({})), true),
        (with(create(), "copyTags", json!({"include": []})), false),
        (with(create(), "copyTags", json!({"exclude": null})), true),
        (with(create(), "blockDeviceMappings", no_device("/dev/sdf")), true),
        (with(create(), "blockDeviceMappings", json!([{"deviceName": "/dev/sdf"}])), false),
        (with(create(), "blockDeviceMappings", json!([{"deviceName": "/dev/sdf", "noDevice": false}])), false),
        (
            with(create(), "blockDeviceMappings", json!([{"deviceName": "/dev/sdf", "noDevice": false, "ebs": null}])),
            false,
        ),
        (
            with(
                create(),
                "blockDeviceMappings",
                json!([{"deviceName": "/dev/sdf", "ebs": {"deleteOnTermination": true}}]),
            ),
            true,
        ),
        (
            with(
                create(),
                "blockDeviceMappings",
                json!([{"deviceName": "/dev/sdf", "noDevice": true, "ebs": {"deleteOnTermination": true}}]),
            ),
            false,
        ),
        (with(create(), "series", json!("a{ {{date}}}")), true),
        (with(create(), "series", json!("{{{date}}")), false),
        (with(create(), "deprecateAfter", json!("3650d")), true),
        (with(create(), "deprecateAfter", json!("3651d")), false),
        (with(with(create(), "deprecateAfter", json!("90d")), "deprecationTime", json!("2030-01-31T08:00:00Z")), false),
        (with(with(create(), "deprecateAfter", json!("90d")), "deprecationTime", json!("")), true),
        (with(create(), "tags", json!({"k\u{9f}": ""})), false),
        (with(create(), "tags", json!({"k\u{a0}": ""})), true),
        (with(create(), "tags", json!({"k": "\u{9f}"})), false),
        (with(create(), "tags", json!({"k": "\u{a0}"})), true),
        (with(create(), "tags", json!({"aWs:k": ""})), false),
        (with(create(), "tags", json!({"aws": ""})), true),
        (with(create(), "tags", json!({"ami-from-instance": ""})), true),
        (with(create(), "name", json!("web-{{day}}")), false),
        (with(create(), "name", json!("web-{{runId}}")), true),
        (with(create(), "sourceInstanceId", json!("i-0123456789abcdefg")), false),
        (with(create(), "retain", Value::Null), true),
        (with(create(), "retain", json!({})), false),
        (with(create(), "retain", json!({"count": 1, "action": "DISABLE", "quarantine": null})), true),
        (with(create(), "retain", json!({"count": 1, "action": "DISABLE", "quarantine": "7d"})), false),
        (update(), false),
        (with(update(), "tags", Value::Null), false),
        (with(update(), "tags", json!({})), true),
        (with(update(), "description", Value::Null), true),
        (with(update(), "deprecationTime", Value::Null), true),
        (with(update(), "timeouts", json!({"update": "1h"})), false),
    ] {
        let (refused, complaint) = (refused_field(&request, Tags::new()), complaint(&request));
        assert_eq!(
            (refused.is_none(), complaint.is_none()),
            (is_valid, is_valid),
            "{request}: {refused:?} / {complaint:?}"
        );
    }
}

#[test]
fn the_ends_of_the_timeouts_range_are_the_same_to_both() {
    let seconds = [0..200, 980..1020, 9_980..10_020, 79_980..80_020, 85_880..86_420, 99_990..100_010];
    let seconds = seconds.into_iter().flatten().map(|n| format!("{n}s"));
    let minutes = (0..1500).flat_map(|n| ["", "0s", "1s"].map(|rest| format!("{n}m{rest}")));
    let hours = (0..30).flat_map(|n| ["", "0m", "0m00s", "59m59s", "1s", "60m"].map(|rest| format!("{n}h{rest}")));
    for timeout in seconds.chain(minutes).chain(hours) {
        let mut request = create();
        request["timeouts"] = json!({"create": timeout});
        let (refused, complaint) = (refused_field(&request, Tags::new()), complaint(&request));
        assert_eq!(refused.is_some(), complaint.is_some(), "{timeout}: {refused:?} / {complaint:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_is_accepted_by_the_schema_if_and_only_if_the_application_accepts_its_fields(request in near_request()) {
        prop_assume!(!depends_on_more(&request));
        let (refused, complaint) = (refused_field(&request, Tags::new()), complaint(&request));
        prop_assert_eq!(refused.is_some(), complaint.is_some(), "{:?} / {:?}", refused, complaint);
        prop_assert!(shared().1.mutating_calls().is_empty());
    }

    #[test]
    fn what_is_no_object_is_accepted_by_neither(value in not(Value::is_object)) {
        prop_assert!(refused_field(&value, Tags::new()).is_some() && complaint(&value).is_some());
    }

    #[test]
    fn a_time_is_one_to_both_or_to_neither(time in time()) {
        let is_time = DeprecationTime::parse(time.as_str().unwrap()).is_some();
        let mut request = create();
        request["deprecationTime"] = time;
        prop_assert_eq!(complaint(&request).is_none(), is_time);
    }

    #[test]
    fn a_timeout_is_one_to_both_or_to_neither(timeout in timeout()) {
        let mut request = create();
        request["timeouts"] = json!({"create": timeout});
        let (refused, complaint) = (refused_field(&request, Tags::new()), complaint(&request));
        prop_assert_eq!(refused.is_some(), complaint.is_some(), "{:?} / {:?}", refused, complaint);
    }
}

/// Of the requests that the property looks at, many are valid, so that it shows something both ways.
#[test]
fn near_requests_are_valid_and_invalid() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let requests: Vec<_> = (0..1000).map(|_| near_request().new_tree(&mut runner).unwrap().current()).collect();
    let valid = requests.iter().filter(|request| complaint(request).is_none()).count();
    let seen = requests.iter().filter(|request| !depends_on_more(request)).count();
    assert!((200..800).contains(&valid) && seen > 800, "{valid} of {seen}");
}
