//! Whether what was made through the API leads to what is there: files may have lost it meanwhile. Must not know: what stands in a
//! block.

use super::made::MadeRecords;
use crate::elbv2::{
    arn::{ArnKind, name_in},
    call::shown,
    failure::ApiFailure,
    usage::groups_of,
};

/// Most references that are told of.
const TOLD: usize = 10;

/// Whether every reference leads somewhere.
///
/// # Errors
/// What leads nowhere, and where it led.
pub(super) fn check(made: MadeRecords<'_>) -> Result<(), ApiFailure> {
    let records = made.records;
    let mut lost: Vec<String> = Vec::new();
    let mut look = |what: &str, label: String, arn: &str, is_there: bool| {
        if !is_there && made.files.name_of(arn).is_none() {
            let kind = ArnKind::of(arn).map_or("resource", ArnKind::name);
            lost.push(format!(
                "{what} '{label}', which was made through the ELBv2 API, is of {kind} '{}' ({}), which is not there",
                shown(name_in(arn)),
                shown(arn)
            ));
        }
    };
    for listener in records.listeners.values() {
        let label = || made.listener_label(&listener.arn);
        let balancer = &listener.load_balancer_arn;
        look("Listener", label(), balancer, records.load_balancers.contains_key(balancer));
        for group in groups_of(&listener.default_actions) {
            look("Listener", label(), &group.arn, records.target_groups.contains_key(&group.arn));
        }
        let mutual = listener.mutual_authentication.as_ref();
        if let Some(store) = mutual.and_then(|mutual| mutual.trust_store_arn.as_ref()) {
            look("Listener", label(), store, records.trust_stores.contains_key(store));
        }
    }
    for rule in records.rules.values() {
        let label = || rule.arn.clone();
        look("Rule", label(), &rule.listener_arn, records.listeners.contains_key(&rule.listener_arn));
        for group in groups_of(&rule.actions) {
            look("Rule", label(), &group.arn, records.target_groups.contains_key(&group.arn));
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    lost.truncate(TOLD);
    let allowed = "allowed: files that have it, or to delete through the API first what is of it";
    Err(ApiFailure::validation(format!("{}; {allowed}", lost.join("; "))))
}
