//! Runs of ami-from-instance in virtual time, with everything that can go wrong drawn from a seed.
//!
//! A run has a world of its own: a local EC2, an interpreter of the state machines, and the functions, whose
//! AWS clients reach both in memory. Its [`Plan`] says what it asks for and which [`faults`] strike it. After
//! its end, rules and the sweep go on until nothing is left to do; then the [`check`]s look at what there is.
//! The same plan gives the same trace, byte for byte.

pub mod campaign;
pub mod check;
pub mod coverage;
pub mod faults;
mod functions;
mod people;
mod plan;
mod prepare;
mod replies;
mod report;
mod rest;
mod roles;
mod rules;
mod run;
mod shown;
mod shrink;
mod step_functions;
mod strangers;
mod tasks;
mod template;
mod time;
mod trace;
mod troubles;
mod wire;
mod world;

/// A run makes and drops so many small values that an eighth of its time went there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use self::{
    plan::{Operation, Plan},
    report::{Report, Told},
    run::{Finished, run},
    shrink::shrink,
};
