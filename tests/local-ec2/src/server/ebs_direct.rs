//! The EBS direct APIs, as far as they make an empty snapshot.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::{Value, json};

use crate::{
    resources::snapshot::{Progress, Snapshot},
    service::SharedService,
    tags::Tags,
};

type Answer = (StatusCode, Json<Value>);

/// StartSnapshot: the snapshot is pending until it is completed.
pub(super) async fn start(State(service): State<SharedService>, Json(request): Json<Value>) -> Answer {
    let Some(size_gib) = request["VolumeSize"].as_u64().and_then(|size| u32::try_from(size).ok()) else {
        return refused(StatusCode::BAD_REQUEST, "ValidationException", "VolumeSize is missing");
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tags = request["Tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tags: Tags = tags.iter().map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect();
    let world = &mut service.lock().world;
    let snapshot = Snapshot {
        id: world.ids.resource("snap"),
        volume_id: "vol-ffffffff".to_owned(),
        size_gib,
        description: text(&request["Description"]),
        tags,
        grantees: Vec::new(),
        begun: world.now(),
        takes: Duration::ZERO,
        completes: None,
        progress: Progress::default(),
        lock: None,
        held: None,
    };
    let id = snapshot.id.clone();
    world.snapshots.insert(id.clone(), snapshot);
    (
        StatusCode::CREATED,
        Json(json!({"SnapshotId": id, "Status": "pending", "VolumeSize": size_gib, "BlockSize": 524_288})),
    )
}

/// CompleteSnapshot.
pub(super) async fn complete(State(service): State<SharedService>, Path(id): Path<String>) -> Answer {
    let world = &mut service.lock().world;
    let now = world.now();
    let Some(snapshot) = world.snapshots.get_mut(&id) else {
        return refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", "The snapshot does not exist.");
    };
    snapshot.completes = Some(now);
    (StatusCode::ACCEPTED, Json(json!({"Status": "completed"})))
}

fn refused(status: StatusCode, code: &str, message: &str) -> Answer {
    (status, Json(json!({"__type": code, "Message": message})))
}
