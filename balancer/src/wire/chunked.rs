//! The chunked transfer coding (RFC 9112, section 7.1), strictly: hexadecimal size, CRLF line ends, no
//! control characters in extensions, no white space around the size. The scanner keeps no bytes; it says
//! what the bytes it is shown are.

/// Longest chunk-size line accepted, extensions included.
const MAX_SIZE_LINE: u32 = 4096;

/// Most hexadecimal digits of a chunk size: what 64 bits hold.
const MAX_DIGITS: u8 = 16;

/// What the front of the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// This many bytes of size lines and line ends.
    Framing(usize),
    /// This many bytes of content.
    Data(usize),
    /// The last chunk's size line is complete: the trailer section follows.
    Trailers,
}

/// The input is not in the chunked coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed chunked coding")]
pub struct BadChunk;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkState {
    Size { digits: u8 },
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
}

/// Follows one message body.
#[derive(Clone, Copy, Debug)]
pub struct ChunkedScanner {
    state: ChunkState,
    size: u64,
    line: u32,
}

impl Default for ChunkedScanner {
    fn default() -> Self {
        Self { state: ChunkState::Size { digits: 0 }, size: 0, line: 0 }
    }
}

impl ChunkedScanner {
    /// Says what the front of `input` (not empty) is and moves past it.
    ///
    /// # Errors
    /// The input violates the coding; the scanner is of no further use.
    pub fn scan(&mut self, input: &[u8]) -> Result<Scan, BadChunk> {
        if self.state == ChunkState::Trailers {
            return Ok(Scan::Trailers);
        }
        if self.state == ChunkState::Data {
            return Ok(Scan::Data(self.take_data(input.len())));
        }
        let mut seen = 0;
        for byte in input {
            seen += 1;
            self.step(*byte)?;
            if matches!(self.state, ChunkState::Data | ChunkState::Trailers) {
                break;
            }
        }
        Ok(Scan::Framing(seen))
    }

    /// Whether the next byte is content.
    #[must_use]
    pub fn is_in_data(&self) -> bool {
        self.state == ChunkState::Data
    }

    fn take_data(&mut self, available: usize) -> usize {
        let wanted = usize::try_from(self.size).unwrap_or(usize::MAX).min(available);
        self.size -= wanted as u64;
        if self.size == 0 {
            self.state = ChunkState::DataCr;
        }
        wanted
    }

    fn step(&mut self, byte: u8) -> Result<(), BadChunk> {
        self.line += 1;
        if self.line > MAX_SIZE_LINE {
            return Err(BadChunk);
        }
        self.state = match (self.state, byte) {
            (ChunkState::Size { digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < MAX_DIGITS => {
                let digit = char::from(byte).to_digit(16).ok_or(BadChunk)?;
                self.size = (self.size << 4) | u64::from(digit);
                ChunkState::Size { digits: digits + 1 }
            }
            (ChunkState::Size { digits: 1.. }, b';') => ChunkState::Extension,
            (ChunkState::Size { digits: 1.. } | ChunkState::Extension, b'\r') => ChunkState::SizeLf,
            (ChunkState::Extension, b'\t' | b' '..=b'~' | 0x80..) => ChunkState::Extension,
            (ChunkState::SizeLf, b'\n') if self.size == 0 => ChunkState::Trailers,
            (ChunkState::SizeLf, b'\n') => ChunkState::Data,
            (ChunkState::DataCr, b'\r') => ChunkState::DataLf,
            (ChunkState::DataLf, b'\n') => {
                self.line = 0;
                ChunkState::Size { digits: 0 }
            }
            _ => return Err(BadChunk),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The content of `input`, which is fed in pieces of `piece` bytes; `None` when it is malformed or cut short.
    fn decode(input: &[u8], piece: usize) -> Option<Vec<u8>> {
        let mut scanner = ChunkedScanner::default();
        let mut content = Vec::new();
        for part in input.chunks(piece) {
            let mut rest = part;
            while !rest.is_empty() {
                let taken = match scanner.scan(rest).ok()? {
                    Scan::Framing(n) => n,
                    Scan::Data(n) => {
                        content.extend_from_slice(&rest[..n]);
                        n
                    }
                    Scan::Trailers => return Some(content),
                };
                rest = &rest[taken..];
            }
        }
        (scanner.state == ChunkState::Trailers).then_some(content)
    }

    #[test]
    fn decodes_in_pieces_of_any_size() {
        let body = b"4;name=\"v\"\r\nWiki\r\n5\r\npedia\r\nE\r\n in\r\n\r\nchunks.\r\n000\r\n\r\n";
        for piece in 1..body.len() {
            assert_eq!(decode(body, piece).as_deref(), Some(&b"Wikipedia in\r\n\r\nchunks."[..]), "{piece}");
        }
    }

    #[test]
    fn refuses_what_could_be_read_two_ways() {
        for bad in [
            &b"4\nWiki\n0\n\n"[..],
            b"4 \r\nWiki\r\n0\r\n\r\n",
            b" 4\r\nWiki\r\n0\r\n\r\n",
            b"+4\r\nWiki\r\n0\r\n\r\n",
            b"0x4\r\nWiki\r\n0\r\n\r\n",
            b"4\r\nWikiX\r\n0\r\n\r\n",
            b"4\r\nWiki0\r\n\r\n",
            b"\r\n\r\n",
            b";a\r\n\r\n",
            b"4;a\nb\r\nWiki\r\n0\r\n\r\n",
            b"4;a\0\r\nWiki\r\n0\r\n\r\n",
            b"00000000000000001\r\nW\r\n0\r\n\r\n",
            b"fffffffffffffffff\r\n",
        ] {
            assert_eq!(decode(bad, usize::MAX), None, "{:?}", String::from_utf8_lossy(bad));
        }
        let mut long = b"1;".to_vec();
        long.resize(5000, b'a');
        assert_eq!(decode(&long, 100), None, "endless extension");
    }

    proptest! {
        #[test]
        fn any_split_of_any_content_comes_back(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8),
            piece in 1_usize..64,
        ) {
            let mut coded = Vec::new();
            for chunk in &chunks {
                coded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                coded.extend_from_slice(chunk);
                coded.extend_from_slice(b"\r\n");
            }
            coded.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(decode(&coded, piece), Some(chunks.concat()));
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1_usize..20) {
            let _ = decode(&bytes, piece);
        }
    }
}
