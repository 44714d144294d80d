//! Who waits for the answers to questions, and for how long yet. One question is asked once, however many wait for its answer, and each
//! of them for as long as a request may. Time comes from outside; must not know: how the store is asked.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::super::port::{Asked, Keys};
use crate::counters::Lookup;

/// In so many parts of what a request waits it is looked at whose time is over.
const LOOKS: u32 = 4;

/// Somebody who waits, and since when.
type Waiter = (Instant, oneshot::Sender<Asked>);

#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// Questions that are under way. Those that nobody waits for any more are, too.
    questions: HashMap<Keys, Vec<Waiter>>,
    count: usize,
    /// When to look whose time is over.
    look: Option<Instant>,
}

impl Waiters {
    /// Somebody waits for the answer to a question, for `most`. Whether it is to be asked.
    pub(super) fn add(
        &mut self,
        keys: &Keys,
        answer: oneshot::Sender<Asked>,
        now: Instant,
        most: Duration,
    ) -> bool {
        self.count += 1;
        self.look.get_or_insert(now + most);
        let is_news = !self.questions.contains_key(keys);
        self.questions.entry(keys.clone()).or_default().push((now, answer));
        is_news
    }

    /// How many wait.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The answer, for all who wait for it.
    pub(super) fn answer(&mut self, keys: &Keys, asked: Asked) {
        for (_, waiting) in self.questions.remove(keys).unwrap_or_default() {
            self.count = self.count.saturating_sub(1);
            // Who has waited for too long is gone.
            let _ = waiting.send(asked);
        }
    }

    /// When to look whose time is over. None: nobody waits.
    pub(super) fn look(&self) -> Option<Instant> {
        self.look
    }

    /// Those whose time is over hear that there is no answer.
    pub(super) fn expire(&mut self, now: Instant, most: Duration) {
        if self.count == 0 {
            self.look = None;
            return;
        }
        let mut left = 0;
        for waiting in self.questions.values_mut() {
            for (_, answer) in waiting.extract_if(.., |(since, _)| *since + most <= now) {
                let _ = answer.send(Asked::Nothing(Lookup::TimedOut));
            }
            left += waiting.len();
        }
        self.count = left;
        self.look = (left > 0).then(|| now + most / LOOKS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic_now;

    const MOST: Duration = Duration::from_millis(20);

    #[test]
    fn each_waits_for_as_long_as_a_request_may() {
        let (mut waiters, start) = (Waiters::default(), monotonic_now());
        assert_eq!(waiters.look(), None);
        let keys: Vec<Keys> = (0..2).map(|key| Keys::from_iter([key])).collect();
        let mut answers = Vec::new();
        for (at, key, is_news) in [(0, 0, true), (8, 0, false), (8, 1, true)] {
            let (answer, answered) = oneshot::channel();
            assert_eq!(waiters.add(&keys[key], answer, start + Duration::from_millis(at), MOST), is_news);
            answers.push(answered);
        }
        assert_eq!((waiters.count(), waiters.look()), (3, Some(start + MOST)));
        waiters.expire(start + MOST, MOST);
        assert_eq!(answers[0].try_recv(), Ok(Asked::Nothing(Lookup::TimedOut)));
        assert!(answers[1].try_recv().is_err() && waiters.count() == 2);
        assert_eq!(waiters.look(), Some(start + MOST + MOST / LOOKS));
        waiters.answer(&keys[1], Asked::Nothing(Lookup::Absent));
        assert_eq!(answers[2].try_recv(), Ok(Asked::Nothing(Lookup::Absent)));
        waiters.expire(start + 2 * MOST, MOST);
        assert_eq!(answers[1].try_recv(), Ok(Asked::Nothing(Lookup::TimedOut)));
        assert_eq!((waiters.count(), waiters.look()), (0, None));
        // What is under way is not asked for again.
        let (answer, mut answered) = oneshot::channel();
        assert!(!waiters.add(&keys[0], answer, start + 3 * MOST, MOST));
        waiters.answer(&keys[0], Asked::Nothing(Lookup::Absent));
        assert_eq!(answered.try_recv(), Ok(Asked::Nothing(Lookup::Absent)));
        waiters.expire(start + 9 * MOST, MOST);
        assert_eq!((waiters.count(), waiters.look()), (0, None));
    }
}
