//! What the store's thread does beside sessions: telling others how many of them targets have, asking for the lead, and telling what
//! checks have found while it has it. Must not know: what others do with that.

use std::time::Instant;

use redis::Value;

use super::{
    super::{
        fault::StoreFault,
        lead::{CLAIMS, LEASE},
        link::Link,
        notice::{MOST_TARGETS, NodeName, Notice},
        wording,
    },
    StoreThread,
    errand_pace::{ALL_VERDICTS, Errands},
    round::{Errand, Rounds},
};
use crate::{clock::monotonic_now, counters::VerdictRefusal};

impl StoreThread {
    /// Does what is due.
    pub(super) fn run_errands(&self, errands: &mut Errands, rounds: &mut Rounds) {
        let (now, council) = (monotonic_now(), self.port.council());
        council.expire(now);
        if rounds.deaf().is_some() {
            return;
        }
        let mut notices = Vec::new();
        if council.is_retired() {
            if !std::mem::replace(&mut errands.has_ended, true) {
                notices.push(Notice::Ends);
            }
        } else {
            if !std::mem::replace(&mut errands.has_asked, true) {
                notices.push(Notice::Asks);
            }
            if let Some(told) = errands.counts(|| self.local.counts(), || council.take_asked(), now) {
                match told.as_slice() {
                    [] => notices.push(Notice::Sessions(Vec::new())),
                    told => {
                        notices.extend(told.chunks(MOST_TARGETS).map(|some| Notice::Sessions(some.into())))
                    }
                }
            }
            self.claim(errands, rounds, now);
            if council.leads(now) {
                let all = now >= errands.verdicts_at;
                if all {
                    errands.verdicts_at = now + ALL_VERDICTS;
                }
                let told = council.verdicts(all, now);
                self.port.shard.verdicts_told.add(told.len() as u64);
                notices.extend(told.chunks(MOST_TARGETS).map(|some| Notice::Verdicts(some.into())));
            }
        }
        if !notices.is_empty() {
            let cmds = notices.iter().map(|notice| wording::publish(council.name(), notice)).collect();
            rounds.send(Errand::Notices, cmds);
        }
    }

    fn claim(&self, errands: &mut Errands, rounds: &mut Rounds, now: Instant) {
        let council = self.port.council();
        let is_doubted = council.take_doubt();
        if now < errands.claim_at && !is_doubted {
            return;
        }
        if let Some(set) = council.set() {
            errands.claim_at = now + CLAIMS;
            rounds.send(Errand::Claim(now), vec![wording::claim(set, council.name(), LEASE)]);
        }
    }

    /// Takes in what came of it.
    ///
    /// # Errors
    /// The connection will do no longer.
    pub(super) fn end_errand(
        &self,
        errand: Errand,
        answers: Result<Vec<Result<Value, StoreFault>>, StoreFault>,
    ) -> Result<(), StoreFault> {
        for answer in answers? {
            match (errand, answer) {
                (_, Err(fault)) if fault.is_of_connection() => return Err(fault),
                (_, Err(fault)) => self.refused(&fault),
                (Errand::Notices | Errand::Ping, Ok(_)) => {}
                (Errand::Claim(asked), Ok(answer)) => self.hear_claim(asked, &answer),
            }
        }
        Ok(())
    }

    fn hear_claim(&self, asked: Instant, answer: &Value) {
        let council = self.port.council();
        match answer {
            Value::Nil => {
                if council.granted(asked) {
                    self.port.shard.leads_taken.inc();
                    tracing::info!(
                        "this balancer checks the health of targets for all that share its session store"
                    );
                }
            }
            answer => match wording::text(answer).and_then(NodeName::read) {
                Some(other) => {
                    let now = monotonic_now();
                    let before = council.leader(now);
                    council.held_by(other, now);
                    if before != Some(other) {
                        tracing::info!(leader = %other, "another balancer checks the health of targets");
                    }
                }
                None => self.strange(&StoreFault::strange_leader()),
            },
        }
    }

    /// Another balancer tells something.
    pub(super) fn hear_notice(&self, told: Option<(NodeName, Notice)>) {
        let (now, council) = (monotonic_now(), self.port.council());
        let Some((from, notice)) = told else { return self.strange(&StoreFault::strange_notice()) };
        if from == council.name() {
            return;
        }
        let has_room = match notice {
            Notice::Sessions(counts) => council.hear(from, &counts, now),
            // One that has led and does not know yet that it leads no more tells what it knew then.
            Notice::Verdicts(told) if council.shares_checks() && council.leader(now) != Some(from) => {
                told.iter().for_each(|_| self.port.shard.verdicts_refused.count(VerdictRefusal::NotLeading));
                council.doubt();
                true
            }
            Notice::Verdicts(told) => council.pass_on(&told, now),
            Notice::Asks => {
                council.be_asked();
                true
            }
            Notice::Ends => {
                council.end(from);
                true
            }
        };
        if !has_room {
            self.strange(&StoreFault::too_many_told());
        }
    }

    /// What others have written is of no use.
    fn strange(&self, fault: &StoreFault) {
        self.port.shard.notices_refused.inc();
        self.refused(fault);
    }

    /// Whether others are heard over this connection, and why not.
    pub(super) fn begin_errands(&self, link: &Link) -> Errands {
        self.port.council().listen(link.deaf().is_none());
        if let Some(fault) = link.deaf() {
            self.refused(fault);
        }
        Errands::new(monotonic_now())
    }
}
