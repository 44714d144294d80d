//! What a request says, looked at for departures: fields first, then what they say of the body, then the request
//! line. The first of the gravest is the one that counts.

use super::{
    Reason,
    similar::{Nearness, nearness},
};
use crate::{model::Classification, wire::head::is_token_byte};

/// The gravest departure so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Verdict(Option<Reason>);

impl Verdict {
    /// Notes a departure; one of no less weight that came before stays.
    pub(super) fn raise(&mut self, reason: Reason) {
        if self.0.map(Reason::class) < Some(reason.class()) {
            self.0 = Some(reason);
        }
    }

    /// Notes what another found after this.
    pub(super) fn raise_all(&mut self, other: Self) {
        if let Some(reason) = other.0 {
            self.raise(reason);
        }
    }

    pub(super) fn reason(self) -> Option<Reason> {
        self.0
    }
}

/// The request line in its parts; an empty version is that of HTTP/0.9, which names none.
#[derive(Debug)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) version: &'a [u8],
}

impl RequestLine<'_> {
    fn version(&self) -> &[u8] {
        if trim(self.version).is_empty() { b"HTTP/0.9" } else { self.version }
    }

    /// Whether this analysis has nothing to say of the version.
    pub(super) fn is_beyond_http1(&self) -> bool {
        self.version() >= b"HTTP/2".as_slice()
    }
}

/// Looks at a request of HTTP/1.
pub(super) fn analyse<'a>(
    parts: &RequestLine<'_>,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Verdict {
    let mut verdict = Verdict::default();
    let mut lengths = Lengths::default();
    for (name, value) in fields {
        field(name, value, &mut verdict, &mut lengths);
    }
    lengths.judge(parts, &mut verdict);
    if !parts.method.iter().all(|byte| is_token_byte(*byte)) {
        verdict.raise(Reason::BadMethod);
    }
    version(parts.version(), &mut verdict);
    target(parts.target, &mut verdict);
    verdict
}

fn field(name: &[u8], value: &[u8], verdict: &mut Verdict, lengths: &mut Lengths) {
    let class = name.iter().map(|byte| of_byte(*byte, is_token_byte(*byte))).max().flatten();
    let class = class.max(value.iter().map(|byte| of_byte(*byte, is_value_byte(*byte))).max().flatten());
    match class {
        Some(Classification::Severe) => verdict.raise(Reason::BadHeader),
        Some(_) => verdict.raise(Reason::NonCompliantHeader),
        None => {}
    }
    let coding = nearness(b"transfer-encoding", name);
    let length = match coding {
        Nearness::Far => nearness(b"content-length", name),
        _ => Nearness::Far,
    };
    let is_bad = class == Some(Classification::Severe);
    match (coding, length) {
        _ if matches!(trim(name), [] | [b':', ..]) => verdict.raise(Reason::EmptyHeader),
        (Nearness::Same, _) => lengths.coding(value),
        (_, Nearness::Same) => lengths.length(value),
        (Nearness::Alike, _) if !is_bad => {
            verdict.raise(Reason::SuspiciousHeader);
            lengths.has_alike = true;
            lengths.coding(value);
        }
        (_, Nearness::Alike) if !is_bad => {
            verdict.raise(Reason::SuspiciousHeader);
            lengths.has_alike = true;
            lengths.length(value);
        }
        _ => {}
    }
}

/// What a byte of a field is that may belong there or not.
fn of_byte(byte: u8, belongs: bool) -> Option<Classification> {
    match byte {
        b'\r' | b'\n' | 0 => Some(Classification::Severe),
        _ if belongs => None,
        _ => Some(Classification::Acceptable),
    }
}

fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// What the fields say of the body's length, one way and the other.
#[derive(Debug, Default)]
struct Lengths {
    codings: Verdict,
    has_coding: bool,
    last_is_chunked: bool,
    lengths: Verdict,
    has_length: bool,
    length: Option<u64>,
    /// Whether one of the fields has a name that only resembles.
    has_alike: bool,
}

impl Lengths {
    fn coding(&mut self, value: &[u8]) {
        self.has_coding = true;
        for member in value.split(|byte| *byte == b',') {
            let word = trim(member.split(|byte| *byte == b';').next().unwrap_or_default());
            let known: [&[u8]; 5] = [b"chunked", b"compress", b"deflate", b"gzip", b"identity"];
            if !known.iter().any(|known| known.eq_ignore_ascii_case(word)) {
                self.codings.raise(Reason::BadTransferEncoding);
                continue;
            }
            let is_chunked = word.eq_ignore_ascii_case(b"chunked");
            if self.last_is_chunked && is_chunked {
                self.codings.raise(Reason::MultipleTransferEncodingChunked);
            }
            self.last_is_chunked = is_chunked;
        }
    }

    fn length(&mut self, value: &[u8]) {
        self.has_length = true;
        match (number(trim(value)), self.length) {
            (None, _) => self.lengths.raise(Reason::BadContentLength),
            (Some(number), None) => self.length = Some(number),
            (Some(number), Some(first)) if number == first => {
                self.lengths.raise(Reason::DuplicateContentLength);
            }
            (Some(_), Some(_)) => self.lengths.raise(Reason::MultipleContentLength),
        }
    }

    fn judge(&self, parts: &RequestLine<'_>, verdict: &mut Verdict) {
        if self.has_alike && self.has_coding && self.has_length {
            verdict.raise(Reason::SuspiciousTeClPresent);
        }
        let version = parts.version();
        if self.has_coding && version <= b"HTTP/1.0".as_slice() {
            return verdict.raise(Reason::UndefinedTransferEncodingSemantics);
        }
        if self.has_length && version < b"HTTP/1.0".as_slice() {
            return verdict.raise(Reason::UndefinedContentLengthSemantics);
        }
        verdict.raise_all(self.codings);
        verdict.raise_all(self.lengths);
        if matches!(parts.method, b"GET" | b"HEAD") {
            if self.has_coding {
                verdict.raise(Reason::UndefinedTransferEncodingSemantics);
            }
            match self.length {
                Some(0) => verdict.raise(Reason::GetHeadZeroContentLength),
                Some(_) => verdict.raise(Reason::UndefinedContentLengthSemantics),
                None => {}
            }
        }
        if self.has_coding && self.length.is_some() {
            verdict.raise(Reason::BothTeClPresent);
        }
    }
}

/// A decimal number of 64 bits; nothing at all is 0.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

fn version(version: &[u8], verdict: &mut Verdict) {
    match trim(version) {
        b"HTTP/0.9" => verdict.raise(Reason::NonCompliantVersion),
        trimmed @ [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => {
            if trimmed.len() != version.len() || *minor > b'1' {
                verdict.raise(Reason::NonCompliantVersion);
            }
        }
        _ => verdict.raise(Reason::BadVersion),
    }
}

fn target(target: &[u8], verdict: &mut Verdict) {
    for byte in target {
        match byte {
            b'\r' | b'\n' | 0 => return verdict.raise(Reason::BadUri),
            b' ' => verdict.raise(Reason::SpaceInUri),
            0..b' ' | 0x7f => verdict.raise(Reason::AmbiguousUri),
            _ => {}
        }
    }
}

/// Without spaces and tabs around it.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
