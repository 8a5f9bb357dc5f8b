//! A local EC2: one account's instances, images and snapshots in one Region, behind the EC2 Query
//! API.
//!
//! It keeps state, takes its (simulated) time, shows changes late, limits requests as EC2 does, and
//! goes wrong on demand. Signatures are not checked.
//!
//! From the bottom up: the `resources` and what all of them are made of (ids, tags, lags); the `world`,
//! which holds them; the `actions`, each of which reads a request and changes the world; the `service`,
//! which takes a [`Request`], lets it go wrong, limits it, calls its action and logs it; and [`Ec2`], the
//! handle on the service, which HTTP reaches through the `server`. No layer knows those above it.

mod account;
mod actions;
mod api_error;
pub mod buckets;
mod calls;
mod clock;
mod ec2;
mod events;
mod faults;
mod filters;
mod ids;
mod inspect;
mod lags;
mod pages;
mod query;
mod resources;
mod seed;
mod server;
mod service;
mod settings;
mod tags;
mod world;
mod xml;

pub use self::{
    account::{ACCOUNT, REGION},
    calls::Call,
    clock::TimeSource,
    ec2::Ec2,
    events::Event,
    faults::{Fault, FaultKind},
    inspect::{ImageInfo, InstanceInfo, SnapshotInfo},
    lags::Lags,
    query::Parameters,
    resources::{
        fate::Fate,
        recycle_bin::{BinResource, BinRule},
        snapshot::Progress,
    },
    seed::{BASE_IMAGE, InstanceSpec, SEED_INSTANCE},
    service::{Reply, Request},
    settings::Settings,
    tags::Tags,
};
