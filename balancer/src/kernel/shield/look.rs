//! What a shield would wait for on this host, found without one. Must not know: what is done where an interface is there.

use std::fs;

use rustix::io::Errno;

use super::{Shield, interfaces::index_of};
use crate::model::ShieldSettings;

/// The interfaces of the network that this process is in (proc_pid_net(5)).
const DEVICES: &str = "/proc/self/net/dev";
/// Never protected.
const LOOPBACK: &str = "lo";
/// Most names that are told of.
const MOST_NAMES: usize = 16;

impl Shield {
    /// A line for each interface of these settings that is not there, which says where it is written and which there are.
    #[must_use]
    pub fn look(wanted: &ShieldSettings) -> Vec<String> {
        let named = wanted.interfaces.iter().zip(&wanted.interfaces_at);
        let missing: Vec<_> = named.filter(|(name, _)| index_of(name) == Err(Errno::NODEV)).collect();
        if missing.is_empty() {
            return Vec::new();
        }
        let there = told(names(&fs::read_to_string(DEVICES).unwrap_or_default()));
        let line = |(name, at)| format!("{at}: shield: there is no interface {name:?}, {there}");
        missing.into_iter().map(line).collect()
    }
}

/// The names in a table of interfaces: each line that is no title begins with one, and no name has a colon.
fn names(table: &str) -> Vec<&str> {
    let mut names: Vec<&str> =
        table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    names.retain(|name| *name != LOOPBACK);
    names.sort_unstable();
    names
}

fn told(names: Vec<&str>) -> String {
    let count = names.len();
    let shown: Vec<String> = names.into_iter().take(MOST_NAMES).map(|name| format!("{name:?}")).collect();
    let shown = shown.join(", ");
    match count {
        0 => "and no other but the loopback's; it is waited for".to_owned(),
        1..=MOST_NAMES => format!("it is waited for; there are {shown}"),
        _ => format!("it is waited for; there are {shown} and {} more", count - MOST_NAMES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_interfaces_are_read_and_told() {
        let table = "Inter-|   Receive                                                |  Transmit\n \
                     face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n    \
                     lo:     100       1    0    0    0     0          0         0      100       1\n  \
                     wan0:       0       0    0    0    0     0          0         0        0       0\n\
                     a.very.long.one:0 0\n";
        assert_eq!(names(table), ["a.very.long.one", "wan0"]);
        assert_eq!(told(names(table)), "it is waited for; there are \"a.very.long.one\", \"wan0\"");
        assert_eq!(told(vec![]), "and no other but the loopback's; it is waited for");
        let many: Vec<String> = (0..20).map(|number| format!("veth{number}")).collect();
        let text = told(many.iter().map(String::as_str).collect());
        assert!(text.ends_with("\"veth15\" and 4 more"), "{text}");
        // The loopback is there wherever tests run.
        assert!(fs::read_to_string(DEVICES).unwrap().contains("lo:"));
    }

    #[test]
    fn an_interface_that_is_there_is_not_told_of() {
        let at = |text: &str| crate::model::WrittenAt(text.to_owned());
        let wanted = ShieldSettings {
            interfaces: vec![LOOPBACK.to_owned(), "no-such-one".to_owned()],
            interfaces_at: vec![at("x.hcl:2:17"), at("x.hcl:2:23")],
            ..crate::kernel::shield::tests::settings()
        };
        let told = Shield::look(&wanted);
        let beginning = "x.hcl:2:23: shield: there is no interface \"no-such-one\", ";
        assert!(told.len() == 1 && told[0].starts_with(beginning), "{told:?}");
        assert!(told[0].contains("it is waited for"), "{told:?}");
    }
}
