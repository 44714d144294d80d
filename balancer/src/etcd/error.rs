//! Why etcd did not do what it was asked. Must not know: who asks.

/// The error, with the URL of the endpoint that it is about and never what was given to get in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EtcdError {
    /// It could not be reached, or says nothing that can be understood: another endpoint may.
    #[error("etcd at {endpoint}: {why}")]
    Away {
        /// Which.
        endpoint: String,
        /// What happened.
        why: String,
    },
    /// It says no, as every endpoint would.
    #[error("etcd at {endpoint}: {why}")]
    Refused {
        /// Which.
        endpoint: String,
        /// The code of gRPC.
        code: u16,
        /// Its words.
        why: String,
    },
    /// What was asked for is of a revision that is not kept any more.
    #[error("etcd at {endpoint}: the revision asked for has been compacted")]
    Compacted {
        /// Which.
        endpoint: String,
    },
    /// There is more than anybody means.
    #[error("{0}")]
    TooMuch(String),
}

impl EtcdError {
    /// Whether another endpoint, or the same one later, may do it.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}
