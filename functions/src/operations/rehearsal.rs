//! A dry run: each operation says what it would do, and asks EC2 whether its function may.
//!
//! Every call that would change something is sent with DryRun, by the function and the role that would make it. EC2
//! then answers with an error that says whether the role may. Whether the arguments are right it does not promise.

use std::fmt::{self, Display};

use aws_sdk_ec2::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents, http::HttpResponse,
        interceptors::BeforeTransmitInterceptorContextRef as Context,
    },
    error::{BoxError, ProvideErrorMetadata, SdkError},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Room;
use crate::{
    app::App,
    aws::error_codes::{self, DRY_RUN},
    error::Error,
    machine::answer::Answer,
};

/// What a dry run gives, up to and with one of its operations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rehearsal {
    /// The names of the images that it would make.
    pub names: Vec<String>,
    /// Whether EC2 would reboot the instance.
    pub reboots: bool,
    /// Whether the run would stop the instance, and start it again.
    pub stops: bool,
    /// Every call that would change something.
    pub would_do: Vec<Asked>,
    /// The images that would be changed, and in which fields of the request.
    pub would_change: Vec<Changed>,
    /// The ids of the images and snapshots that would be deleted.
    pub would_delete: Vec<String>,
    /// Those that would be kept.
    pub would_keep: Vec<Kept>,
}

/// A call, and whether it is allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The operation that would make it.
    pub operation: String,
    /// The action, as IAM spells it.
    pub call: String,
    /// The ids of what it is about.
    pub on: Vec<String>,
    /// Whether it is allowed.
    pub verdict: Verdict,
    /// What AWS said, or why nobody knows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// Whether a call is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// The role may make it.
    Allowed,
    /// It may not.
    Denied,
    /// It cannot be found out.
    Unknown,
}

/// An image that would be changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// The image.
    pub image_id: String,
    /// The request's fields.
    pub fields: Vec<String>,
}

/// Something that would be kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The image or snapshot.
    pub id: String,
    /// Why.
    pub because: String,
}

/// Where a plan's operation stands in a dry run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DryRun {
    /// Others follow.
    Continues,
    /// It is the last one: where a call is denied, the run fails.
    Concludes,
}

/// What EC2 is asked about, in place of what the operation would call it for.
#[derive(Clone, Copy, Debug)]
enum About {
    /// The thing itself.
    Itself,
    /// The thing itself, which the role may touch only once a run has put its tag on it.
    NotYetTagged,
    /// An image that stands for one that is not made yet.
    Another,
}

/// What asks for the operation that is rehearsed.
#[derive(Debug)]
pub struct Rehearsing<'a> {
    operation: &'static str,
    about: About,
    given: &'a mut Rehearsal,
}

impl<'a> Rehearsing<'a> {
    fn new(operation: &'static str, given: &'a mut Rehearsal) -> Self {
        Self { operation, about: About::Itself, given }
    }

    /// The same, for a part of the operation.
    pub(crate) fn again(&mut self) -> Rehearsing<'_> {
        self.about(self.about)
    }

    /// The same, where the role may make the call only once a run has put its tag on: until then, a denial says nothing.
    pub(crate) fn before_it_is_tagged(&mut self) -> Rehearsing<'_> {
        self.about(About::NotYetTagged)
    }

    /// The same, of an image that stands for one that is not made yet.
    pub(crate) fn about_another(&mut self) -> Rehearsing<'_> {
        self.about(About::Another)
    }

    fn about(&mut self, about: About) -> Rehearsing<'_> {
        Rehearsing { operation: self.operation, about, given: self.given }
    }

    /// What the dry run gives.
    pub(crate) fn given(&mut self) -> &mut Rehearsal {
        self.given
    }

    /// Notes whether a call may be made, by EC2's answer to it with DryRun.
    pub(crate) fn ask<T, E>(
        &mut self,
        call: &'static str,
        on: &[&str],
        answer: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<(), Error>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let (verdict, why) = verdict(call, answer)?;
        match (self.about, verdict) {
            (About::NotYetTagged, Verdict::Denied) => {
                self.cannot_tell(call, on, "the role may only once the run has put its tag on the instance");
            }
            (About::Another, _) if why.is_empty() => {
                self.note(call, on, verdict, "asked about an earlier image of this stack".to_owned());
            }
            _ => self.note(call, on, verdict, why),
        }
        Ok(())
    }

    /// Notes a call about which EC2 cannot be asked.
    pub(crate) fn cannot_tell(&mut self, call: &'static str, on: &[&str], why: impl Display) {
        self.note(call, on, Verdict::Unknown, why.to_string());
    }

    fn note(&mut self, call: &str, on: &[&str], verdict: Verdict, why: String) {
        let (operation, call) = (self.operation.to_owned(), call.to_owned());
        let on = on.iter().map(|id| (*id).to_owned()).collect();
        self.given.would_do.push(Asked { operation, call, on, verdict, why });
    }
}

fn verdict<T, E>(call: &'static str, answer: Result<T, SdkError<E, HttpResponse>>) -> Result<(Verdict, String), Error>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let error = match answer {
        Ok(_) => {
            let message = "the endpoint is not EC2's: it did what it was only asked about with DryRun".to_owned();
            return Err(Error::CallRefused { action: call.to_owned(), message });
        }
        Err(error) if error_codes::code(&error) == Some(DRY_RUN) => return Ok((Verdict::Allowed, String::new())),
        Err(error) => error_codes::unexpected(call, &error),
    };
    match error {
        error if error.is_to_be_retried() => Err(error),
        Error::NotAuthorized { message, .. } => Ok((Verdict::Denied, message)),
        error => Ok((Verdict::Unknown, error.to_string())),
    }
}

/// Rehearses an operation of a plan, and answers with all that the dry run gives so far.
///
/// # Errors
///
/// Only what the machine is to retry.
pub(super) async fn answer(app: &App, room: &Room, mut call: Value, dry_run: DryRun) -> Result<Value, Error> {
    let app = App { ec2: without_changes(&app.ec2), ..app.clone() };
    let results = call.get("results").cloned().unwrap_or_default();
    let mut given: Rehearsal = serde_json::from_value(results)
        .map_err(|error| Error::invalid("results", format!("must be those of a dry run: {error}")))?;
    call["arguments"] = call["rehearsed"].take();
    let rehearsed = (room.rehearse)(&app, call, Rehearsing::new(room.name, &mut given)).await;
    let refused = match rehearsed {
        Ok(()) => denied(&given).filter(|_| dry_run == DryRun::Concludes),
        Err(error) if error.is_to_be_retried() => return Err(error),
        Err(error) => Some(error),
    };
    let memory = Value::Object(serde_json::Map::new());
    let answer = match refused {
        Some(error) => Answer::failed(error, memory),
        None => Answer::succeeded(given, "nothing was changed", memory),
    };
    serde_json::to_value(answer).map_err(|error| Error::invalid("answer", error.to_string()))
}

/// Every call that is denied, in one error.
fn denied(given: &Rehearsal) -> Option<Error> {
    let mut denied = given.would_do.iter().filter(|asked| asked.verdict == Verdict::Denied);
    let first = denied.next()?;
    let more: String = denied.map(|asked| format!("; {asked}")).collect();
    let on = first.on.join(", ");
    Some(Error::NotAuthorized { action: first.call.clone(), message: format!("on {on}: {}{more}", first.why) })
}

impl Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}: {}", self.call, self.on.join(", "), self.why)
    }
}

/// A client that sends no call which changes something, but with DryRun.
fn without_changes(client: &Client) -> Client {
    Client::from_conf(client.config().to_builder().interceptor(NothingChanges).build())
}

#[derive(Debug)]
struct NothingChanges;

impl Intercept for NothingChanges {
    fn name(&self) -> &'static str {
        "NothingChanges"
    }

    fn read_before_transmit(
        &self,
        context: &Context<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.request().body().bytes().unwrap_or_default();
        let mut fields = body.split(|byte| *byte == b'&');
        let looks = |field: &[u8]| field.starts_with(b"Action=Describe") || field.starts_with(b"Action=List");
        if fields.any(|field| looks(field) || field == b"DryRun=true") {
            return Ok(());
        }
        Err("a dry run changes nothing".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_that_is_denied_is_in_the_error() {
        let asked = |call: &str, verdict| Asked {
            operation: "create".to_owned(),
            call: call.to_owned(),
            on: vec!["i-1".to_owned()],
            verdict,
            why: "no".to_owned(),
        };
        let would_do =
            vec![asked("ec2:A", Verdict::Denied), asked("ec2:B", Verdict::Unknown), asked("ec2:C", Verdict::Denied)];
        let error = denied(&Rehearsal { would_do, ..Rehearsal::default() }).unwrap();
        assert_eq!(error.to_string(), "ec2:A is not allowed: on i-1: no; ec2:C on i-1: no");
        assert_eq!(denied(&Rehearsal::default()), None);
    }
}
