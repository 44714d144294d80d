//! What each worker has to do, in a table that the kernel's program reads when it chooses one for a new connection. A worker
//! writes its own row, with plain stores; the program adds what it has given. Must not know: how a connection is served.

mod alarm;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use balancer_common::{LOAD_ROWS, LOAD_WORDS, MAX_WORKERS, WHOLE, WorkerLoad as Layout};

use self::alarm::Alarm;
use super::Words;

/// Words of the table.
pub(super) const WORDS: usize = LOAD_WORDS * LOAD_ROWS as usize;

const ROWS: usize = MAX_WORKERS as usize;

/// Index of a word within a row.
macro_rules! word {
    ($field:ident) => {
        std::mem::offset_of!(Layout, $field) / size_of::<u64>()
    };
}

/// The rows of one process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WorkerLoads {
    words: Words,
    /// The first one.
    first: usize,
    alarm: Arc<Alarm>,
}

/// What a worker has to do. Read word by word.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadValues {
    /// Client connections open now.
    pub connections: u64,
    /// Client connections accepted so far.
    pub accepted: u64,
    /// Requests under way a moment ago.
    pub requests_in_flight: u64,
    /// Share of the last moment in which it worked, 0 to 1.
    pub busy_share: f64,
    /// How long it has worked so far.
    pub busy: Duration,
    /// How often new connections passed it over since it did not get on; 0 without the kernel side.
    pub passed_over: u64,
}

impl WorkerLoads {
    /// The rows of this generation's process, cleared.
    pub(super) fn of_generation(words: Words, generation: usize) -> Self {
        debug_assert!(words.len() == WORDS && generation * ROWS < LOAD_ROWS as usize);
        let loads = Self::look_at(words, generation);
        (0..ROWS).filter_map(|worker| loads.row(worker)).flatten().for_each(|word| word.store(0, Relaxed));
        loads
    }

    /// The rows of this generation's process, as they are.
    pub(super) fn look_at(words: Words, generation: usize) -> Self {
        Self { words, first: generation * ROWS, alarm: Arc::default() }
    }

    /// Rows in the memory of this process alone.
    ///
    /// # Errors
    /// The system's, when there is no memory.
    pub fn in_memory() -> io::Result<Self> {
        Ok(Self::of_generation(Words::in_memory(WORDS)?, 0))
    }

    /// Index in the table of the first row.
    pub(super) fn first(&self) -> u32 {
        u32::try_from(self.first).unwrap_or(u32::MAX)
    }

    /// The row of worker number `worker`, which alone may write there.
    #[must_use]
    pub fn worker(&self, worker: usize) -> WorkerLoad {
        let start = (self.first + worker.min(ROWS - 1)) * LOAD_WORDS;
        WorkerLoad { words: self.words.clone(), start, alarm: Arc::clone(&self.alarm) }
    }

    /// [`WorkerLoad::moves`] of worker number `worker`.
    #[must_use]
    pub fn moves(&self, worker: usize) -> u64 {
        self.word(worker, word!(moves))
    }

    /// Whether a worker with so many moves is at work, and does not wait for something to do.
    #[must_use]
    pub fn is_at_work(moves: u64) -> bool {
        moves & 1 == 1
    }

    /// A connection that was given to one worker is given to another one.
    pub fn give_on(&self, from: usize, to: usize) {
        let given = |worker| self.row(worker).and_then(|row| row.get(word!(given)));
        if let (Some(from), Some(to)) = (given(from), given(to)) {
            from.fetch_sub(1, Relaxed);
            to.fetch_add(1, Relaxed);
        }
    }

    /// Has this thread, the one that watches the workers, sleep until one of them has something to do, or `is_over` and it is
    /// unparked. Right after it was seen that none has; `pause`: a moment, in which one that has begun unseen is seen after all.
    pub fn rest(&self, pause: Duration, is_over: impl Fn() -> bool) {
        let is_any_at_work = || (0..ROWS).any(|worker| Self::is_at_work(self.moves(worker)));
        self.alarm.rest(pause, || is_any_at_work() || is_over());
    }

    /// What worker number `worker` has to do.
    #[must_use]
    pub fn read(&self, worker: usize) -> LoadValues {
        let read = |word: usize| self.word(worker, word);
        LoadValues {
            connections: read(word!(connections)),
            accepted: read(word!(accepted)),
            requests_in_flight: read(word!(requests_in_flight)),
            busy_share: read(word!(busy)) as f64 / WHOLE as f64,
            busy: Duration::from_micros(read(word!(busy_us))),
            passed_over: read(word!(passed_over)),
        }
    }

    /// To be called about once a second: what was given to workers and is not there will not come, half of it for sure. (A
    /// connection is given when it is asked for, which many do who never come.)
    pub(super) fn settle(&self) {
        for worker in 0..ROWS {
            let Some(given) = self.row(worker).and_then(|row| row.get(word!(given))) else { return };
            let waiting = self.waiting(worker);
            let gone = if waiting > 0 { waiting - waiting / 2 } else { waiting };
            if gone != 0 {
                given.fetch_sub(gone.cast_unsigned(), Relaxed);
            }
        }
    }

    /// How many were given to a worker that it has not accepted; below 0 where it has accepted others.
    fn waiting(&self, worker: usize) -> i64 {
        self.word(worker, word!(given)).wrapping_sub(self.word(worker, word!(accepted))).cast_signed()
    }

    fn word(&self, worker: usize, word: usize) -> u64 {
        self.row(worker).and_then(|row| row.get(word)).map_or(0, |it| it.load(Relaxed))
    }

    fn row(&self, worker: usize) -> Option<&[AtomicU64]> {
        let start = (self.first + worker.min(ROWS)) * LOAD_WORDS;
        self.words.get(start..start + LOAD_WORDS).filter(|_| worker < ROWS)
    }
}

/// The row that a worker writes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WorkerLoad {
    words: Words,
    start: usize,
    alarm: Arc<Alarm>,
}

impl WorkerLoad {
    /// A worker begins, maybe in the place of one that has ended: it has nothing to do.
    pub fn begin(&self) {
        self.set(word!(accepted), self.get(word!(given)));
        for word in [word!(connections), word!(requests_in_flight), word!(busy)] {
            self.set(word, 0);
        }
        self.sleeps();
    }

    /// The worker waits for something to do.
    #[inline]
    pub fn sleeps(&self) {
        self.set(word!(moves), (self.moves() | 1).wrapping_add(1));
    }

    /// It has something to do.
    #[inline]
    pub fn wakes(&self) {
        self.set(word!(moves), self.moves().wrapping_add(1) | 1);
        self.alarm.ring();
    }

    /// It gets on.
    #[inline]
    pub fn moves_on(&self) {
        self.set(word!(moves), self.moves().wrapping_add(2));
    }

    /// How often it has woken, gone to sleep or got on, all together; a wake-up and the sleep after it are two.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.get(word!(moves))
    }

    /// It has accepted a client's connection.
    pub fn came(&self) {
        self.set(word!(accepted), self.get(word!(accepted)).wrapping_add(1));
        self.set(word!(connections), self.get(word!(connections)).wrapping_add(1));
        self.moves_on();
    }

    /// A connection that it has accepted is closed.
    pub fn went(&self) {
        self.set(word!(connections), self.get(word!(connections)).saturating_sub(1));
    }

    /// It has so many requests under way, and was busy for `busy` of the last `span`.
    pub fn tell(&self, requests_in_flight: u64, busy: Duration, span: Duration) {
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let share = micros(busy).saturating_mul(WHOLE).checked_div(micros(span)).unwrap_or(0);
        self.set(word!(requests_in_flight), requests_in_flight);
        self.set(word!(busy), share.min(WHOLE));
        self.set(word!(busy_us), self.get(word!(busy_us)).wrapping_add(micros(busy)));
    }

    #[inline]
    fn get(&self, word: usize) -> u64 {
        self.words.get(self.start + word).map_or(0, |word| word.load(Relaxed))
    }

    #[inline]
    fn set(&self, word: usize, value: u64) {
        if let Some(word) = self.words.get(self.start + word) {
            word.store(value, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel's program does.
    fn give(loads: &WorkerLoads, worker: usize, connections: u64) {
        loads.row(worker).unwrap()[word!(given)].fetch_add(connections, Relaxed);
    }

    fn waiting(loads: &WorkerLoads, worker: usize) -> i64 {
        let row = loads.row(worker).unwrap();
        row[word!(given)].load(Relaxed).wrapping_sub(row[word!(accepted)].load(Relaxed)).cast_signed()
    }

    #[test]
    fn a_worker_is_awake_or_asleep_and_always_gets_on() {
        let loads = WorkerLoads::in_memory().unwrap();
        let load = loads.worker(3);
        let mut before = load.moves();
        assert!(before.is_multiple_of(2), "it begins asleep");
        for (step, asleep) in [
            (WorkerLoad::wakes as fn(&WorkerLoad), false),
            (WorkerLoad::moves_on, false),
            (WorkerLoad::came, false),
            (WorkerLoad::wakes, false),
            (WorkerLoad::sleeps, true),
            (WorkerLoad::sleeps, true),
            (WorkerLoad::wakes, false),
        ] {
            step(&load);
            assert!(load.moves() > before && load.moves().is_multiple_of(2) == asleep);
            before = load.moves();
        }
        assert_eq!(loads.worker(2).moves(), 0, "each has a row of its own");
    }

    #[test]
    fn what_never_comes_is_taken_off_and_what_comes_from_elsewhere_is_no_credit() {
        let loads = WorkerLoads::in_memory().unwrap();
        let load = loads.worker(0);
        give(&loads, 0, 9);
        load.came();
        assert_eq!(waiting(&loads, 0), 8);
        for left in [4, 2, 1, 0, 0] {
            loads.settle();
            assert_eq!(waiting(&loads, 0), left);
        }
        // As it is before the program is there.
        (0..5).for_each(|_| load.came());
        assert_eq!(waiting(&loads, 0), -5);
        loads.settle();
        assert_eq!(waiting(&loads, 0), 0);
        assert_eq!((loads.read(0).connections, loads.read(0).accepted), (6, 6));
    }

    #[test]
    fn one_in_the_place_of_another_begins_with_nothing() {
        let loads = WorkerLoads::in_memory().unwrap();
        let load = loads.worker(255);
        load.wakes();
        give(&loads, 255, 7);
        load.came();
        load.tell(3, Duration::from_millis(50), Duration::from_millis(100));
        let told = loads.read(255);
        assert_eq!((told.connections, told.requests_in_flight, told.busy_share), (1, 3, 0.5));
        assert_eq!(told.busy, Duration::from_millis(50));
        load.begin();
        assert!(load.moves().is_multiple_of(2) && waiting(&loads, 255) == 0);
        let told = loads.read(255);
        assert_eq!((told.connections, told.requests_in_flight, told.busy_share), (0, 0, 0.0));
        load.went();
        assert_eq!(loads.read(255).connections, 0, "nothing goes below zero");
        assert_eq!(loads.read(256), LoadValues::default(), "there is no such row");
    }
}
