//! What nobody can ask AWS for, by HTTP: `POST /_local/NAME` with a form, for a person who tries something out.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};

use crate::{
    resources::{
        recycle_bin::{BinResource, BinRule},
        referrer::{Referrer, TYPES},
    },
    service::SharedService,
    world::World,
};

const DAY: u64 = 24 * 3600;

/// The path of them all.
pub(super) const PATH: &str = "/_local/{name}";

/// Does what a name stands for, and says what was done.
pub(super) async fn control(
    State(service): State<SharedService>,
    Path(name): Path<String>,
    body: Bytes,
) -> (StatusCode, String) {
    let form: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    match done(&mut service.lock().world, &name, &form) {
        Ok(said) => (StatusCode::OK, format!("{said}\n")),
        Err(problem) => (StatusCode::BAD_REQUEST, format!("{problem}\n")),
    }
}

fn done(world: &mut World, name: &str, form: &BTreeMap<String, String>) -> Result<String, String> {
    let field = |field: &str| form.get(field).cloned().ok_or_else(|| format!("{name} needs the field {field}"));
    let days = || {
        let days = field("days")?.parse().ok().filter(|days| (1..=3650).contains(days));
        days.map(|days: u64| Duration::from_secs(days * DAY)).ok_or("days must be from 1 to 3650".to_owned())
    };
    match name {
        "age-images" => {
            let (by, ids) = (days()?, world.images.keys().cloned().collect::<Vec<_>>());
            ids.iter().for_each(|id| world.age_image(id, by));
            Ok(format!("{} images are older", ids.len()))
        }
        "references" => {
            let resource_type = field("resourceType")?;
            if !TYPES.contains(&resource_type.as_str()) {
                return Err(format!("resourceType must be one of {}", TYPES.join(", ")));
            }
            let referrer = Referrer { resource_type, name: field("name")?, image_id: field("imageId")? };
            Ok(world.referrers.add(referrer))
        }
        "recycle-bin-rules" => {
            let resource = match field("resource")?.as_str() {
                "image" => BinResource::Image,
                "snapshot" => BinResource::Snapshot,
                _ => return Err("resource must be image or snapshot".to_owned()),
            };
            world.recycle_bin.add_rule(BinRule::new(resource, days()?));
            Ok(format!("there are {} rules", world.recycle_bin.rules().len()))
        }
        _ => Err("it must be /_local/age-images, /_local/references or /_local/recycle-bin-rules".to_owned()),
    }
}
