//! A local AWS for ami-from-instance: a model of EC2, MiniStack for the rest, and what deploys the
//! application on them and runs it.

pub mod chaos;
pub mod cost;
pub mod deployment;
pub mod ec2;
pub mod execution;
pub mod ministack;
pub mod picture;
pub mod prepare;
pub mod simulation;
pub mod step_functions;
