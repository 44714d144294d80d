//! Why the store is away or refuses: a cause with words for people, in which nothing stands that the store or the configuration
//! would not have everybody read. Must not know: what was asked for.

use std::io;

use redis::{ErrorKind, RedisError};

use crate::counters::StoreCause;

/// What servers say, behind the code ERR and (Redis 6.2) where in the script, where its user may not do what is in it: a command, a key
/// or a channel. The first are words of Redis 6.2 and 7.0, the second of Redis 8.0, Valkey 8.1 and 9.1.
const NO_RIGHT_IN_SCRIPT: [&str; 2] = ["The user executing the script can't ", "ACL failure in script: "];

/// What a server says that does not know the script.
const NO_SCRIPT: &str = "it does not know the script (NOSCRIPT)";

/// Something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreFault {
    pub(super) cause: StoreCause,
    pub(super) text: String,
}

impl StoreFault {
    pub(super) fn new(cause: StoreCause, text: impl Into<String>) -> Self {
        Self { cause, text: text.into() }
    }

    /// Whether the connection will do no longer: what comes next over it fails in the same way.
    pub(super) fn is_of_connection(&self) -> bool {
        !matches!(self.cause, StoreCause::Full | StoreCause::Refused | StoreCause::NotPermitted)
    }

    /// It did not answer.
    pub(super) fn timed_out() -> Self {
        Self::new(StoreCause::TimedOut, "it does not answer")
    }

    /// It said what no store says.
    pub(super) fn garbage() -> Self {
        Self::new(StoreCause::Garbage, "its answer is none of a store")
    }

    /// What stands there nobody of us has written.
    pub(super) fn not_ours() -> Self {
        Self::new(StoreCause::Refused, "something else than a session stands under the key of one")
    }

    /// What stands in the channel of balancers nobody of us has written.
    pub(super) fn strange_notice() -> Self {
        Self::new(
            StoreCause::Refused,
            "something else than what balancers tell each other stands in their channel",
        )
    }

    /// Who has the lead is none of us.
    pub(super) fn strange_leader() -> Self {
        Self::new(
            StoreCause::Refused,
            "something else than a balancer's name stands under the key of who leads",
        )
    }

    /// More is told by others than there is room for.
    pub(super) fn too_many_told() -> Self {
        Self::new(StoreCause::Refused, "other balancers tell more than there is room for")
    }

    /// Whether it does not know the script, which can be sent in full.
    pub(super) fn is_unknown_script(&self) -> bool {
        self.text == NO_SCRIPT
    }

    /// The system's error on a connection.
    pub(super) fn of_io(error: &io::Error) -> Self {
        Self::new(StoreCause::Closed, format!("the connection ended: {error}"))
    }
}

impl From<&RedisError> for StoreFault {
    fn from(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::ParseError | ErrorKind::TypeError => Self::garbage(),
            ErrorKind::RESP3NotSupported => Self::new(
                StoreCause::Refused,
                "it does not speak RESP3; needed: Valkey, or Redis from 6.2 on",
            ),
            ErrorKind::AuthenticationFailed => of_code("WRONGPASS"),
            ErrorKind::IoError if error.is_timeout() => Self::timed_out(),
            ErrorKind::ClusterConnectionNotFound => {
                Self::new(StoreCause::Unreachable, "no node of the cluster can be connected to")
            }
            _ => match error.code() {
                Some(code) => of_answer(code, error.detail()),
                None => Self::new(StoreCause::Closed, "the connection ended"),
            },
        }
    }
}

/// What a server says by a code, and with what is behind it where that has none of its own.
pub(super) fn of_answer(code: &str, details: Option<&str>) -> StoreFault {
    let Some(details) = details.filter(|_| code == "ERR") else { return of_code(code) };
    let lacks_right = NO_RIGHT_IN_SCRIPT.iter().any(|words| details.contains(words));
    of_code(if lacks_right { "NOPERM" } else { code_in_script(details).unwrap_or(code) })
}

/// What Redis 6.2 says of a command in a script has its code behind the place in the script.
fn code_in_script(details: &str) -> Option<&str> {
    let (_, said) = details.strip_prefix("Error running script ")?.split_once(": -")?;
    said.split(' ').next().filter(|code| is_code(code))
}

fn of_code(code: &str) -> StoreFault {
    let (cause, text) = match code {
        "NOAUTH" | "WRONGPASS" => (StoreCause::WrongPassword, "it does not take the user and the password"),
        "NOPERM" => (
            StoreCause::NotPermitted,
            "its user may not do what is needed (NOPERM); the manual has the rights",
        ),
        "LOADING" => (StoreCause::Loading, "it is reading its data from disk (LOADING)"),
        "READONLY" => (StoreCause::ReadOnly, "it is a replica, which takes no writes (READONLY)"),
        "MASTERDOWN" => (StoreCause::ReadOnly, "it is a replica without its primary (MASTERDOWN)"),
        "MOVED" | "ASK" | "CROSSSLOT" => {
            (StoreCause::Cluster, "it is a node of a cluster (MOVED); `mode` = \"cluster\" is for these")
        }
        "CLUSTERDOWN" | "TRYAGAIN" => (StoreCause::Cluster, "the cluster is not whole (CLUSTERDOWN)"),
        "OOM" => (StoreCause::Full, "its memory is full (OOM)"),
        "NOSCRIPT" => (StoreCause::Refused, NO_SCRIPT),
        "NOREPLICAS" => (StoreCause::Refused, "it has too few replicas (NOREPLICAS)"),
        "MISCONF" => (StoreCause::Refused, "it cannot save its data (MISCONF)"),
        code if is_code(code) => {
            return StoreFault::new(StoreCause::Refused, format!("it refuses ({code})"));
        }
        _ => return StoreFault::garbage(),
    };
    StoreFault::new(cause, text)
}

/// A word that can be shown: anything else may be what was sent, played back.
fn is_code(code: &str) -> bool {
    (1..=20).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_shows_no_more_than_a_word() {
        for code in ["hunter2", "AUTH hunter2", "", &"A".repeat(21), "\u{e9}"] {
            assert_eq!(of_code(code), StoreFault::garbage(), "{code}");
        }
        assert_eq!(of_code("BUSY").text, "it refuses (BUSY)");
        assert_eq!(of_code("WRONGPASS").cause, StoreCause::WrongPassword);
        let said = "The user executing the script can't run this command or subcommand script: x";
        let later = "ACL failure in script: User x has no permissions to run the 'set' command script: x";
        for (code, details, cause) in [
            ("ERR", Some(said), StoreCause::NotPermitted),
            ("ERR", Some(later), StoreCause::NotPermitted),
            (
                "ERR",
                Some("ACL failure in script: No permissions to access a key script: x"),
                StoreCause::NotPermitted,
            ),
            ("ERR", Some("wrong number of arguments"), StoreCause::Refused),
            ("ERR", None, StoreCause::Refused),
            ("LOADING", Some(said), StoreCause::Loading),
            (
                "ERR",
                Some(
                    "Error running script (call to f_0): @user_script:1: @user_script: 1: -READONLY You can't",
                ),
                StoreCause::ReadOnly,
            ),
            (
                "ERR",
                Some("Error running script (call to f_0): @user_script:1: @user_script: 1: -OOM command not"),
                StoreCause::Full,
            ),
            (
                "ERR",
                Some("Error running script (call to f_0): @user_script:1: -hunter2"),
                StoreCause::Refused,
            ),
        ] {
            assert_eq!(of_answer(code, details).cause, cause, "{code} {details:?}");
        }
        assert!(!of_code("OOM").is_of_connection() && of_code("READONLY").is_of_connection());
    }
}
