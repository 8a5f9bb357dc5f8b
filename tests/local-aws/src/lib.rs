//! A local AWS for ami-from-instance: the local EC2, MiniStack for the rest, and what deploys the
//! application on them and runs it.

pub mod calls;
pub mod campaign;
pub mod deployment;
pub mod diagram;
pub mod execution;
mod iam;
mod journal;
pub mod ministack;
pub mod prepare;
pub mod release;
pub mod step_functions;
