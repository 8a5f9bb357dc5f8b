//! Everything there is. What a call may do to it is in `actions`.

mod images;
mod instances;
pub(crate) mod snapshots;
mod tags;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::SystemTime,
};

use crate::{
    clock::Clock,
    faults::Faults,
    ids::Ids,
    lags::Lags,
    resources::{
        fate::Fate,
        image::Image,
        instance::Instance,
        network::Network,
        recycle_bin::RecycleBin,
        referrer::Referrers,
        snapshot::{Progress, Snapshot},
    },
    settings::Settings,
};

/// The account's part of one Region.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) lags: Lags,
    pub(crate) progress: Progress,
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) images: BTreeMap<String, Image>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    pub(crate) network: Network,
    pub(crate) referrers: Referrers,
    /// The reservation that RunInstances made for each client token.
    pub(crate) launch_tokens: HashMap<String, String>,
    /// How many snapshots have lost their image.
    pub(crate) snapshots_released: u64,
    /// When the tags of each resource were last changed.
    tagged: HashMap<String, SystemTime>,
    /// How many images of an instance may be made at once without a reboot.
    pub(crate) most_without_reboot: usize,
    pub(crate) recycle_bin: RecycleBin,
    fates: HashMap<String, VecDeque<Fate>>,
    /// The instances of whose next image's end nobody will be told.
    pub(crate) untold: BTreeSet<String>,
    /// What goes wrong, also with what EC2 does by itself in a caller's name.
    pub(crate) faults: Faults,
}

impl World {
    /// A world without anything in it.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            clock: Clock::new(settings.time.clone(), settings.speed),
            ids: Ids::new(settings.seed),
            lags: settings.lags.clone(),
            progress: settings.progress,
            instances: BTreeMap::new(),
            images: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            network: Network::default(),
            referrers: Referrers::default(),
            launch_tokens: HashMap::new(),
            snapshots_released: settings.seed,
            tagged: HashMap::new(),
            most_without_reboot: settings.images_without_reboot,
            recycle_bin: RecycleBin::default(),
            fates: HashMap::new(),
            untold: BTreeSet::new(),
            faults: Faults::default(),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(crate) fn plan(&mut self, instance_id: String, fate: Fate) {
        self.fates.entry(instance_id).or_default().push_back(fate);
    }

    pub(crate) fn next_fate(&mut self, instance_id: &str) -> Option<Fate> {
        self.fates.get_mut(instance_id)?.pop_front()
    }
}
