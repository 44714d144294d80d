//! X-Amzn-Trace-Id: what a request can be followed by through everything that it sets off (ALB: request tracing).
//! Owns the ids and the rules by which a field that came is kept or changed. Must not know: where requests go.

use std::{
    hash::{BuildHasher, RandomState},
    ops::Range,
};

use crate::{
    balance::Random,
    clock::UnixSeconds,
    digits::hex,
    wire::{
        fields::Kind,
        head::{Fields, LINE_EXTRA},
    },
};

/// Above this size of all field lines a field that came is replaced, whatever it holds (ALB: 7 KB).
const LARGE: usize = 7 * 1024;
/// Length of an id: `1-`, 8 digits, `-`, 24 digits.
const LENGTH: usize = 35;

/// One worker's source of ids. Seeded by the operating system, and then without system calls. Two sequences, so
/// that those of workers and of balancers do not meet; apart from the one that picks targets, which ids would give away.
#[derive(Debug)]
pub(crate) struct TraceIds {
    high: Random,
    low: Random,
}

impl Default for TraceIds {
    fn default() -> Self {
        let seed = || Random::new(RandomState::new().hash_one(LENGTH));
        Self { high: seed(), low: seed() }
    }
}

impl TraceIds {
    /// The id of a request that came at `now`: version, seconds since 1970, 96 random bits.
    pub(crate) fn draw(&mut self, now: UnixSeconds) -> TraceId {
        let mut id = *b"1-00000000-000000000000000000000000";
        let [a, b, c, d, ..] = self.high.draw().to_be_bytes();
        let [e, f, g, h, i, j, k, l] = self.low.draw().to_be_bytes();
        let parts = [now.0.to_be_bytes(), [a, b, c, d], [e, f, g, h], [i, j, k, l]];
        for (start, part) in [2, 11, 19, 27].into_iter().zip(parts) {
            if let Some(digits) = id.get_mut(start..start + 8) {
                digits.copy_from_slice(&hex(u32::from_be_bytes(part)));
            }
        }
        TraceId(id)
    }
}

/// `1-67891233-abcdef012345678912345678`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TraceId([u8; LENGTH]);

impl TraceId {
    /// Appends the field's line for the target; gives back where in `out` its value is. Without a field `id` is
    /// the root. Where a root or an earlier `Self` came, `id` is this balancer's own part in front of it, in the
    /// place of that `Self`. Everything else that came stays.
    pub(crate) fn line(&self, fields: &Fields<'_>, out: &mut Vec<u8>) -> Range<usize> {
        out.extend_from_slice(b"X-Amzn-Trace-Id: ");
        let start = out.len();
        if is_given(fields) && size(fields) <= LARGE {
            let known = parts(fields).any(|part| is(part, b"Root") || is(part, b"Self"));
            out.extend_from_slice(if known { b"Self=" } else { b"Root=" });
            out.extend_from_slice(&self.0);
            for part in parts(fields).filter(|part| !is(part, b"Self")) {
                out.push(b';');
                out.extend_from_slice(part);
            }
        } else {
            out.extend_from_slice(b"Root=");
            out.extend_from_slice(&self.0);
        }
        let end = out.len();
        out.extend_from_slice(b"\r\n");
        start..end
    }
}

fn is_given(fields: &Fields<'_>) -> bool {
    fields.of(Kind::TraceId).next().is_some()
}

fn size(fields: &Fields<'_>) -> usize {
    fields.lines().iter().map(|field| field.name.len() + field.value.len() + LINE_EXTRA).sum()
}

/// The parts of all lines of the field.
fn parts<'a>(fields: &Fields<'a>) -> impl Iterator<Item = &'a [u8]> {
    let values = fields.of(Kind::TraceId).flat_map(|value| value.split(|byte| *byte == b';'));
    values.map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
}

fn is(part: &[u8], key: &[u8]) -> bool {
    part.split_at_checked(key.len())
        .is_some_and(|(front, rest)| front.eq_ignore_ascii_case(key) && rest.starts_with(b"="))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, hint::black_box, time::Instant};

    use super::*;
    use crate::wire::head::Request;

    const NOW: UnixSeconds = UnixSeconds(0x6789_1233);

    /// The value for a request with these field lines, the new id written as `*`.
    fn traced(lines: &str) -> String {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let request = Request::parse(text.as_bytes()).expect("valid");
        let id = TraceIds::default().draw(NOW);
        let mut out = b"before ".to_vec();
        let range = id.line(&request.fields, &mut out);
        let value = std::str::from_utf8(&out[range]).expect("text").to_owned();
        assert_eq!(out, format!("before X-Amzn-Trace-Id: {value}\r\n").as_bytes());
        value.replace(std::str::from_utf8(&id.0).expect("text"), "*")
    }

    #[test]
    fn digits_are_those_of_the_number() {
        for number in [0, 9, 10, 0x0a9f_90af, 0x1234_5678, 0x9abc_def0, u32::MAX] {
            assert_eq!(hex(number), format!("{number:08x}").as_bytes());
        }
    }

    #[test]
    fn every_case_of_alb() {
        let cases = [
            ("", "Root=*"),
            ("X-Amzn-Trace-Id: Root=1-2-3\r\n", "Self=*;Root=1-2-3"),
            ("X-Amzn-Trace-Id: Root=1-2-3;CalledFrom=app\r\n", "Self=*;Root=1-2-3;CalledFrom=app"),
            ("x-amzn-trace-id: Self=1-4-5;Root=1-2-3;a=b\r\n", "Self=*;Root=1-2-3;a=b"),
            ("X-Amzn-Trace-Id: Root=1-2-3; Self=1-4-5 ;a=b;\r\n", "Self=*;Root=1-2-3;a=b"),
            ("X-Amzn-Trace-Id: Self=1-4-5\r\n", "Self=*"),
            ("X-Amzn-Trace-Id: CalledFrom=app;Rooted=1\r\n", "Root=*;CalledFrom=app;Rooted=1"),
            ("X-Amzn-Trace-Id:\r\n", "Root=*"),
            ("X-Amzn-Trace-Id: Root=1-2-3\r\nX-Amzn-Trace-Id: Self=1;a=b\r\n", "Self=*;Root=1-2-3;a=b"),
        ];
        for (lines, value) in cases {
            assert_eq!(traced(lines), value, "{lines}");
        }
    }

    #[test]
    fn above_7_kb_of_fields_nothing_that_came_is_kept() {
        let trace = "X-Amzn-Trace-Id: Root=1-2-3;a=b\r\n";
        let host = "Host: a\r\n".len();
        let fill = |total: usize| format!("X: {}\r\n{trace}", "x".repeat(total - host - 5 - trace.len()));
        assert_eq!(traced(&fill(LARGE)), "Self=*;Root=1-2-3;a=b");
        assert_eq!(traced(&fill(LARGE + 1)), "Root=*");
    }

    #[test]
    fn ids_tell_the_time_and_never_come_again() {
        let mut workers = [TraceIds::default(), TraceIds::default()];
        let mut seen = HashSet::new();
        for round in 0..1_000 {
            for ids in &mut workers {
                let id = ids.draw(NOW).0;
                let text = std::str::from_utf8(&id).expect("text");
                let random = text.strip_prefix("1-67891233-").expect("version and time");
                let is_hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
                assert!(random.len() == 24 && random.bytes().all(is_hex), "{text}");
                assert!(seen.insert(random.to_owned()), "{text} came twice, in round {round}");
            }
        }
    }

    #[test]
    #[ignore = "timing: run by hand with --release"]
    fn a_line() {
        const ROUNDS: u32 = 2_000_000;
        let request = Request::parse(b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n").expect("valid");
        let mut ids = TraceIds::default();
        let mut out = Vec::with_capacity(1024);
        let started = Instant::now();
        for _ in 0..ROUNDS {
            out.clear();
            black_box(ids.draw(NOW).line(black_box(&request.fields), &mut out));
        }
        println!("{:?} a line", started.elapsed() / ROUNDS);
    }
}
