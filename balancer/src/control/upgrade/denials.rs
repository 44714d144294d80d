//! What an operator asks of the shield at run time, over the instance's own socket. Must not know: what is done about it.

use serde::{Deserialize, Serialize};

/// What is asked. Prefixes are as they are written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum DenyRequest {
    /// To deny a prefix, for so many seconds or until that is taken back.
    Add {
        /// The prefix.
        prefix: String,
        /// Seconds.
        seconds: Option<u64>,
    },
    /// To take that back.
    Remove {
        /// The prefix.
        prefix: String,
    },
    /// To say what is denied.
    List,
}

/// What was done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DenyAnswer {
    /// Why nothing was.
    pub refused: Option<String>,
    /// Why it does not do what it should yet.
    pub note: Option<String>,
    /// What is denied, where that was asked.
    pub denied: Vec<Denial>,
}

/// A prefix that is denied at run time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Denial {
    /// The prefix.
    pub prefix: String,
    /// Seconds until that ends; nothing: it does not.
    pub ends_in_seconds: Option<u64>,
}
