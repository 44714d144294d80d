//! A check over HTTP/1.1: one GET, and the status of its answer, whose head is held to the rules that the answers to requests are
//! held to. What they would be refused for keeps a target from being healthy. Must not know: connecting, thresholds.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use super::probe_error::{POLITE_BYTES, ProbeError, USER_AGENT};
use crate::{
    counters::{Cause, Failure, causes_of},
    wire::{
        chunked_body::has_bare_line_end,
        head::{Framing, Response},
        head_in_pieces::HeadInPieces,
        interim::Interim,
    },
};

/// How long the rest of an answer is taken in for.
const POLITE_TIME: Duration = Duration::from_secs(1);

/// What of an answer is read at a time.
const PIECE: usize = 4096;

/// The request of a check. None: the path cannot be sent.
pub(super) fn request(path: &str, host: &str) -> Option<String> {
    let can_be_sent = path.starts_with('/') && path.bytes().all(|byte| byte > b' ' && byte != 0x7f);
    can_be_sent.then(|| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\nConnection: close\r\n\r\n"
        )
    })
}

/// Asks, and gives back the status of the answer.
pub(super) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: &str,
) -> Result<u16, ProbeError> {
    let sent = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await
    };
    // However it ended: the answer may have come before.
    let sent = sent.await;
    let mut response = ProbeResponse::default();
    let (status, framing) = loop {
        if let Some(head) = response.head()? {
            break head;
        }
        let read = stream.read_buf(&mut response.bytes).await;
        if !matches!(read, Ok(1..)) {
            let error = read.err().or(sent.err());
            return Err(ProbeError::Target(Failure::of_ended(error.as_ref(), !response.bytes.is_empty())));
        }
    };
    let left = match framing {
        Framing::Empty => 0,
        Framing::Length(length) => length.saturating_sub(response.bytes.len() as u64),
        Framing::Chunked | Framing::UntilClose => u64::MAX,
    };
    if left > 0 {
        tokio::spawn(timeout(POLITE_TIME, take_in(stream, left.min(POLITE_BYTES as u64))));
    }
    Ok(status)
}

/// What has come of a target's response.
#[derive(Default)]
struct ProbeResponse {
    /// What is not read yet.
    bytes: Vec<u8>,
    pieces: HeadInPieces,
    interim: Interim,
}

impl ProbeResponse {
    /// Status and framing of the response; what is left is of its body. None: more has to come.
    fn head(&mut self) -> Result<Option<(u16, Framing)>, ProbeError> {
        while !self.bytes.is_empty() && self.pieces.is_worth_parsing(&self.bytes) {
            let Some((status, framing, length)) = read(&self.bytes, &mut self.interim).map_err(failed)?
            else {
                self.pieces.are_not_all(self.bytes.len());
                break;
            };
            self.bytes.drain(..length);
            if !is_interim(status) {
                return Ok(Some((status, framing)));
            }
            self.pieces = HeadInPieces::default();
        }
        self.bytes.reserve(PIECE);
        Ok(None)
    }
}

/// Whether another response follows. To another protocol it does not change: nobody has asked for one.
fn is_interim(status: u16) -> bool {
    (100..200).contains(&status) && status != 101
}

/// Status and framing of the response whose head `bytes` begin with, and the length of that.
fn read(bytes: &[u8], interim: &mut Interim) -> Result<Option<(u16, Framing, usize)>, Cause> {
    let response = Response::parse(bytes, false).map_err(|error| causes_of(error).1)?;
    match response {
        Some(response) if has_bare_line_end(&response, bytes) => Err(Cause::TargetLineEndInvalid),
        Some(response) if is_interim(response.status) && !interim.admits(&response) => {
            Err(Cause::TargetInterimTooLarge)
        }
        response => Ok(response.map(|it| (it.status, it.framing, it.length))),
    }
}

fn failed(cause: Cause) -> ProbeError {
    ProbeError::Target(cause.into())
}

/// Takes `left` bytes at most of the rest of an answer, so that the target sees it taken and not a reset.
async fn take_in(stream: impl AsyncRead + Unpin, left: u64) -> io::Result<()> {
    tokio::io::copy(&mut stream.take(left), &mut tokio::io::sink()).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{MAX_INTERIM, MAX_RESPONSE_HEAD};

    /// What comes of an answer that comes in pieces of `piece` bytes, and then ends.
    async fn asked(answer: &'static str, piece: usize) -> Result<u16, Cause> {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let target = async move {
            let mut request = [0; 200];
            let length = far.read(&mut request).await.unwrap();
            assert!(request[..length].ends_with(b"\r\n\r\n"));
            for part in answer.as_bytes().chunks(piece) {
                if far.write_all(part).await.is_err() {
                    // What came is enough to know.
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        let request = request("/live", "a").unwrap();
        match tokio::join!(exchange(near, &request), target).0 {
            Ok(status) => Ok(status),
            Err(ProbeError::Target(failure)) => Err(failure.cause),
            Err(error) => panic!("{error:?}"),
        }
    }

    #[tokio::test]
    async fn answers_are_held_to_the_rules_of_answers_to_requests() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Ok(200)),
            ("HTTP/1.0 404 No\r\n\r\nno", Ok(404)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Ok(200)),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
                Ok(204),
            ),
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", Ok(101)),
            ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", Err(Cause::TargetLineEndInvalid)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n",
                Err(Cause::TargetLineEndInvalid),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                Err(Cause::TargetTransferEncodingInvalid),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
                Err(Cause::TargetContentLengthsDiffer),
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\na", Err(Cause::TargetContentLengthInvalid)),
            ("SSH-2.0-OpenSSH_9.2\r\n", Err(Cause::TargetStatusLineInvalid)),
            ("HTTP/1.1 200 OK\r\nA: b", Err(Cause::TargetClosedInHead)),
            ("", Err(Cause::TargetClosedBeforeHead)),
        ] {
            // A chunk's line is looked at where it came with the head.
            let pieces: &[usize] = if answer.contains("2\n") { &[1000] } else { &[1, 7, 1000] };
            for piece in pieces {
                assert_eq!(asked(answer, *piece).await, expected, "{answer:?} in pieces of {piece}");
            }
        }
        let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(MAX_INTERIM + 1);
        assert_eq!(asked(interim.leak(), 1000).await, Err(Cause::TargetInterimTooLarge));
        let hints = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "a".repeat(12_000)).repeat(3);
        let hints = format!("{hints}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(asked(hints.leak(), 1000).await, Err(Cause::TargetInterimTooLarge));
        let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(MAX_RESPONSE_HEAD));
        assert_eq!(asked(long.leak(), 1000).await, Err(Cause::TargetHeadTooLarge));
    }

    #[test]
    fn only_paths_that_can_be_sent_are() {
        let request = request("/live?deep=1", "[::1]:80").unwrap();
        assert!(request.starts_with("GET /live?deep=1 HTTP/1.1\r\nHost: [::1]:80\r\n"), "{request}");
        for path in ["", "live", "/a b", "/a\r\nX: y", "/\u{7f}"] {
            assert_eq!(super::request(path, "a"), None, "{path:?}");
        }
    }
}
