//! What is told of a request. A cookie, an authorization or any other field but User-Agent never gets into a [`Record`].
//! Must not know: the form of a line.

use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
};

use super::texts::{RecordText, Texts};
use crate::{
    clock::{Nanos, UnixMicros},
    model::{Endpoint, Version},
};

/// What of User-Agent is logged (ALB: 8 KB).
pub(super) const MOST_USER_AGENT: usize = 8 * 1024;

/// What was done with a request, in ALB's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executed {
    /// It was forwarded, or was to be.
    Forward,
    /// The client was told where to go instead.
    Redirect,
    /// The answer was a configured one.
    FixedResponse,
}

impl Executed {
    /// ALB's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Redirect => "redirect",
            Self::FixedResponse => "fixed-response",
        }
    }
}

/// TLS of a client's connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// Its cipher suite, by OpenSSL's name.
    pub cipher: &'static str,
    /// The group by which its keys were exchanged, by IANA's name; nothing where a session of TLS 1.2 was resumed.
    pub key_exchange: &'static str,
    /// Its version: `TLSv1.2` or `TLSv1.3`.
    pub protocol: &'static str,
    /// The name that the client asked for (SNI), escaped.
    pub server_name: Option<String>,
    /// The certificate that it was shown; none where a session was resumed, and none was.
    pub certificate: Option<Arc<str>>,
    /// Whether a session was resumed.
    pub resumed: bool,
}

/// The ends of a client's connection and its name, as all lines of its requests have them.
#[derive(Debug, PartialEq, Eq)]
pub struct ConnectionEnds {
    /// `client:port`.
    pub client: Box<str>,
    /// `ip_address`: the one that the client connected to.
    pub node: Box<str>,
    /// `conn_trace_id`.
    pub name: Box<str>,
    /// The address that the client connected to.
    pub address: IpAddr,
}

impl ConnectionEnds {
    /// Of the connection of `client` to `node` that has this number.
    #[must_use]
    pub fn new(client: SocketAddr, node: IpAddr, number: u128) -> Self {
        let name = format!("TID_{number:032x}");
        Self {
            client: client.to_string().into(),
            node: node.to_string().into(),
            name: name.into(),
            address: node,
        }
    }
}

/// The facts of one request. Each field is `-` until somebody sets it.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it came.
    pub created: UnixMicros,
    /// When that was by the clock that the times below are by.
    pub began: Nanos,
    /// Whom it came from, and where.
    pub ends: Rc<ConnectionEnds>,
    /// The version it came in, where that is known.
    pub version: Option<Version>,
    /// TLS, when the client's connection has it.
    pub tls: Option<Rc<TlsFacts>>,
    /// Whether it is a call of gRPC.
    pub is_grpc: bool,
    /// Whether it became a tunnel.
    pub is_tunnel: bool,
    /// When the target that it was sent to last was sent its first byte; none: nothing was sent to it.
    pub sent: Option<Nanos>,
    /// When the head of the target's response was here; none: there was none.
    pub answered: Option<Nanos>,
    /// When the client was sent the first byte of a response; none: nothing was sent.
    pub responded: Option<Nanos>,
    /// When it was over.
    pub ended: Option<Nanos>,
    /// The status that the client was sent; 460 for one that was gone.
    pub elb_status: Option<u16>,
    /// The status of the target's response.
    pub target_status: Option<u16>,
    /// Bytes from the client: heads and bodies, or all that went through a tunnel.
    pub received_bytes: u64,
    /// Bytes to the client.
    pub sent_bytes: u64,
    /// The group. Its name has nothing to be escaped.
    pub target_group: String,
    /// The priority of the rule that took it; 0: the default action; -1: a rule could not be followed.
    pub rule_priority: Option<i32>,
    /// What was done with it.
    pub action: Option<Executed>,
    /// Whether its rule has transforms, which come before the action.
    pub is_rewritten: bool,
    /// Why it failed, by ALB's codes.
    pub error_reason: &'static str,
    /// How far it could be misunderstood: ALB's class and reason.
    pub classification: (&'static str, &'static str),
    /// How rewriting went.
    pub transform_status: &'static str,
    pub(super) texts: Texts,
    /// Whether the target is at a path, which may have spaces.
    pub(super) target_is_path: bool,
}

impl Record {
    /// Of a request that came just now.
    #[must_use]
    pub fn new(created: UnixMicros, began: Nanos, ends: Rc<ConnectionEnds>) -> Self {
        Self {
            created,
            began,
            ends,
            version: None,
            tls: None,
            is_grpc: false,
            is_tunnel: false,
            sent: None,
            answered: None,
            responded: None,
            ended: None,
            elb_status: None,
            target_status: None,
            received_bytes: 0,
            sent_bytes: 0,
            target_group: String::new(),
            rule_priority: None,
            action: None,
            is_rewritten: false,
            error_reason: "",
            classification: ("", ""),
            transform_status: "",
            texts: Texts::default(),
            target_is_path: false,
        }
    }

    /// Makes this the record of another request, and keeps its memory.
    pub fn renew(&mut self, created: UnixMicros, began: Nanos, ends: Rc<ConnectionEnds>) {
        let (mut texts, mut target_group) =
            (std::mem::take(&mut self.texts), std::mem::take(&mut self.target_group));
        texts.clear();
        target_group.clear();
        *self = Self { texts, target_group, ..Self::new(created, began, ends) };
    }

    /// Sets one of its texts, as it came.
    #[inline]
    pub fn set(&mut self, text: RecordText, bytes: &[u8]) {
        self.write(text, |out| out.extend_from_slice(bytes));
    }

    /// Sets one of its texts to what `write` appends.
    #[inline]
    pub fn write(&mut self, text: RecordText, write: impl FnOnce(&mut Vec<u8>)) {
        self.texts.set(text, write);
    }

    /// Takes User-Agent, as far as it is logged.
    pub fn set_user_agent(&mut self, value: &[u8]) {
        self.set(RecordText::UserAgent, value.get(..MOST_USER_AGENT).unwrap_or(value));
    }

    /// It is tried with the target at `endpoint`, which logs call `name`, and is sent nothing yet.
    pub fn set_target(&mut self, endpoint: &Endpoint, name: &str) {
        self.sent = None;
        self.target_is_path = matches!(endpoint, Endpoint::Unix(_));
        self.set(RecordText::Target, name.as_bytes());
    }

    /// One of its texts; empty: nobody has set it.
    #[inline]
    #[must_use]
    pub fn text(&self, text: RecordText) -> &[u8] {
        self.texts.get(text)
    }

    /// Whether the target has no space.
    pub(super) fn target_is_word(&self) -> bool {
        !self.target_is_path
    }

    /// Whether none of its texts has anything to be escaped.
    pub(super) fn is_plain(&self) -> bool {
        self.texts.are_plain()
    }

    /// From its first byte to the first byte sent to the target.
    pub(super) fn request_time(&self) -> Option<Nanos> {
        Some(self.sent?.since(self.began))
    }

    /// From there to the head of the target's response.
    pub(super) fn target_time(&self) -> Option<Nanos> {
        Some(self.answered?.since(self.sent?))
    }

    /// From there to the first byte sent to the client.
    pub(super) fn response_time(&self) -> Option<Nanos> {
        Some(self.responded?.since(self.answered?))
    }

    /// `type`.
    pub(super) fn kind(&self) -> &'static str {
        match (self.is_tunnel, self.tls.is_some(), self.version) {
            (true, false, _) => "ws",
            (true, true, _) => "wss",
            (false, _, Some(Version::Http2)) if self.is_grpc => "grpcs",
            (false, _, Some(Version::Http2)) => "h2",
            (false, true, _) => "https",
            (false, false, _) => "http",
        }
    }

    /// Whether a line tells when it was over.
    #[must_use]
    pub fn tells_end(&self) -> bool {
        self.is_tunnel || self.responded.is_none()
    }

    /// `time`: that of the response; of a tunnel its end, as where there was no response.
    pub(super) fn time(&self) -> UnixMicros {
        let then = self.responded.filter(|_| !self.is_tunnel).or(self.ended).unwrap_or(self.began);
        self.created.plus(then.since(self.began))
    }

    /// `actions_executed`, in the order in which they were.
    pub(super) fn actions(&self) -> &'static str {
        match (self.is_rewritten, self.action) {
            (true, _) => "rewrite,forward",
            (false, Some(action)) => action.as_str(),
            (false, None) => "",
        }
    }

    /// `chosen_cert_arn`.
    pub(super) fn certificate(&self) -> &str {
        match self.tls.as_deref() {
            Some(TlsFacts { resumed: true, .. }) => "session-reused",
            Some(TlsFacts { certificate: Some(name), .. }) => name,
            _ => "",
        }
    }
}
