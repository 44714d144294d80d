//! Which signatures of changes were used already: a signed change is carried out once, however often it comes. Who sends the very
//! same bytes again within a moment has lost the answer, and gets that; whoever does later has taken them down on their way. What was
//! refused has changed nothing: within the same second it is tried again, as clients do.
//! Must not know: what is asked, the clock.

use std::collections::{BTreeSet, HashMap};

use crate::clock::UnixSeconds;

/// Signatures name a second: who asks for the same twice in one, with another change between the two, means it anew. For so many
/// seconds from the first time on it is taken so.
const ANEW: u32 = 1;
/// For how many seconds an answer is kept. A client signs anew when it tries again in another second than before.
const KEPT: u32 = 10;

/// What is to be done with a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureUse<A> {
    /// Carry it out: its signature comes for the first time.
    First,
    /// Answer as before.
    Again(A),
    /// Refuse it: its answer is forgotten.
    Spent,
    /// Refuse it for now: as many as can be remembered are.
    Full,
}

/// Signatures as long as they are good, and for a moment what was answered.
#[derive(Debug)]
pub struct UsedSignatures<A> {
    used: HashMap<[u8; 32], Used<A>>,
    /// When each can be forgotten.
    ends: BTreeSet<(UnixSeconds, [u8; 32])>,
    /// When the answer of each can be.
    answers: BTreeSet<(UnixSeconds, [u8; 32])>,
    /// How many changes were carried out.
    changes: u64,
    most: usize,
}

#[derive(Debug)]
struct Used<A> {
    answer: Option<A>,
    /// When it came first.
    first: UnixSeconds,
    /// Which change it was, the last time that it was carried out.
    change: u64,
}

impl<A: Clone> UsedSignatures<A> {
    /// None yet; so many can be remembered.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { used: HashMap::new(), ends: BTreeSet::new(), answers: BTreeSet::new(), changes: 0, most }
    }

    /// What to do with a change of this signature, which is good until `valid_until`. Where it is to be carried out, `answer` is
    /// where its answer will be found. `was_refused`: of an answer, whether nothing was done.
    pub fn take(
        &mut self,
        signature: [u8; 32],
        valid_until: UnixSeconds,
        now: UnixSeconds,
        answer: A,
        was_refused: impl FnOnce(&A) -> bool,
    ) -> SignatureUse<A> {
        self.forget(now);
        if let Some(used) = self.used.get_mut(&signature) {
            let is_meant = used.change < self.changes || used.answer.as_ref().is_some_and(was_refused);
            if is_meant && now <= used.first.plus(ANEW) {
                self.changes += 1;
                used.change = self.changes;
                used.answer = Some(answer);
                return SignatureUse::First;
            }
            return used.answer.clone().map_or(SignatureUse::Spent, SignatureUse::Again);
        }
        if self.used.len() >= self.most {
            return SignatureUse::Full;
        }
        self.changes += 1;
        self.used.insert(signature, Used { answer: Some(answer), first: now, change: self.changes });
        self.ends.insert((valid_until, signature));
        self.answers.insert((now.plus(KEPT), signature));
        SignatureUse::First
    }

    fn forget(&mut self, now: UnixSeconds) {
        while let Some(end) = self.answers.first().copied().filter(|(end, _)| *end < now) {
            self.answers.remove(&end);
            if let Some(used) = self.used.get_mut(&end.1) {
                used.answer = None;
            }
        }
        while let Some(end) = self.ends.first().copied().filter(|(end, _)| *end < now) {
            self.ends.remove(&end);
            self.used.remove(&end.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u32) -> UnixSeconds {
        UnixSeconds(seconds)
    }

    fn take<A: Clone>(
        used: &mut UsedSignatures<A>,
        signature: [u8; 32],
        valid_until: UnixSeconds,
        now: UnixSeconds,
        answer: A,
    ) -> SignatureUse<A> {
        used.take(signature, valid_until, now, answer, |_| false)
    }

    #[test]
    fn what_was_refused_is_tried_again_within_its_second() {
        let mut used = UsedSignatures::new(10);
        let mut take = |now, answer| used.take([1; 32], at(900), at(now), answer, |answer| *answer == 'r');
        assert_eq!(take(100, 'r'), SignatureUse::First);
        assert_eq!(take(101, 'r'), SignatureUse::First, "what stood in its way may be gone");
        assert_eq!(take(101, 'd'), SignatureUse::First);
        assert_eq!(take(101, 'x'), SignatureUse::Again('d'), "it is done, and is done once");
        let mut used = UsedSignatures::new(10);
        let mut take = |now, answer| used.take([1; 32], at(900), at(now), answer, |answer| *answer == 'r');
        assert_eq!(take(100, 'r'), SignatureUse::First);
        assert_eq!(take(102, 'd'), SignatureUse::Again('r'), "whoever took it down does not get it done");
        assert_eq!(take(120, 'd'), SignatureUse::Spent);
    }

    #[test]
    fn a_change_is_carried_out_once_as_long_as_its_signature_is_good() {
        let mut used = UsedSignatures::new(10);
        assert_eq!(take(&mut used, [1; 32], at(900), at(100), 'a'), SignatureUse::First);
        assert_eq!(take(&mut used, [1; 32], at(900), at(110), 'b'), SignatureUse::Again('a'));
        assert_eq!(take(&mut used, [1; 32], at(900), at(111), 'b'), SignatureUse::Spent);
        assert_eq!(take(&mut used, [1; 32], at(900), at(900), 'b'), SignatureUse::Spent);
        assert_eq!(take(&mut used, [2; 32], at(900), at(900), 'b'), SignatureUse::First);
        // Nothing is kept of what nobody could use any more.
        assert_eq!(take(&mut used, [3; 32], at(2000), at(950), 'c'), SignatureUse::First);
        assert_eq!((used.used.len(), used.ends.len(), used.answers.len()), (1, 1, 1));
    }

    #[test]
    fn what_is_asked_for_again_after_another_change_is_meant_anew() {
        let mut used = UsedSignatures::new(10);
        // Registered, deregistered and registered once more, all in one second.
        assert_eq!(take(&mut used, [1; 32], at(900), at(100), 'a'), SignatureUse::First);
        assert_eq!(take(&mut used, [2; 32], at(900), at(100), 'b'), SignatureUse::First);
        assert_eq!(take(&mut used, [1; 32], at(900), at(101), 'c'), SignatureUse::First);
        // Its answer was lost.
        assert_eq!(take(&mut used, [1; 32], at(900), at(101), 'd'), SignatureUse::Again('c'));
        assert_eq!(take(&mut used, [2; 32], at(900), at(102), 'd'), SignatureUse::Again('b'));
        // Somebody has taken it down.
        assert_eq!(take(&mut used, [1; 32], at(900), at(111), 'd'), SignatureUse::Spent);
    }

    #[test]
    fn what_can_be_remembered_has_a_bound_and_nothing_is_forgotten_for_it() {
        let mut used = UsedSignatures::new(2);
        assert_eq!(take(&mut used, [1; 32], at(900), at(1), ()), SignatureUse::First);
        assert_eq!(take(&mut used, [2; 32], at(901), at(1), ()), SignatureUse::First);
        assert_eq!(take(&mut used, [3; 32], at(901), at(1), ()), SignatureUse::Full);
        assert_eq!(take(&mut used, [1; 32], at(900), at(20), ()), SignatureUse::Spent);
        assert_eq!(take(&mut used, [3; 32], at(1800), at(901), ()), SignatureUse::First);
    }

    #[test]
    fn a_clock_that_goes_back_forgets_nothing() {
        let mut used = UsedSignatures::new(2);
        assert_eq!(take(&mut used, [1; 32], at(900), at(100), ()), SignatureUse::First);
        assert_eq!(take(&mut used, [1; 32], at(900), at(1), ()), SignatureUse::Again(()));
    }
}
