//! A client's certificate in the words in which targets are told of it (ALB: mutual TLS, HTTP headers). All of it is
//! visible ASCII, whatever the certificate holds.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate,
    der_parser::asn1_rs::Tag,
    prelude::FromDer as _,
    time::ASN1Time,
    x509::{AttributeTypeAndValue, X509Name},
};

use crate::model::TlsFact;

/// One. Small, since every connection has room for it, with TLS or without.
#[derive(Debug)]
pub struct ClientCertificate(Box<CertificateTexts>);

#[derive(Debug)]
struct CertificateTexts {
    serial_number: String,
    issuer: String,
    subject: String,
    validity: String,
    leaf: String,
    chain: String,
    not_after: i64,
}

impl ClientCertificate {
    /// Of a chain as a client shows it, its own first; none when there is nothing, or nothing that can be read.
    #[must_use]
    pub fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let first = chain.first()?;
        let (_, parsed) = X509Certificate::from_der(first).ok()?;
        let validity = parsed.validity();
        Some(Self(Box::new(CertificateTexts {
            serial_number: hex(significant(parsed.raw_serial())),
            issuer: distinguished_name(parsed.issuer()),
            subject: distinguished_name(parsed.subject()),
            validity: format!(
                "NotBefore={};NotAfter={}",
                time(validity.not_before),
                time(validity.not_after)
            ),
            leaf: escaped_pem(first),
            chain: chain.iter().map(|certificate| escaped_pem(certificate)).collect(),
            not_after: validity.not_after.timestamp(),
        })))
    }

    /// One of the texts; empty for what is of no certificate.
    #[must_use]
    pub fn get(&self, fact: TlsFact) -> &str {
        match fact {
            TlsFact::Version | TlsFact::CipherSuite | TlsFact::KeyExchange => "",
            TlsFact::SerialNumber => &self.0.serial_number,
            TlsFact::Issuer => &self.0.issuer,
            TlsFact::Subject => &self.0.subject,
            TlsFact::Validity => &self.0.validity,
            TlsFact::Leaf => &self.0.leaf,
            TlsFact::Chain => &self.0.chain,
        }
    }

    /// Seconds since 1970 after which it is not valid.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.0.not_after
    }
}

/// A serial number without the byte that DER puts before one whose first bit is set.
fn significant(serial: &[u8]) -> &[u8] {
    match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// ISO 8601, in UTC.
fn time(time: ASN1Time) -> String {
    let time = time.to_datetime();
    let (hour, minute, second) = time.time().as_hms();
    format!(
        "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z",
        time.year(),
        u8::from(time.month()),
        time.day()
    )
}

/// PEM with what is not safe in a field escaped; `+`, `=` and `/` are safe (ALB: X-Amzn-Mtls-Clientcert).
fn escaped_pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN%20CERTIFICATE-----%0A");
    let encoded = STANDARD.encode(der);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push_str("%0A");
        rest = more;
    }
    text.push_str("-----END%20CERTIFICATE-----%0A");
    text
}

/// A name as RFC 2253 writes it, the last part first.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let sets: Vec<String> =
        name.iter().map(|set| set.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    sets.into_iter().rev().collect::<Vec<_>>().join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let key = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        other => other,
    };
    format!("{key}={}", value(attribute))
}

/// The text of a value, or, where it is none that can be read, its bytes.
fn value(attribute: &AttributeTypeAndValue<'_>) -> String {
    match attribute.as_str() {
        Ok(text) => escaped(text.as_bytes()),
        Err(_) if attribute.attr_value().tag() == Tag::BmpString => {
            let units: Vec<u16> = attribute
                .as_slice()
                .chunks_exact(2)
                .filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)))
                .collect();
            escaped(String::from_utf16_lossy(&units).as_bytes())
        }
        Err(_) => format!("#{}", hex(attribute.as_slice())),
    }
}

fn escaped(text: &[u8]) -> String {
    let mut out = String::new();
    for (index, &byte) in text.iter().enumerate() {
        let at_end = index == 0 || index + 1 == text.len();
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b'#' if index == 0 => out.push_str("\\#"),
            b' ' if at_end => out.push_str("\\ "),
            b' '..=b'~' => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(out, "\\{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber, date_time_ymd};

    use super::*;

    fn certificate(edit: impl FnOnce(&mut CertificateParams)) -> ClientCertificate {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.not_before = date_time_ymd(2023, 9, 21);
        params.not_after = date_time_ymd(2024, 9, 20);
        edit(&mut params);
        let signed = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        ClientCertificate::of(&[signed.der().clone()]).unwrap()
    }

    #[test]
    fn fields_are_as_alb_writes_them() {
        let certificate = certificate(|params| {
            params.serial_number = Some(SerialNumber::from(vec![0x03, 0xA5, 0xB1]));
            for (kind, text) in [
                (DnType::CountryName, "US"),
                (DnType::StateOrProvinceName, "Washington"),
                (DnType::OrganizationName, "mTLS"),
                (DnType::OrganizationalUnitName, "client-3"),
                (DnType::CommonName, "client_.com"),
            ] {
                params.distinguished_name.push(kind, text);
            }
        });
        assert_eq!(certificate.get(TlsFact::SerialNumber), "03A5B1");
        assert_eq!(certificate.get(TlsFact::Subject), "CN=client_.com,OU=client-3,O=mTLS,ST=Washington,C=US");
        assert_eq!(certificate.get(TlsFact::Issuer), certificate.get(TlsFact::Subject));
        assert_eq!(
            certificate.get(TlsFact::Validity),
            "NotBefore=2023-09-21T00:00:00Z;NotAfter=2024-09-20T00:00:00Z"
        );
        let leaf = certificate.get(TlsFact::Leaf);
        assert!(leaf.starts_with("-----BEGIN%20CERTIFICATE-----%0AMII"), "{leaf}");
        assert!(leaf.ends_with("%0A-----END%20CERTIFICATE-----%0A"), "{leaf}");
        assert_eq!(certificate.get(TlsFact::Chain), leaf);
        assert_eq!(certificate.not_after(), 1_726_790_400);
    }

    #[test]
    fn nothing_in_a_name_can_end_a_field() {
        let certificate = certificate(|params| {
            params.serial_number = Some(SerialNumber::from(vec![0xF0, 0x01]));
            let name = "# a,b\r\nX-Evil: 1\\ \u{e9}=;<>\"+ ";
            params.distinguished_name.push(DnType::CommonName, name);
        });
        let subject = certificate.get(TlsFact::Subject);
        assert_eq!(subject, "CN=\\# a\\,b\\0D\\0AX-Evil: 1\\\\ \\C3\\A9=\\;\\<\\>\\\"\\+\\ ");
        assert!(
            TlsFact::ALL
                .iter()
                .all(|fact| certificate.get(*fact).bytes().all(|b| (b' '..=b'~').contains(&b)))
        );
        assert_eq!(certificate.get(TlsFact::SerialNumber), "F001");
    }

    #[test]
    fn the_chain_has_all_and_the_leaf_the_first() {
        let make = || {
            CertificateParams::new(Vec::new()).unwrap().self_signed(&KeyPair::generate().unwrap()).unwrap()
        };
        let (one, two) = (make(), make());
        let both = ClientCertificate::of(&[one.der().clone(), two.der().clone()]).unwrap();
        let other = ClientCertificate::of(&[two.der().clone()]).unwrap();
        assert_eq!(
            both.get(TlsFact::Chain),
            format!("{}{}", both.get(TlsFact::Leaf), other.get(TlsFact::Leaf))
        );
        assert!(ClientCertificate::of(&[]).is_none());
        assert!(ClientCertificate::of(&[CertificateDer::from(vec![1, 2, 3])]).is_none());
    }
}
