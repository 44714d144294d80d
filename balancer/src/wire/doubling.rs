//! For tests: whether work grows no faster than what it works on. Time is that of the thread alone, and the least of
//! several runs, so that what else runs on the machine does not count.

use std::{hint::black_box, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// What twice the input may cost at most: twice, and a little for what sorting and caches add.
const MOST: f64 = 2.6;
/// How often each size is timed in one try, and how many tries there are before the verdict stands.
const RUNS: usize = 9;
const TRIES: usize = 5;

fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The least time of several runs.
pub(crate) fn least(runs: usize, mut work: impl FnMut()) -> Duration {
    (0..runs)
        .map(|_| {
            let start = thread_time();
            work();
            thread_time() - start
        })
        .min()
        .unwrap_or_default()
}

/// Fails when `work` on `input(2 * size)` takes more than 2.6 times of what it takes on `input(size)`.
#[track_caller]
pub(crate) fn assert_linear<T>(input: impl Fn(usize) -> T, size: usize, work: impl Fn(&T)) {
    let (one, two) = (input(size), input(2 * size));
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        // In turns, so that both meet the same machine.
        let (mut small, mut large) = (Duration::MAX, Duration::MAX);
        for _ in 0..RUNS {
            small = small.min(least(1, || work(black_box(&one))));
            large = large.min(least(1, || work(black_box(&two))));
        }
        let ratio = large.as_secs_f64() / small.as_secs_f64().max(1e-9);
        if ratio < MOST {
            return;
        }
        seen.push((small, large, ratio));
    }
    panic!("twice the input costs more than {MOST} times: {seen:?}");
}

#[test]
fn what_grows_with_the_square_is_told_from_what_does_not() {
    let numbers = |n: usize| (0..n as u64).collect::<Vec<_>>();
    assert_linear(numbers, 20_000, |numbers| {
        black_box(numbers.iter().fold(0_u64, |sum, number| sum.wrapping_add(number * number)));
    });
    let square = std::panic::catch_unwind(|| {
        assert_linear(numbers, 400, |numbers| {
            black_box(numbers.iter().filter(|one| numbers.iter().rev().any(|other| other == *one)).count());
        });
    });
    assert!(square.is_err());
}
