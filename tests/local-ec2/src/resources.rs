//! What an account has: instances, images and snapshots, each as it is by itself.

pub(crate) mod fate;
pub(crate) mod grantee;
pub(crate) mod image;
pub(crate) mod instance;
pub(crate) mod lock;
pub(crate) mod machine;
pub(crate) mod network;
pub(crate) mod power;
pub(crate) mod protection;
pub(crate) mod recycle_bin;
pub(crate) mod referrer;
pub(crate) mod snapshot;
