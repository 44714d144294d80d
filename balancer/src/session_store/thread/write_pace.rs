//! How much the store is told at once, and of that how much again, by how soon it takes what it is told: many balancers may have
//! much to tell it at the same time, and who asks it waits behind all of that. Must not know: what is told.

use std::time::Duration;

use super::round::PIECE;

/// Most that the store is told at once, and most that is taken from the queue of workers at once.
pub(super) const BATCH: usize = 1024;

/// How much later than at its best it may take a piece: half of what a request waits for an answer, unless it is told otherwise.
const CALM: Duration = Duration::from_millis(10);

/// Most ticks in a row in which nothing is told again.
const MOST_REST: u32 = 3;

/// The pace, over one connection.
#[derive(Debug)]
pub(super) struct WritePace {
    batch: usize,
    /// Ticks in which nothing is told again, behind each in which something is; those that are left of them.
    rest: u32,
    left: u32,
    /// How soon it took a piece at best.
    best: Option<Duration>,
}

impl WritePace {
    pub(super) fn new() -> Self {
        Self { batch: PIECE, rest: 0, left: 0, best: None }
    }

    /// How many sessions it is told at once.
    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    /// How many it is told again in a tick that begins now.
    pub(super) fn again(&mut self) -> usize {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                0
            }
            None => {
                self.left = self.rest;
                2 * self.batch
            }
        }
    }

    /// The first piece of a batch was taken after so long.
    pub(super) fn taken(&mut self, after: Duration) {
        let best = self.best.map_or(after, |best| best.min(after));
        self.best = Some(best);
        if after <= best + CALM {
            self.rest /= 2;
            self.batch = (self.batch * 2).min(BATCH);
        } else if self.batch > PIECE {
            self.batch = (self.batch / 2).max(PIECE);
        } else {
            self.rest = (2 * self.rest + 1).min(MOST_REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_less_while_it_is_slow_and_more_again_once_it_is_not() {
        let mut pace = WritePace::new();
        let way = Duration::from_millis(30);
        for _ in 0..5 {
            pace.taken(way);
        }
        assert_eq!((pace.batch(), pace.again(), pace.again()), (BATCH, 2 * BATCH, 2 * BATCH), "a long way");
        for _ in 0..12 {
            pace.taken(way + 2 * CALM);
        }
        let ticks: Vec<usize> = (0..8).map(|_| pace.again()).collect();
        // The rest of before is over first.
        let least = 2 * PIECE;
        assert_eq!((pace.batch(), ticks), (PIECE, vec![least, 0, 0, 0, least, 0, 0, 0]));
        for _ in 0..6 {
            pace.taken(way);
        }
        assert_eq!(pace.batch(), BATCH);
        let ticks: Vec<usize> = (0..3).map(|_| pace.again()).collect();
        assert_eq!(ticks, [2 * BATCH; 3]);
    }
}
