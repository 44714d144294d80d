//! The request head as the target gets it: hop-by-hop fields left out, forwarding fields added
//! (ALB: HTTP headers and Application Load Balancers).

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    ops::Range,
};

use super::{head_notes::HeadNotes, trace::TraceId};
use crate::{
    digits::{decimal, socket_address},
    http::connected::Connected,
    internal_errors::Part as _,
    model::{LoadBalancer, TlsFields, Version, XffMode},
    rules::{CompiledRedirect, CompiledTransforms, RequestUri, RewriteError, split_port, without_dot},
    wire::{
        authority::is_authority,
        fields::{Kind, kind, line, list},
        head::{Framing, HeadError, Nominated, Request},
    },
};

/// What stands between the name and the value of a field: a colon and a space.
const SEPARATOR: usize = 2;

/// Where the client reached the balancer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route<'a> {
    /// Settings of the load balancer.
    pub(crate) load_balancer: &'a LoadBalancer,
    /// The listener's configured port.
    pub(crate) port: u16,
    /// Whether the client's connection is encrypted.
    pub(crate) secure: bool,
    /// The client's connection.
    pub(crate) connected: &'a Connected,
    /// What of its TLS the target is told.
    pub(crate) tls_fields: &'a TlsFields,
    /// What of an HTTP/1.1 request has come behind its head.
    pub(crate) body: &'a [u8],
}

/// Request target and authority as they are to be understood (RFC 9112, section 3.2).
#[derive(Clone, Debug)]
pub(crate) struct TargetUri<'a> {
    /// Path and query, or `*`.
    path: Cow<'a, [u8]>,
    authority: Option<Cow<'a, [u8]>>,
    /// Whether a rule named the port of the authority: it is sent as it stands.
    port_is_set: bool,
}

impl<'a> TargetUri<'a> {
    /// That of a request.
    ///
    /// # Errors
    /// It has no form that can be forwarded.
    pub(crate) fn of(request: &Request<'a>) -> Result<Self, HeadError> {
        let raw = request.target;
        if raw.starts_with(b"/") || (raw == b"*" && request.method == b"OPTIONS") {
            return Ok(Self::new(raw, request.host));
        }
        let rest = [&b"http://"[..], b"https://"]
            .iter()
            .find_map(|scheme| {
                let (front, rest) = raw.split_at_checked(scheme.len())?;
                front.eq_ignore_ascii_case(scheme).then_some(rest)
            })
            .ok_or(HeadError::Malformed)?;
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(HeadError::Malformed)?;
        if authority.is_empty() || !is_authority(authority) {
            return Err(HeadError::Malformed);
        }
        // Of the server as a whole (RFC 9112, section 3.2.4).
        let path = if path.is_empty() && request.method == b"OPTIONS" { b"*" } else { path };
        Ok(Self::new(path, Some(authority)))
    }

    fn new(path: &'a [u8], authority: Option<&'a [u8]>) -> Self {
        Self { path: path.into(), authority: authority.map(Cow::Borrowed), port_is_set: false }
    }

    /// Host and port, where they are known.
    pub(crate) fn authority(&self) -> Option<&[u8]> {
        self.authority.as_deref().filter(|authority| !authority.is_empty())
    }

    /// Path and query as they stand.
    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Path and query, with the leading slash that the absolute form may lack.
    fn path_and_query(&self) -> Cow<'_, [u8]> {
        if self.path.starts_with(b"/") || &*self.path == b"*" {
            return Cow::Borrowed(&self.path);
        }
        Cow::Owned([b"/", &*self.path].concat())
    }

    /// The URI in the parts that a redirect is made of.
    pub(crate) fn redirect(&self, redirect: &CompiledRedirect, route: &Route<'_>) -> Option<Vec<u8>> {
        let local = host_of(route.connected.local.ip());
        let host = self.authority().map_or(local.as_bytes(), |authority| split_port(authority).0);
        let whole = self.path_and_query();
        let end = memchr::memchr(b'?', &whole).unwrap_or(whole.len());
        let (path, query) = (whole.part(..end), whole.part(end..));
        redirect.location(&RequestUri {
            secure: route.secure,
            host,
            port: route.port,
            path,
            query: query.strip_prefix(b"?").unwrap_or(query),
        })
    }

    /// As a rule changes it.
    ///
    /// # Errors
    /// What came of it can be no part of a request.
    pub(crate) fn rewrite(mut self, transforms: &CompiledTransforms) -> Result<Self, RewriteError> {
        if let Some(url) = &transforms.url {
            let rewritten = url.apply(&self.path_and_query())?;
            if let Some(path) = rewritten {
                let is_sound = path.starts_with(b"/") && path.iter().all(u8::is_ascii_graphic);
                self.path = Cow::Owned(Some(path).filter(|_| is_sound).ok_or(RewriteError)?);
            }
        }
        if let (Some(rewriter), Some(authority)) = (&transforms.host, self.authority.as_deref()) {
            let (name, port) = split_port(authority);
            let rewritten = rewriter.apply(without_dot(name))?;
            if let Some(mut host) = rewritten {
                // A port that the rule names goes before that of the request.
                let port_is_set = !split_port(&host).1.is_empty();
                if !port_is_set {
                    host.extend_from_slice(port);
                }
                let is_sound = !host.is_empty() && is_authority(&host);
                self.authority = Some(Cow::Owned(Some(host).filter(|_| is_sound).ok_or(RewriteError)?));
                self.port_is_set = port_is_set;
            }
        }
        Ok(self)
    }
}

fn host_of(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// Writes the head for the target to `out`, where nothing is. Gives back where in it the value of X-Amzn-Trace-Id is. `notes` are
/// taken of it.
pub(crate) fn head(
    request: &Request<'_>,
    target: &TargetUri<'_>,
    route: &Route<'_>,
    trace: &TraceId,
    (out, notes): (&mut Vec<u8>, &mut HeadNotes),
) -> Range<usize> {
    let path = target.path_and_query();
    out.extend_from_slice(request.method);
    out.push(b' ');
    out.extend_from_slice(&path);
    notes.start(request.method.len(), path.len());
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    let start = out.len();
    host(target, route, out);
    notes.host(start..out.len());
    out.extend_from_slice(b"\r\n");
    let nominated = Nominated::of(&request.fields);
    let mut copier = request.fields.copier();
    for (index, (field, kind)) in request.fields.with_kinds().enumerate() {
        let keep = match kind {
            kind if kind.is_end_to_end() => !nominated.has(index),
            Kind::ContentLength => true,
            // HTTP/1.0 knows no expectations (RFC 9110, section 10.1.1), and an HTTP/2 client waits for nothing (ALB:
            // Expect is ignored there and not passed on).
            Kind::Expect => !request.expects_continue && request.version == Version::Http11,
            Kind::ForwardedFor => route.load_balancer.xff_mode == XffMode::Preserve,
            _ => false,
        };
        if keep {
            // HTTP/2 has lower-case names alone; this one ALB writes in its own case.
            let name = if kind == Kind::ForwardedFor && request.version == Version::Http2 {
                b"X-Forwarded-For"
            } else {
                field.name
            };
            notes.line(copier.end(out), name.len(), field.value.len());
            copier.put(name, field.value, out);
        }
    }
    copier.finish(out);
    if request.framing == Framing::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    connection(request, out, notes);
    forwarded(request, route, out, notes);
    for (fact, name) in &route.tls_fields.told {
        if let Some(value) = route.connected.fact(*fact) {
            if goes_to_http2(kind(name.as_bytes())) {
                notes.line(out.len(), name.len(), value.len());
            }
            line(out, name.as_bytes(), value.as_bytes());
        }
    }
    let start = out.len();
    let traced = trace.line(&request.fields, out);
    notes.line(start, traced.start - start - SEPARATOR, traced.len());
    out.extend_from_slice(b"\r\n");
    traced
}

/// Whether a field of a head for HTTP/1.1 goes on to a target of HTTP/2, which knows the host in another way.
pub(crate) fn goes_to_http2(kind: Kind) -> bool {
    use Kind::{Connection, HopByHop, Host, TransferEncoding, Upgrade};
    !matches!(kind, Connection | HopByHop | TransferEncoding | Upgrade | Host)
}

/// Host as ALB sends it: lower-case, the listener's port added unless it is 80 or 443, where none is left; or
/// as it came with `preserve_host_header`. Who names no host is given the address that it connected to, for
/// want of the name in the DNS that ALB has.
fn host(target: &TargetUri<'_>, route: &Route<'_>, out: &mut Vec<u8>) {
    let default_port = matches!(route.port, 80 | 443);
    let authority = target.authority.as_deref();
    if let (Some(authority), true) =
        (authority, route.load_balancer.preserve_host_header || target.port_is_set)
    {
        out.extend_from_slice(authority);
        return;
    }
    let Some(authority) = authority.filter(|authority| !authority.is_empty()) else {
        let local = host_of(route.connected.local.ip());
        out.extend_from_slice(local.as_bytes());
        if !default_port {
            out.push(b':');
            decimal(route.port, out);
        }
        return;
    };
    let (name, port) = split_port(authority);
    let start = out.len();
    out.extend_from_slice(name);
    if let Some(name) = out.get_mut(start..) {
        name.make_ascii_lowercase();
    }
    match port {
        _ if default_port => {}
        [] => {
            out.push(b':');
            decimal(route.port, out);
        }
        port => out.extend_from_slice(port),
    }
}

/// Whether an authority names a port.
pub(crate) fn has_port(authority: &[u8]) -> bool {
    !split_port(authority).1.is_empty()
}

/// Connection options towards the target: an upgrade that the client asked for, and trailers.
fn connection(request: &Request<'_>, out: &mut Vec<u8>, notes: &mut HeadNotes) {
    let trailers = request.fields.of(Kind::Te).flat_map(list).any(|te| te.eq_ignore_ascii_case(b"trailers"));
    if trailers {
        notes.line(out.len(), b"TE".len(), b"trailers".len());
        out.extend_from_slice(b"TE: trailers\r\n");
    }
    if let Some(protocols) = &request.upgrade {
        line(out, b"Upgrade", protocols);
    }
    match (request.upgrade.is_some(), trailers) {
        (true, true) => out.extend_from_slice(b"Connection: Upgrade, TE\r\n"),
        (true, false) => out.extend_from_slice(b"Connection: Upgrade\r\n"),
        (false, true) => out.extend_from_slice(b"Connection: TE\r\n"),
        (false, false) => {}
    }
}

/// X-Forwarded-For, -Proto and -Port.
fn forwarded(request: &Request<'_>, route: &Route<'_>, out: &mut Vec<u8>, notes: &mut HeadNotes) {
    let origin = route.connected.origin(route.secure, route.port);
    if route.load_balancer.xff_mode == XffMode::Append {
        let start = out.len();
        out.extend_from_slice(b"X-Forwarded-For: ");
        let value = out.len();
        for value in request.fields.of(Kind::ForwardedFor).filter(|value| !value.is_empty()) {
            out.extend_from_slice(value);
            out.extend_from_slice(b", ");
        }
        if route.load_balancer.xff_client_port {
            let peer = route.connected.peer;
            socket_address(SocketAddr::new(peer.ip().to_canonical(), peer.port()), out);
        } else {
            out.extend_from_slice(&origin.address);
        }
        notes.line(start, value - start - SEPARATOR, out.len() - value);
        out.extend_from_slice(b"\r\n");
    }
    for (place, name, value) in origin.fields() {
        notes.line(out.len() + place, name, value);
    }
    out.extend_from_slice(&origin.lines);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::UnixSeconds, http::decide::trace::TraceIds, model::DesyncMode, wire::doubling::assert_linear,
    };

    /// What is noted of a head is what is found in it.
    fn assert_noted(head: &[u8], notes: &HeadNotes) {
        let text = std::str::from_utf8(head).expect("text");
        let mut lines = text.split_terminator("\r\n");
        let first: Vec<_> = lines.next().expect("a line").split(' ').collect();
        let fields: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
        let Some(noted) = notes.of(head) else {
            return assert!(fields.len() > 24, "{text}");
        };
        assert_eq!((first[0].as_bytes(), first[1].as_bytes()), (noted.method, noted.path));
        assert_eq!(fields[0], ("Host", std::str::from_utf8(noted.host).expect("text")));
        let of_connection = ["Connection", "Upgrade", "Transfer-Encoding"];
        let wanted = fields[1..].iter().filter(|(name, _)| !of_connection.contains(name));
        let wanted: Vec<_> = wanted.map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        assert_eq!(noted.lines().map(|line| (line.name, line.value)).collect::<Vec<_>>(), wanted, "{text}");
    }

    fn forward(text: &str, edit: impl FnOnce(&mut LoadBalancer), port: u16) -> Result<String, HeadError> {
        forward_from("192.0.2.7:5000", text, edit, port)
    }

    fn forward_from(
        peer: &str,
        text: &str,
        edit: impl FnOnce(&mut LoadBalancer),
        port: u16,
    ) -> Result<String, HeadError> {
        let mut load_balancer = LoadBalancer {
            name: "default".into(),
            internal: false,
            idle_timeout: Duration::from_secs(60),
            client_keep_alive: Duration::from_secs(3600),
            connect_timeout: Duration::from_secs(10),
            xff_mode: XffMode::Append,
            xff_client_port: false,
            enable_http2: true,
            tls_version_and_cipher_suite: false,
            tls_key_exchange: false,
            preserve_host_header: false,
            drop_invalid_header_fields: false,
            desync_mitigation_mode: DesyncMode::Defensive,
            upgrade_protocols: vec!["websocket".to_owned()],
            access_logs: None,
            health_check_logs: None,
        };
        edit(&mut load_balancer);
        let local = "192.0.2.1:8080".parse().expect("address");
        let connected = Connected::plain(peer.parse().expect("address"), local);
        let route = Route {
            load_balancer: &load_balancer,
            port,
            secure: false,
            connected: &connected,
            tls_fields: &TlsFields::default(),
            body: b"",
        };
        let request = Request::parse(text.as_bytes())?;
        let mut out = Vec::new();
        let id = TraceIds::default().draw(UnixSeconds(1));
        let mut notes = HeadNotes::begin(true);
        let traced = head(&request, &TargetUri::of(&request)?, &route, &id, (&mut out, &mut notes));
        assert_noted(&out, &notes);
        let value = String::from_utf8(out[traced].to_vec()).expect("text");
        let line = format!("X-Amzn-Trace-Id: {value}\r\n");
        let out = String::from_utf8(out).expect("text");
        assert_eq!(out.matches(&line).count(), 1, "{out}");
        Ok(out.replace(&line, ""))
    }

    #[test]
    fn forwarding_fields_are_added_and_hop_by_hop_ones_left_out() {
        let out = forward(
            "GET /a?b HTTP/1.1\r\nHost: Example.COM:8080\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
             Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers, gzip\r\nUpgrade: h2c\r\nAccept: */*\r\n\
             X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-FORWARDED-FOR: 10.0.0.2\r\n\r\n",
            |_| {},
            8080,
        );
        assert_eq!(
            out.expect("forwarded"),
            "GET /a?b HTTP/1.1\r\nHost: example.com:8080\r\nAccept: */*\r\nTE: trailers\r\nConnection: TE\r\n\
             X-Forwarded-For: 10.0.0.1, 10.0.0.2, 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 8080\r\n\r\n"
        );
    }

    #[test]
    fn many_connection_members_and_many_fields_do_not_multiply() {
        let text = |n: usize| {
            let members: String = (0..n).map(|number| format!("m{number:03},")).collect();
            let lines: String = (0..n / 20).map(|number| format!("m{number:03}x: v\r\n")).collect();
            format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {members}\r\n{lines}\r\n")
        };
        assert_linear(text, 1600, |text| assert!(forward(text, |_| {}, 80).is_ok()));
    }

    #[test]
    fn lines_of_x_forwarded_for_and_of_te_are_each_looked_at_once() {
        let text = |n: usize| {
            let lines = "X-Forwarded-For: 10.0.0.1\r\nTE: a,b,c,d,e,f,g\r\n".repeat(n);
            format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
        };
        assert_linear(text, 45, |text| assert!(forward(text, |_| {}, 80).is_ok()));
    }

    #[test]
    fn host_follows_the_listener() {
        let host = |value: &str, port, preserve| {
            let text = format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n");
            let out = forward(&text, |lb| lb.preserve_host_header = preserve, port).expect("forwarded");
            out.lines().find_map(|line| line.strip_prefix("Host: ").map(str::to_owned)).expect("a Host")
        };
        assert_eq!(host("A.example", 8080, false), "a.example:8080");
        assert_eq!(host("a.example:9000", 8080, false), "a.example:9000");
        assert_eq!(host("a.example:9000", 80, false), "a.example");
        assert_eq!(host("[2001:DB8::1]", 8080, false), "[2001:db8::1]:8080");
        assert_eq!(host("[2001:db8::1]:80", 80, false), "[2001:db8::1]");
        assert_eq!(host("a.example.", 8080, false), "a.example.:8080");
        assert_eq!(host("A.example.:9000", 8080, false), "a.example.:9000");
        assert_eq!(host("a.example.:80", 80, false), "a.example.");
        assert_eq!(host("a.example:", 8080, false), "a.example:8080");
        assert_eq!(host("[2001:db8::1]:", 8080, false), "[2001:db8::1]:8080");
        assert_eq!(host("A.example", 8080, true), "A.example");
        assert_eq!(host("A.example.:", 8080, true), "A.example.:");
        let old = forward("GET / HTTP/1.0\r\n\r\n", |_| {}, 8080).expect("forwarded");
        assert!(old.contains("\r\nHost: 192.0.2.1:8080\r\n"), "{old}");
    }

    #[test]
    fn without_a_host_the_address_stands_for_it() {
        for (version, given) in [("1.0", ""), ("1.0", "Host:\r\n"), ("1.1", "Host: \r\n")] {
            let text = format!("GET / HTTP/{version}\r\n{given}\r\n");
            for (port, host) in [(80, "192.0.2.1"), (443, "192.0.2.1"), (8080, "192.0.2.1:8080")] {
                let out = forward(&text, |_| {}, port).expect("forwarded");
                assert!(out.contains(&format!("\r\nHost: {host}\r\n")), "{text:?} {out}");
            }
        }
        let out = forward("GET / HTTP/1.1\r\nHost:\r\n\r\n", |lb| lb.preserve_host_header = true, 80);
        assert!(out.expect("forwarded").contains("\r\nHost: \r\n"), "preserved as it came");
    }

    #[test]
    fn absolute_form_wins_over_host_and_other_forms_are_refused() {
        let out = forward("GET http://B.example?q HTTP/1.1\r\nHost: a\r\n\r\n", |_| {}, 80);
        assert!(out.expect("forwarded").starts_with("GET /?q HTTP/1.1\r\nHost: b.example\r\n"));
        for bad in [
            "GET a HTTP/1.1",
            "GET * HTTP/1.1",
            "GET ftp://a/ HTTP/1.1",
            "GET http://u@a/ HTTP/1.1",
            "GET http:///x HTTP/1.1",
        ] {
            assert_eq!(
                forward(&format!("{bad}\r\nHost: a\r\n\r\n"), |_| {}, 80),
                Err(HeadError::Malformed),
                "{bad}"
            );
        }
        assert!(forward("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", |_| {}, 80).is_ok());
    }

    #[test]
    fn options_of_no_path_are_of_the_server() {
        let target = |target: &str, method: &str| {
            let out = forward(&format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n"), |_| {}, 80);
            out.expect("forwarded").split(' ').nth(1).expect("a target").to_owned()
        };
        assert_eq!(target("http://b.example", "OPTIONS"), "*");
        assert_eq!(target("http://b.example/", "OPTIONS"), "/");
        assert_eq!(target("http://b.example?q", "OPTIONS"), "/?q");
        assert_eq!(target("http://b.example", "GET"), "/");
    }

    #[test]
    fn expectations_are_of_http_1_1_alone() {
        let expects = |version: &str, value: &str| {
            let text = format!("GET / HTTP/{version}\r\nHost: a\r\nExpect: {value}\r\n\r\n");
            forward(&text, |_| {}, 80).expect("forwarded").contains("Expect")
        };
        assert!(!expects("1.0", "100-continue") && !expects("1.0", "other"));
        assert!(!expects("1.1", "100-continue") && expects("1.1", "other"));
        assert!(!expects("1.1", "other, 100-Continue") && expects("1.1", "100-continued"));
    }

    #[test]
    fn forwarded_for_has_three_modes() {
        let xff = |edit: fn(&mut LoadBalancer)| {
            let out = forward("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n", edit, 80);
            let out = out.expect("forwarded");
            out.lines()
                .filter_map(|line| line.strip_prefix("X-Forwarded-For: ").map(str::to_owned))
                .collect::<Vec<_>>()
        };
        assert_eq!(xff(|lb| lb.xff_mode = XffMode::Preserve), ["10.0.0.1"]);
        assert_eq!(xff(|lb| lb.xff_mode = XffMode::Remove), Vec::<String>::new());
        assert_eq!(xff(|lb| lb.xff_client_port = true), ["10.0.0.1, 192.0.2.7:5000"]);
        // The port is told only where the address is.
        let with_port = |lb: &mut LoadBalancer, mode| (lb.xff_client_port, lb.xff_mode) = (true, mode);
        let out = |mode| {
            let text = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n";
            forward(text, |lb| with_port(lb, mode), 80).expect("forwarded")
        };
        assert!(out(XffMode::Preserve).contains("\r\nX-Forwarded-For: 10.0.0.1\r\n"));
        assert!(!out(XffMode::Remove).contains("X-Forwarded-For"));
    }

    #[test]
    fn addresses_are_written_as_alb_writes_them() {
        let xff = |peer: &str, port: bool| {
            let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            let out = forward_from(peer, text, |lb| lb.xff_client_port = port, 80).expect("forwarded");
            out.lines().find_map(|line| line.strip_prefix("X-Forwarded-For: ").map(str::to_owned))
        };
        for (peer, plain, with_port) in [
            ("192.0.2.7:5000", "192.0.2.7", "192.0.2.7:5000"),
            ("[2001:db8::7]:5000", "2001:db8::7", "[2001:db8::7]:5000"),
            ("[::ffff:192.0.2.7]:5000", "192.0.2.7", "192.0.2.7:5000"),
        ] {
            assert_eq!(xff(peer, false).as_deref(), Some(plain));
            assert_eq!(xff(peer, true).as_deref(), Some(with_port));
        }
    }

    #[test]
    fn protocol_and_port_are_the_balancers_in_every_mode() {
        for mode in [XffMode::Append, XffMode::Preserve, XffMode::Remove] {
            let text = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\n\r\n";
            let out = forward(text, |lb| lb.xff_mode = mode, 8080).expect("forwarded");
            let fields: Vec<_> = out.lines().filter(|line| line.starts_with("X-Forwarded-P")).collect();
            assert_eq!(fields, ["X-Forwarded-Proto: http", "X-Forwarded-Port: 8080"], "{mode:?}");
        }
    }

    #[test]
    fn an_upgrade_that_was_asked_for_is_passed_on() {
        let out = forward(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nExpect: 100-continue\r\n\r\n",
            |_| {},
            80,
        );
        let out = out.expect("forwarded");
        assert!(out.contains("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"), "{out}");
        assert!(!out.contains("Expect"));
    }
}
