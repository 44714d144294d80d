//! When the beginning of a response head that comes in pieces is worth reading: not with each piece, or a head that
//! comes byte by byte would be read as often as it has bytes. Must not know: what a head says.

use memchr::memchr_iter;

use super::head::MAX_RESPONSE_HEAD;
use crate::internal_errors::Part as _;

/// Below so many bytes reading again costs nothing worth counting, and what is no HTTP shows at once.
const SMALL: usize = 512;

/// What is known of a head that is not all there.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadInPieces {
    /// How much there was when it was read last; 0: it was not.
    read_at: usize,
    /// Up to here no empty line has ended.
    searched: usize,
}

impl HeadInPieces {
    /// Whether to read `bytes`, all that came so far: for the first time, when its end may be there, when there is twice
    /// as much as at the last time, or too much.
    #[inline]
    pub fn is_worth_parsing(&mut self, bytes: &[u8]) -> bool {
        self.read_at == 0 || self.is_worth_parsing_again(bytes)
    }

    /// The first `length` bytes were read, and the head goes on behind them.
    pub fn are_not_all(&mut self, length: usize) {
        self.read_at = length;
        self.searched = self.searched.max(length);
    }

    #[cold]
    fn is_worth_parsing_again(&mut self, bytes: &[u8]) -> bool {
        // The line before the empty one may have ended with what was there.
        let from = self.searched.saturating_sub(2);
        self.searched = bytes.len();
        let new = bytes.part(from..);
        let ended = memchr_iter(b'\n', new)
            .any(|end| matches!(new.get(end + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..])));
        ended || bytes.len() < SMALL || bytes.len() >= 2 * self.read_at || bytes.len() > MAX_RESPONSE_HEAD
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{
        doubling::assert_linear,
        head::{HeadError, Response},
    };

    /// What `bytes` come to in pieces of `piece` bytes, how many bytes had come by then, and how many were read over
    /// and over.
    fn parse(bytes: &[u8], piece: usize) -> (Option<Result<usize, HeadError>>, usize, usize) {
        let mut pieces = HeadInPieces::default();
        let mut read = 0;
        for end in (piece..bytes.len()).step_by(piece).chain([bytes.len()]) {
            let bytes = &bytes[..end];
            if !pieces.is_worth_parsing(bytes) {
                continue;
            }
            read += bytes.len();
            match Response::parse(bytes, false) {
                Ok(None) => pieces.are_not_all(bytes.len()),
                Ok(Some(response)) => return (Some(Ok(response.length)), end, read),
                Err(error) => return (Some(Err(error)), end, read),
            }
        }
        (None, bytes.len(), read)
    }

    fn long_head(length: usize) -> Vec<u8> {
        let lines =
            "X: 1234567890\r\n".repeat(length / 150) + &format!("Y: {}\r\n", "y".repeat(length * 9 / 10));
        format!("HTTP/1.1 200 OK\r\n{lines}\r\n").into_bytes()
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_is_read_a_few_times() {
        let head = long_head(20_000);
        let (parsed, seen, read) = parse(&head, 1);
        assert_eq!((parsed, seen), (Some(Ok(head.len())), head.len()));
        assert!(read < 3 * head.len() + SMALL * SMALL / 2, "{read} bytes read of {}", head.len());
    }

    #[test]
    fn twice_the_head_byte_by_byte_is_twice_the_work() {
        assert_linear(long_head, 14_000, |head| assert!(matches!(parse(head, 1).0, Some(Ok(_)))));
    }

    #[test]
    fn what_is_too_long_or_no_head_is_refused_though_it_never_ends() {
        let endless = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 40_000]].concat();
        let (parsed, seen, _) = parse(&endless, 7);
        assert_eq!(parsed, Some(Err(HeadError::TooLarge)));
        assert!(seen <= MAX_RESPONSE_HEAD + 7);
        let other = [b"SSH-2.0-OpenSSH_9.2".to_vec(), vec![b' '; 1000]].concat();
        assert_eq!(parse(&other, 1).1, 1);
        let broken = [b"HTTP/1.1 200 OK\r\nX".to_vec(), vec![b' '; 100]].concat();
        assert!(parse(&broken, 1).1 < 30);
    }

    proptest! {
        #[test]
        fn however_it_comes_it_is_seen_when_it_is_there(
            lines in proptest::collection::vec("[A-Z][a-z]{0,30}: [ -~]{0,100}", 0..20),
            body in "[\r\n a]{0,8}",
            piece in 1_usize..80,
        ) {
            let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
            let all = format!("{head}{body}");
            let (parsed, seen, _) = parse(all.as_bytes(), piece);
            prop_assert_eq!(parsed, Some(Ok(head.len())));
            prop_assert!(seen < head.len() + piece);
        }
    }
}
