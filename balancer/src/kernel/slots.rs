//! Which endpoint has which slot. A slot is given to another endpoint only when nothing counts on it any more.
//!
//! The owner's fingerprint is kept in the table of counters, so that an endpoint finds its slot again after a
//! restart, however the process ended. Must not know: maps, files.

use std::collections::{BTreeSet, HashMap};

use balancer_common::MAX_SLOTS;

use super::{Outstanding, TargetCounters, counters::Excess, endpoint};
use crate::{id::Slot, model::Endpoint};

/// The slots as the process that runs the instance sees them.
#[derive(Debug)]
pub(super) struct Slots {
    counters: TargetCounters,
    outstanding: Outstanding,
    owners: HashMap<Slot, SlotOwner>,
    by_fingerprint: HashMap<u64, Slot>,
    /// Free ones among those below `fresh`.
    freed: BTreeSet<Slot>,
    /// From here on every slot is free that has no owner: a table has thousands that nobody will ever ask for.
    fresh: u32,
    /// What stood in the tables and was not there, when last looked at.
    excess: HashMap<Slot, Excess>,
}

#[derive(Clone, Copy, Debug)]
struct SlotOwner {
    fingerprint: u64,
    state: SlotState,
}

/// What keeps a slot from being free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotState {
    /// An endpoint that is in use, by so many users.
    Claimed { users: u32 },
    /// An endpoint of an earlier process, which this one has not asked for.
    LeftOver,
    /// What may still be counted on it.
    Released {
        /// Nothing was, when last looked at.
        idle: bool,
    },
}

impl Slots {
    /// Reads what earlier processes left. `settle` says, by fingerprint, whose connections were counted by
    /// a process that is gone, and cannot be open any more.
    pub(super) fn new(
        counters: TargetCounters,
        outstanding: Outstanding,
        settle: impl Fn(u64) -> bool,
    ) -> Self {
        let mut slots = Self {
            counters,
            outstanding,
            owners: HashMap::new(),
            by_fingerprint: HashMap::new(),
            freed: BTreeSet::new(),
            fresh: 0,
            excess: HashMap::new(),
        };
        for slot in (0..MAX_SLOTS).filter_map(slot_at) {
            let fingerprint = slots.counters.owner(slot);
            if fingerprint == 0 {
                continue;
            }
            if settle(fingerprint) {
                slots.counters.settle(slot);
            }
            slots.owners.insert(slot, SlotOwner { fingerprint, state: SlotState::LeftOver });
            slots.by_fingerprint.insert(fingerprint, slot);
        }
        slots
    }

    /// The endpoint's slot: the one it has or had, with its counters, or else the lowest free one, zeroed.
    /// None when there is none. An endpoint claimed twice has one slot, which is in use until both have released it.
    pub(super) fn claim(&mut self, endpoint: &Endpoint) -> Option<Slot> {
        let fingerprint = endpoint::fingerprint(endpoint);
        let slot = match self.by_fingerprint.get(&fingerprint) {
            Some(&slot) => slot,
            None => {
                let slot = self.take_lowest()?;
                self.counters.assign(slot, fingerprint);
                self.by_fingerprint.insert(fingerprint, slot);
                slot
            }
        };
        let users = 1 + self.users(slot);
        self.owners.insert(slot, SlotOwner { fingerprint, state: SlotState::Claimed { users } });
        Some(slot)
    }

    /// The lowest free slot, which is not free any more.
    fn take_lowest(&mut self) -> Option<Slot> {
        if let Some(slot) = self.freed.pop_first() {
            return Some(slot);
        }
        let owners = &self.owners;
        let slot = (self.fresh..MAX_SLOTS).filter_map(slot_at).find(|slot| !owners.contains_key(slot));
        self.fresh = slot.map_or(MAX_SLOTS, |slot| u32::from(slot.0) + 1);
        slot
    }

    /// One user of the endpoint less. True if it was the last one.
    pub(super) fn release(&mut self, slot: Slot) -> bool {
        let left = self.users(slot).checked_sub(1);
        let (Some(users), Some(owner)) = (left, self.owners.get_mut(&slot)) else { return false };
        owner.state =
            if users == 0 { SlotState::Released { idle: false } } else { SlotState::Claimed { users } };
        users == 0
    }

    fn users(&self, slot: Slot) -> u32 {
        match self.owners.get(&slot).map(|owner| owner.state) {
            Some(SlotState::Claimed { users }) => users,
            _ => 0,
        }
    }

    /// Releases what earlier processes left and this one has not claimed.
    pub(super) fn release_left_over(&mut self) {
        for owner in self.owners.values_mut().filter(|owner| owner.state == SlotState::LeftOver) {
            owner.state = SlotState::Released { idle: false };
        }
    }

    /// Whether an endpoint of this process has the slot.
    pub(super) fn is_claimed(&self, slot: Slot) -> bool {
        self.users(slot) > 0
    }

    /// After the tables were lost in part: what is known of slots is written into them again.
    pub(super) fn mend(&self) {
        self.outstanding.mend();
        for (&slot, owner) in &self.owners {
            self.counters.mend(slot, owner.fingerprint);
        }
    }

    /// Where no other process lives: closes the books on what another one was counting that was killed, which stands there at two
    /// visits in a row (what begins or ends meanwhile is read in two steps). `counted_here` says, by fingerprint, whose
    /// connections processes count themselves.
    pub(super) fn write_off(&mut self, counted_here: impl Fn(u64) -> bool) {
        let owners = self.owners.iter().filter(|(_, owner)| counted_here(owner.fingerprint));
        let found: HashMap<Slot, Excess> = owners
            .map(|(&slot, _)| (slot, self.counters.excess(slot)))
            .filter(|(_, excess)| *excess != Excess::default())
            .collect();
        for (&slot, &excess) in &found {
            if self.excess.get(&slot) == Some(&excess) {
                self.counters.write_off(slot, excess);
            }
        }
        self.excess = found;
    }

    /// Frees released slots on which nothing is counted: no connection, no request, at two visits in a row
    /// (the kernel may have looked up an endpoint just before it was taken from it).
    pub(super) fn reap(&mut self) {
        let mut idle_twice = Vec::new();
        for (&slot, owner) in &mut self.owners {
            if let SlotState::Released { idle } = &mut owner.state {
                let idle_now = self.counters.read(slot).live() == 0 && self.outstanding.get(slot) == 0;
                if *idle && idle_now {
                    idle_twice.push((slot, owner.fingerprint));
                }
                *idle = idle_now;
            }
        }
        for (slot, fingerprint) in idle_twice {
            self.counters.assign(slot, 0);
            self.owners.remove(&slot);
            if self.by_fingerprint.get(&fingerprint) == Some(&slot) {
                self.by_fingerprint.remove(&fingerprint);
            }
            if u32::from(slot.0) < self.fresh {
                self.freed.insert(slot);
            }
        }
    }
}

fn slot_at(index: u32) -> Option<Slot> {
    u16::try_from(index).ok().map(Slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(port: u16) -> Endpoint {
        Endpoint::Tcp(([127, 0, 0, 1], port).into())
    }

    struct Tables(TargetCounters, Outstanding);

    impl Tables {
        fn new() -> Self {
            Self(TargetCounters::in_memory().unwrap(), Outstanding::in_memory().unwrap())
        }

        fn open(&self, settle: bool) -> Slots {
            Slots::new(self.0.clone(), self.1.clone(), |_| settle)
        }
    }

    #[test]
    fn slots_are_given_from_the_lowest_on_and_an_endpoint_keeps_its_own() {
        let tables = Tables::new();
        let mut slots = tables.open(false);
        assert_eq!(slots.claim(&tcp(1)), Some(Slot(0)));
        assert_eq!(slots.claim(&tcp(2)), Some(Slot(1)));
        assert!(slots.release(Slot(0)) && !slots.release(Slot(0)));
        assert_eq!(slots.claim(&tcp(3)), Some(Slot(2)), "not free yet");
        assert_eq!(slots.claim(&tcp(1)), Some(Slot(0)), "back before it was freed");
        slots.reap();
        slots.reap();
        assert!(slots.is_claimed(Slot(0)));
    }

    #[test]
    fn what_a_killed_process_was_counting_is_written_off() {
        let words = crate::kernel::Words::in_memory(crate::kernel::counters::WORDS).unwrap();
        let process = || TargetCounters::new(words.clone(), None);
        let (here, killed) = (process(), process());
        let mut slots = Slots::new(here.clone(), Outstanding::in_memory().unwrap(), |_| false);
        let slot = slots.claim(&tcp(1)).unwrap();
        let mine = here.attempt(slot).opened();
        std::mem::forget((killed.attempt(slot).opened(), killed.attempt(slot)));
        slots.write_off(|_| false);
        slots.write_off(|_| false);
        assert_eq!(here.read(slot).open, 2, "the kernel counts these");
        slots.write_off(|_| true);
        assert_eq!(here.read(slot).open, 2, "not at first sight");
        slots.write_off(|_| true);
        let now = here.read(slot);
        assert_eq!((now.open, now.connecting, now.closed, now.failed, now.live()), (1, 0, 1, 1, 1));
        slots.write_off(|_| true);
        slots.write_off(|_| true);
        assert_eq!(here.read(slot), now);
        drop(mine);
        assert_eq!(here.read(slot).live(), 0);
    }

    #[test]
    fn a_slot_with_two_users_is_in_use_until_both_have_released_it() {
        let mapped = Endpoint::Tcp("[::ffff:127.0.0.1]:1".parse().unwrap());
        for second in [tcp(1), mapped] {
            let tables = Tables::new();
            let mut slots = tables.open(false);
            let slot = slots.claim(&tcp(1)).unwrap();
            assert_eq!(slots.claim(&second), Some(slot));
            assert!(!slots.release(slot) && slots.is_claimed(slot));
            slots.reap();
            slots.reap();
            assert_ne!(slots.claim(&tcp(2)), Some(slot), "it is in use");
            assert!(slots.release(slot) && !slots.is_claimed(slot));
        }
    }

    #[test]
    fn a_slot_is_free_when_nothing_has_counted_on_it_twice() {
        let tables = Tables::new();
        let (counters, outstanding) = (&tables.0, &tables.1);
        let mut slots = tables.open(false);
        let slot = slots.claim(&tcp(1)).unwrap();
        let attempt = counters.attempt(slot);
        let in_flight = outstanding.begin(slot);
        slots.release(slot);
        let mut reap_and_ask = |port| {
            slots.reap();
            slots.reap();
            slots.claim(&tcp(port)).unwrap()
        };
        assert_ne!(reap_and_ask(10), slot, "an attempt and a request");
        let connection = attempt.opened();
        assert_ne!(reap_and_ask(11), slot, "a connection and a request");
        drop(in_flight);
        assert_ne!(reap_and_ask(12), slot, "a connection");
        drop(connection);
        assert_eq!(reap_and_ask(13), slot);
        assert_eq!(counters.read(slot), super::super::CounterValues::default());
    }

    #[test]
    fn one_visit_is_not_enough() {
        let tables = Tables::new();
        let mut slots = tables.open(false);
        let slot = slots.claim(&tcp(1)).unwrap();
        slots.release(slot);
        slots.reap();
        assert_ne!(slots.claim(&tcp(2)), Some(slot));
        slots.reap();
        assert_eq!(slots.claim(&tcp(3)), Some(slot));
    }

    #[test]
    fn a_restart_finds_slots_and_counters_and_frees_what_is_not_claimed() {
        let tables = Tables::new();
        let mut slots = tables.open(false);
        let kept = slots.claim(&tcp(1)).unwrap();
        let dropped = slots.claim(&tcp(2)).unwrap();
        let unix = slots.claim(&Endpoint::Unix("/run/a".into())).unwrap();
        let open = |slot| tables.0.attempt(slot).opened();
        // Nobody of this process sees these two end.
        std::mem::forget([kept, unix].map(open));
        let connection = open(dropped);
        drop(slots);
        let mut slots = Slots::new(tables.0.clone(), tables.1.clone(), endpoint::counted_by_workers);
        assert_eq!(slots.claim(&tcp(1)), Some(kept));
        assert_eq!(slots.claim(&Endpoint::Unix("/run/a".into())), Some(unix));
        slots.release_left_over();
        slots.reap();
        slots.reap();
        assert_eq!(tables.0.read(kept).open, 1, "counted by the kernel, which still does");
        assert_eq!(
            (tables.0.read(unix).open, tables.0.read(unix).closed),
            (0, 1),
            "counted by workers that are gone"
        );
        assert_eq!(slots.claim(&tcp(3)), Some(Slot(3)), "a connection of the dropped one is open");
        drop(connection);
        slots.reap();
        slots.reap();
        assert_eq!(slots.claim(&tcp(4)), Some(dropped));
        assert!(tables.open(true).claim(&tcp(1)) == Some(kept) && tables.0.read(kept).open == 0);
    }

    #[test]
    fn free_slots_between_those_of_an_earlier_process_are_found_and_nothing_is_noted_of_the_others() {
        let tables = Tables::new();
        let mut before = tables.open(false);
        for port in 0..4 {
            before.claim(&tcp(port)).unwrap();
        }
        before.release(Slot(1));
        before.reap();
        before.reap();
        let mut slots = tables.open(false);
        assert_eq!((slots.freed.len(), slots.owners.len()), (0, 3), "what nobody has had costs nothing");
        slots.release_left_over();
        slots.reap();
        slots.reap();
        let given: Vec<_> = (10..15).map(|port| slots.claim(&tcp(port)).unwrap().0).collect();
        assert_eq!(given, [0, 1, 2, 3, 4], "each once");
        slots.release(Slot(3));
        slots.reap();
        slots.reap();
        assert_eq!((slots.claim(&tcp(20)), slots.claim(&tcp(21))), (Some(Slot(3)), Some(Slot(5))));
    }

    #[test]
    fn there_are_as_many_slots_as_said() {
        let tables = Tables::new();
        let mut slots = tables.open(false);
        let mut last = None;
        for port in 0..16_384 {
            last = slots.claim(&tcp(port));
        }
        assert_eq!(last, Some(Slot(16_383)));
        assert_eq!(slots.claim(&tcp(60_000)), None);
        slots.release(Slot(77));
        slots.reap();
        slots.reap();
        assert_eq!(slots.claim(&tcp(60_000)), Some(Slot(77)));
    }
}
