//! Clients and the target behind. Blocking threads. Must not know: proxies.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::handshakes::{Client, Handshake};

/// Thousands of threads have to have room.
const STACK: usize = 128 * 1024;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that stays.
pub(super) struct Held(TcpStream);

impl Held {
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// One that waits no longer than this for anything.
    pub(super) fn open_within(address: SocketAddr, most: Duration) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, most)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(most))?;
        Ok(Self(stream))
    }

    /// One request and its answer.
    pub(super) fn ask(&mut self) -> Result<()> {
        self.0.write_all(b"GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n")?;
        let mut seen = Vec::new();
        let mut part = [0; 512];
        while !seen.ends_with(b"\r\n\r\nok") {
            let length = self.0.read(&mut part)?;
            if length == 0 {
                bail!("closed within an answer");
            }
            seen.extend_from_slice(part.get(..length).unwrap_or_default());
        }
        Ok(())
    }
}

/// Opens so many connections, one after the other, each of which asks once. One in ten is loud: it goes on asking, in a thread
/// of its own, with a pause of a few milliseconds. The function is called with all of them open.
pub(super) fn with_held<T>(
    address: SocketAddr,
    count: usize,
    loud: bool,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut quiet = Vec::new();
        let mut open = || -> Result<()> {
            for number in 0..count {
                let mut one = Held::open(address)?;
                one.ask()?;
                if loud && number % 10 == 0 {
                    let stop = &stop;
                    let go_on = move || {
                        while !stop.load(Relaxed) && one.ask().is_ok() {
                            thread::sleep(Duration::from_millis(20));
                        }
                        // Open until all are counted.
                        one
                    };
                    thread::Builder::new().stack_size(STACK).spawn_scoped(scope, go_on)?;
                } else {
                    quiet.push(one);
                }
            }
            Ok(())
        };
        let result = open().and_then(|()| work());
        stop.store(true, Relaxed);
        result
    })
}

/// So many kept connections ask again and again, with a pause, while the function runs.
pub(super) fn with_busy<T>(
    address: SocketAddr,
    count: usize,
    pause: Duration,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let stop = AtomicBool::new(false);
    let busy = (0..count).map(|_| Held::open(address)).collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        for mut one in busy {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Relaxed) && one.ask().is_ok() {
                    thread::sleep(pause);
                }
            });
        }
        let result = work();
        stop.store(true, Relaxed);
        result
    })
}

/// New TLS connections with a full handshake each, `per_second` of them or as many as there can be, from so many threads; how
/// many there were a second.
pub(super) fn handshakes(
    address: SocketAddr,
    threads: usize,
    per_second: Option<f64>,
    length: Duration,
) -> Result<f64> {
    let client = Client::new(Handshake::FULL)?;
    let began = Instant::now();
    let done = AtomicU64::new(0);
    paced(threads, per_second, length, &|_| {
        client.get(address, "")?;
        done.fetch_add(1, Relaxed);
        Ok(())
    })?;
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    Ok(done.load(Relaxed) as f64 / began.elapsed().as_secs_f64())
}

/// New connections with one request each, `per_second` of them: how long each took from when it was due.
pub(super) fn newcomers(
    address: SocketAddr,
    threads: usize,
    per_second: f64,
    length: Duration,
) -> Result<Vec<Duration>> {
    let took = Mutex::new(Vec::new());
    paced(threads, Some(per_second), length, &|due| {
        let mut one = Held::open(address)?;
        one.ask()?;
        took.lock().unwrap_or_else(PoisonError::into_inner).push(due.elapsed());
        Ok(())
    })?;
    let mut took = took.into_inner().unwrap_or_else(PoisonError::into_inner);
    took.sort_unstable();
    Ok(took)
}

/// Does `work` in each of so many threads, in turns that are due at even distances; `work` is told when it was due.
fn paced(
    threads: usize,
    per_second: Option<f64>,
    length: Duration,
    work: &(impl Fn(Instant) -> Result<()> + Sync),
) -> Result<()> {
    let began = Instant::now();
    thread::scope(|scope| {
        let one = |number: usize| {
            scope.spawn(move || -> Result<()> {
                let mut turn = 0_u32;
                loop {
                    let due = match per_second {
                        #[allow(clippy::cast_precision_loss, reason = "few")]
                        Some(rate) => {
                            let step = threads as f64 / rate;
                            began
                                + Duration::from_secs_f64(
                                    step * (f64::from(turn) + number as f64 / threads as f64),
                                )
                        }
                        None => Instant::now(),
                    };
                    if due >= began + length {
                        return Ok(());
                    }
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    work(due)?;
                    turn += 1;
                }
            })
        };
        let all: Vec<_> = (0..threads).map(one).collect();
        all.into_iter().try_for_each(|one| one.join().ok().context("a thread panicked")?)
    })
}
