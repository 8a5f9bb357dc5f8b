//! What others in the account have, some of it with names and tags that look alike.

use ami_from_instance::{model::run::RUN_TAG, operations::instance_state::STOPPED_BY_TAG};
use aws_sdk_ec2::types::InstanceStateName;
use local_ec2::{Ec2, ImageInfo, InstanceInfo, InstanceSpec, SnapshotInfo};

/// Images, snapshots and instances of others, as they were.
#[derive(Debug)]
pub(crate) struct Strangers {
    images: Vec<ImageInfo>,
    snapshots: Vec<SnapshotInfo>,
    instances: Vec<InstanceInfo>,
}

impl Strangers {
    /// Adds them to the world of a run.
    pub(crate) fn add(ec2: &Ec2, run: &str, name: &str) -> Self {
        let other_machine = run.replacen("-lifecycle:", "-lifecycle-2:", 1);
        let images: Vec<_> = [
            ec2.add_foreign_image("run", &[("Team", "chaos")]),
            ec2.add_foreign_image(format!("{name}-fresh-2"), &[(RUN_TAG, "")]),
            ec2.add_foreign_image(format!("{name}0"), &[(RUN_TAG, &other_machine)]),
            ec2.add_foreign_image(format!("{name}1"), &[(RUN_TAG, &format!("{run}1"))]),
            ec2.add_foreign_image(format!("{name}-"), &[("ami-from-instance-run", run)]),
        ]
        .iter()
        .filter_map(|id| ec2.image(id))
        .collect();
        let instance = ec2.add_instance(InstanceSpec::default().tag(RUN_TAG, run));
        let stopped = InstanceSpec::default().state(InstanceStateName::Stopped).tag(STOPPED_BY_TAG, &other_machine);
        let stopped = ec2.add_instance(stopped);
        let of_images = |snapshot: &SnapshotInfo| images.iter().any(|image| image.snapshot_ids.contains(&snapshot.id));
        Self {
            snapshots: ec2.snapshots().into_iter().filter(of_images).collect(),
            instances: [instance, stopped].iter().filter_map(|id| ec2.instance(id)).collect(),
            images,
        }
    }

    /// What of them is not as it was.
    pub(crate) fn changed(&self, ec2: &Ec2) -> Vec<String> {
        let images = self.images.iter().filter(|one| ec2.image(&one.id).as_ref() != Some(one)).map(|one| &one.id);
        let snapshots =
            self.snapshots.iter().filter(|one| ec2.snapshot(&one.id).as_ref() != Some(one)).map(|one| &one.id);
        let instances =
            self.instances.iter().filter(|one| ec2.instance(&one.id).as_ref() != Some(one)).map(|one| &one.id);
        images.chain(snapshots).chain(instances).cloned().collect()
    }
}
