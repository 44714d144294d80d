//! Who looks at the dashboard: each viewer gets what is told once a second over server-sent events. It is told once for all
//! of them, and never while nobody looks.
//! Must not know: what is told.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame};
use tokio::{
    sync::{Notify, mpsc},
    time::{MissedTickBehavior, interval},
};

/// Viewers at a time.
pub(super) const MOST_VIEWERS: usize = 16;
/// How often they are told.
pub(super) const PACE: Duration = Duration::from_secs(1);
/// How many times in a row a viewer may not have taken what it was told before.
const MOST_MISSED: u32 = 20;

/// All of them.
#[derive(Debug)]
pub(super) struct Viewers {
    pace: Duration,
    looking: Mutex<Vec<Viewer>>,
    came: Notify,
}

#[derive(Debug)]
struct Viewer {
    events: mpsc::Sender<Bytes>,
    missed: u32,
    looks: Arc<AtomicBool>,
}

/// What a viewer gets.
#[derive(Debug)]
pub(super) struct EventStream(mpsc::Receiver<Bytes>);

impl Viewers {
    /// Nobody yet.
    pub(super) fn new(pace: Duration) -> Self {
        Self { pace, looking: Mutex::default(), came: Notify::new() }
    }

    /// One more, which looks for as long as `looks` says so from here on; none where there are too many.
    pub(super) fn add(&self, looks: &Arc<AtomicBool>) -> Option<EventStream> {
        let mut looking = self.looking();
        looking.retain(|viewer| !viewer.events.is_closed());
        if looking.len() >= MOST_VIEWERS {
            return None;
        }
        let (events, stream) = mpsc::channel(1);
        looks.store(true, Relaxed);
        looking.push(Viewer { events, missed: 0, looks: Arc::clone(looks) });
        drop(looking);
        self.came.notify_one();
        Some(EventStream(stream))
    }

    /// Tells them, for as long as this is polled; when it is dropped, what they get ends.
    pub(super) async fn run(&self, tell: impl Fn() -> Option<String>) {
        let _end = EndAll(self);
        loop {
            self.came.notified().await;
            let mut pace = interval(self.pace);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while self.is_any() {
                pace.tick().await;
                if let Some(told) = tell() {
                    self.tell(&Bytes::from(format!("data: {told}\n\n")));
                }
            }
        }
    }

    fn is_any(&self) -> bool {
        let mut looking = self.looking();
        looking.retain(|viewer| !viewer.events.is_closed());
        !looking.is_empty()
    }

    fn tell(&self, event: &Bytes) {
        self.looking().retain_mut(|viewer| {
            let keeps = match viewer.events.try_send(event.clone()) {
                Ok(()) => {
                    viewer.missed = 0;
                    true
                }
                Err(mpsc::error::TrySendError::Full(_)) => {
                    viewer.missed += 1;
                    viewer.missed <= MOST_MISSED
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            };
            if !keeps {
                viewer.looks.store(false, Relaxed);
            }
            keeps
        });
    }

    fn looking(&self) -> MutexGuard<'_, Vec<Viewer>> {
        self.looking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends what all viewers get: another process tells them from then on, which they find at the same address.
struct EndAll<'a>(&'a Viewers);

impl Drop for EndAll<'_> {
    fn drop(&mut self) {
        for viewer in self.0.looking().drain(..) {
            viewer.looks.store(false, Relaxed);
        }
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, sync::atomic::AtomicU32, time::Instant};

    use tokio::time::{sleep, timeout};

    use super::*;

    const SHORT: Duration = Duration::from_millis(5);
    /// Longest that a test waits for anything.
    const PATIENCE: Duration = Duration::from_secs(20);

    async fn next(stream: &mut EventStream) -> Option<Bytes> {
        timeout(PATIENCE, poll_fn(|context| stream.0.poll_recv(context))).await.expect("it comes")
    }

    fn begin() -> (Arc<Viewers>, Arc<AtomicU32>, tokio::task::JoinHandle<()>) {
        let (viewers, told) = (Arc::new(Viewers::new(SHORT)), Arc::new(AtomicU32::new(0)));
        let (all, count) = (Arc::clone(&viewers), Arc::clone(&told));
        let tell = move || Some(count.fetch_add(1, Relaxed).to_string());
        (viewers, told, tokio::spawn(async move { all.run(tell).await }))
    }

    #[tokio::test]
    async fn it_is_told_once_for_all_and_never_while_nobody_looks() {
        let (viewers, told, running) = begin();
        sleep(SHORT * 10).await;
        assert_eq!(told.load(Relaxed), 0, "nobody looks");
        let looks = Arc::new(AtomicBool::new(false));
        let mut streams: Vec<_> =
            (0..MOST_VIEWERS).map(|_| viewers.add(&looks).expect("there is room")).collect();
        assert!(viewers.add(&looks).is_none(), "one too many");
        for number in 0..3 {
            for stream in &mut streams {
                assert_eq!(next(stream).await.unwrap(), format!("data: {number}\n\n"));
            }
        }
        streams.clear();
        sleep(SHORT * 4).await;
        let before = told.load(Relaxed);
        sleep(SHORT * 10).await;
        assert_eq!(told.load(Relaxed), before, "nobody looks any more");
        let mut again = viewers.add(&looks).expect("the places are free again");
        assert_eq!(next(&mut again).await.unwrap(), format!("data: {before}\n\n"));
        running.abort();
        let _ = running.await;
        while next(&mut again).await.is_some() {}
        assert!(!looks.load(Relaxed), "who told them is gone");
    }

    #[tokio::test]
    async fn who_takes_nothing_is_given_up() {
        let (viewers, told, running) = begin();
        let looks = Arc::new(AtomicBool::new(false));
        let _stream = viewers.add(&looks).unwrap();
        let begun = Instant::now();
        while looks.load(Relaxed) {
            assert!(begun.elapsed() < PATIENCE, "it is given up");
            sleep(SHORT).await;
        }
        assert!(told.load(Relaxed) > MOST_MISSED, "it had its chances");
        running.abort();
    }
}
