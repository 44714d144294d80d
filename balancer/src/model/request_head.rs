//! Borrowed views of a message head: all that rules, stickiness and balancing ever see of a message.
//! They hold for any engine and any HTTP version.

/// The version a message arrived in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2
    Http2,
}

/// One field line as received: the name in the sender's case, the value without surrounding white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderField<'a> {
    /// Field name (a token, RFC 9110 section 5.1).
    pub name: &'a [u8],
    /// Field value.
    pub value: &'a [u8],
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Method, case-sensitive.
    pub method: &'a [u8],
    /// Request target as received.
    pub target: &'a [u8],
    /// Version.
    pub version: Version,
    /// Field lines in the order received.
    pub headers: &'a [HeaderField<'a>],
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// Status code, 100 to 999.
    pub status: u16,
    /// Field lines in the order received.
    pub headers: &'a [HeaderField<'a>],
}

fn values<'a>(headers: &'a [HeaderField<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name.as_bytes()))
        .map(|field| field.value)
}

impl<'a> RequestHead<'a> {
    /// Values of every field line of this name, in order.
    pub fn values(&self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        values(self.headers, name)
    }

    /// Whether a field line of this name is present.
    #[must_use]
    pub fn has(&self, name: &'a str) -> bool {
        self.values(name).next().is_some()
    }

    /// Whether the request is a call of gRPC; gRPC-Web, which any HTTP carries, is another type.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        self.values("content-type").any(|value| {
            let kind = b"application/grpc";
            value.split_at_checked(kind.len()).is_some_and(|(front, rest)| {
                front.eq_ignore_ascii_case(kind) && matches!(rest, [] | [b'+' | b';' | b' ', ..])
            })
        })
    }
}

impl<'a> ResponseHead<'a> {
    /// Values of every field line of this name, in order.
    pub fn values(&self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        values(self.headers, name)
    }
}
