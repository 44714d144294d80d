//! How sessions are written down in the store, and the script that writes them. Must not know: connections.

use std::time::Duration;

use redis::{Cmd, Value};

use super::{
    notice::{self, NODES, NodeName, Notice},
    pending::{Expectation, SessionWrite, StoredSession},
};
use crate::id::TargetId;

/// What the keys of sessions begin with.
const PREFIX: &str = "balancer:s:";

/// A key that is none of a session, by which it is found out what the store lets one do.
const PROBE: &str = "balancer:s:probe";

/// What the key begins with by which one balancer leads.
const LEAD: &str = "balancer:lead:";

/// Where sessions that were moved are told.
pub(super) const MOVED: &str = "balancer:moved";

/// What values begin with: the way they are written.
const FORM: &str = "1";

/// Compares and sets. `KEYS[1]` is the session, `ARGV` its value, milliseconds to keep it, what the value there has to begin with
/// (empty: there must be none), and the channel. Says nothing when it is done, and what is there when that is something else.
pub(super) const SCRIPT: &str = include_str!("write.lua");

/// The session's key.
pub(super) fn key(key: u128) -> String {
    format!("{PREFIX}{key:032x}")
}

fn value(session: StoredSession) -> String {
    format!("{FORM} {:016x} {}", session.target.0, session.started)
}

/// The session that a value tells; none: it is no such value.
pub(super) fn read(value: &[u8]) -> Option<StoredSession> {
    let mut words = str::from_utf8(value).ok()?.split(' ');
    let (form, target, started) = (words.next()?, words.next()?, words.next()?);
    let is_whole = form == FORM && target.len() == 16 && words.next().is_none();
    let hexadecimal = target.bytes().all(|byte| byte.is_ascii_hexdigit());
    let decimal = started.bytes().all(|byte| byte.is_ascii_digit());
    (is_whole && hexadecimal && decimal).then_some(())?;
    Some(StoredSession {
        target: TargetId(u64::from_str_radix(target, 16).ok()?),
        started: started.parse().ok()?,
    })
}

/// The session that a message in the channel tells, with its key.
pub(super) fn read_moved(message: &[u8]) -> Option<(u128, StoredSession)> {
    let (key, rest) = message.split_at_checked(32)?;
    let key = u128::from_str_radix(str::from_utf8(key).ok()?, 16).ok()?;
    Some((key, read(rest.strip_prefix(b" ")?)?))
}

/// Asks for a session.
pub(super) fn ask(key_of: u128) -> Cmd {
    let mut cmd = Cmd::with_capacity(2, 64);
    cmd.arg("GET").arg(key(key_of));
    cmd
}

/// Asks for what is no session, which says whether the store is there.
pub(super) fn ask_probe() -> Cmd {
    let mut cmd = Cmd::with_capacity(2, 64);
    cmd.arg("GET").arg(PROBE);
    cmd
}

/// Tells of a session by the script with this hash, or by its text.
pub(super) fn tell(write: &SessionWrite, hash: Option<&str>) -> Cmd {
    let expected = match write.expected {
        Expectation::Nothing => String::new(),
        Expectation::Target(target) => format!("{FORM} {:016x} ", target.0),
        Expectation::Session(session) => value(session),
    };
    let keep = u64::from(write.keep_for).max(1) * 1000;
    let mut cmd = begin(hash);
    cmd.arg(key(write.key)).arg(value(write.session)).arg(keep).arg(expected).arg(MOVED);
    cmd
}

/// Does with a key that is none of a session all that is done with sessions: it begins or moves, moves, which is told in the channel as
/// nothing that anybody reads, and goes on; by the script's text and by its hash. A right that is missing is found out by the one that needs it.
pub(super) fn probes(hash: Option<&str>) -> [Cmd; 3] {
    [(None, "a", 1000), (hash, "b", 1000), (hash, "b", 2000)].map(|(hash, word, keep)| {
        let mut cmd = begin(hash);
        cmd.arg(PROBE).arg(format!("{FORM} {word}")).arg(keep).arg(FORM).arg(MOVED);
        cmd
    })
}

/// Asks for the lead of the balancers of `set`, or for it to go on. Says nothing when it is given, and who has it when that is another one.
pub(super) fn claim(set: u64, node: NodeName, lease: Duration) -> Cmd {
    let mut cmd = begin(None);
    cmd.arg(format!("{LEAD}{set:016x}")).arg(node.to_string());
    cmd.arg(u64::try_from(lease.as_millis()).unwrap_or(1)).arg("").arg(MOVED);
    cmd
}

/// Tells all other balancers.
pub(super) fn publish(from: NodeName, notice: &Notice) -> Cmd {
    let mut cmd = Cmd::new();
    cmd.arg("PUBLISH").arg(NODES).arg(notice::write(from, notice));
    cmd
}

fn begin(hash: Option<&str>) -> Cmd {
    let mut cmd = Cmd::with_capacity(8, 512);
    match hash {
        Some(hash) => cmd.arg("EVALSHA").arg(hash),
        None => cmd.arg("EVAL").arg(SCRIPT),
    };
    cmd.arg(1);
    cmd
}

/// The bytes of an answer that is text.
pub(super) fn text(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for session in [
            StoredSession { target: TargetId(0), started: 0 },
            StoredSession { target: TargetId(u64::MAX), started: u32::MAX },
        ] {
            assert_eq!(read(value(session).as_bytes()), Some(session));
            let message = format!("{:032x} {}", 7, value(session));
            assert_eq!(read_moved(message.as_bytes()), Some((7, session)));
        }
    }

    #[test]
    fn what_is_no_session_reads_as_none() {
        for value in [
            "",
            "1",
            "1 ",
            "1 0 0",
            "2 0000000000000000 0",
            "1 0000000000000000",
            "1 0000000000000000 ",
            "1 0000000000000000 -1",
            "1 0000000000000000 4294967296",
            "1 000000000000000g 0",
            "1 +000000000000000 0",
            "1 0000000000000000 0 ",
            "1 0000000000000000 0 0",
            "\u{e9}",
        ] {
            assert_eq!(read(value.as_bytes()), None, "{value:?}");
        }
        assert_eq!(read(b"\xff"), None);
        for message in ["", "x", &"0".repeat(32), &format!("{} 1", "0".repeat(32)), &"\u{e9}".repeat(40)] {
            assert_eq!(read_moved(message.as_bytes()), None, "{message:?}");
        }
    }

    #[test]
    fn keys_tell_nothing_but_the_hash() {
        assert_eq!(key(255), "balancer:s:000000000000000000000000000000ff");
    }
}
