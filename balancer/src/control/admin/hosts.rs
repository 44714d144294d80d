//! By which names the admin endpoint may be asked. A browser can be made to ask it by a name of somebody else (DNS
//! rebinding), and would let that somebody read the answer. Must not know: what is asked.

use std::net::IpAddr;

use hyper::{Request, header};

/// The names.
#[derive(Debug)]
pub(super) struct Hosts {
    own: IpAddr,
    listed: Vec<String>,
}

impl Hosts {
    /// Its own address, loopback, and what is `listed` in lower case; `*` is any name.
    pub(super) fn new(own: IpAddr, listed: &[String]) -> Self {
        Self { own, listed: listed.to_vec() }
    }

    /// The name by which `request`, which came to the address `local`, must not be answered; nothing where it may be.
    pub(super) fn refuses<B>(&self, request: &Request<B>, local: IpAddr) -> Option<String> {
        let fields = request.headers().get_all(header::HOST).iter();
        let named = fields.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        // An absolute form goes before the field (RFC 9112, section 3.2.2): each has to be in order.
        let absolute = request.uri().authority().map(|authority| authority.as_str().to_owned());
        named.chain(absolute).find(|host| !self.allows(host, local))
    }

    fn allows(&self, host: &str, local: IpAddr) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        if self.listed.iter().any(|listed| listed == "*" || listed == name) {
            return true;
        }
        match name.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => {
                let address = address.to_canonical();
                address.is_loopback()
                    || address == self.own.to_canonical()
                    || address == local.to_canonical()
                    || self.listed.iter().any(|listed| listed.parse() == Ok(address))
            }
            Err(_) => name.is_empty() || name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !is_bare_ipv6(host) => name,
        _ => host,
    }
}

fn is_bare_ipv6(host: &str) -> bool {
    !host.starts_with('[') && host.matches(':').count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(own: &str, listed: &[&str], host: &str) -> bool {
        let listed: Vec<String> = listed.iter().map(|name| (*name).to_owned()).collect();
        let hosts = Hosts::new(own.parse().unwrap(), &listed);
        let request = Request::builder().uri("/metrics").header("host", host).body(()).unwrap();
        hosts.refuses(&request, "192.0.2.7".parse().unwrap()).is_none()
    }

    #[test]
    fn loopback_its_own_address_and_listed_names_are_allowed() {
        for host in [
            "localhost",
            "LOCALHOST:9900",
            "localhost.",
            "a.localhost:1",
            "127.0.0.1:9900",
            "127.8.8.8",
            "[::1]:9900",
            "192.0.2.7:9900",
            "192.0.2.1",
            "[::ffff:192.0.2.1]",
            "",
        ] {
            assert!(allows("192.0.2.1", &[], host), "{host}");
        }
        assert!(allows("0.0.0.0", &["lb.example.com"], "LB.example.com:80"));
        assert!(allows("0.0.0.0", &["2001:db8::1"], "[2001:db8:0::1]:80"));
        assert!(allows("0.0.0.0", &["*"], "anything"));
    }

    #[test]
    fn others_are_not() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example:9900",
            "198.51.100.1",
            "[2001:db8::1]:9900",
            "localhost:9900:evil",
            "user@localhost",
        ] {
            assert!(!allows("127.0.0.1", &["lb.example.com"], host), "{host}");
        }
        let hosts = Hosts::new("127.0.0.1".parse().unwrap(), &[]);
        let local = "127.0.0.1".parse().unwrap();
        let absolute = Request::builder()
            .uri("http://evil.example/metrics")
            .header("host", "localhost")
            .body(())
            .unwrap();
        assert!(hosts.refuses(&absolute, local).is_some());
        let two = Request::builder()
            .uri("/metrics")
            .header("host", "localhost")
            .header("host", "evil.example")
            .body(())
            .unwrap();
        assert!(hosts.refuses(&two, local).is_some());
    }
}
