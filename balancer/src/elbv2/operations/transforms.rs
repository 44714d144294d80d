//! Transforms of rules: read, checked, and told (ALB: transforms for listener rules).

use crate::{
    elbv2::{call::shown, failure::ApiFailure, params::Params, records::TransformRecord, xml::Element},
    rules::{check_regex, check_replacement},
};

/// Longest expression and replacement.
const MOST: usize = 1024;

fn config_of(kind: &str) -> &'static str {
    if kind == "host-header-rewrite" { "HostHeaderRewriteConfig" } else { "UrlRewriteConfig" }
}

/// Reads the transforms of a rule.
///
/// # Errors
/// They cannot be so.
pub(super) fn read(members: &[Params]) -> Result<Vec<TransformRecord>, ApiFailure> {
    let mut transforms: Vec<TransformRecord> = Vec::new();
    for member in members {
        let kind = member.text("Type").unwrap_or_default().to_owned();
        if transforms.iter().any(|earlier| earlier.kind == kind) {
            return Err(ApiFailure::validation(format!("A rule can only have one '{kind}' transform")));
        }
        let own = config_of(&kind);
        if let Some(other) = ["HostHeaderRewriteConfig", "UrlRewriteConfig"]
            .into_iter()
            .find(|other| *other != own && !member.part(other).is_empty())
        {
            return Err(ApiFailure::validation(format!(
                "A transform of type '{kind}' cannot have a {other}"
            )));
        }
        let rewrites = member.part(own).list("Rewrites");
        let [rewrite] = rewrites.as_slice() else {
            return Err(ApiFailure::validation(format!(
                "A transform of type '{kind}' must have one rewrite in {own}"
            )));
        };
        let text = |name: &str| rewrite.given(name).unwrap_or_default().to_owned();
        let (regex, replace) = (text("Regex"), text("Replace"));
        check(&regex, &replace)?;
        transforms.push(TransformRecord { kind, rewrites: vec![(regex, replace)] });
    }
    Ok(transforms)
}

fn check(regex: &str, replace: &str) -> Result<(), ApiFailure> {
    let quoted = shown(regex);
    let wrong = |why: String| Err(ApiFailure::validation(why));
    if regex.chars().count() > MOST || replace.chars().count() > MOST {
        return wrong(format!("Regex and Replace of a rewrite can have up to '{MOST}' characters"));
    }
    if let Err(why) = check_regex(regex) {
        return wrong(format!("The regular expression '{quoted}' of a rewrite is not valid: it {why}"));
    }
    if let Err(group) = check_replacement(regex, replace) {
        return wrong(format!("Replace of a rewrite names group {group}, which '{quoted}' has not"));
    }
    if !replace.bytes().all(|byte| byte.is_ascii_graphic()) {
        return wrong("Replace of a rewrite can have visible ASCII characters without spaces".to_owned());
    }
    Ok(())
}

/// Transforms as they are told.
pub(super) fn elements(transforms: &[TransformRecord]) -> Vec<Element> {
    let rewrite = |(regex, replace): &(String, String)| {
        Element::new("member").text("Regex", regex).text("Replace", replace)
    };
    let element = |transform: &TransformRecord| {
        let config =
            Element::new(config_of(&transform.kind)).list("Rewrites", transform.rewrites.iter().map(rewrite));
        Element::new("member").text("Type", &transform.kind).with(config)
    };
    transforms.iter().map(element).collect()
}
