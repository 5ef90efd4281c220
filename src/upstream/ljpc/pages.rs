//! Reading a listing to its end, although it may change while it is read.

use std::{collections::BTreeMap, future::Future};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::upstream::{Endpoint, UpstreamError};

/// How many entries a page is asked to hold: the document's maximum.
pub const PER_PAGE: u32 = 100;

/// The most pages of one listing.
const PAGES_MAX: u32 = 1_000;

/// How often a listing is begun anew when it changed while it was read.
const RESTARTS_MAX: u32 = 3;

/// One page of a listing.
#[derive(Debug)]
pub struct Page<T> {
    /// Its entries.
    pub items: Vec<T>,
    /// How many entries the whole listing has.
    pub total: u64,
    /// How many entries of this page can't be read.
    pub unread: u64,
}

impl<T> Page<T> {
    /// Its entries, or an error if one can't be read: what is absent from a part is not absent.
    pub(super) fn whole(self, endpoint: &'static Endpoint) -> Result<Vec<T>, UpstreamError> {
        if self.unread == 0 {
            return Ok(self.items);
        }
        let detail = format!("{} entries of a page can't be read", self.unread);
        Err(UpstreamError::unclear(endpoint, detail, None, None))
    }
}

/// The entries of a page that can be read, and how many can't.
pub(super) fn readable<T: DeserializeOwned>(entries: &[Box<RawValue>]) -> (Vec<T>, u64) {
    let items: Vec<T> =
        entries.iter().filter_map(|entry| serde_json::from_str(entry.get()).ok()).collect();
    let unread = entries.len().saturating_sub(items.len());
    (items, u64::try_from(unread).unwrap_or(u64::MAX))
}

/// All entries of a listing, each once, in the order of their keys; or an error. Never a part, nor without an entry that
/// can't be read: what is absent from a part is not absent. A listing whose `total` changes, or which does not hold as many
/// distinct entries as it says (an entry that was removed moves another from the next page to this one), is read anew, three
/// times at most.
pub(super) async fn all_pages<T, K, F, E>(
    endpoint: &'static Endpoint,
    mut fetch: impl FnMut(u32) -> F,
    key: impl Fn(&T) -> K,
) -> Result<Vec<T>, E>
where
    K: Ord,
    E: From<UpstreamError>,
    F: Future<Output = Result<Page<T>, E>>,
{
    for _ in 0..=RESTARTS_MAX {
        if let Some(entries) = one_reading(endpoint, &mut fetch, &key).await? {
            return Ok(entries.into_values().collect());
        }
    }
    let detail = format!("the listing changed during each of {} readings", RESTARTS_MAX + 1);
    Err(UpstreamError::unclear(endpoint, detail, None, None).into())
}

/// Reads the listing once; `None` if it changed meanwhile.
async fn one_reading<T, K, F, E>(
    endpoint: &'static Endpoint,
    fetch: &mut impl FnMut(u32) -> F,
    key: &impl Fn(&T) -> K,
) -> Result<Option<BTreeMap<K, T>>, E>
where
    K: Ord,
    E: From<UpstreamError>,
    F: Future<Output = Result<Page<T>, E>>,
{
    let mut entries = BTreeMap::new();
    let mut total = None;
    for number in 1..=PAGES_MAX {
        let page = fetch(number).await?;
        let its_total = page.total;
        let items = page.whole(endpoint)?;
        if *total.get_or_insert(its_total) != its_total {
            return Ok(None);
        }
        let last = items.is_empty();
        for item in items {
            if entries.insert(key(&item), item).is_some() {
                return Ok(None);
            }
        }
        let read = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        if read == its_total {
            return Ok(Some(entries));
        }
        if last || read > its_total {
            return Ok(None);
        }
    }
    let detail = format!("the listing has more than {PAGES_MAX} pages");
    Err(UpstreamError::unclear(endpoint, detail, None, None).into())
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::VecDeque};

    use super::*;

    static LISTING: Endpoint = Endpoint::new("GET /listing");

    /// Serves these pages in this order, and tells which numbers were asked for.
    async fn read(pages: &[(u64, &[i64])]) -> (Result<Vec<i64>, UpstreamError>, Vec<u32>) {
        let script: RefCell<VecDeque<_>> = pages.iter().copied().collect::<VecDeque<_>>().into();
        let asked = RefCell::new(Vec::new());
        let fetch = |number| {
            asked.borrow_mut().push(number);
            let (total, items) =
                script.borrow_mut().pop_front().expect("a page too many asked for");
            async move { Ok(Page { items: items.to_vec(), total, unread: 0 }) }
        };
        let result = all_pages(&LISTING, fetch, |id| *id).await;
        assert!(script.borrow().is_empty(), "not every page was asked for");
        (result, asked.into_inner())
    }

    #[tokio::test]
    async fn pages_are_joined() {
        assert_eq!(read(&[(0, &[])]).await, (Ok(vec![]), vec![1]));
        assert_eq!(read(&[(3, &[1, 2]), (3, &[3])]).await, (Ok(vec![1, 2, 3]), vec![1, 2]));
    }

    #[tokio::test]
    async fn listing_that_changes_is_begun_anew() {
        let changes: [&[(u64, &[i64])]; 4] = [
            // Another total; an entry twice; an end that comes too soon; more than there should be.
            &[(3, &[1, 2]), (4, &[3])],
            &[(3, &[1, 2]), (3, &[2])],
            &[(3, &[1, 2]), (3, &[])],
            &[(1, &[1, 2])],
        ];
        for change in changes {
            let pages = [change, &[(2, &[1, 2])]].concat();
            assert_eq!(read(&pages).await.0, Ok(vec![1, 2]));
        }
    }

    #[tokio::test]
    async fn listing_that_keeps_changing_is_given_up() {
        let nothing: &[i64] = &[];
        let (result, asked) = read(&[(1, nothing); 4]).await;
        assert!(matches!(result, Err(UpstreamError::Unavailable { .. })));
        assert_eq!(asked, [1, 1, 1, 1]);
    }

    #[tokio::test]
    async fn an_entry_that_can_not_be_read_is_not_absent() {
        let fetch = |_| async { Ok(Page { items: vec![1], total: 2, unread: 1 }) };
        let result: Result<Vec<i64>, UpstreamError> = all_pages(&LISTING, fetch, |id| *id).await;
        assert!(matches!(result, Err(UpstreamError::Unavailable { .. })));
        let entries =
            ["7", "\"a\"", "null", "8"].map(|json| RawValue::from_string(json.to_owned()).unwrap());
        assert_eq!(readable::<i64>(&entries), (vec![7, 8], 2));
    }

    #[tokio::test]
    async fn listing_without_end_is_given_up() {
        let mut asked = 0;
        let fetch = |number| {
            asked = number;
            async move { Ok(Page { items: vec![number], total: 1_000_000, unread: 0 }) }
        };
        let result = all_pages(&LISTING, fetch, |id| *id).await;
        assert!(matches!(result, Err(UpstreamError::Unavailable { .. })));
        assert_eq!(asked, PAGES_MAX);
    }
}
