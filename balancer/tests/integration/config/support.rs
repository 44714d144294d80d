//! Text as a configuration, and the one fault that it is to have.

use std::path::PathBuf;

use balancer::{config, model::Configuration};

pub(crate) fn parse(text: &str) -> Result<Configuration, String> {
    config::parse(&[(PathBuf::from("x.hcl"), text.to_owned())]).map_err(|errors| errors.to_string())
}

/// `place` is line and column, `wrong` and `allowed` are parts of what is said before and after `allowed: `.
pub(crate) fn assert_one_fault(text: &str, place: &str, wrong: &str, allowed: &str) {
    let faults = parse(text).expect_err(text);
    assert_eq!(faults.lines().count(), 1, "{faults}\n{text}");
    let message =
        faults.strip_prefix(&format!("x.hcl:{place}: ")).unwrap_or_else(|| panic!("{faults}\n{text}"));
    let (said, allowed_said) = message.split_once("allowed: ").unwrap_or_else(|| panic!("{faults}"));
    assert!(said.contains(wrong) && allowed_said.contains(allowed), "{faults}");
}
