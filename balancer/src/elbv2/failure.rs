//! Why a call failed, in ALB's codes and words (API reference: errors of each operation, common errors).

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiFailure {
    /// HTTP status: 400, 403, 404, 413, 500 or 503.
    pub status: u16,
    /// ALB's code.
    pub code: &'static str,
    /// What was wrong, and what is allowed.
    pub message: String,
}

impl ApiFailure {
    /// Of a request that cannot be carried out as it stands: status 400.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, code, message: message.into() }
    }

    /// Of a value that is not allowed.
    #[must_use]
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    /// Of a client that may not do what it asks for: status 403.
    #[must_use]
    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 403, code, message: message.into() }
    }

    /// One of several that were asked for is not there: ALB does not say which.
    pub(super) fn of_several(self, code: &'static str, message: &str) -> Self {
        if self.code == code { Self { message: message.to_owned(), ..self } } else { self }
    }
}
