//! The actions that give lists in pages.

use std::cmp::Reverse;

use super::{Engine, Page};
use crate::{
    execution::{Execution, Record, Status},
    executions::ServiceError,
    history::HistoryEvent,
};

impl Engine {
    /// ListExecutions: the newest first, those that run by the time of their start, those that have ended by
    /// the time of their end.
    ///
    /// # Errors
    ///
    /// There is no such machine, or the token is not one of a page before.
    pub fn list_executions(
        &self,
        machine: &str,
        status: Option<Status>,
        max_results: Option<usize>,
        next_token: Option<&str>,
    ) -> Result<Page<Execution>, ServiceError> {
        let (now, state) = (self.shared.now_millis(), self.shared.state());
        if !state.machines.contains_key(machine) {
            return Err(ServiceError::StateMachineDoesNotExist(machine.to_owned()));
        }
        let listed = |record: &&Record| {
            record.described.machine == machine
                && status.is_none_or(|status| status == record.described.status)
                && !record.is_forgotten(now)
        };
        let mark = |record: &Record| if record.ended > 0 { record.ended } else { record.started };
        let mut found: Vec<(u64, &Record)> =
            state.executions.values().filter(listed).map(|record| (mark(record), record)).collect();
        found.sort_by_key(|(mark, _)| Reverse(*mark));
        let found = found.into_iter().map(|(mark, record)| (mark, record.described.clone()));
        Page::of(found, max_results, next_token, |mark, last| mark < last)
    }

    /// GetExecutionHistory.
    ///
    /// # Errors
    ///
    /// There is no such execution, or the token is not one of a page before.
    pub fn get_execution_history(
        &self,
        arn: &str,
        reverse_order: bool,
        max_results: Option<usize>,
        next_token: Option<&str>,
    ) -> Result<Page<HistoryEvent>, ServiceError> {
        self.shared.look_up(arn, |record| {
            let ids = record.history.iter().enumerate().map(|(before, event)| (before as u64 + 1, event));
            let events = ids.map(|(id, (at, event))| (id, move || HistoryEvent::of(id, *at, event)));
            let page = if reverse_order {
                Page::of(events.rev(), max_results, next_token, |mark, last| mark < last)
            } else {
                Page::of(events, max_results, next_token, |mark, last| mark > last)
            }?;
            Ok(Page { items: page.items.into_iter().map(|shown| shown()).collect(), next_token: page.next_token })
        })?
    }
}
