//! ami-from-instance: makes, changes, replaces and deletes an AMI of an EC2 instance.
//!
//! A *run* is one execution of the lifecycle machine. The way through it:
//!
//! 1. [`plan`] reads the request once and lays out a plan of operations, each with its arguments and timeout.
//! 2. The lifecycle machine hands each operation of the plan to a child execution of the operation machine,
//!    a loop that knows operations by name only: it begins, waits and looks.
//! 3. Each call of that loop ([`machine::call`]) is answered ([`machine::answer`]) by the operation's room in
//!    [`operations`].
//! 4. If an operation fails, [`operations::rollback`] undoes what the run's operations did, and says why the
//!    run failed.
//!
//! Beside the machines stand [`events`]: [`events::wake`] brings a look sooner, [`events::ended_run`] and
//! [`events::sweep`] start rollbacks for runs that ended without one.
//!
//! [`model`] has what all of these speak of, [`aws`] how they call AWS, and [`lambda`] what runs them.

pub mod app;
pub mod aws;
pub mod error;
pub mod events;
pub mod lambda;
pub mod machine;
pub mod model;
pub mod operations;
pub mod plan;
pub mod settings;
