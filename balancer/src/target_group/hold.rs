//! What an operator has said of a target at run time: that it gets no new sessions, or less than others. It holds until it is
//! taken back or the target leaves its group, over reloads and upgrades; a process that is started anew knows nothing of it.
//! Must not know: who said so, and how.

use serde::{Deserialize, Serialize};

use crate::model::{Algorithm, TargetGroup};

/// What holds for a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hold {
    /// It gets no request but of sessions that are bound to it.
    pub drained: bool,
    /// Its part of the weight that it would have, in percent; none: all of it.
    pub percent: Option<u8>,
}

/// What is said of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldChange {
    /// It gets no new sessions.
    Drain,
    /// It gets them again.
    Undrain,
    /// It gets so many percent of its weight; none: all of it.
    Weight(Option<u8>),
}

/// Why that is not to be.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// There is no such group.
    #[error("there is no target group {0:?}")]
    Group(String),
    /// There is no such target.
    #[error(
        "target group {group:?} has no target {target:?}; a target is named as the status names it, with its port"
    )]
    Target {
        /// The group.
        group: String,
        /// What was asked for.
        target: String,
    },
    /// It is on its way out.
    #[error("target {0:?} is being deregistered and gets nothing new already")]
    Leaving(String),
    /// The group's algorithm knows no weights.
    #[error(
        "target group {group:?} balances by {algorithm}; allowed: weights in groups with weighted_random"
    )]
    Algorithm {
        /// The group.
        group: String,
        /// How it balances.
        algorithm: &'static str,
    },
    /// Nothing, or more than all.
    #[error("a weight of {0} percent; allowed: 1 to 100, drain a target that is to get nothing")]
    Percent(u8),
}

impl HoldError {
    pub(super) fn target(group: &TargetGroup, target: &str) -> Self {
        Self::Target { group: group.name.clone(), target: target.to_owned() }
    }
}

impl Hold {
    /// Takes in what is said of a target of the group with these settings.
    pub(super) fn change(&mut self, change: HoldChange, group: &TargetGroup) -> Result<(), HoldError> {
        match change {
            HoldChange::Drain => self.drained = true,
            HoldChange::Undrain => self.drained = false,
            HoldChange::Weight(_) if group.algorithm != Algorithm::WeightedRandom => {
                return Err(HoldError::Algorithm {
                    group: group.name.clone(),
                    algorithm: group.algorithm.as_str(),
                });
            }
            HoldChange::Weight(Some(percent)) if !(1..=100).contains(&percent) => {
                return Err(HoldError::Percent(percent));
            }
            HoldChange::Weight(percent) => self.percent = percent.filter(|percent| *percent < 100),
        }
        Ok(())
    }

    /// What is left of a weight.
    #[must_use]
    pub fn of(self, weight: u16) -> u16 {
        let part = |percent: u8| u32::from(weight) * u32::from(percent) / 100;
        self.percent.map_or(weight, |percent| u16::try_from(part(percent).max(1)).unwrap_or(weight))
    }
}
