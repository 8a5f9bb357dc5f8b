//! The actions upon images.

pub(crate) mod attributes;
pub(crate) mod create;
pub(crate) mod deprecation;
pub(crate) mod deregister;
pub(crate) mod describe;
pub(crate) mod disable;
pub(crate) mod protection;
pub(crate) mod references;
pub(crate) mod register;
pub(crate) mod sharing;
pub(crate) mod watermarks;
