//! For how long the store is waited for until it is held to be away. What goes over one way is answered one behind the other, so that the
//! time counts from when something came over that way last: what queues before is no fault of the store. Must not know: what is asked.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    task::yield_now,
    time::{timeout, timeout_at},
};

use super::super::fault::StoreFault;
use crate::clock::monotonic_now;

/// However much comes over a way, nothing is waited for longer.
const LONGEST: Duration = Duration::from_secs(10);

/// How often this thread looks for what lies at hand: what has come is read, taken apart and handed over in turns of it.
pub(super) const TURNS: usize = 4;

/// When something came over a way last.
#[derive(Clone, Debug)]
pub(super) struct LastHeard {
    began: Instant,
    millis: Arc<AtomicU64>,
}

impl LastHeard {
    pub(super) fn new() -> Self {
        Self { began: monotonic_now(), millis: Arc::default() }
    }

    /// Something comes now.
    pub(super) fn note(&self) {
        let since = self.began.elapsed().as_millis();
        self.millis.store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
    }

    fn at(&self) -> Instant {
        self.began + Duration::from_millis(self.millis.load(Relaxed))
    }

    /// What comes of `answer`, as long as nothing comes over this way for `most`.
    ///
    /// # Errors
    /// Nothing does.
    pub(super) async fn within<T>(
        &self,
        most: Duration,
        answer: impl Future<Output = Result<T, StoreFault>>,
    ) -> Result<T, StoreFault> {
        let mut answer = pin!(answer);
        let began = monotonic_now();
        let mut due = began + most;
        loop {
            if let Ok(came) = timeout_at(due.into(), &mut answer).await {
                return came;
            }
            // This thread may have stood still itself.
            for _ in 0..TURNS {
                yield_now().await;
                if let Ok(came) = timeout(Duration::ZERO, &mut answer).await {
                    return came;
                }
            }
            let later = (self.at() + most).min(began + LONGEST);
            if later <= due {
                return Err(StoreFault::timed_out());
            }
            due = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, thread};

    use tokio::{io::AsyncReadExt as _, net::TcpListener, time::sleep};

    use super::*;

    const MOST: Duration = Duration::from_millis(300);

    async fn after(span: Duration) -> Result<u8, StoreFault> {
        sleep(span).await;
        Ok(7)
    }

    #[tokio::test]
    async fn time_counts_from_what_came_last() {
        let way = LastHeard::new();
        let began = monotonic_now();
        assert_eq!(way.within(MOST, after(10 * MOST)).await, Err(StoreFault::timed_out()));
        assert!((MOST..3 * MOST).contains(&began.elapsed()), "{:?}", began.elapsed());
        let queue = async {
            for _ in 0..8 {
                sleep(MOST / 3).await;
                way.note();
            }
        };
        let (came, ()) = tokio::join!(way.within(MOST, after(2 * MOST)), queue);
        assert_eq!(came, Ok(7));
    }

    #[tokio::test]
    async fn what_has_come_while_this_thread_stood_still_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = async move { stream.read_u8().await.map_err(|error| StoreFault::of_io(&error)) };
        let still = async {
            yield_now().await;
            other.write_all(b"x").unwrap();
            thread::sleep(2 * MOST);
        };
        let way = LastHeard::new();
        let (came, ()) = tokio::join!(way.within(MOST, answer), still);
        assert_eq!(came, Ok(b'x'));
    }
}
