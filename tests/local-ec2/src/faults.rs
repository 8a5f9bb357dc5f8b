//! Faults on demand.

use std::{fmt, sync::Arc, time::Duration};

use crate::query::Parameters;

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// `RequestLimitExceeded`, HTTP 503; nothing is done.
    Throttle,
    /// `Unavailable` for 503, otherwise `InternalError`, HTTP 500; nothing is done.
    ServerError(u16),
    /// The connection is reset without an answer; nothing is done.
    ConnectionReset,
    /// The work is done, and the connection is reset without an answer.
    LostResponse,
    /// The work is done, and the answer is a server error as for [`FaultKind::ServerError`].
    LostResponseAs(u16),
    /// The work is done and answered after this much of the wall's time.
    Slow(Duration),
    /// An error of the client's, such as `UnauthorizedOperation`; nothing is done.
    Refused {
        /// The error's code.
        code: String,
        /// The error's message.
        message: String,
    },
}

type Condition = Arc<dyn Fn(&Parameters) -> bool + Send + Sync>;

/// A rule: which calls go wrong, how often, and how. The first rule that a call meets is the one
/// that counts.
#[derive(Clone)]
pub struct Fault {
    action: Option<String>,
    condition: Option<Condition>,
    skip: usize,
    times: Option<usize>,
    kind: FaultKind,
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("action", &self.action)
            .field("conditional", &self.condition.is_some())
            .field("skip", &self.skip)
            .field("times", &self.times)
            .field("kind", &self.kind)
            .finish()
    }
}

impl Fault {
    /// The next call of `action` goes wrong, once.
    pub fn on(action: impl Into<String>, kind: FaultKind) -> Self {
        Self { action: Some(action.into()), ..Self::on_any(kind) }
    }

    /// The next call goes wrong, whatever its action, once.
    pub fn on_any(kind: FaultKind) -> Self {
        Self { action: None, condition: None, skip: 0, times: Some(1), kind }
    }

    /// Only calls with a parameter whose value contains `text`, such as an id or a name.
    #[must_use]
    pub fn mentioning(self, text: impl Into<String>) -> Self {
        let text = text.into();
        self.when(move |parameters| parameters.values().any(|value| value.contains(&text)))
    }

    /// Only calls whose parameters fulfil `condition`; the latest condition replaces any other.
    #[must_use]
    pub fn when(mut self, condition: impl Fn(&Parameters) -> bool + Send + Sync + 'static) -> Self {
        self.condition = Some(Arc::new(condition));
        self
    }

    /// The first `calls` that meet the rule go well.
    #[must_use]
    pub fn after(mut self, calls: usize) -> Self {
        self.skip = calls;
        self
    }

    /// So many calls go wrong.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    /// Every call goes wrong.
    #[must_use]
    pub fn for_ever(mut self) -> Self {
        self.times = None;
        self
    }

    fn concerns(&self, action: &str, parameters: &Parameters) -> bool {
        self.action.as_ref().is_none_or(|wanted| wanted == action)
            && self.condition.as_ref().is_none_or(|condition| condition(parameters))
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// What goes wrong with this call, if anything; counts it.
    pub(crate) fn strike(&mut self, action: &str, parameters: &Parameters) -> Option<FaultKind> {
        let fault = self.0.iter_mut().find(|fault| fault.times != Some(0) && fault.concerns(action, parameters))?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times = fault.times.map(|times| times - 1);
        Some(fault.kind.clone())
    }
}
