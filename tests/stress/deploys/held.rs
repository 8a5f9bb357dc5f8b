//! Runs that a deploy finds in a state, and how they are to end.

use std::time::SystemTime;

use ami_from_instance::model::run::RUN_TAG;
use local_aws::{
    deployment::Deployment,
    execution::{Entered, Execution, Outcome},
};

use super::comes_to_pass;

/// A run that the deploy finds in a state, and how it is to end.
pub(crate) struct Held {
    pub(crate) run: Execution,
    pub(crate) operation: &'static str,
    pub(crate) state: &'static str,
    /// None if it succeeds.
    pub(crate) error: Option<&'static str>,
    /// How many images it leaves, with a snapshot each.
    pub(crate) images: usize,
    /// The image that it deletes.
    pub(crate) gone: Option<String>,
}

impl Held {
    /// What the run and its operations have entered so far.
    fn entered(&self, aws: &Deployment) -> Vec<Entered> {
        self.run.entered(aws.output("OperationMachineArn")).unwrap()
    }

    /// Waits until it has come to its state.
    pub(crate) async fn comes(&self, aws: &Deployment) {
        let comes = self.state.is_empty() || self.comes_to(aws, self.operation, self.state).await;
        assert!(comes, "{}: {:?}", self.run.name(), self.entered(aws));
    }

    /// Waits until an operation of it has come to a state.
    pub(crate) async fn comes_to(&self, aws: &Deployment, operation: &str, state: &str) -> bool {
        let is_it = |one: &Entered| one.operation == operation && one.state == state;
        comes_to_pass(async || self.entered(aws).iter().any(is_it)).await
    }

    fn is_at(&self, entered: &Entered) -> bool {
        entered.operation == self.operation && entered.state == self.state
    }

    /// Whether it was in its state at some time between two moments.
    pub(crate) fn was_there(&self, aws: &Deployment, from: SystemTime, to: SystemTime) -> bool {
        let at = |one: &Entered| SystemTime::try_from(one.at).unwrap();
        let is_between = |of_one: &[Entered]| {
            let leaves = of_one.iter().skip(1).map(at).chain([SystemTime::now()]);
            of_one.iter().zip(leaves).any(|(one, leaves)| self.is_at(one) && at(one) <= to && leaves >= from)
        };
        let entered = self.entered(aws);
        self.state.is_empty() || entered.chunk_by(|one, next| one.execution == next.execution).any(is_between)
    }

    pub(crate) async fn assert_ends_as_if_no_deploy_had_come(&self, aws: &Deployment) {
        let (name, outcome) = (self.run.name(), self.run.wait().await.unwrap());
        match (&outcome, self.error) {
            (Outcome::Succeeded(_), None) => {}
            (Outcome::Ended { error, .. }, Some(expected)) => assert_eq!(error, expected, "{name}: {outcome:?}"),
            _ => panic!("{name}: {outcome:?}"),
        }
        // Nobody waits for the rollback of an aborted run.
        let left = || {
            (
                aws.ec2.images_tagged(RUN_TAG, &self.run.arn).len(),
                aws.ec2.snapshots_tagged(RUN_TAG, &self.run.arn).len(),
            )
        };
        if self.state.is_empty() {
            comes_to_pass(async || left() == (0, 0)).await;
        }
        assert_eq!(left(), (self.images, self.images), "{name}");
        assert!(self.gone.as_ref().is_none_or(|image| aws.ec2.image(image).is_none()), "{name}");
    }
}
