//! The tokens of Tasks that wait for an answer from outside.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::oneshot;

use super::{ServiceError, Shared};
use crate::tasks::TaskError;

const PREFIX: &str = "task-token-";

/// A token that is valid as long as this lives.
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) answer: oneshot::Receiver<Result<Value, TaskError>>,
    shared: Arc<Shared>,
}

impl Drop for Token {
    fn drop(&mut self) {
        self.shared.state().tokens.remove(&self.text);
    }
}

impl Shared {
    pub(crate) fn issue_token(shared: &Arc<Self>) -> Token {
        let (sender, answer) = oneshot::channel();
        let mut state = shared.state();
        state.tokens_issued += 1;
        let text = format!("{PREFIX}{:08}", state.tokens_issued);
        state.tokens.insert(text.clone(), sender);
        Token { text, answer, shared: Arc::clone(shared) }
    }

    pub(crate) fn answer_token(&self, token: &str, answer: Result<Value, TaskError>) -> Result<(), ServiceError> {
        let mut state = self.state();
        if let Some(sender) = state.tokens.remove(token) {
            return sender.send(answer).map_err(|_| ServiceError::TaskTimedOut);
        }
        match token.strip_prefix(PREFIX).and_then(|number| number.parse::<u64>().ok()) {
            Some(number) if (1..=state.tokens_issued).contains(&number) => Err(ServiceError::TaskTimedOut),
            _ => Err(ServiceError::InvalidToken(token.to_owned())),
        }
    }
}
