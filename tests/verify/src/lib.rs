//! Proves a deployment in an AWS account: that every promise holds there, and that AWS is as the tests take it to be.

pub mod aws;
pub mod cleanup;
pub mod command;
pub mod ec2;
mod empty_snapshot;
pub mod image;
pub mod instance;
pub mod look;
pub mod net;
pub mod probes;
pub mod proof;
pub mod recording;
pub mod recycle_bin;
pub mod report;
pub mod run;
pub mod scene;
pub mod stack;
pub mod world;
