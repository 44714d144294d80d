//! Tags of resources: how many there may be, and which.

use std::collections::BTreeMap;

use super::{call::shown, failure::ApiFailure, params::Params, xml::Element};

/// Most tags of a resource (ALB: quotas).
pub(super) const MAX_TAGS: usize = 50;

/// The tags that are given.
///
/// # Errors
/// A key comes twice, is kept for AWS, or they are too many.
pub(super) fn given(params: &Params) -> Result<BTreeMap<String, String>, ApiFailure> {
    let mut tags = BTreeMap::new();
    for tag in params.list("Tags") {
        let key = tag.text("Key").unwrap_or_default().to_owned();
        if key.to_ascii_lowercase().starts_with("aws:") {
            let message = format!("The tag key '{}' begins with 'aws:', which is kept for AWS", shown(&key));
            return Err(ApiFailure::validation(message));
        }
        let quoted = shown(&key);
        if tags.insert(key, tag.text("Value").unwrap_or_default().to_owned()).is_some() {
            let message = format!("The tag key '{quoted}' was specified more than once");
            return Err(ApiFailure::new("DuplicateTagKeys", message));
        }
    }
    within_limit(&tags)?;
    Ok(tags)
}

/// Whether a resource may have as many tags.
///
/// # Errors
/// They are too many.
pub(super) fn within_limit(tags: &BTreeMap<String, String>) -> Result<(), ApiFailure> {
    if tags.len() <= MAX_TAGS {
        return Ok(());
    }
    Err(ApiFailure::new(
        "TooManyTags",
        format!("A resource can have up to {MAX_TAGS} tags; these are {}", tags.len()),
    ))
}

/// Tags as they are told.
pub(super) fn elements(tags: &BTreeMap<String, String>) -> Vec<Element> {
    tags.iter().map(|(key, value)| Element::new("member").text("Key", key).text("Value", value)).collect()
}
