//! What two services beside EC2 tell of the account: Recycle Bin its rules, and Service Quotas how many images there
//! may be.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{Response, StatusCode},
};
use serde_json::{Value, json};

use crate::{
    resources::recycle_bin::{BinResource, BinRule},
    service::SharedService,
};

/// The quota of AMIs that an account has unless it asks for more ("Quotas for AMIs", Amazon EC2 User Guide).
const IMAGES: f64 = 50_000.0;

fn resource(request: &Value) -> BinResource {
    match request["ResourceType"].as_str() {
        Some("EC2_IMAGE") => BinResource::Image,
        _ => BinResource::Snapshot,
    }
}

/// ListRules: those for a type of resource.
pub(super) async fn list_rules(State(service): State<SharedService>, Json(request): Json<Value>) -> Json<Value> {
    let kind = resource(&request);
    let service = service.lock();
    let rules = service.world.recycle_bin.rules().iter().filter(|(_, rule)| rule.resource() == kind);
    let rules: Vec<_> = rules.map(|(id, rule)| json!({"Identifier": id, "Description": rule.description()})).collect();
    Json(json!({"Rules": rules}))
}

/// CreateRule, with a retention in days, which is the only unit there is.
pub(super) async fn create_rule(
    State(service): State<SharedService>,
    Json(request): Json<Value>,
) -> (StatusCode, Json<Value>) {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let days = request["RetentionPeriod"]["RetentionPeriodValue"].as_u64().and_then(|days| u32::try_from(days).ok());
    let Some(days) = days.filter(|days| (1..=365).contains(days)) else {
        let error = json!({"__type": "ValidationException", "Message": "RetentionPeriodValue must be 1 to 365"});
        return (StatusCode::BAD_REQUEST, Json(error));
    };
    let mut rule = BinRule::new(resource(&request), DAY * days);
    rule = rule.described(request["Description"].as_str().unwrap_or_default());
    for (tag, add) in [
        ("ResourceTags", BinRule::with_tag as fn(BinRule, String, String) -> BinRule),
        ("ExcludeResourceTags", BinRule::without_tag),
    ] {
        for tag in request[tag].as_array().into_iter().flatten() {
            let of = |field: &str| tag[field].as_str().unwrap_or_default().to_owned();
            rule = add(rule, of("ResourceTagKey"), of("ResourceTagValue"));
        }
    }
    let world = &mut service.lock().world;
    let begins = world.now() + world.lags.bin_rule_begins;
    let id = world.recycle_bin.add_rule(rule.beginning(begins));
    (StatusCode::CREATED, Json(json!({"Identifier": id, "Status": "pending"})))
}

/// GetRule.
pub(super) async fn get_rule(
    State(service): State<SharedService>,
    Path(id): Path<String>,
) -> (StatusCode, Json<Value>) {
    let service = service.lock();
    let Some(rule) = service.world.recycle_bin.rules().get(&id) else { return not_found() };
    let tags = |tags: &[(String, String)]| {
        let tag = |(key, value): &(String, String)| json!({"ResourceTagKey": key, "ResourceTagValue": value});
        tags.iter().map(tag).collect::<Vec<_>>()
    };
    let (tagged, excluded) = (tags(rule.tags()), tags(rule.excluded()));
    let status = if rule.is_available(service.world.now()) { "available" } else { "pending" };
    let rule = json!({
        "Identifier": id, "Description": rule.description(), "Status": status,
        "ResourceTags": tagged, "ExcludeResourceTags": excluded,
    });
    (StatusCode::OK, Json(rule))
}

/// DeleteRule.
pub(super) async fn delete_rule(
    State(service): State<SharedService>,
    Path(id): Path<String>,
) -> (StatusCode, Json<Value>) {
    if service.lock().world.recycle_bin.remove_rule(&id) {
        (StatusCode::NO_CONTENT, Json(Value::Null))
    } else {
        not_found()
    }
}

fn not_found() -> (StatusCode, Json<Value>) {
    let error = json!({"__type": "ResourceNotFoundException", "Message": "Rule not found"});
    (StatusCode::NOT_FOUND, Json(error))
}

/// GetServiceQuota: of images, whatever is asked for.
pub(super) fn quota() -> Response<Body> {
    Response::new(Body::from(json!({"Quota": {"Value": IMAGES}}).to_string()))
}
