//! The head of an HTTP/2 message in the form that the deciding rooms see, and back.

use std::mem::MaybeUninit;

use bytes::Bytes;
use h2::{RecvStream, ext::Protocol};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use smallvec::SmallVec;

use super::websocket_key::WebSocketKey;
use crate::{
    clock::CoarseClock,
    model::{EditOp, HeaderEdits, HeaderField},
    response::{answer::Answer, compose, listener_fields::ListenerFields},
    wire::{
        fields::{Kind, kind},
        head::{HeadError, MAX_FIELDS, MAX_LINE, Request, Response},
        screen::Aside,
    },
};

/// Fields that are added to those of a request at most: Host, what tells of the client and of its TLS, what tells requests apart.
const MOST_ADDED: usize = 32;

/// Bytes of a date (RFC 9110, section 5.6.7).
const DATE_LENGTH: usize = 29;

/// What has to be held while a request is looked at: the cookies of all its fields as one (RFC 9113,
/// section 8.2.3), where there are several.
#[derive(Debug)]
pub(super) struct Head {
    parts: Parts,
    cookies: Option<Vec<u8>>,
    bodiless: bool,
    /// What the engine does not tell.
    aside: Aside,
    protocol: Option<Result<WebSocketKey, HeadError>>,
}

impl Head {
    pub(super) fn new(request: http::Request<RecvStream>, aside: Aside) -> (Self, RecvStream) {
        let (parts, body) = request.into_parts();
        let crumbs = || parts.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
        let cookies = crumbs().nth(1).map(|_| crumbs().collect::<Vec<_>>().join(&b"; "[..]));
        let bodiless = body.is_end_stream();
        let protocol = parts.extensions.get::<Protocol>().map(|protocol| {
            let key = (protocol.as_str() == "websocket").then(WebSocketKey::random).flatten();
            key.ok_or(HeadError::TransferCoding)
        });
        (Self { parts, cookies, bodiless, aside, protocol }, body)
    }

    /// Bytes of the names and values of the head; how few of them it took to say it is the engine's secret.
    pub(super) fn size(&self) -> u64 {
        let uri = &self.parts.uri;
        let protocol = self.parts.extensions.get::<Protocol>().map(|protocol| protocol.as_str().len());
        let pseudo = [
            (":method", Some(self.parts.method.as_str().len())),
            (":scheme", uri.scheme_str().map(str::len)),
            (":path", uri.path_and_query().map(|path| path.as_str().len())),
            (":authority", uri.authority().map(|authority| authority.as_str().len())),
            (":protocol", protocol),
        ];
        let line: usize = pseudo.iter().filter_map(|(name, value)| Some(name.len() + (*value)?)).sum();
        (line + self.aside.left_out) as u64 + size(&self.parts.headers)
    }

    /// The key of the handshake, when the request is for a WebSocket (RFC 8441).
    pub(super) fn key(&self) -> Option<WebSocketKey> {
        self.protocol.as_ref()?.as_ref().ok().cloned()
    }

    /// The request as the deciding rooms see it.
    ///
    /// # Errors
    /// Why it is none that can be forwarded.
    pub(super) fn request(&self) -> Result<Request<'_>, HeadError> {
        let uri = &self.parts.uri;
        let target = uri.path_and_query().map_or("", |path| path.as_str()).as_bytes();
        let target = self.aside.path.as_deref().unwrap_or(target);
        if self.aside.left_out > 0 {
            let is_line = target.len() > MAX_LINE;
            return Err(if is_line { HeadError::LineTooLong } else { HeadError::TooLarge });
        }
        let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
        let joined =
            self.cookies.as_ref().map(|value| HeaderField { name: &b"cookie"[..], value: value.as_slice() });
        let key = self.protocol.as_ref().map(Result::as_ref).transpose().map_err(|error| *error)?;
        let handshake = key.map(|key| HeaderField { name: &b"Sec-WebSocket-Key"[..], value: key.as_bytes() });
        let lines = self
            .parts
            .headers
            .iter()
            .filter(|(name, _)| joined.is_none() || *name != header::COOKIE)
            .map(|(name, value)| HeaderField { name: name.as_str().as_bytes(), value: value.as_bytes() })
            .filter(|field| key.is_none() || field.name != b"sec-websocket-key")
            .chain(joined)
            .chain(handshake);
        let method = self.parts.method.as_str().as_bytes();
        // A CONNECT names no path (RFC 9113, section 8.5); it is refused whatever it names.
        let target = if target.is_empty() { b"/" } else { target };
        let well_formed = target.starts_with(b"/") || (target == b"*" && method == b"OPTIONS");
        if !well_formed {
            return Err(HeadError::Malformed);
        }
        if key.is_some() {
            // What follows is no body of the request but what the other protocol says.
            let request = Request::of_fields(b"GET", target, authority, lines, true)?;
            return Ok(Request { upgrade: Some(b"websocket".into()), ..request });
        }
        Request::of_fields(method, target, authority, lines, self.bodiless)
    }
}

/// Bytes of the names and values of a response's head.
pub(super) fn response_size(fields: &HeaderMap) -> u64 {
    const STATUS: u64 = ":status".len() as u64 + 3;
    STATUS + size(fields)
}

/// Bytes of names and values.
pub(super) fn size(fields: &HeaderMap) -> u64 {
    fields.iter().map(|(name, value)| (name.as_str().len() + value.len()) as u64).sum()
}

/// Takes out the trailer fields whose names do not go on.
pub(super) fn filter_trailers(trailers: &mut HeaderMap, keeps: impl Fn(&[u8]) -> bool) {
    let withheld: Vec<HeaderName> =
        trailers.keys().filter(|name| !keeps(name.as_str().as_bytes())).cloned().collect();
    for name in withheld {
        trailers.remove(name);
    }
}

/// Field lines as a map; none when one of them has no form in HTTP/2.
pub(super) fn map<'a>(lines: impl Iterator<Item = HeaderField<'a>>) -> Option<HeaderMap> {
    let mut filling = Filling::new(0);
    for field in lines {
        filling.append(field.name, field.value)?;
    }
    filling.map()
}

/// Fields on their way into a map. Their values share one allocation.
struct Filling {
    /// Each name with where its value ends.
    names: SmallVec<[(HeaderName, usize); 16]>,
    values: Vec<u8>,
}

impl Filling {
    /// For so many bytes of values; there may be more.
    #[inline]
    fn new(bytes: usize) -> Self {
        Self { names: SmallVec::new(), values: Vec::with_capacity(bytes) }
    }

    fn append(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let name = HeaderName::from_bytes(name).ok()?;
        self.values.extend_from_slice(value);
        self.names.push((name, self.values.len()));
        Some(())
    }

    /// The map; none when a value has no form in HTTP/2.
    #[inline]
    fn map(&mut self) -> Option<HeaderMap> {
        let mut map = HeaderMap::try_with_capacity(self.names.len()).ok()?;
        let values = Bytes::from(std::mem::take(&mut self.values));
        let mut begin = 0;
        for (name, end) in self.names.drain(..) {
            let mut value = HeaderValue::from_maybe_shared(values.slice(begin..end)).ok()?;
            value.set_sensitive(is_ever_new(&name));
            map.try_append(name, value).ok()?;
            begin = end;
        }
        Some(map)
    }
}

/// Whether the value is another most times: it is sent as it is, for the engine compares each value with all that it keeps
/// of the name, and what it keeps would be of these alone.
#[inline]
fn is_ever_new(name: &HeaderName) -> bool {
    let name = name.as_str();
    match name.len() {
        4 => name == "date",
        15 => name == "x-amzn-trace-id" || name == "x-forwarded-for",
        _ => false,
    }
}

/// The response head for the client: connection-specific fields left out, edits applied; none when it has no
/// form in HTTP/2.
pub(super) fn response(
    response: &Response<'_>,
    edits: &HeaderEdits,
    clock: &CoarseClock,
) -> Option<http::Response<()>> {
    let values = response.fields.lines().iter().map(|field| field.value.len()).sum::<usize>();
    let edited = edits.iter().map(|edit| edit.value.len()).sum::<usize>();
    let mut filling = Filling::new(values + edited + DATE_LENGTH);
    let put = |name: &[u8], value: &[u8]| filling.append(name, value).ok_or(());
    compose::fields(response, edits, clock, false, put).ok()?;
    for edit in edits.iter().filter(|edit| edit.op != EditOp::Remove) {
        filling.append(edit.name.as_bytes(), edit.value)?;
    }
    let mut head = http::Response::new(());
    *head.status_mut() = StatusCode::from_u16(response.status).ok()?;
    *head.headers_mut() = filling.map()?;
    Some(head)
}

/// The request for an HTTP/2 target, made of the head that an HTTP/1.1 target would get. `secure`: its connection is
/// inside TLS.
pub(super) fn request_of(head: &[u8], secure: bool) -> Option<http::Request<()>> {
    // As many fields as a request may have, and those that are added to it.
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS + MOST_ADDED];
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(head, &mut headers).ok()?;
    debug_assert!(parsed == httparse::Status::Complete(head.len()), "a head of our own");
    let fields = request.headers.iter().map(|field| (field, kind(field.name.as_bytes())));
    let host = fields.clone().find_map(|(field, kind)| (kind == Kind::Host).then_some(field.value))?;
    let authority = http::uri::Authority::try_from(host).ok()?;
    let uri = http::Uri::builder()
        .scheme(if secure { "https" } else { "http" })
        .authority(authority)
        .path_and_query(request.path?)
        .build()
        .ok()?;
    let mut out = http::Request::new(());
    *out.method_mut() = http::Method::from_bytes(request.method?.as_bytes()).ok()?;
    *out.uri_mut() = uri;
    *out.version_mut() = http::Version::HTTP_2;
    let mut filling = Filling::new(head.len());
    for (field, kind) in fields {
        match kind {
            Kind::Connection | Kind::HopByHop | Kind::TransferEncoding | Kind::Upgrade | Kind::Host => {}
            _ => filling.append(field.name.as_bytes(), field.value)?,
        }
    }
    *out.headers_mut() = filling.map()?;
    Some(out)
}

/// An answer of the balancer's own.
pub(super) fn own(answer: &Answer, fields: &ListenerFields, date: &str) -> http::Response<Bytes> {
    let mut head = http::Response::new(Bytes::copy_from_slice(answer.body.as_bytes()));
    *head.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // What a configuration allows has a form in HTTP/2.
    let mut filling = Filling::new(0);
    answer.fields(fields, date, |name, value| _ = filling.append(name.as_bytes(), value));
    *head.headers_mut() = filling.map().unwrap_or_default();
    head
}
