//! What is valid and yet hardly meant.

use crate::model::{Action, Configuration};

/// One line for each oddity of a valid configuration, for whoever wrote it.
#[must_use]
pub fn warnings(configuration: &Configuration) -> Vec<String> {
    let mut warnings = Vec::new();
    if configuration.listeners.is_empty() {
        warnings.push("nothing listens: there is no listener block".to_owned());
    }
    for (index, group) in configuration.target_groups.iter().enumerate() {
        let is_used = configuration.listeners.iter().any(|listener| match listener.default_action {
            Action::Forward(group) => group == index,
        });
        if !is_used && !configuration.listeners.is_empty() {
            warnings.push(format!("target group {}: no listener forwards to it", group.name));
        }
        if group.targets.is_empty() {
            warnings
                .push(format!("target group {}: no targets, requests to it are answered 503", group.name));
        }
        if !group.health_check.enabled {
            warnings.push(format!(
                "target group {}: health checks are off, dead targets stay in use",
                group.name
            ));
        }
    }
    warnings
}
