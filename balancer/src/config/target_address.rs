//! The text of a target: `127.0.0.1:9001`, `[::1]:9002`, `10.0.0.7`, `app.internal:8080`, `unix:/run/app.sock`.

use std::net::{IpAddr, Ipv6Addr};

use super::value::shown;
use crate::model::{TargetAddress, address_of_host};

/// What a target may be, in words.
pub(super) const ALLOWED: &str =
    "\"ADDRESS\", \"ADDRESS:PORT\", \"[IPV6]:PORT\", \"HOST:PORT\" or \"unix:/absolute/path\"";
/// A path must fit `sockaddr_un` with its final NUL (unix(7)).
const MAX_UNIX_PATH: usize = 107;
const MAX_HOST: usize = 253;
const MAX_HOST_LABEL: usize = 63;

/// Reads a target; the port is absent when the text has none.
///
/// # Errors
/// What is wrong; what is allowed.
pub fn parse(text: &str) -> Result<(TargetAddress, Option<u16>), String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return parse_unix(path).map(|address| (address, None));
    }
    let (host, port) = split_port(text);
    let port = match port {
        None => None,
        Some(digits) => Some(parse_port(digits).ok_or_else(|| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let fault = match is_number {
                true => format!("has a port that is none, {}", shown(digits)),
                false => "has no port number after its last colon".to_owned(),
            };
            format!("target {} {fault}; allowed: 1 to 65535", shown(text))
        })?),
    };
    Ok((parse_host(host, text)?, port))
}

/// Splits `host:port`. A bare IPv6 address has no port; brackets around one are taken off.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if text.parse::<Ipv6Addr>().is_ok() {
        return (text, None);
    }
    let bare = |host: &'_ str| host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::len);
    if bare(text).is_some() {
        return (text, None);
    }
    match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

fn parse_port(digits: &str) -> Option<u16> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?.filter(|port| *port > 0)
}

fn parse_host(host: &str, text: &str) -> Result<TargetAddress, String> {
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let address: Option<IpAddr> = match bracketed {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        // An IPv6 address with a port needs brackets: here it could be read in two ways.
        None if host.contains(':') && host.len() < text.len() => None,
        None => host.parse().ok(),
    };
    match address.map(address_of_host) {
        Some(Some(address)) => Ok(TargetAddress::Ip(address)),
        Some(None) => Err(format!("target {} is no address of a host; allowed: {ALLOWED}", shown(text))),
        None if is_instance_id(host) => Err(format!(
            "target {} is an EC2 instance id, which means nothing here; allowed: {ALLOWED}, or its address under \
             `terraform_values` of the `balancer` block",
            shown(text)
        )),
        None if is_host_name(host) => Ok(TargetAddress::Host(host.to_ascii_lowercase())),
        None => {
            Err(format!("target {} is neither an address nor a host name; allowed: {ALLOWED}", shown(text)))
        }
    }
}

fn parse_unix(path: &str) -> Result<TargetAddress, String> {
    if path.starts_with('/') && path.len() > 1 && path.len() <= MAX_UNIX_PATH && !path.contains('\0') {
        return Ok(TargetAddress::Unix(path.into()));
    }
    Err(format!(
        "target {} is no Unix socket; allowed: unix: and an absolute path of at most {MAX_UNIX_PATH} bytes",
        shown(&format!("unix:{path}"))
    ))
}

/// Whether it is the id of an EC2 instance.
pub(super) fn is_instance_id(host: &str) -> bool {
    host.strip_prefix("i-").is_some_and(|id| id.len() >= 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Letters, digits, hyphens and (as container networks have them) underscores in labels of at most 63, at most 253
/// in all (RFC 1123, section 2.1). A last label of digits alone is a mistyped address.
fn is_host_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        (1..=MAX_HOST_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last_is_number =
        host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    host.len() <= MAX_HOST && host.split('.').all(is_label) && !last_is_number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str, port: Option<u16>) -> Option<(TargetAddress, Option<u16>)> {
        Some((TargetAddress::Ip(text.parse().unwrap()), port))
    }

    fn host(text: &str, port: Option<u16>) -> Option<(TargetAddress, Option<u16>)> {
        Some((TargetAddress::Host(text.to_owned()), port))
    }

    #[test]
    fn targets() {
        for (text, expected) in [
            ("127.0.0.1:9001", ip("127.0.0.1", Some(9001))),
            ("10.0.0.7", ip("10.0.0.7", None)),
            ("[::1]:9002", ip("::1", Some(9002))),
            ("[::1]", ip("::1", None)),
            ("::1", ip("::1", None)),
            ("fd00::9:80", ip("fd00::9:80", None)),
            ("[::ffff:10.0.0.7]:80", ip("10.0.0.7", Some(80))),
            ("app.internal:8080", host("app.internal", Some(8080))),
            ("App_1", host("app_1", None)),
            ("app.", host("app.", None)),
            ("unix:/run/app.sock", Some((TargetAddress::Unix("/run/app.sock".into()), None))),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_targets() {
        let too_long = format!("unix:/{}", "a".repeat(107));
        let long_label = format!("{}.example", "a".repeat(64));
        for text in [
            "",
            ":80",
            "10.0.0.1:",
            "10.0.0.1:0",
            "10.0.0.1:65536",
            "10.0.0.1:+80",
            "10.0.0.256",
            "10.0.0",
            "999",
            "[::1",
            "::1]:80",
            "[10.0.0.1]:80",
            "fd00::zz",
            "1:2:3",
            "fe80::1%eth0",
            "0.0.0.0:80",
            "[::]:80",
            "224.0.0.1:80",
            "255.255.255.255:80",
            "http://app:80",
            "app:80/path",
            "a b",
            "-app",
            "app-:80",
            "a..b",
            "i-0123456789abcdef0",
            "unix:",
            "unix:/",
            "unix:relative",
            "unix:@abstract",
            "unix:/a\0b",
            "é.example",
            &too_long,
            &long_label,
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("; allowed: "), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_target_or_an_error(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn every_address_and_port_is_read_as_it_is_written(address: IpAddr, port in 1u16..) {
            let written = std::net::SocketAddr::new(address, port).to_string();
            prop_assume!(address_of_host(address).is_some());
            prop_assert_eq!(parse(&written), Ok((TargetAddress::Ip(address.to_canonical()), Some(port))));
        }
    }
}
