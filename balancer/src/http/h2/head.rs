//! The head of an HTTP/2 message in the form that the deciding rooms see, and back.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::websocket_key::WebSocketKey;
use crate::{
    model::HeaderField,
    wire::{
        fields::{Kind, kind},
        head::{HeadError, MAX_FIELDS, MAX_LINE, Request},
        http2::Block,
    },
};

/// Fields that are added to those of a request at most: Host, what tells of the client and of its TLS, what tells requests apart.
const MOST_ADDED: usize = 32;

/// What has to be held while a request is looked at.
#[derive(Debug)]
pub(super) struct Head {
    block: Block,
    bodiless: bool,
    size: u64,
    protocol: Option<Result<WebSocketKey, HeadError>>,
}

impl Head {
    /// `bodiless`: the head was all of it.
    pub(super) fn new(mut block: Block, bodiless: bool) -> Self {
        let size = block.length();
        block.join_cookies();
        let protocol = block.protocol().map(|protocol| {
            let key = (protocol == b"websocket").then(WebSocketKey::random).flatten();
            key.ok_or(HeadError::TransferCoding)
        });
        Self { block, bodiless, size, protocol }
    }

    /// The memory of it.
    pub(super) fn into_block(self) -> Block {
        self.block
    }

    /// Bytes of what the head says; how few of them it took to say it, it does not tell.
    pub(super) fn size(&self) -> u64 {
        self.size
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
        let block = &self.block;
        // A CONNECT names no path (RFC 9113, section 8.5); it is refused whatever it names.
        let target = block.path().unwrap_or(b"/");
        if block.left_out() > 0 {
            let is_line = target.len() > MAX_LINE;
            return Err(if is_line { HeadError::LineTooLong } else { HeadError::TooLarge });
        }
        let method = block.method();
        if !target.starts_with(b"/") && (target != b"*" || method != b"OPTIONS") {
            return Err(HeadError::Malformed);
        }
        let (authority, lines) = (block.authority(), block.lines());
        let Some(protocol) = &self.protocol else {
            return Request::of_fields(method, target, authority, lines, self.bodiless);
        };
        let key = protocol.as_ref().map_err(|error| *error)?;
        let handshake = HeaderField { name: &b"Sec-WebSocket-Key"[..], value: key.as_bytes() };
        let lines = lines.filter(|field| field.name != b"sec-websocket-key").chain([handshake]);
        // What follows is no body of the request but what the other protocol says.
        let request = Request::of_fields(b"GET", target, authority, lines, true)?;
        Ok(Request { upgrade: Some(b"websocket".into()), ..request })
    }
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
