//! What balancers tell each other through a channel of the store: how many sessions each target has, and what checks have found.
//! How that is written down, and nothing else. Must not know: connections, what is done with it.
//!
//! A notice is text: the form (`1`), who tells it (16 hexadecimal digits that a process draws when it starts), its kind, and words.
//! `s`: targets as cookies name them with their sessions, `ID:COUNT`. `v`: targets with what checks have found, `ID:STATE:AGE`, where the
//! state is `h`, or `u` and why, and the age is in milliseconds. `q`: who tells this knows nothing yet. `x`: who tells this ends.

use std::{fmt::Write as _, time::Duration};

use crate::id::TargetId;

/// Where balancers tell each other.
pub(super) const NODES: &str = "balancer:nodes";

/// Most targets in one notice.
pub(super) const MOST_TARGETS: usize = 512;

/// The longest notice that is read: what [`MOST_TARGETS`] take, and as much again.
const LONGEST: usize = MOST_TARGETS * 64;

const FORM: &str = "1";

/// A process that shares what it knows: drawn by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeName(pub u64);

impl std::fmt::Display for NodeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl NodeName {
    /// The name that is written so.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        digits(str::from_utf8(text).ok()?).map(Self)
    }
}

/// Why a target is unhealthy, as far as others can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// It answered with this status.
    Status(u16),
    /// It did not answer in time.
    Timeout,
    /// It failed otherwise.
    Failed,
}

/// What checks say of a target: nothing is wrong, or what.
pub type HealthVerdict = Option<Ailment>;

/// A verdict, of which target, and how long ago the last check that it rests on ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldVerdict {
    /// The target, as cookies name it.
    pub target: TargetId,
    /// What is said of it.
    pub verdict: HealthVerdict,
    /// How old that is.
    pub age: Duration,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// So many sessions are bound to these targets.
    Sessions(Vec<(TargetId, u64)>),
    /// Checks say this.
    Verdicts(Vec<ToldVerdict>),
    /// Who tells this knows nothing of others.
    Asks,
    /// Who tells this ends.
    Ends,
}

/// The notice as text.
pub(super) fn write(from: NodeName, notice: &Notice) -> String {
    let mut out = format!("{FORM} {from} ");
    // Writing to a string does not fail.
    let written = match notice {
        Notice::Sessions(counts) => {
            out.push('s');
            counts.iter().try_for_each(|(target, count)| write!(out, " {:016x}:{count}", target.0))
        }
        Notice::Verdicts(told) => {
            out.push('v');
            told.iter().try_for_each(|told| {
                write!(out, " {:016x}:", told.target.0)?;
                match told.verdict {
                    None => out.push('h'),
                    Some(Ailment::Status(status)) => write!(out, "u{status}")?,
                    Some(Ailment::Timeout) => out.push_str("ut"),
                    Some(Ailment::Failed) => out.push_str("uf"),
                }
                write!(out, ":{}", told.age.as_millis())
            })
        }
        Notice::Asks => out.write_char('q'),
        Notice::Ends => out.write_char('x'),
    };
    debug_assert!(written.is_ok());
    out
}

/// The notice that a text is, and who tells it; none: it is none.
pub(super) fn read(text: &[u8]) -> Option<(NodeName, Notice)> {
    if text.len() > LONGEST {
        return None;
    }
    let mut words = str::from_utf8(text).ok()?.split(' ');
    let (form, from, kind) = (words.next()?, words.next()?, words.next()?);
    let from = (form == FORM).then(|| digits(from)).flatten().map(NodeName)?;
    let notice = match kind {
        "s" => Notice::Sessions(words.map(count).collect::<Option<_>>()?),
        "v" => Notice::Verdicts(words.map(verdict).collect::<Option<_>>()?),
        "q" if words.next().is_none() => Notice::Asks,
        "x" if words.next().is_none() => Notice::Ends,
        _ => return None,
    };
    Some((from, notice))
}

fn digits(text: &str) -> Option<u64> {
    let fits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits { u64::from_str_radix(text, 16).ok() } else { None }
}

fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn count(word: &str) -> Option<(TargetId, u64)> {
    let (target, count) = word.split_once(':')?;
    // More than anybody has, and few enough to be added up.
    let count = decimal::<u32>(count)?;
    Some((TargetId(digits(target)?), u64::from(count)))
}

fn verdict(word: &str) -> Option<ToldVerdict> {
    let mut parts = word.split(':');
    let (target, state, age) = (parts.next()?, parts.next()?, parts.next()?);
    let verdict = match state {
        "h" => None,
        "ut" => Some(Ailment::Timeout),
        "uf" => Some(Ailment::Failed),
        other => {
            let status = decimal::<u16>(other.strip_prefix('u')?)?;
            Some(Ailment::Status(Some(status).filter(|status| (100..=999).contains(status))?))
        }
    };
    let told = ToldVerdict {
        target: TargetId(digits(target)?),
        verdict,
        age: Duration::from_millis(u64::from(decimal::<u32>(age)?)),
    };
    parts.next().is_none().then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(target: u64, verdict: HealthVerdict, age: u64) -> ToldVerdict {
        ToldVerdict { target: TargetId(target), verdict, age: Duration::from_millis(age) }
    }

    #[test]
    fn what_is_written_is_read() {
        let all = vec![
            told(0, None, 0),
            told(1, Some(Ailment::Timeout), 5),
            told(2, Some(Ailment::Failed), u64::from(u32::MAX)),
            told(u64::MAX, Some(Ailment::Status(503)), 1200),
        ];
        for notice in [
            Notice::Sessions(vec![]),
            Notice::Sessions(vec![(TargetId(7), 0), (TargetId(u64::MAX), u64::from(u32::MAX))]),
            Notice::Verdicts(all),
            Notice::Asks,
            Notice::Ends,
        ] {
            let text = write(NodeName(0xabc), &notice);
            assert_eq!(read(text.as_bytes()), Some((NodeName(0xabc), notice)), "{text}");
        }
    }

    #[test]
    fn what_is_no_notice_reads_as_none() {
        let from = "0000000000000abc";
        for text in [
            String::new(),
            "1".into(),
            format!("2 {from} q"),
            "1 abc q".into(),
            format!("1 {from} q more"),
            format!("1 {from} x "),
            format!("1 {from} y"),
            format!("1 {from} s {from}"),
            format!("1 {from} s {from}:-1"),
            format!("1 {from} s {from}:+1"),
            format!("1 {from} s {from}:4294967296"),
            format!("1 {from} s  {from}:1"),
            format!("1 {from} v {from}:h"),
            format!("1 {from} v {from}:h:1:1"),
            format!("1 {from} v {from}:u:1"),
            format!("1 {from} v {from}:u99:1"),
            format!("1 {from} v {from}:u1000:1"),
            format!("1 {from} v {from}:x:1"),
            format!("1 {from} v 127.0.0.1:h:1"),
            format!("1 {from} s{}", format!(" {from}:1").repeat(LONGEST / 19 + 1)),
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(read(b"\xff"), None);
    }

    #[test]
    fn the_largest_notice_is_read() {
        let target = told(u64::MAX, Some(Ailment::Status(999)), u64::from(u32::MAX));
        let text = write(NodeName(u64::MAX), &Notice::Verdicts(vec![target; MOST_TARGETS]));
        assert!(read(text.as_bytes()).is_some());
    }
}
