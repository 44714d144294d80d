//! The words by which calls of the ELBv2 API are told apart. Must not know: what is asked.

use super::keys::labels;

labels! {
    /// What came of a call.
    pub enum ApiOutcome by "outcome", tells_zero false {
        /// It was answered: of a change, it is in force.
        Done = "done",
        /// It cannot be, which is the caller's to mend.
        Refused = "refused",
        /// It could not be done here.
        Failed = "failed",
    }
}

labels! {
    /// Why a request did not come to an operation.
    pub enum ApiRejection by "code", tells_zero false {
        /// It is not signed.
        MissingAuthenticationToken = "MissingAuthenticationToken",
        /// Something of its signature is missing.
        IncompleteSignature = "IncompleteSignature",
        /// There is no such key.
        InvalidClientTokenId = "InvalidClientTokenId",
        /// Its signature is another one.
        SignatureDoesNotMatch = "SignatureDoesNotMatch",
        /// It was carried out already, or is too old.
        RequestExpired = "RequestExpired",
        /// Its key may only read.
        AccessDenied = "AccessDenied",
        /// It is no request of the API.
        Other = "Other",
    }
}

impl ApiOutcome {
    /// By the status of an answer.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            ..300 => Self::Done,
            300..500 => Self::Refused,
            500.. => Self::Failed,
        }
    }
}

impl ApiRejection {
    /// By its code of ALB's.
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        Self::ALL.into_iter().find(|one| one.as_str() == code).unwrap_or(Self::Other)
    }
}
