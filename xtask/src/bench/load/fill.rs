//! Makes sessions: a request for each, to which the target answers with a cookie of the application's. Requests go out many at a
//! time, so that a million take seconds.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Result, bail, ensure};

/// Connections at a time.
const CONNECTIONS: u64 = 8;
/// Requests that are under way on one of them.
const BATCH: u64 = 32;

/// Makes the sessions from 0 to `count`.
///
/// # Errors
/// When a request fails.
pub(crate) fn run(address: SocketAddr, count: u64) -> Result<()> {
    let each = count.div_ceil(CONNECTIONS);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|part| scope.spawn(move || some(address, part * each, ((part + 1) * each).min(count))))
            .collect();
        threads.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| bail!("a thread panicked")))
    })
}

fn some(address: SocketAddr, mut from: u64, until: u64) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    while from < until {
        let end = (from + BATCH).min(until);
        let requests: String = (from..end)
            .map(|session| format!("GET /?s={session} HTTP/1.1\r\nHost: {address}\r\n\r\n"))
            .collect();
        stream.write_all(requests.as_bytes())?;
        answers(&mut stream, end - from)?;
        from = end;
    }
    Ok(())
}

/// Takes so many answers, whose bodies have no empty line.
fn answers(stream: &mut TcpStream, count: u64) -> Result<()> {
    let (mut text, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let read = stream.read(&mut buffer)?;
        ensure!(read > 0, "a connection ended");
        text.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let all = String::from_utf8_lossy(&text);
        let (begun, ok) = (all.matches("HTTP/1.1 ").count(), all.matches("HTTP/1.1 200 ").count());
        // A status may have come in part.
        ensure!(begun <= ok + 1, "not all were answered 200: {}", all.chars().take(200).collect::<String>());
        if u64::try_from(ok)? == count && is_whole(&all) {
            return Ok(());
        }
    }
}

/// Whether the last answer has come to its end.
fn is_whole(text: &str) -> bool {
    let last = text.rfind("HTTP/1.1 ").and_then(|place| text.get(place..)).unwrap_or_default();
    let Some((head, body)) = last.split_once("\r\n\r\n") else { return false };
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.and_then(|(_, length)| length.trim().parse().ok()) == Some(body.len())
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, net::TcpListener, sync::mpsc};

    use super::*;

    #[test]
    fn every_session_is_asked_for_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, sender) = (stream.unwrap(), sender.clone());
                thread::spawn(move || {
                    let mut rest = String::new();
                    let mut buffer = [0; 1000];
                    while let Ok(length @ 1..) = stream.read(&mut buffer) {
                        rest.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
                        while let Some((head, more)) = rest.split_once("\r\n\r\n") {
                            sender.send(head.lines().next().unwrap().to_owned()).unwrap();
                            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
                            rest = more.to_owned();
                        }
                    }
                });
            }
        });
        run(address, 1001).unwrap();
        let asked: Vec<String> = receiver.try_iter().collect();
        assert_eq!((asked.len(), asked.iter().collect::<HashSet<_>>().len()), (1001, 1001));
        assert!(asked.contains(&"GET /?s=1000 HTTP/1.1".to_owned()));
    }

    #[test]
    fn half_an_answer_is_none() {
        assert!(is_whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
        for part in ["", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", "HTTP/1.1 200 OK\r\nContent-"] {
            assert!(!is_whole(part), "{part}");
        }
    }
}
