//! Requests at a fixed rate, whatever the answers do: each has a time at which it is due, and its latency counts from then, so
//! that a proxy that stands still for a moment is charged with all who came meanwhile. One thread, kept-alive HTTP/1.1.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::bench::table::permille;

/// How long answers are waited for once the last request is due.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) cookie: &'a str,
    pub(crate) connections: u32,
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) time: Duration,
}

/// When a request was due, from the beginning, and how long it took from then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Took {
    pub(crate) due: Duration,
    pub(crate) latency: Duration,
}

/// What a run showed.
pub(crate) struct Outcome {
    pub(crate) took: Vec<Took>,
    /// Requests that were sent again, since their kept-alive connection had ended before a byte of an answer.
    pub(crate) again: u64,
}

/// Milliseconds, at these places of a thousand, of those that were due within the span.
pub(crate) fn percentiles(took: &[Took], from: Duration, until: Duration, places: &[usize]) -> Vec<f64> {
    let within = took.iter().filter(|one| one.due >= from && one.due < until);
    let mut latencies: Vec<f64> = within.map(|one| one.latency.as_secs_f64() * 1000.0).collect();
    latencies.sort_by(f64::total_cmp);
    places.iter().map(|place| permille(&latencies, *place)).collect()
}

struct Connection {
    stream: TcpStream,
    /// When the request under way was due.
    busy: Option<Duration>,
    received: Vec<u8>,
    /// Whether an answer has come over it.
    used: bool,
}

impl Connection {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, busy: None, received: Vec::with_capacity(4096), used: false })
    }
}

/// Runs the plan.
///
/// # Errors
/// When a request fails.
pub(crate) fn run(plan: &Plan<'_>) -> Result<Outcome> {
    let (address, cookie) = (plan.address, plan.cookie);
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n").into_bytes();
    let mut connections =
        (0..plan.connections).map(|_| Connection::open(address)).collect::<Result<Vec<_>>>()?;
    let due = |number: usize| Duration::from_secs_f64(number as f64 / plan.rate);
    let total = (0..).take_while(|number| due(*number) < plan.time).count();
    let mut outcome = Outcome { took: Vec::with_capacity(total), again: 0 };
    let (mut next, mut waiting) = (0, VecDeque::new());
    let began = Instant::now();
    while outcome.took.len() < total {
        let now = began.elapsed();
        while next < total && due(next) <= now {
            waiting.push_back(due(next));
            next += 1;
        }
        for connection in connections.iter_mut().filter(|connection| connection.busy.is_none()) {
            let Some(first) = waiting.pop_front() else { break };
            send(connection, &request, first, address, &mut outcome)?;
        }
        if now > plan.time + PATIENCE {
            bail!("{} of {total} requests were answered", outcome.took.len());
        }
        let pause =
            if next < total { due(next).saturating_sub(began.elapsed()) } else { Duration::from_millis(10) };
        for ready in wait(&connections, pause)? {
            let connection = connections.get_mut(ready).context("a connection")?;
            receive(connection, &request, address, began, &mut outcome)?;
        }
    }
    Ok(outcome)
}

fn send(
    connection: &mut Connection,
    request: &[u8],
    due: Duration,
    address: SocketAddr,
    outcome: &mut Outcome,
) -> Result<()> {
    connection.busy = Some(due);
    if connection.stream.write_all(request).is_err() {
        send_again(connection, request, due, address, outcome)?;
    }
    Ok(())
}

/// A kept-alive connection may end just when a request is sent over it: then, as any client does, another one is taken.
fn send_again(
    connection: &mut Connection,
    request: &[u8],
    due: Duration,
    address: SocketAddr,
    outcome: &mut Outcome,
) -> Result<()> {
    if !connection.used || !connection.received.is_empty() {
        bail!("a connection ended with half an answer, or none to its first request");
    }
    outcome.again += 1;
    *connection = Connection::open(address)?;
    connection.busy = Some(due);
    connection.stream.write_all(request).context("cannot send")
}

fn receive(
    connection: &mut Connection,
    request: &[u8],
    address: SocketAddr,
    began: Instant,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut buffer = [0; 16 * 1024];
    let read = match connection.stream.read(&mut buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Ok(0) | Err(_) => {
            if let Some(due) = connection.busy {
                return send_again(connection, request, due, address, outcome);
            }
            *connection = Connection::open(address)?;
            return Ok(());
        }
        Ok(read) => read,
    };
    connection.received.extend_from_slice(buffer.get(..read).unwrap_or_default());
    if is_whole(&connection.received)? {
        let due = connection.busy.take().context("an answer to no request")?;
        outcome.took.push(Took { due, latency: began.elapsed().saturating_sub(due) });
        connection.received.clear();
        connection.used = true;
    }
    Ok(())
}

/// Whether the answer is there to its end.
fn is_whole(received: &[u8]) -> Result<bool> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(false) };
    let head = String::from_utf8_lossy(received.get(..end).unwrap_or_default()).into_owned();
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!("no answer but: {head}");
    }
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.context("no Content-Length")?.1.trim().parse()?;
    Ok(received.len() >= end + 4 + length)
}

/// The places of connections at which there is something, within the time.
fn wait(connections: &[Connection], pause: Duration) -> Result<Vec<usize>> {
    let mut polled: Vec<libc::pollfd> = connections
        .iter()
        .map(|connection| libc::pollfd {
            fd: connection.stream.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let pause = libc::timespec {
        tv_sec: libc::time_t::try_from(pause.as_secs())?,
        tv_nsec: libc::c_long::from(pause.subsec_nanos()),
    };
    // SAFETY: the list and the time are ours for the length of the call; no mask is given.
    let count = unsafe {
        libc::ppoll(
            polled.as_mut_ptr(),
            libc::nfds_t::try_from(polled.len())?,
            &raw const pause,
            std::ptr::null(),
        )
    };
    if count < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted {
            Ok(Vec::new())
        } else {
            Err(error).context("ppoll")
        };
    }
    Ok(polled.iter().enumerate().filter(|(_, one)| one.revents != 0).map(|(place, _)| place).collect())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// Answers each request on one connection after the other; stands still once, for so long.
    fn target(pause: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut buffer = [0; 4096];
            let mut count = 0;
            while let Ok(1..) = stream.read(&mut buffer) {
                count += 1;
                if count == 50 {
                    thread::sleep(pause);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
            }
        });
        address
    }

    #[test]
    fn all_who_came_while_it_stood_still_are_counted() {
        let address = target(Duration::from_millis(200));
        let plan = Plan { address, cookie: "a=b", connections: 1, rate: 200.0, time: Duration::from_secs(1) };
        let outcome = run(&plan).unwrap();
        assert_eq!(outcome.took.len(), 200);
        // A client that waits for each answer would have seen one slow request.
        let slow = outcome.took.iter().filter(|one| one.latency > Duration::from_millis(50)).count();
        assert!(slow >= 20, "{slow}");
    }

    #[test]
    fn percentiles_are_of_their_span() {
        let second = Duration::from_secs(1);
        let took: Vec<Took> = (0..20)
            .map(|n| Took { due: second * n, latency: Duration::from_millis(if n < 10 { 1 } else { 9 }) })
            .collect();
        assert_eq!(percentiles(&took, Duration::ZERO, second * 10, &[500, 990]), [1.0, 1.0]);
        assert_eq!(percentiles(&took, second * 10, second * 20, &[500]), [9.0]);
        assert!(percentiles(&took, second * 30, second * 40, &[500])[0].is_nan());
    }

    #[test]
    fn answers_are_whole_or_not() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        assert!(is_whole(whole).unwrap());
        assert!(!is_whole(&whole[..whole.len() - 1]).unwrap() && !is_whole(b"HTTP").unwrap());
        assert!(is_whole(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").is_err());
    }

    #[test]
    fn a_connection_that_ends_at_once_is_a_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || listener.incoming().for_each(drop));
        let plan = Plan { address, cookie: "", connections: 1, rate: 10.0, time: Duration::from_secs(1) };
        assert!(run(&plan).is_err());
    }
}
