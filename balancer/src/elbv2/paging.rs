//! `PageSize` and `Marker`: a marker is the key of the first item of the next page, so that a page begins where the last
//! one ended whatever was made or deleted meanwhile.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{call::shown, failure::ApiFailure, params::Params, xml::Element};

/// Most items of a page.
const MOST: usize = 400;

/// Items of a page, and where the next one begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl<T> Page<T> {
    /// The result with the items of the page as a list, and the marker of the next one where there is one.
    pub(super) fn end(self, result: Element, list: &'static str, element: impl Fn(T) -> Element) -> Element {
        result.list(list, self.items.into_iter().map(element)).text_if("NextMarker", self.next)
    }
}

/// The page that is asked for, of items with keys that are in no more than one item each. They come in the order of
/// their keys.
///
/// # Errors
/// The marker is none that was given.
pub(super) fn page<T>(params: &Params, mut items: Vec<(String, T)>) -> Result<Page<T>, ApiFailure> {
    items.sort_by(|(key, _), (other, _)| key.cmp(other));
    let size = params.text("PageSize").and_then(|size| size.parse().ok()).unwrap_or(MOST).clamp(1, MOST);
    let start = match params.text("Marker") {
        None => 0,
        Some(marker) => {
            let decoded = URL_SAFE_NO_PAD.decode(marker).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let from = decoded.ok_or_else(|| {
                ApiFailure::validation(format!("The marker '{}' is not valid", shown(marker)))
            })?;
            items.partition_point(|(key, _)| *key < from)
        }
    };
    let mut rest = items.into_iter().skip(start);
    let items = rest.by_ref().take(size).map(|(_, item)| item).collect();
    let next = rest.next().map(|(key, _)| URL_SAFE_NO_PAD.encode(key));
    Ok(Page { items, next })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn params(pairs: &[(&str, String)]) -> Params {
        Params::new(
            pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect::<BTreeMap<_, _>>(),
        )
    }

    fn items(keys: &[&str]) -> Vec<(String, String)> {
        keys.iter().map(|key| ((*key).to_owned(), (*key).to_owned())).collect()
    }

    #[test]
    fn pages_hold_everything_once_though_items_come_and_go() {
        let size = || ("PageSize", "2".to_owned());
        let first = page(&params(&[size()]), items(&["d", "a", "c", "b"])).unwrap();
        assert_eq!(first.items, ["a", "b"]);
        let marker = first.next.unwrap();
        let second =
            page(&params(&[size(), ("Marker", marker)]), items(&["a", "b", "bb", "d", "e"])).unwrap();
        assert_eq!(second.items, ["d", "e"]);
        assert_eq!(second.next, None);
    }

    #[test]
    fn a_marker_that_nobody_gave_is_refused() {
        let failure = page(&params(&[("Marker", "%".to_owned())]), items(&["a"])).unwrap_err();
        assert_eq!(failure.code, "ValidationError");
    }
}
