//! What another process goes on from.

use super::*;
use crate::target_group::TargetMemory;

/// Another process, which wants this and was handed what `book` knows.
pub(super) fn succeed(book: &Book, wanted: impl Fn() -> WantedGroup) -> Book {
    let text = book.registry.remember(book.now).write();
    let mut next = Book {
        registry: Registry::new(2),
        slots: TestSlots::default(),
        names: TestNames(vec![1]),
        // Clocks of processes have nothing to do with each other.
        now: book.now + Duration::from_secs(1000),
    };
    let memory = TargetMemory::read(text);
    let Book { registry, slots, names, now } = &mut next;
    registry.recall(&memory, &[wanted()], names, slots, *now).unwrap();
    next.apply(vec![wanted()]);
    next
}

#[test]
fn another_process_goes_on_from_what_this_one_knew() {
    let mut book = Book::new(vec![app(&[1, 2, 3])]);
    for port in [1, 2, 3] {
        book.record(port, CheckResult::Pass);
    }
    book.record(2, FAIL);
    book.apply(vec![app(&[1, 2])]);
    let delay = book.view("app").settings.deregistration_delay;
    assert!(book.pass_after(10).is_empty());
    let mut next = succeed(&book, || app(&[2, 4]));
    let states = [
        (2, TargetState::Healthy),
        (4, TargetState::Initial),
        (1, TargetState::Draining),
        (3, TargetState::Draining),
    ];
    assert_eq!(next.states(), states);
    assert_eq!(next.routable(), [2], "who joins a healthy one has to pass first");
    assert_eq!(next.record(2, FAIL), Urgency::Now, "it is the second in a row");
    // What had drained for a while has less time left than what drains from now on.
    let left = (delay - Duration::from_secs(10)).as_secs();
    assert_eq!(next.pass_after(left).len(), 1);
    assert_eq!(next.states().iter().filter(|(_, state)| *state == TargetState::Draining).count(), 1);
    assert_eq!(next.pass_after(10).len(), 1);
    assert_eq!(next.states().len(), 2);
}

#[test]
fn checks_that_begin_with_another_process_begin_anew() {
    let unchecked = || {
        let mut group = app(&[1, 2]);
        Arc::make_mut(&mut group.settings).health_check.enabled = false;
        group
    };
    let book = Book::new(vec![unchecked()]);
    let mut next = succeed(&book, || app(&[1, 2]));
    assert_eq!(next.states(), [(1, TargetState::Initial), (2, TargetState::Initial)]);
    let mut book = Book::new(vec![app(&[1, 2])]);
    book.record(1, CheckResult::Pass);
    let mut next = succeed(&book, unchecked);
    assert_eq!(next.states(), [(1, TargetState::Unavailable), (2, TargetState::Unavailable)]);
}
