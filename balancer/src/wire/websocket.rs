//! Where one frame of a WebSocket ends and the next begins (RFC 6455, section 5.2), and the frame that ends one. Must not
//! know: what is in frames, who sends them.

use crate::internal_errors::Part as _;

/// Of a frame with the longest length and a mask.
const LONGEST_HEAD: usize = 14;

/// "Going away", for an endpoint that is going down (section 7.4.1).
const GOING_AWAY: [u8; 2] = 1001_u16.to_be_bytes();

/// How far one direction is.
#[derive(Debug)]
pub struct Frames {
    /// What is there of the next head.
    head: [u8; LONGEST_HEAD],
    length: usize,
    /// What is left of the frame.
    left: u64,
    /// Bytes have passed that were not seen.
    lost: bool,
}

impl Frames {
    /// At the beginning of a direction. `framed`: it is one of frames.
    #[must_use]
    pub fn new(framed: bool) -> Self {
        Self { head: [0; LONGEST_HEAD], length: 0, left: 0, lost: !framed }
    }

    /// These bytes come next.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !self.lost
            && let Some((first, rest)) = bytes.split_first()
        {
            if self.left > 0 {
                let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= here as u64;
                bytes = bytes.part(here..);
                continue;
            }
            if let Some(place) = self.head.get_mut(self.length) {
                *place = *first;
            }
            self.length += 1;
            bytes = rest;
            if let Some(left) = payload(self.head.part(..self.length)) {
                (self.left, self.length) = (left, 0);
            }
        }
    }

    /// Some come next that nobody sees: it is not known any more where frames end.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// Whether a frame may be put in here.
    #[must_use]
    pub fn are_whole(&self) -> bool {
        !self.lost && self.left == 0 && self.length == 0
    }
}

/// The length of the payload behind this head; nothing while it is not all there.
fn payload(head: &[u8]) -> Option<u64> {
    let (_, second, rest) = match head {
        [first, second, rest @ ..] => (first, second, rest),
        _ => return None,
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (extended, length) = match second & 0x7f {
        126 => (2, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (8, u64::from_be_bytes(*rest.first_chunk()?)),
        length => (0, u64::from(length)),
    };
    (rest.len() >= extended + mask).then_some(length)
}

/// The frame that says that this end goes away: as a server sends it, or `masked` as a client does.
#[must_use]
pub fn going_away(masked: bool) -> Vec<u8> {
    let mut frame = vec![0x88, if masked { 0x82 } else { 0x02 }];
    if masked {
        // The mask keeps strangers from choosing the bytes that go over a connection (section 10.3). Nobody chooses these.
        frame.extend([0; 4]);
    }
    frame.extend(GOING_AWAY);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match length {
            0..126 => frame.push(mask | u8::try_from(length).unwrap()),
            126..65536 => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(if masked { &[1, 2, 3, 4][..] } else { &[] });
        frame.extend(vec![0x81; length]);
        frame
    }

    #[test]
    fn ends_of_frames_are_found_however_they_come() {
        for masked in [false, true] {
            let frames: Vec<Vec<u8>> =
                [0, 1, 125, 126, 127, 65_535, 65_536, 3].map(|length| frame(length, masked)).into();
            let ends: Vec<usize> = frames
                .iter()
                .scan(0, |end, frame| {
                    *end += frame.len();
                    Some(*end)
                })
                .collect();
            let all = frames.concat();
            let mut one_by_one = Frames::new(true);
            assert!(one_by_one.are_whole());
            for (index, byte) in all.iter().enumerate() {
                one_by_one.pass(&[*byte]);
                assert_eq!(one_by_one.are_whole(), ends.contains(&(index + 1)), "{index}");
            }
            let mut at_once = Frames::new(true);
            at_once.pass(&all);
            assert!(at_once.are_whole());
            at_once.pass(&going_away(masked));
            assert!(at_once.are_whole());
            at_once.lose();
            assert!(!at_once.are_whole());
        }
    }
}
