//! Reads what callgrind writes: how many instructions each function took itself, added up by rooms of the balancer. Must not
//! know: what ran.

use std::collections::{BTreeMap, HashMap};

/// Instructions by room; those of other people's code, and of what belongs to none, by the name of where it is from.
pub(crate) type Tally = BTreeMap<String, u64>;

/// Adds up a file (Valgrind's manual, "Callgrind Format Specification").
pub(crate) fn read(text: &str) -> Tally {
    let (mut tally, mut names) = (Tally::new(), HashMap::new());
    let mut room = String::new();
    // What is called counts where it is itself.
    let mut is_of_call = false;
    for line in text.lines() {
        if let Some(named) = line.strip_prefix("fn=") {
            room = room_of(name(named, &mut names));
        } else if let Some(named) = line.strip_prefix("cfn=") {
            // A name may be told where it is called first.
            name(named, &mut names);
        } else if line.starts_with("calls=") {
            is_of_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '*')) {
            let count = line.split(' ').nth(1).and_then(|count| count.parse::<u64>().ok());
            if !std::mem::take(&mut is_of_call) {
                *tally.entry(room.clone()).or_default() += count.unwrap_or(0);
            }
        }
    }
    tally
}

/// The name behind `(number) name`, or the one that the number was given before.
fn name<'t>(text: &'t str, names: &mut HashMap<&'t str, &'t str>) -> &'t str {
    match text.split_once(' ') {
        Some((number, name)) => {
            names.insert(number, name);
            name
        }
        None => names.get(text).copied().unwrap_or(text),
    }
}

/// The crate of a function, and of the balancer's own the room.
fn room_of(name: &str) -> String {
    let path = name.trim_start_matches(['<', '&', '(']);
    let mut words =
        path.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty());
    match (words.next(), words.next()) {
        (Some("balancer"), Some(room)) => room.to_owned(),
        (Some(of), Some(_)) if path.starts_with(of) && path.contains("::") => format!("({of})"),
        _ => "(system)".to_owned(),
    }
}

/// What each of `requests` took, that the longer of two runs had more.
pub(crate) fn each(few: &Tally, many: &Tally, requests: u64) -> Tally {
    let more = |(room, count): (&String, &u64)| {
        let before = few.get(room).copied().unwrap_or(0);
        (room.clone(), count.saturating_sub(before) / requests)
    };
    many.iter().map(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
events: Ir
fl=(1) ???
fn=(1) balancer::http::decide::plan::Plan::decide
0 100
cfn=(2) <balancer::wire::head::Request as core::fmt::Debug>::fmt
calls=3 0
0 5000
+3 11
fn=(2)
* 7
-1 2
fn=(3) tokio::runtime::task::raw::poll
0 40
fn=(4) memcpy
16 5

totals: 165
";

    #[test]
    fn what_functions_take_themselves_is_added_up_by_room() {
        let tally = read(FILE);
        let count = |room: &str| tally.get(room).copied();
        assert_eq!(count("http"), Some(111));
        assert_eq!(count("wire"), Some(9));
        assert_eq!(count("(tokio)"), Some(40));
        assert_eq!(count("(system)"), Some(5));
        assert_eq!(tally.values().sum::<u64>(), 165, "as callgrind adds up");
    }

    #[test]
    fn what_a_request_takes_is_what_runs_differ_in() {
        let (few, many) = (read("fn=(1) balancer::a::b\n0 1000\n"), read("fn=(1) balancer::a::b\n0 3100\n"));
        assert_eq!(each(&few, &many, 100).get("a"), Some(&21));
    }
}
