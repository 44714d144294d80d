//! `balancer etcd diff`. Must not know: what documents say.

use super::{
    arguments::DiffArguments,
    session::{self, EtcdSession, by_name},
};
use crate::cli::told::{CommandFailure, print};

/// Most lines that are compared with each other, in both texts together; what is longer is shown as replaced as a whole.
const MOST_LINES: usize = 6_000;

pub(super) async fn run(arguments: &DiffArguments) -> Result<(), CommandFailure> {
    let mut session = EtcdSession::begin(&arguments.etcd)?;
    let files = session::files(&arguments.path)?;
    let (standing, _) = session.documents().await?;
    let (old, new) = (by_name(&standing.documents), by_name(&files));
    let mut text = String::new();
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let [one, other] = [&old, &new].map(|texts| texts.get(name).copied());
        if one == other {
            continue;
        }
        let there =
            if one.is_some() { format!("etcd:{}", session.layout.document(name)) } else { "none".to_owned() };
        let here = if other.is_some() { name.as_str() } else { "none" };
        text.push_str(&format!("--- {there}\n+++ {here}\n"));
        let [one, other] =
            [one, other].map(|text| String::from_utf8_lossy(text.unwrap_or_default()).into_owned());
        text.push_str(&lines(&one, &other));
    }
    if text.is_empty() {
        return Ok(());
    }
    print(&text)?;
    Err(CommandFailure::Differs)
}

/// The lines that are taken away and those that come in their place, between what stays.
fn lines(one: &str, other: &str) -> String {
    let (one, other): (Vec<&str>, Vec<&str>) = (one.lines().collect(), other.lines().collect());
    let before = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let (one, other) = (one.get(before..).unwrap_or_default(), other.get(before..).unwrap_or_default());
    let after = one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count();
    let one = one.get(..one.len() - after).unwrap_or_default();
    let other = other.get(..other.len() - after).unwrap_or_default();
    let mut text = format!("@@ line {} @@\n", before + 1);
    let mut tell = |mark: char, line: &str| {
        let clean: String =
            line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
        text.push(mark);
        text.push_str(&clean);
        text.push('\n');
    };
    if one.len() + other.len() > MOST_LINES {
        one.iter().for_each(|line| tell('-', line));
        other.iter().for_each(|line| tell('+', line));
        return text;
    }
    let common = common(one, other);
    let length = |at: usize, to: usize| common.get(at * (other.len() + 1) + to).copied().unwrap_or(0);
    let (mut at, mut to) = (0, 0);
    loop {
        match (one.get(at), other.get(to)) {
            (None, None) => return text,
            (Some(line), Some(same)) if line == same => {
                tell(' ', line);
                (at, to) = (at + 1, to + 1);
            }
            (Some(line), next) if next.is_none() || length(at + 1, to) >= length(at, to + 1) => {
                tell('-', line);
                at += 1;
            }
            (_, Some(line)) => {
                tell('+', line);
                to += 1;
            }
            (Some(_), None) => return text,
        }
    }
}

/// The length of the longest sequence of lines that two texts have in common, from each pair of lines on.
fn common(one: &[&str], other: &[&str]) -> Vec<u16> {
    let width = other.len() + 1;
    let mut lengths = vec![0_u16; (one.len() + 1) * width];
    for (at, line) in one.iter().enumerate().rev() {
        for (to, same) in other.iter().enumerate().rev() {
            let read = |index: usize| lengths.get(index).copied().unwrap_or(0);
            let length = if line == same {
                read((at + 1) * width + to + 1) + 1
            } else {
                read((at + 1) * width + to).max(read(at * width + to + 1))
            };
            if let Some(place) = lengths.get_mut(at * width + to) {
                *place = length;
            }
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_change_are_shown_between_those_that_stay() {
        assert_eq!(lines("a\nb\nc\nd\n", "a\nx\nc\ny\nd\n"), "@@ line 2 @@\n-b\n+x\n c\n+y\n");
        assert_eq!(lines("", "a\n"), "@@ line 1 @@\n+a\n");
        assert_eq!(lines("a\n", ""), "@@ line 1 @@\n-a\n");
        assert_eq!(lines("a\u{1b}[1m\n", ""), "@@ line 1 @@\n-a\u{fffd}[1m\n");
        let many: String = (0..7000).map(|number| format!("{number}\n")).collect();
        assert_eq!(lines(&many, "x").lines().count(), 7002);
    }
}
