//! Sessions that begin, go on, leave and end, over restarts and changes of the duration.

use super::*;
use crate::stickiness::mix::mix;

const DAY: u32 = 86_400;
const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

/// The mark of a client, as unlike those of others as a hash.
fn mark(client: u64) -> u64 {
    mix(client + 1)
}

fn of(window: u32) -> SessionLedger {
    let ledger = SessionLedger::default();
    ledger.count_for(window, UnixSeconds(NOW.0 - 1));
    ledger
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
            assert!(ledger.is_due(UnixSeconds(NOW.0 - 2), NOW), "and so counting begins");
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
        let ledger = of(first);
        // Not in the moment of the restart.
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
    let ledger = of(DAY);
    ledger.begin(UnixSeconds(NOW.0 - DAY));
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
        assert!(ledger.is_due(UnixSeconds(NOW.0 - 1), NOW));
        ledger.begin(at(0));
        ledger.begin(at(0));
        for second in 0..if early { 1 } else { 20 } {
            assert!(!ledger.is_due(at(second), at(second)));
            for _ in 0..3 {
                ledger.renew(at(second), at(second + 1), None);
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
    let ledger = of(DAY);
    ledger.begin(UnixSeconds(NOW.0 - 2 * DAY));
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
    let ledger = of(64);
    ledger.begin(UnixSeconds(NOW.0 - 64));
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
    ledger.begin(NOW.plus(52));
    ledger.renew(NOW, NOW.plus(53), Some(mark(1)));
    assert!(ledger.leave(NOW, NOW.plus(60), mark(1)) || ledger.leave(NOW, NOW.plus(70), mark(1)));
}

#[test]
fn who_was_answered_late_is_counted_nowhere_when_it_has_left() {
    let ledger = of(64);
    ledger.begin(UnixSeconds(NOW.0 - 64));
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
    let ledger = of(3600);
    let ahead = NOW.plus(7200);
    assert!(ledger.is_due(UnixSeconds(ahead.0 - 1), ahead), "and so counting begins");
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
