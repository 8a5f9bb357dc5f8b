//! Lists in pages.

use crate::{executions::ServiceError, limits};

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What stands on it.
    pub items: Vec<T>,
    /// Leads to the next page, if there is one.
    pub next_token: Option<String>,
}

impl<T> Page<T> {
    /// Takes a page off a list, each of whose items has a mark. A page begins after the item whose mark is in
    /// the token, wherever that now stands, so that items that come or go do not shift pages.
    pub(super) fn of(
        items: impl Iterator<Item = (u64, T)>,
        max_results: Option<usize>,
        next_token: Option<&str>,
        comes_after: impl Fn(u64, u64) -> bool,
    ) -> Result<Self, ServiceError> {
        let last = match next_token {
            None => None,
            Some(token) => {
                let mark = token.strip_prefix("after-").and_then(|mark| mark.parse().ok());
                Some(mark.ok_or_else(|| ServiceError::InvalidToken(token.to_owned()))?)
            }
        };
        let length = max_results.filter(|most| *most > 0).unwrap_or(limits::DEFAULT_PAGE).min(limits::PAGE);
        let mut rest = items.filter(|(mark, _)| last.is_none_or(|last| comes_after(*mark, last))).peekable();
        let (mut page, mut mark) = (Vec::new(), 0);
        while page.len() < length
            && let Some((at, item)) = rest.next()
        {
            mark = at;
            page.push(item);
        }
        let next_token = rest.peek().map(|_| format!("after-{mark}"));
        Ok(Self { items: page, next_token })
    }
}
