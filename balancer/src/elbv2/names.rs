//! What names of resources may be, and words that several operations say.

use super::{call::shown, failure::ApiFailure, records::RecordOwner};

/// Longest name of a load balancer, group or trust store.
const LONGEST: usize = 32;

/// Whether a name may be that of a load balancer or a group; `what` begins the message.
///
/// # Errors
/// It may not.
pub(super) fn check(what: &str, name: &str) -> Result<(), ApiFailure> {
    let quoted = shown(name);
    let why = if name.chars().count() > LONGEST {
        format!("cannot be longer than '{LONGEST}' characters")
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        "can only contain characters that are alphanumeric characters or hyphens(-)".to_owned()
    } else if name.is_empty() {
        "cannot be empty".to_owned()
    } else if name.starts_with('-') || name.ends_with('-') {
        "cannot begin or end with '-'".to_owned()
    } else {
        return Ok(());
    };
    Err(ApiFailure::validation(format!("{what} '{quoted}' {why}")))
}

/// Whether as many may be asked for in one call.
///
/// # Errors
/// They are too many.
pub(super) fn at_most(what: &str, most: usize, given: usize) -> Result<(), ApiFailure> {
    if given <= most {
        return Ok(());
    }
    Err(ApiFailure::validation(format!("Up to {most} {what} can be specified in one call; {given} are")))
}

/// What is said behind a message on a resource of a file.
pub(super) fn of_file(owner: &RecordOwner) -> String {
    match owner {
        RecordOwner::Api => String::new(),
        RecordOwner::File(file) => format!(": it is written in {}", shown(file)),
    }
}
