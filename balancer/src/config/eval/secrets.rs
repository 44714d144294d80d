//! `rsadecrypt`: RSA by PKCS #1 v1.5 (RFC 8017, section 7.2.2), and the forms in which a private key is written. How long it takes
//! tells nobody anything: who has the configuration has the key. Must not know: expressions.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use num_bigint::BigUint;

use super::{call::Call, fail::Fail};
use crate::config::bindings::Val;

/// Longest modulus: what a configuration is worked out in has an end.
const MOST_BITS: u64 = 8192;
/// Before what was encrypted stand two bytes that say so, at least eight of chance, and a zero.
const LEAST_BEFORE: usize = 11;
/// `rsaEncryption` (RFC 8017, appendix C).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// What a key of OpenSSH begins with.
const OPENSSH: &[u8] = b"openssh-key-v1\0";

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

pub(super) fn call(call: &Call<'_>) -> Result<Option<Val>, Fail> {
    if call.name != "rsadecrypt" {
        return Ok(None);
    }
    call.takes(2, 2)?;
    let encrypted = STANDARD
        .decode(call.text(0)?.as_bytes())
        .map_err(|_| call.wrong("is given what is no base64", "base64 of what was encrypted"))?;
    let key = PrivateKey::of_text(&call.text(1)?).ok_or_else(|| {
        call.wrong("is given what is no private key of RSA", "one in PEM form, without a passphrase")
    })?;
    if key.modulus.bits() > MOST_BITS {
        return Err(
            call.not_here("is given a key that is too long", &format!("a modulus of up to {MOST_BITS} bits"))
        );
    }
    let plain = key
        .decrypted(&encrypted)
        .ok_or_else(|| call.wrong("is given what was not encrypted for this key", "what was"))?;
    let plain = String::from_utf8(plain).map_err(|_| call.not_here("comes to what is no text", "text"))?;
    Ok(Some(Val::text(plain)))
}

struct PrivateKey {
    modulus: BigUint,
    exponent: BigUint,
}

impl PrivateKey {
    fn of_text(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("-----BEGIN ")?;
        let (label, rest) = rest.split_once("-----")?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        // One with a passphrase has lines before it that say so.
        let body: String = body.split_whitespace().collect();
        let bytes = STANDARD.decode(body).ok()?;
        match label {
            "RSA PRIVATE KEY" => Self::of_pkcs1(&bytes),
            "PRIVATE KEY" => Self::of_pkcs8(&bytes),
            "OPENSSH PRIVATE KEY" => Self::of_openssh(&bytes),
            _ => None,
        }
    }

    /// RFC 8017, appendix A.1.2.
    fn of_pkcs1(der: &[u8]) -> Option<Self> {
        let (inner, _) = element(SEQUENCE, der)?;
        let (_, rest) = element(INTEGER, inner)?;
        let (modulus, rest) = element(INTEGER, rest)?;
        let (_, rest) = element(INTEGER, rest)?;
        let (exponent, _) = element(INTEGER, rest)?;
        Some(Self::new(modulus, exponent))
    }

    /// RFC 5958.
    fn of_pkcs8(der: &[u8]) -> Option<Self> {
        let (inner, _) = element(SEQUENCE, der)?;
        let (_, rest) = element(INTEGER, inner)?;
        let (algorithm, rest) = element(SEQUENCE, rest)?;
        let (algorithm, _) = element(OBJECT, algorithm)?;
        let (key, _) = element(OCTETS, rest)?;
        if algorithm == RSA { Self::of_pkcs1(key) } else { None }
    }

    /// OpenSSH's PROTOCOL.key.
    fn of_openssh(bytes: &[u8]) -> Option<Self> {
        let (cipher, rest) = counted(bytes.strip_prefix(OPENSSH)?)?;
        let (_, rest) = counted(rest)?;
        let (_, rest) = counted(rest)?;
        // One key, and its public part.
        let (_, rest) = counted(rest.get(4..)?)?;
        let (key, _) = counted(rest)?;
        if cipher != b"none" {
            return None;
        }
        // Behind a number that stands there twice.
        let (kind, rest) = counted(key.get(8..)?)?;
        let (modulus, rest) = counted(rest)?;
        let (_, rest) = counted(rest)?;
        let (exponent, _) = counted(rest)?;
        (kind == b"ssh-rsa").then(|| Self::new(modulus, exponent))
    }

    fn new(modulus: &[u8], exponent: &[u8]) -> Self {
        Self { modulus: BigUint::from_bytes_be(modulus), exponent: BigUint::from_bytes_be(exponent) }
    }

    fn decrypted(&self, encrypted: &[u8]) -> Option<Vec<u8>> {
        let length = usize::try_from(self.modulus.bits().div_ceil(8)).ok()?;
        let number = BigUint::from_bytes_be(encrypted);
        if length < LEAST_BEFORE || number >= self.modulus {
            return None;
        }
        let bytes = number.modpow(&self.exponent, &self.modulus).to_bytes_be();
        // The first of them is zero, which a number does not tell.
        let padded = bytes.strip_prefix(&[2]).filter(|_| bytes.len() == length - 1)?;
        let end = padded.iter().position(|byte| *byte == 0).filter(|end| end + 3 >= LEAST_BEFORE)?;
        padded.get(end + 1..).map(<[u8]>::to_vec)
    }
}

/// What is in the first element of this kind (X.690), and what comes behind it.
fn element(kind: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.strip_prefix(&[kind])?.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ ..=0x7f => (short, rest),
        long => {
            let (digits, rest) =
                rest.split_at_checked(long - 0x80).filter(|_| (0x81..=0x84).contains(&long))?;
            (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), rest)
        }
    };
    rest.split_at_checked(length)
}

/// What stands behind its length, and what comes behind it.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}
