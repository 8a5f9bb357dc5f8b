//! The actions upon instances.

pub(crate) mod attributes;
pub(crate) mod describe;
pub(crate) mod power;
pub(crate) mod run;
mod state;
