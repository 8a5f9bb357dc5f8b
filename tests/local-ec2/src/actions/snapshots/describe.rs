//! DescribeSnapshots.

use std::time::SystemTime;

use crate::{
    account::ACCOUNT, api_error::ApiError, clock::timestamp, filters::Filters, pages::Page, query::Query,
    resources::snapshot::Snapshot, tags, world::World, xml::Xml,
};

const FILTERS: &[&str] = &[
    "description",
    "encrypted",
    "owner-id",
    "progress",
    "snapshot-id",
    "start-time",
    "status",
    "storage-tier",
    "volume-id",
    "volume-size",
];

const SMALLEST_PAGE: usize = 5;

fn filter_values(snapshot: &Snapshot, now: SystemTime, name: &str) -> Vec<String> {
    vec![match name {
        "description" => snapshot.description.clone(),
        "encrypted" => "false".to_owned(),
        "owner-id" => ACCOUNT.to_owned(),
        "progress" => format!("{}%", snapshot.percent(now)),
        "snapshot-id" => snapshot.id.clone(),
        "start-time" => timestamp(snapshot.begun),
        "status" => snapshot.state(now).as_str().to_owned(),
        "storage-tier" => "standard".to_owned(),
        "volume-id" => snapshot.volume_id.clone(),
        "volume-size" => snapshot.size_gib.to_string(),
        _ => return Vec::new(),
    }]
}

pub(crate) fn describe_snapshots(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let ids = query.list("SnapshotId");
    let owners = query.list("Owner");
    let filters = Filters::take(query, FILTERS)?;
    let page = Page::take(query, SMALLEST_PAGE)?;
    query.list("RestorableBy");
    query.finish()?;
    page.check_ids(&ids, "snapshotSet")?;
    for id in &ids {
        world.snapshot(id)?;
    }
    let now = world.now();
    // All snapshots are this account's.
    let are_wanted = owners.is_empty() || owners.iter().any(|owner| owner == "self" || owner == ACCOUNT);
    let listed = page
        .rest(&world.snapshots)
        .filter(|snapshot| are_wanted && snapshot.is_listed(now, &world.lags))
        .filter(|snapshot| ids.is_empty() || ids.contains(&snapshot.id));
    let admits = |snapshot: &&Snapshot| {
        filters.admit(snapshot.shown_tags(now, &world.lags), |name| filter_values(snapshot, now, name))
    };
    let (snapshots, next) = page.cut(listed, |snapshot| snapshot.id.clone(), admits);
    let mut xml = Xml::default();
    xml.list("snapshotSet", snapshots, |xml, snapshot| {
        xml.text("snapshotId", &snapshot.id);
        xml.text("volumeId", &snapshot.volume_id);
        xml.text("status", snapshot.state(now).as_str());
        xml.text("startTime", timestamp(snapshot.begun));
        xml.maybe("completionTime", snapshot.completes.filter(|completes| *completes <= now).map(timestamp));
        xml.text("progress", format_args!("{}%", snapshot.percent(now)));
        xml.text("ownerId", ACCOUNT);
        xml.text("volumeSize", snapshot.size_gib);
        xml.text("description", &snapshot.description);
        xml.text("encrypted", false);
        xml.text("storageTier", "standard");
        tags::write(xml, snapshot.shown_tags(now, &world.lags));
    });
    xml.maybe("nextToken", next);
    Ok(xml)
}
