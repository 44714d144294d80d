//! Text as a configuration, and the one fault that it is to have, with all that is said of it from its beginning on.

use std::path::PathBuf;

use balancer::{config, model::Configuration};

pub(crate) fn parse(text: &str) -> Result<Configuration, String> {
    config::parse(&[(PathBuf::from("x.hcl"), text.to_owned())]).map_err(|errors| errors.to_string())
}

/// `place` is line and column, `wrong` is what the message begins with, `allowed` a part of what it says is.
pub(crate) fn assert_one_fault(text: &str, place: &str, wrong: &str, allowed: &str) {
    let message = parse(text).expect_err(text);
    assert_eq!(message.lines().count(), 1, "{text}\n{message}");
    let rest = message
        .strip_prefix(&format!("x.hcl:{place}: "))
        .unwrap_or_else(|| panic!("not at {place}: {message}"));
    assert!(rest.starts_with(wrong), "{rest}");
    let (_, told) =
        rest.split_once("; allowed: ").unwrap_or_else(|| panic!("not told what is allowed: {rest}"));
    assert!(told.contains(allowed), "{rest}");
}
