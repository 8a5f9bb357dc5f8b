//! What two services beside EC2 tell of the account: Recycle Bin its rules, and Service Quotas how many images there
//! may be.

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{Response, StatusCode},
};
use serde_json::{Value, json};

use crate::{resources::recycle_bin::BinResource, service::SharedService};

/// The quota of AMIs that an account has unless it asks for more ("Quotas for AMIs", Amazon EC2 User Guide).
const IMAGES: f64 = 50_000.0;

/// ListRules: those for a type of resource.
pub(super) async fn list_rules(State(service): State<SharedService>, Json(request): Json<Value>) -> Json<Value> {
    let kind = match request["ResourceType"].as_str() {
        Some("EC2_IMAGE") => BinResource::Image,
        _ => BinResource::Snapshot,
    };
    let service = service.lock();
    let rules = service.world.recycle_bin.rules.iter().enumerate().filter(|(_, rule)| rule.resource() == kind);
    let rules: Vec<_> = rules.map(|(number, _)| json!({"Identifier": number.to_string()})).collect();
    Json(json!({"Rules": rules}))
}

/// GetRule.
pub(super) async fn get_rule(
    State(service): State<SharedService>,
    Path(identifier): Path<String>,
) -> (StatusCode, Json<Value>) {
    let service = service.lock();
    let number: Option<usize> = identifier.parse().ok();
    let Some(rule) = number.and_then(|number| service.world.recycle_bin.rules.get(number)) else {
        let error = json!({"__type": "ResourceNotFoundException", "Message": "Rule not found"});
        return (StatusCode::NOT_FOUND, Json(error));
    };
    let tags = |tags: &[(String, String)]| {
        let tag = |(key, value): &(String, String)| json!({"ResourceTagKey": key, "ResourceTagValue": value});
        tags.iter().map(tag).collect::<Vec<_>>()
    };
    let (tagged, excluded) = (tags(rule.tags()), tags(rule.excluded()));
    let rule = json!({"Identifier": identifier, "ResourceTags": tagged, "ExcludeResourceTags": excluded});
    (StatusCode::OK, Json(rule))
}

/// GetServiceQuota: of images, whatever is asked for.
pub(super) fn quota() -> Response<Body> {
    Response::new(Body::from(json!({"Quota": {"Value": IMAGES}}).to_string()))
}
