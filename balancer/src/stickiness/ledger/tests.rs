//! Sessions that begin, go on, leave and end, over restarts and changes of the duration.

use std::ops::Deref;

use proptest::prelude::*;

use super::*;
use crate::{id::TargetId, stickiness::mix::mix};

const DAY: u32 = 86_400;
const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
const TARGET: TargetId = TargetId(1);

/// The mark of a client, as unlike those of others as a hash.
fn mark(client: u64) -> u64 {
    mix(client + 1)
}

/// A ledger and the marks of its group.
struct Ledger(SessionLedger, Marks);

impl Deref for Ledger {
    type Target = SessionLedger;

    fn deref(&self) -> &SessionLedger {
        &self.0
    }
}

impl Ledger {
    /// That has room for so many marks.
    fn with(window: u32, begun: UnixSeconds, marks: Marks) -> Self {
        let ledger = SessionLedger::default();
        ledger.count_for(window, begun);
        Self(ledger, marks)
    }

    fn renew(&self, issued: UnixSeconds, now: UnixSeconds, client: Option<u64>) {
        self.0.renew(issued, now, client.map(|client| self.1.of(client, TARGET)));
    }

    fn leave(&self, issued: UnixSeconds, now: UnixSeconds, client: u64) -> bool {
        self.0.leave(issued, now, self.1.of(client, TARGET))
    }

    fn replace(&self, issued: UnixSeconds, now: UnixSeconds, client: u64) -> bool {
        self.0.replace(issued, now, self.1.of(client, TARGET))
    }
}

/// One that is begun now.
fn of(window: u32) -> Ledger {
    Ledger::with(window, NOW, Marks::default())
}

/// One that was begun long ago.
fn old(window: u32) -> Ledger {
    Ledger::with(window, UnixSeconds(NOW.0 - 8 * DAY), Marks::default())
}

#[test]
fn sessions_are_counted_from_their_first_cookie_to_the_end_of_their_duration() {
    let ledger = of(DAY);
    assert_eq!(ledger.count(NOW), 0);
    for _ in 0..5 {
        ledger.begin(NOW);
    }
    assert_eq!(ledger.count(NOW), 5);
    assert_eq!(ledger.count(NOW.plus(DAY)), 5, "they may come back until then");
    assert_eq!(ledger.count(NOW.plus(DAY + DAY / 64 + 1)), 0);
}

#[test]
fn a_session_that_goes_on_is_one_however_long_and_however_often() {
    let ledger = of(DAY);
    ledger.begin(NOW);
    ledger.begin(NOW);
    let mut issued = NOW;
    for _ in 0..1000 {
        let now = issued.plus(DAY / 3);
        // Side by side, with one and the same cookie.
        for _ in 0..20 {
            ledger.renew(issued, now, Some(1));
        }
        issued = now;
    }
    assert_eq!(ledger.count(issued), 1, "and the other is over");
}

#[test]
fn a_session_that_goes_elsewhere_is_counted_there() {
    let (here, there) = (of(DAY), of(DAY));
    here.begin(NOW);
    let later = NOW.plus(9000);
    here.begin(NOW);
    for _ in 0..3 {
        if here.leave(NOW, later, 77) {
            there.begin(later);
        }
    }
    assert_eq!((here.count(later), there.count(later)), (1, 1));
}

#[test]
fn sessions_of_another_process_are_counted_when_they_come() {
    let ledger = of(DAY);
    ledger.begin(NOW);
    ledger.renew(UnixSeconds(NOW.0 - 10), NOW.plus(100), Some(5));
    ledger.renew(UnixSeconds(NOW.0 - 10), NOW.plus(100), Some(5));
    assert_eq!(ledger.count(NOW), 2);
    assert!(!ledger.is_due(NOW.plus(100), NOW.plus(101)), "in one part");
    ledger.renew(NOW.plus(100), NOW.plus(101), Some(5));
    assert_eq!(ledger.count(NOW), 2);
}

/// Cookies of the second in which counting was begun, and of the moments after, are of this process or of the one before.
#[test]
fn cookies_of_the_moment_of_a_restart_are_counted_once_whoever_set_them() {
    for window in [1, 60, 1000, DAY] {
        for issued in [UnixSeconds(NOW.0 - 1), NOW, NOW.plus(1)] {
            let ledger = of(window);
            // Two of ours, and three of the process before.
            ledger.begin(issued);
            ledger.begin(issued);
            assert_eq!(ledger.count(issued), 2);
            for client in 1..=5 {
                ledger.renew(issued, issued, Some(mark(client)));
            }
            assert_eq!(ledger.count(issued), 2, "not known yet");
            let mut times = [issued; 5];
            for round in 1..=20_u32 {
                for (client, last) in (1..=5).zip(&mut times) {
                    let now = issued.plus(round * window.div_ceil(2).max(1));
                    assert!(round > 1 || ledger.is_due(*last, now), "{window}");
                    for _ in 0..3 {
                        ledger.renew(*last, now, Some(mark(client)));
                    }
                    *last = now;
                }
                assert_eq!(ledger.count(times[0]), 5, "{window}, round {round}");
            }
            for (client, last) in (1..=5).zip(times) {
                assert!(ledger.leave(last, last, mark(client)));
            }
            assert_eq!(ledger.count(times[0]), 0, "{window}");
        }
    }
}

#[test]
fn whoever_begins_first_may_be_a_second_ahead_of_the_others() {
    for (first, second) in [(NOW.plus(1), NOW), (NOW, NOW.plus(1)), (NOW, NOW)] {
        let ledger = of(DAY);
        ledger.begin(first);
        ledger.begin(second);
        let later = NOW.plus(DAY / 2);
        for (client, issued) in [(1, first), (2, second)] {
            ledger.renew(issued, later, Some(mark(client)));
        }
        assert_eq!(ledger.count(later), 2, "{first:?} {second:?}");
        assert_eq!(ledger.count(NOW.plus(DAY + DAY / 4)), 2, "both go on");
        assert!(ledger.leave(later, later, mark(1)) && ledger.leave(later, later, mark(2)));
        assert_eq!(ledger.count(later), 0);
    }
}

#[test]
fn another_duration_forgets_nobody() {
    for (first, second) in [(DAY, 60), (60, DAY), (DAY, 2 * DAY), (3600, 3000), (604_800, 1)] {
        let ledger = old(first);
        ledger.begin(UnixSeconds(NOW.0 - 3 * DAY));
        for _ in 0..10 {
            ledger.begin(NOW);
        }
        let before = u64::from(first > 3 * DAY);
        assert_eq!(ledger.count(NOW), 10 + before);
        ledger.count_for(second, NOW);
        assert!(ledger.count(NOW) >= 10, "{first} to {second}");
        let mut now = NOW;
        for round in 1..=5_u32 {
            let next = NOW.plus(round * second.div_ceil(3));
            for client in 1..=7 {
                ledger.renew(now, next, Some(mark(client)));
            }
            now = next;
            assert!(ledger.count(now) >= 7, "{first} to {second}, round {round}");
        }
        for client in 1..=7 {
            assert!(ledger.leave(now, now, mark(client)));
        }
        let end = now.plus(second + first / 32 + second / 32 + 2);
        assert_eq!(ledger.count(end), 0, "{first} to {second}");
    }
}

#[test]
fn a_duration_that_changes_back_and_forth_counts_on() {
    let ledger = of(DAY);
    for _ in 0..10 {
        ledger.begin(NOW);
    }
    for window in [60, DAY, 60, DAY, 3600, 600, DAY] {
        ledger.count_for(window, NOW.plus(1));
        ledger.begin(NOW.plus(1));
    }
    assert_eq!(ledger.count(NOW.plus(2)), 17);
    assert_eq!(ledger.count(NOW.plus(DAY / 2)), 17);
}

/// Two clients of which the ledger cannot tell that they are two.
#[test]
fn clients_that_are_alike_are_not_lost_for_good() {
    let ledger = old(DAY);
    ledger.begin(NOW);
    ledger.begin(NOW);
    let part = DAY / 60;
    // Both come with the same cookie and the same mark, in the same part.
    ledger.renew(NOW, NOW.plus(part), Some(1));
    ledger.renew(NOW, NOW.plus(part + 1), Some(1));
    let mut cookies = [NOW.plus(part), NOW.plus(part + 1)];
    for round in 2..200 {
        for (client, issued) in (0..2).zip(&mut cookies) {
            let now = NOW.plus(round * part + 1);
            ledger.renew(*issued, now, Some(mark(client * 1000 + u64::from(round))));
            *issued = now;
        }
        assert_eq!(ledger.count(cookies[1]), 2, "round {round}");
    }
}

/// A clock goes on between a request and its response: what was not due comes without a mark.
#[test]
fn what_comes_due_under_way_moves_all_the_same() {
    for early in [true, false] {
        let ledger = of(DAY);
        let at = |later| NOW.plus(if early { later } else { 2 * DAY + later * 2000 });
        ledger.begin(at(0));
        ledger.begin(at(0));
        for second in 0..if early { 1 } else { 20 } {
            assert_eq!(ledger.is_due(at(second), at(second)), early);
            for _ in 0..3 {
                ledger.renew(at(second), at(second + 1), early.then(|| mark(1)));
            }
            assert_eq!(ledger.count(at(second + 1)), 2);
        }
        let last = at(if early { 1 } else { 20 });
        assert!(ledger.leave(last, last, mark(1)));
        assert_eq!(ledger.count(last), 1);
    }
}

#[test]
fn the_shortest_duration_has_parts_too() {
    let ledger = of(1);
    ledger.begin(NOW);
    assert_eq!((ledger.count(NOW.plus(1)), ledger.count(NOW.plus(2))), (1, 0));
}

#[test]
fn a_shorter_duration_ends_what_is_older_and_a_longer_one_does_not_double_who_came_meanwhile() {
    let ledger = old(DAY);
    for _ in 0..10 {
        ledger.begin(NOW);
    }
    ledger.count_for(1, NOW.plus(5));
    assert_eq!(ledger.count(NOW.plus(8)), 0, "nobody has a cookie that counts");
    // Seven come and are given another.
    for client in 1..=7 {
        assert!(ledger.replace(NOW, NOW.plus(8), mark(client)));
        assert!(!ledger.replace(NOW, NOW.plus(8), mark(client)), "side by side");
        ledger.begin(NOW.plus(8));
    }
    assert_eq!(ledger.count(NOW.plus(8)), 7);
    ledger.count_for(DAY, NOW.plus(9));
    assert_eq!(ledger.count(NOW.plus(9)), 10, "what the others have counts again");
    for client in 1..=7 {
        ledger.renew(NOW.plus(8), NOW.plus(DAY / 2), Some(mark(client)));
    }
    for client in 8..=10 {
        ledger.renew(NOW, NOW.plus(DAY / 2), Some(mark(client)));
    }
    assert_eq!(ledger.count(NOW.plus(DAY / 2)), 10);
    assert_eq!(ledger.count(NOW.plus(DAY + DAY / 3)), 10);
}

#[test]
fn who_goes_on_sending_its_first_cookie_leaves_once_and_is_there_when_it_comes_back() {
    let ledger = old(64);
    ledger.begin(NOW);
    ledger.begin(NOW);
    for second in 3..9 {
        ledger.renew(NOW, NOW.plus(second), Some(mark(1)));
    }
    assert_eq!(ledger.count(NOW.plus(9)), 2);
    assert!(ledger.leave(NOW, NOW.plus(20), mark(1)));
    assert!(!ledger.leave(NOW, NOW.plus(21), mark(1)) && !ledger.leave(NOW, NOW.plus(50), mark(1)));
    assert_eq!(ledger.count(NOW.plus(20)), 1, "the other one");
    ledger.renew(NOW, NOW.plus(51), Some(mark(1)));
    assert_eq!(ledger.count(NOW.plus(51)), 2, "it, and the other one");
    ledger.renew(NOW, NOW.plus(53), Some(mark(1)));
    assert_eq!(ledger.count(NOW.plus(53)), 2);
    assert!(!ledger.leave(NOW, NOW.plus(66), mark(1)), "a moment has to pass");
    assert!(ledger.leave(NOW, NOW.plus(67), mark(1)));
    assert_eq!(ledger.count(NOW.plus(67)), 0, "the other one is over");
}

#[test]
fn who_was_answered_late_is_counted_nowhere_when_it_has_left() {
    let ledger = old(64);
    ledger.begin(NOW);
    // One request is answered at once, and one beside it in a later part.
    ledger.renew(NOW, NOW.plus(4), Some(mark(1)));
    ledger.renew(NOW, NOW.plus(8), Some(mark(1)));
    assert_eq!(ledger.count(NOW.plus(8)), 1);
    assert!(ledger.leave(NOW.plus(8), NOW.plus(9), mark(1)));
    assert_eq!(ledger.count(NOW.plus(9)), 0);
}

#[test]
fn a_clock_that_is_set_back_counts_each_session_once() {
    let ahead = NOW.plus(7200);
    let ledger = Ledger::with(3600, ahead, Marks::default());
    ledger.begin(ahead);
    // Its cookie is of the future and so counts no more.
    assert!(ledger.replace(ahead, NOW, mark(1)));
    ledger.begin(NOW);
    let mut issued = NOW;
    for second in 1..200 {
        let now = NOW.plus(second);
        ledger.renew(issued, now, Some(mark(u64::from(second))));
        issued = now;
        assert_eq!(ledger.count(now), 1, "{second} s later");
    }
    // By a second clocks of threads differ.
    let ledger = of(3600);
    ledger.begin(NOW);
    assert!(ledger.may_be_missing(UnixSeconds(NOW.0 - 2), UnixSeconds(NOW.0 - 2)));
    ledger.begin(UnixSeconds(NOW.0 - 1));
    assert!(ledger.leave(NOW, NOW, mark(1)));
    assert_eq!(ledger.count(NOW), 1);
}

/// Two targets, and clients that send their first cookie for ever. Whatever marks are lost, as many are counted as there are.
#[test]
fn who_goes_on_sending_its_first_cookie_is_never_counted_once_more() {
    // Room for no mark at all, for one, for those that are known, and for all.
    for (places, sets) in [(0, 0), (1, 0), (1, 1), (4096, 128)] {
        let begun = UnixSeconds(NOW.0 - DAY);
        let [here, there] = [(), ()].map(|()| Ledger::with(64, begun, Marks::with_places(places, sets)));
        (0..6).for_each(|_| here.begin(NOW));
        keep_their_first_cookie([&here, &there], NOW);
    }
}

/// Of a process before, or of the moment in which counting began: nothing but marks tells that they were counted.
#[test]
fn nor_does_it_matter_who_set_that_cookie() {
    for (begun, most) in [(UnixSeconds(NOW.0 - 1), 6), (NOW, 6), (NOW.plus(1), 6), (NOW.plus(2), 0)] {
        for counted in 0..=most {
            let [here, there] = [(), ()].map(|()| Ledger::with(64, begun, Marks::default()));
            (0..counted).for_each(|_| here.begin(NOW));
            keep_their_first_cookie([&here, &there], NOW);
        }
    }
}

/// Six clients are renewed `here` for some seconds, and then go `there`.
fn keep_their_first_cookie([here, there]: [&Ledger; 2], issued: UnixSeconds) {
    for second in 3..60 {
        let now = issued.plus(second);
        for client in 0..6 {
            if second < 30 {
                here.renew(issued, now, Some(mark(client)));
            } else if here.leave(issued, now, mark(client)) {
                there.begin(now);
            }
        }
        let counts = (here.count(now), there.count(now));
        assert_eq!(counts.0 + counts.1, 6, "{counts:?} after {second} s");
        assert!(second >= 30 || counts.0 == 6);
    }
    assert_eq!(here.count(issued.plus(60)), 0, "a moment is over");
}

/// It was not due when it came and is when it is answered, and is of the moment in which counting began.
#[test]
fn a_first_cookie_that_comes_due_under_way_is_counted_once() {
    let ledger = of(DAY);
    ledger.begin(NOW);
    assert!(ledger.is_due(NOW, NOW), "it needs a mark");
    for second in [1, 1, 2, 5, 2000, 2001] {
        ledger.renew(NOW, NOW.plus(second), Some(mark(1)));
        assert_eq!(ledger.count(NOW.plus(second)), 1, "after {second} s");
    }
}

#[test]
fn a_first_cookie_that_is_over_counts_with_the_next_session_alone() {
    let (here, there) = (old(64), old(64));
    here.begin(NOW);
    here.renew(NOW, NOW.plus(40), Some(mark(1)));
    assert!(here.replace(NOW, NOW.plus(65), mark(1)));
    there.begin(NOW.plus(65));
    assert_eq!((here.count(NOW.plus(65)), there.count(NOW.plus(65))), (0, 1));
}

/// What a mark says of a target is over with its ledger.
#[test]
fn a_target_that_was_gone_counts_anew_and_who_left_it_before_stays_away() {
    let ledger = old(DAY);
    (0..2).for_each(|_| ledger.begin(NOW));
    ledger.renew(NOW, NOW.plus(2000), Some(mark(1)));
    ledger.renew(NOW, NOW.plus(2000), Some(mark(2)));
    assert!(ledger.leave(NOW, NOW.plus(2020), mark(1)));
    // The target is gone, and both come.
    let strand = |client, second| {
        let mark = ledger.1.of(mark(client), TARGET);
        mark.leave(NOW, Done::Stranded, NOW.plus(second), u32::MAX) != Before::Same
    };
    assert!(!strand(1, 2021), "it is counted elsewhere");
    assert!(strand(2, 2021) && !strand(2, 2021));
    // It is there again.
    let again = Ledger::with(DAY, NOW.plus(3000), ledger.1);
    for second in [3010, 3011, 9000] {
        again.renew(NOW, NOW.plus(second), Some(mark(1)));
        again.renew(NOW, NOW.plus(second), Some(mark(2)));
        assert_eq!(again.count(NOW.plus(second)), 2);
    }
}

/// Clients go from one balancer to another as they like, each with a ledger of its own: together they never count less than there are.
#[test]
fn over_several_balancers_the_sum_is_never_too_small() {
    let nodes = [old(DAY), old(DAY), old(DAY)];
    nodes.iter().for_each(|node| node.share());
    let mut seed = 7_u64;
    let mut draw = |of: u64| {
        seed = mix(seed + 1);
        seed % of
    };
    // When the cookie of each client was set; none: it has left.
    let mut clients: Vec<Option<UnixSeconds>> = Vec::new();
    let mut now = NOW;
    for step in 0..4000 {
        now = now.plus(u32::try_from(draw(60)).unwrap());
        let node = &nodes[usize::try_from(draw(3)).unwrap()];
        if step < 200 {
            node.begin(now);
            clients.push(Some(now));
            continue;
        }
        let index = usize::try_from(draw(clients.len() as u64)).unwrap();
        let Some(issued) = clients[index] else { continue };
        let client = index as u64;
        if draw(20) == 0 {
            assert!(node.leave(issued, now, client), "it is counted where it goes");
            clients[index] = None;
        } else {
            node.renew(issued, now, Some(client));
            clients[index] = Some(now);
        }
        let there = clients.iter().flatten().filter(|issued| now.since(**issued) <= DAY).count() as u64;
        let sum: u64 = nodes.iter().map(|node| node.count(now)).sum();
        assert!(sum >= there, "{sum} of {there} after {step}");
    }
    // And it is over when the last cookie is.
    let end = now.plus(DAY + 2 * DAY / PARTS);
    assert_eq!(nodes.iter().map(|node| node.count(end)).sum::<u64>(), 0);
}

proptest! {
    /// However often the duration changes, each cookie counts for as long as the last one says.
    #[test]
    fn any_number_of_durations_forgets_nobody_and_nobody_too_late(
        steps in proptest::collection::vec((0_u32..20, prop_oneof![1..200_u32, 1..665_280_u32], 0_u32..50_000), 1..40),
    ) {
        let ledger = old(DAY);
        let mut now = NOW;
        let mut window = DAY;
        let mut cookies = Vec::new();
        for (begun, other, pause) in steps {
            for _ in 0..begun {
                ledger.begin(now);
                cookies.push((now, window));
            }
            now = now.plus(pause);
            window = other;
            ledger.count_for(window, now);
            // Of one that was over for long by the duration that it was set with nothing need be known.
            let must = |&&(at, by): &&(UnixSeconds, u32)| now.since(at) <= window.min(by + by / 2);
            let may = |&&(at, by): &&(UnixSeconds, u32)| now.since(at) <= window + (by / PARTS).max(1);
            let bounds = cookies.iter().filter(must).count()..=cookies.iter().filter(may).count();
            let count = usize::try_from(ledger.count(now)).unwrap();
            prop_assert!(bounds.contains(&count), "{} is not in {:?}", count, bounds);
        }
    }
}
