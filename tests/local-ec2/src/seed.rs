//! What is there without any call: from the beginning, or because a test wants it.

mod images;
mod instances;

pub use self::{images::BASE_IMAGE, instances::InstanceSpec};
use crate::world::World;

/// The instance that is there from the beginning.
pub const SEED_INSTANCE: &str = "i-0123456789abcdef0";

/// Adds what is there from the beginning.
pub(crate) fn add_all(world: &mut World) {
    world.add_base_image();
    let web = InstanceSpec::default()
        .id(SEED_INSTANCE)
        .volume("/dev/sdf", 100, "gp3")
        .uefi("QU1aTlVFRkkAAAAA")
        .tag("Name", "web")
        .tag("Team", "platform");
    world.add_instance(web);
}
