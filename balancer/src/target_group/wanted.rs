//! What is wanted of a target.

use crate::model::{Endpoint, TargetShare};

/// A target as the configuration, the resolver and sources want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTarget {
    /// Where it is.
    pub endpoint: Endpoint,
    /// What it gets.
    pub share: TargetShare,
}

impl From<Endpoint> for WantedTarget {
    fn from(endpoint: Endpoint) -> Self {
        Self { endpoint, share: TargetShare::default() }
    }
}
