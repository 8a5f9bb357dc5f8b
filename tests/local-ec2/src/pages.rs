//! Lists given out page by page.

use std::{collections::BTreeMap, ops::Bound};

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
        Self::take_named(query, "MaxResults", smallest)
    }

    /// The same where a service calls the page's size otherwise.
    pub(crate) fn take_named(query: &mut Query, name: &str, smallest: usize) -> Result<Self, ApiError> {
        let size = query.number::<usize>(name)?;
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

    /// What follows the page before, out of all items by their keys.
    pub(crate) fn rest<'a, T>(&self, all: &'a BTreeMap<String, T>) -> impl Iterator<Item = &'a T> + use<'a, T> {
        let after = self.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        all.range((after, Bound::Unbounded)).map(|(_, item)| item)
    }

    /// Whether an item of this key follows the page before.
    pub(crate) fn is_to_come(&self, key: &str) -> bool {
        self.after.as_ref().is_none_or(|after| after.as_str() < key)
    }

    /// The page out of `items`, which come in the order of their keys, and the token of the next one. The
    /// page is cut first and what the filter does not admit is left out then, as EC2 does it: a page may
    /// be empty and not be the last one.
    pub(crate) fn cut<T>(
        &self,
        items: impl Iterator<Item = T>,
        key: impl Fn(&T) -> String,
        admits: impl Fn(&T) -> bool,
    ) -> (Vec<T>, Option<String>) {
        let mut items = items.peekable();
        let mut admitted = Vec::new();
        let mut left = self.size;
        while let Some(item) = items.next() {
            left = left.map(|left| left - 1);
            // A token names the last item of its page, so that what comes and goes meanwhile moves nothing.
            let next = (left == Some(0) && items.peek().is_some()).then(|| format!("{TOKEN}{}", key(&item)));
            if admits(&item) {
                admitted.push(item);
            }
            if next.is_some() {
                return (admitted, next);
            }
        }
        (admitted, None)
    }

    /// Refuses pages together with ids, as EC2 does for instances and snapshots.
    pub(crate) fn check_ids(&self, ids: &[String], set: &str) -> Result<(), ApiError> {
        if self.size.is_none() || ids.is_empty() {
            return Ok(());
        }
        let problem = format!("The parameter {set} cannot be used with the parameter maxResults");
        Err(ApiError::new("InvalidParameterCombination", problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_cut_before_it_is_filtered() {
        let items: BTreeMap<String, u32> = (1..=7).map(|number| (number.to_string(), number)).collect();
        let page = |size: usize, after: Option<&str>| {
            let page = Page { size: Some(size), after: after.map(str::to_owned) };
            page.cut(page.rest(&items), |number| number.to_string(), |number| **number == 7)
        };
        assert_eq!(page(3, None), (vec![], Some("after:3".to_owned())));
        assert_eq!(page(3, Some("3")), (vec![], Some("after:6".to_owned())));
        assert_eq!(page(3, Some("6")), (vec![&7], None));
        assert_eq!(page(7, None), (vec![&7], None));
    }
}
