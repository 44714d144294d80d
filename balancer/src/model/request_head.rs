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

impl HeaderField<'_> {
    /// Whether it is the field called `lower`, which is made of small letters, digits and hyphens.
    #[inline]
    #[must_use]
    pub fn is(&self, lower: &[u8]) -> bool {
        self.name.len() == lower.len() && is_same_name(self.name, lower)
    }
}

/// Whether `name` is `lower` whatever its case; `lower` is as long and made of small letters, digits and hyphens. Of
/// these only letters have 0x40 set, and only they may differ, in 0x20.
#[inline]
#[must_use]
pub fn is_same_name(name: &[u8], lower: &[u8]) -> bool {
    let long = |name: Option<&[u8; 8]>, lower: Option<&[u8; 8]>| {
        let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        let (name, lower) = (word(name), word(lower));
        name | (lower & 0x4040_4040_4040_4040) >> 1 == lower
    };
    let short = |name: Option<&[u8; 4]>, lower: Option<&[u8; 4]>| {
        let word = |bytes: Option<&[u8; 4]>| bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        let (name, lower) = (word(name), word(lower));
        name | (lower & 0x4040_4040) >> 1 == lower
    };
    match lower.len() {
        8..=24 => {
            // Where the words of eight overlap, bytes are looked at twice.
            let middle = lower.len().min(16) - 8;
            let behind = |bytes: &'_ [u8]| bytes.get(middle..).and_then(<[u8]>::first_chunk).copied();
            long(name.first_chunk(), lower.first_chunk())
                && long(behind(name).as_ref(), behind(lower).as_ref())
                && long(name.last_chunk(), lower.last_chunk())
        }
        4..=7 => {
            short(name.first_chunk(), lower.first_chunk()) && short(name.last_chunk(), lower.last_chunk())
        }
        _ => name.eq_ignore_ascii_case(lower),
    }
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
