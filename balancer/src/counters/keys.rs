//! The words by which figures are told apart, in metrics, status and logs. Must not know: who finds out.

use crate::model::Classification;

/// An enumeration with a word for each, by which counters are told apart (see [`super::By`]); or, of one that there is,
/// how its words are told.
macro_rules! labels {
    (
        $(#[$about:meta])* pub enum $Name:ident by $label:literal $(, tells_zero $zero:literal)? {
            $( $(#[$doc:meta])* $Value:ident = $word:expr, )*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $Name {
            $( $(#[$doc])* $Value, )*
        }

        impl $Name {
            /// All of them, in the order of [`Self::index`].
            pub const ALL: [Self; [$($word),*].len()] = [$( Self::$Value ),*];

            /// The word, as metrics, status and logs have it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$Value => $word, )*
                }
            }

            /// Index in [`Self::ALL`].
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }

        $crate::counters::keys::labels!($Name by $label as as_str $(, tells_zero $zero)?);
    };
    ($Name:ident by $label:literal as $word:ident $(, tells_zero $zero:literal)?) => {
        impl $crate::counters::LabelValue for $Name {
            const LABEL: &'static str = $label;
            $( const TELLS_ZERO: bool = $zero; )?
            const KEYS: &'static [Self] = &Self::ALL;
            type Counters = [$crate::counters::Counter; Self::ALL.len()];

            fn counters() -> Self::Counters {
                std::array::from_fn(|_| $crate::counters::Counter::default())
            }

            fn index(self) -> usize {
                self.index()
            }

            fn word(self) -> String {
                self.$word().to_owned()
            }
        }
    };
}

pub(super) use labels;

labels! {
    /// Status codes that the balancer answers with (or, for 460, only records) itself: ALB's set for what
    /// can happen in this version (ALB: troubleshooting, HTTP errors).
    pub enum OwnStatus by "status" {
        /// Malformed request, or a header over the limits.
        BadRequest = "400",
        /// TRACE.
        MethodNotAllowed = "405",
        /// The client sent no whole request within the idle timeout.
        RequestTimeout = "408",
        /// Request line over 16 K.
        UriTooLong = "414",
        /// The client went away while the target was awaited; recorded, never sent.
        ClientClosed = "460",
        /// X-Forwarded-For with more addresses than are taken.
        TooManyAddresses = "463",
        /// The client's protocol and that of the group's targets do not go together.
        IncompatibleProtocol = "464",
        /// A transform of the rule failed.
        InternalError = "500",
        /// Transfer coding other than chunked.
        NotImplemented = "501",
        /// The target closed, reset or answered garbage.
        BadGateway = "502",
        /// No target is registered.
        ServiceUnavailable = "503",
        /// The target could not be connected to or did not answer in time.
        GatewayTimeout = "504",
        /// An HTTP version that is not spoken here.
        VersionNotSupported = "505",
        /// The Location of a redirect is over 8 K (ALB: `HTTP_Redirect_Url_Limit_Exceeded_Count`).
        RedirectTooLong = "507",
    }
}

impl OwnStatus {
    /// The code.
    #[must_use]
    pub const fn code(self) -> u16 {
        let mut code = 0;
        let mut digits = self.as_str().as_bytes();
        while let [digit, rest @ ..] = digits {
            code = code * 10 + (*digit - b'0') as u16;
            digits = rest;
        }
        code
    }
}

labels! {
    /// What the system said of a connection that could not be made (connect(2)), in classes.
    pub enum ConnectErrno by "errno", tells_zero false {
        /// Nobody listens there.
        Refused = "ECONNREFUSED",
        /// Nobody answered: for as long as the system waits, or the balancer does.
        TimedOut = "ETIMEDOUT",
        /// There is no way to the host, its network or the port: `ENETUNREACH` and `EHOSTDOWN` among them.
        Unreachable = "EHOSTUNREACH",
        /// Another one.
        Other = "other",
    }
}

labels! {
    /// Why a client's certificate was refused: ALB's words (ALB: connection logs, `tls_verify_status`), and one for
    /// certificates that are not there.
    pub enum ClientCertRefusal by "reason" {
        /// None was shown.
        Missing = "ClientCertMissing",
        /// More certificates than may be.
        MaxChainDepthExceeded = "ClientCertMaxChainDepthExceeded",
        /// More bytes than may be.
        MaxSizeExceeded = "ClientCertMaxSizeExceeded",
        /// Its authority has taken it back.
        CrlHit = "ClientCertCrlHit",
        /// A revocation list could not be used.
        CrlProcessingError = "ClientCertCrlProcessingError",
        /// Nobody trusted has signed it.
        Untrusted = "ClientCertUntrusted",
        /// Its time has not come.
        NotYetValid = "ClientCertNotYetValid",
        /// Its time is over.
        Expired = "ClientCertExpired",
        /// It is no certificate that can be used.
        Invalid = "ClientCertInvalid",
        /// It is not for clients.
        PurposeInvalid = "ClientCertPurposeInvalid",
    }
}

labels! {
    /// What came of a request's stickiness cookies.
    pub enum Outcome by "outcome" {
        /// They name a target that can take the request.
        Pinned = "pinned",
        /// There are none for this group.
        Absent = "absent",
        /// They have not the form of one of our values.
        Malformed = "malformed",
        /// No accepted key made them.
        Forged = "forged",
        /// The session was not renewed within its duration, or its lifetime is over, or it claims to be of the future.
        Expired = "expired",
        /// They name no target of this group.
        UnknownTarget = "unknown_target",
        /// They name a target that fails its health checks.
        Unhealthy = "unhealthy",
        /// They name a target that is deregistering.
        Draining = "draining",
        /// None, on a CORS preflight: browsers send no cookies with it, and it gets none.
        Preflight = "preflight",
    }
}

labels! {
    /// What came of a request's group cookies.
    pub enum GroupOutcome by "outcome" {
        /// They name a group of the action.
        Pinned = "pinned",
        /// There are none.
        Absent = "absent",
        /// They have not the form of one of our values (ALB: `AWSALBTGCookieInvalid`).
        Malformed = "malformed",
        /// No accepted key made them (ALB: `AWSALBTGCookieInvalid`).
        Forged = "forged",
        /// Their duration is over, or they claim to be of the future.
        Expired = "expired",
        /// They name no group of the action.
        UnknownGroup = "unknown_group",
        /// None, on a CORS preflight: browsers send no cookies with it, and it gets none.
        Preflight = "preflight",
    }
}

labels! {
    /// What gave way to a session in the session table.
    pub enum Evicted by "kind" {
        /// A session whose client had not come back with it.
        New = "new",
        /// One whose client had.
        Returned = "returned",
        /// One that no group counts any more.
        Expired = "expired",
    }
}

labels! {
    /// Class of a target's response: 1xx is 101 alone.
    pub enum ResponseClass by "class" {
        /// The connection is a tunnel.
        Switching = "1xx",
        /// It was done.
        Success = "2xx",
        /// It is elsewhere.
        Redirection = "3xx",
        /// It is the client's fault.
        ClientError = "4xx",
        /// It is the target's fault.
        ServerError = "5xx",
    }
}

labels! {
    /// Class of a fixed response (ALB: a code of 2xx, 4xx or 5xx).
    pub enum FixedClass by "class" {
        /// Below 400.
        Success = "2xx",
        /// Below 500.
        ClientError = "4xx",
        /// The rest.
        ServerError = "5xx",
    }
}

labels!(Classification by "classification" as name);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::counters::{Cause, LabelValue};

    #[test]
    fn codes_are_what_their_words_say() {
        for status in OwnStatus::ALL {
            assert_eq!(status.code().to_string(), status.as_str());
        }
    }

    fn index_themselves_and_have_words_of_their_own<K: LabelValue>() {
        let words: HashSet<String> = K::KEYS.iter().map(|key| key.word()).collect();
        assert_eq!(words.len(), K::KEYS.len());
        assert_eq!(K::counters().as_ref().len(), K::KEYS.len());
        for (index, key) in K::KEYS.iter().enumerate() {
            assert_eq!(key.index(), index);
        }
    }

    #[test]
    fn keys_index_themselves_and_have_words_of_their_own() {
        index_themselves_and_have_words_of_their_own::<OwnStatus>();
        index_themselves_and_have_words_of_their_own::<ClientCertRefusal>();
        index_themselves_and_have_words_of_their_own::<Outcome>();
        index_themselves_and_have_words_of_their_own::<GroupOutcome>();
        index_themselves_and_have_words_of_their_own::<Evicted>();
        index_themselves_and_have_words_of_their_own::<ResponseClass>();
        index_themselves_and_have_words_of_their_own::<FixedClass>();
        index_themselves_and_have_words_of_their_own::<Classification>();
        index_themselves_and_have_words_of_their_own::<Cause>();
    }
}
