//! Responses of a target that stands in for the one that a session is bound to.

use super::{
    tests::{A, B, NOW, decide, fleet, group_that_lasts, lines, table},
    *,
};
use crate::stickiness::Standing;

/// `B` answers a request of a session of `A`, and gives the application's cookie the value that `sets` says.
/// Gives back what became of the session; where the value that came goes from now on, alone and with the own cookie that
/// was set; and where the value goes that was given.
fn stand_in(keeps_own: bool, sets: &str) -> (Renewal, [Option<usize>; 3]) {
    let (group, table, fleet) = (group_that_lasts("app", "SID", None), table(), fleet(Standing::Routable));
    let first = decide(&group, "", &fleet, &table, NOW);
    let (_, set) = lines(&group, &first, Answered::at_home(A), b"SID=one", &table, NOW);
    let own = |set: &[String]| set[0].split(';').next().unwrap().to_owned();
    let cookies = if keeps_own { format!("SID=one; {}", own(&set)) } else { "SID=one".to_owned() };
    let now = NOW.plus(900);
    let decision = decide(&group, &cookies, &fleet, &table, now);
    assert_eq!(decision.target, Some(0));
    let answered = Answered { by: B, home: A, nonce: 0, uncounted: false };
    let (renewal, set) = lines(&group, &decision, answered, sets.as_bytes(), &table, now);
    // Late enough for a session that was not renewed to be over.
    let later = NOW.plus(1800);
    let of = |cookies: &str, table: &_| decide(&group, cookies, &fleet, table, later).target;
    let by_own = of(&format!("SID=any; {}", own(&set)), &self::table());
    let given = sets.split(';').next().unwrap();
    (renewal, [of("SID=one", &table), by_own, of(given, &table)])
}

#[test]
fn a_session_stays_at_home_unless_the_cookie_is_given_another_value() {
    for keeps_own in [true, false] {
        let stays = (Renewal::Bound(A), [Some(0), Some(0)]);
        for sets in ["", "SID=one; Path=/", "OTHER=two", "SID=; Path=/", "SID=two; Max-Age=0"] {
            let (renewal, [old, own, _]) = stand_in(keeps_own, sets);
            assert_eq!((renewal, [old, own]), stays, "{keeps_own} {sets}");
        }
        // It was made by the target that stood in, and lives there. What came before lives where it did.
        let moved = stand_in(keeps_own, "SID=two; Path=/");
        assert_eq!(moved, (Renewal::Bound(B), [Some(0), Some(1), Some(1)]), "{keeps_own}");
    }
}
