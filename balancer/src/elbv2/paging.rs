//! `PageSize` and `Marker`: a marker is the key of the first item of the next page, so that a page begins where the last
//! one ended whatever was made or deleted meanwhile. It names its operation, too: a key of another one's would skip items
//! without a word.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    call::{OperationCall, shown},
    failure::ApiFailure,
    params::Params,
    xml::Element,
};

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
/// The marker is none that this operation gave.
pub(super) fn page<T>(call: &OperationCall<'_>, items: Vec<(String, T)>) -> Result<Page<T>, ApiFailure> {
    page_of(call.action, call.params, items)
}

fn page_of<T>(action: &str, params: &Params, mut items: Vec<(String, T)>) -> Result<Page<T>, ApiFailure> {
    items.sort_by(|(key, _), (other, _)| key.cmp(other));
    let size = params.text("PageSize").and_then(|size| size.parse().ok()).unwrap_or(MOST).clamp(1, MOST);
    let start = match params.text("Marker") {
        None => 0,
        Some(marker) => {
            let from = key_in(marker, action).ok_or_else(|| {
                let message = format!("The marker '{}' is not valid for {action}", shown(marker));
                ApiFailure::validation(message)
            })?;
            items.partition_point(|(key, _)| *key < from)
        }
    };
    let mut rest = items.into_iter().skip(start);
    let items = rest.by_ref().take(size).map(|(_, item)| item).collect();
    let next = rest.next().map(|(key, _)| URL_SAFE_NO_PAD.encode(format!("{action} {key}")));
    Ok(Page { items, next })
}

/// The key in a marker that an operation gave.
fn key_in(marker: &str, action: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok()?;
    text.strip_prefix(action)?.strip_prefix(' ').map(str::to_owned)
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
        let first = page_of("A", &params(&[size()]), items(&["d", "a", "c", "b"])).unwrap();
        assert_eq!(first.items, ["a", "b"]);
        let marker = first.next.unwrap();
        let given = params(&[size(), ("Marker", marker)]);
        let second = page_of("A", &given, items(&["a", "b", "bb", "d", "e"])).unwrap();
        assert_eq!(second.items, ["d", "e"]);
        assert_eq!(second.next, None);
    }

    #[test]
    fn a_marker_that_nobody_gave_or_another_operation_is_refused() {
        let first = page_of("A", &params(&[("PageSize", "1".to_owned())]), items(&["a", "b"])).unwrap();
        let marker = params(&[("Marker", first.next.unwrap())]);
        assert_eq!(page_of("A", &marker, items(&["a", "b"])).unwrap().items, ["b"]);
        for action in ["AB", "B"] {
            assert_eq!(page_of(action, &marker, items(&["a", "b"])).unwrap_err().code, "ValidationError");
        }
        for forged in
            ["%".to_owned(), "YQ".to_owned(), URL_SAFE_NO_PAD.encode("b"), URL_SAFE_NO_PAD.encode("A")]
        {
            let failure = page_of("A", &params(&[("Marker", forged)]), items(&["a"])).unwrap_err();
            assert_eq!(failure.code, "ValidationError");
        }
    }
}
