//! The domain of ami-from-instance: what each Lambda function of the application does.
//!
//! A *run* is one execution of the lifecycle machine. It reads the request ([`read_request`]) and
//! hands every operation to a child execution of the operation machine, a loop that calls two
//! functions: one to begin ([`start_create`], [`start_update`], [`cleanup`]) and one to look again
//! ([`check_status`], or the same one, where beginning twice is harmless). Each answer is a
//! [`step::Step`]: it is merged into the loop's document and comes back with the next call.
//!
//! [`wake`] makes a look come sooner when an event tells of an image's end, and [`start_rollback`]
//! starts a rollback for runs that ended without one.

pub mod attributes;
pub mod aws;
pub mod aws_error;
pub mod check_status;
pub mod cleanup;
pub mod ec2;
pub mod error;
pub mod event;
pub mod ids;
mod image_name;
pub mod image_state;
pub mod lambda;
pub mod limits;
mod metrics;
pub mod pace;
pub mod read_request;
pub mod request;
pub mod run;
pub mod settings;
pub mod source_instance;
pub mod start_create;
pub mod start_rollback;
pub mod start_update;
pub mod step;
pub mod tags;
pub mod trust;
pub mod wake;
