//! Listings in pages: items in the order of a key, and a cursor that holds the last key given out.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::Problem;

/// The most items of a page.
pub(super) const MOST: usize = 200;
/// As many where nobody says how many.
pub(super) const USUAL: usize = 50;

/// Which page.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// A page of a listing.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Page<T> {
    /// The items.
    pub(super) items: Vec<T>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

impl Paging {
    /// As a query that has more than these says.
    pub(super) fn new(limit: Option<usize>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// At most how many.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            None => Ok(USUAL),
            Some(n) if (1..=MOST).contains(&n) => Ok(n),
            Some(n) => Err(Problem::malformed(format!(
                "`limit` is 1 to {MOST}, not {n}"
            ))),
        }
    }

    /// The key after which the page begins.
    pub(super) fn after(&self) -> Result<Option<String>, Problem> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
        let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        key.map(Some).ok_or_else(|| {
            Problem::malformed("`cursor` is none of ours; give the `next` of a page as it is")
        })
    }

    /// The page of `items`, which are in the order of their keys, each once.
    pub(super) fn page<T>(
        &self,
        items: impl IntoIterator<Item = (String, T)>,
    ) -> Result<Page<T>, Problem> {
        let (limit, after) = (self.limit()?, self.after()?);
        let beyond = |key: &String| after.as_ref().is_none_or(|after| key > after);
        let mut rest = items.into_iter().filter(|(key, _)| beyond(key));
        let mut page = Page {
            items: Vec::new(),
            next: None,
        };
        let mut last = None;
        for (key, item) in rest.by_ref().take(limit) {
            page.items.push(item);
            last = Some(key);
        }
        if rest.next().is_some() {
            page.next = last.map(|key| BASE64_URL_SAFE_NO_PAD.encode(key));
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<(String, u32)> {
        (0..7).map(|n| (format!("k{n}"), n)).collect()
    }

    #[test]
    fn pages_give_every_item_once() {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let paging = Paging {
                limit: Some(3),
                cursor,
            };
            let page = paging.page(items()).unwrap();
            assert!(page.items.len() <= 3);
            seen.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..7).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_added_meanwhile_shifts_nothing() {
        let first = Paging {
            limit: Some(3),
            cursor: None,
        };
        let cursor = first.page(items()).unwrap().next;
        let mut more = items();
        more.insert(0, ("a".to_owned(), 99));
        let second = Paging {
            limit: Some(3),
            cursor,
        };
        assert_eq!(second.page(more).unwrap().items, [3, 4, 5]);
    }

    #[test]
    fn cursors_and_limits_of_others_are_refused() {
        for (limit, cursor) in [(Some(0), None), (Some(MOST + 1), None), (None, Some("?"))] {
            let paging = Paging {
                limit,
                cursor: cursor.map(str::to_owned),
            };
            assert!(paging.page(items()).is_err());
        }
    }
}
