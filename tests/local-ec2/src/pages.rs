//! Lists given out page by page.

use crate::{api_error::ApiError, query::Query};

const LARGEST: usize = 1000;
const TOKEN: &str = "after:";

/// The page that a request asks for.
#[derive(Debug)]
pub(crate) struct Page {
    size: Option<usize>,
    after: Option<String>,
}

impl Page {
    /// Takes `MaxResults` (at least `smallest`) and `NextToken`.
    pub(crate) fn take(query: &mut Query, smallest: usize) -> Result<Self, ApiError> {
        let size = query.number::<usize>("MaxResults")?;
        if let Some(size) = size.filter(|size| *size < smallest) {
            let problem = format!(
                "Value ( {size} ) for parameter maxResults is invalid. Expecting a value greater than or equal to {smallest}."
            );
            return Err(ApiError::invalid_value(problem));
        }
        let after = match query.text("NextToken") {
            None => None,
            Some(token) => match token.strip_prefix(TOKEN) {
                Some(key) => Some(key.to_owned()),
                None => return Err(ApiError::invalid_value("Unable to parse pagination token")),
            },
        };
        Ok(Self { size: size.map(|size| size.min(LARGEST)), after })
    }

    /// The page out of all `items`, in the order of their keys, and the token of the next one.
    pub(crate) fn cut<T>(self, items: impl Iterator<Item = T>, key: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        // A token names the last item given out, so that what comes and goes meanwhile moves nothing.
        let after = self.after;
        let mut items: Vec<_> =
            items.map(|item| (key(&item), item)).filter(|(key, _)| Some(key) > after.as_ref()).collect();
        items.sort_by(|(left, _), (right, _)| left.cmp(right));
        let size = self.size.unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let token = items.last().filter(|_| more).map(|(key, _)| format!("{TOKEN}{key}"));
        (items.into_iter().map(|(_, item)| item).collect(), token)
    }
}
