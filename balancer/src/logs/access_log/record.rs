//! What is told of a request. A cookie, an authorization or any other field but User-Agent never gets into a [`Record`].
//! Must not know: the form of a line.

use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use super::escape::escape;
use crate::{clock::UnixMicros, model::Version};

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
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ConnectionEnds {
    /// `client:port`.
    pub client: Box<str>,
    /// `ip_address`: the one that the client connected to.
    pub node: Box<str>,
    /// `conn_trace_id`.
    pub name: Box<str>,
}

impl ConnectionEnds {
    /// Of the connection of `client` to `node` that has this number.
    #[must_use]
    pub fn new(client: SocketAddr, node: IpAddr, number: u128) -> Self {
        let name = format!("TID_{number:032x}");
        Self { client: client.to_string().into(), node: node.to_string().into(), name: name.into() }
    }
}

/// The facts of one request. Text is held escaped. Each field is `-` until somebody sets it.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it came.
    pub created: UnixMicros,
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
    /// `METHOD protocol://host:port/uri HTTP/version`.
    pub request: Vec<u8>,
    /// User-Agent.
    pub user_agent: Vec<u8>,
    /// The target that it was sent to last.
    pub target: Vec<u8>,
    /// From its first byte to the first byte sent to that target; none: nothing was sent to it.
    pub request_time: Option<Duration>,
    /// From there to the head of the target's response; none: there was none.
    pub target_time: Option<Duration>,
    /// From there to the first byte sent to the client; none: nothing was sent.
    pub response_time: Option<Duration>,
    /// From its first byte to the end.
    pub whole_time: Duration,
    /// From its first byte to the response; none: there was none.
    pub answered_after: Option<Duration>,
    /// The status that the client was sent; 460 for one that was gone.
    pub elb_status: Option<u16>,
    /// The status of the target's response.
    pub target_status: Option<u16>,
    /// Bytes from the client: heads and bodies, or all that went through a tunnel.
    pub received_bytes: u64,
    /// Bytes to the client.
    pub sent_bytes: u64,
    /// The group.
    pub target_group: String,
    /// The value of X-Amzn-Trace-Id as the target gets it.
    pub trace_id: Vec<u8>,
    /// The priority of the rule that took it; 0: the default action; -1: a rule could not be followed.
    pub rule_priority: Option<i32>,
    /// What was done with it.
    pub action: Option<Executed>,
    /// Whether its rule has transforms, which come before the action.
    pub is_rewritten: bool,
    /// Where it was redirected to.
    pub redirect_url: Vec<u8>,
    /// Why it failed, by ALB's codes.
    pub error_reason: &'static str,
    /// How far it could be misunderstood: ALB's class and reason.
    pub classification: (&'static str, &'static str),
    /// The host that it was rewritten to.
    pub transformed_host: Vec<u8>,
    /// The target that it was rewritten to.
    pub transformed_uri: Vec<u8>,
    /// How rewriting went.
    pub transform_status: &'static str,
}

impl Record {
    /// Of a request that came just now.
    #[must_use]
    pub fn new(created: UnixMicros, ends: Rc<ConnectionEnds>) -> Self {
        Self {
            created,
            ends,
            version: None,
            tls: None,
            is_grpc: false,
            is_tunnel: false,
            request: Vec::new(),
            user_agent: Vec::new(),
            target: Vec::new(),
            request_time: None,
            target_time: None,
            response_time: None,
            whole_time: Duration::ZERO,
            answered_after: None,
            elb_status: None,
            target_status: None,
            received_bytes: 0,
            sent_bytes: 0,
            target_group: String::new(),
            trace_id: Vec::new(),
            rule_priority: None,
            action: None,
            is_rewritten: false,
            redirect_url: Vec::new(),
            error_reason: "",
            classification: ("", ""),
            transformed_host: Vec::new(),
            transformed_uri: Vec::new(),
            transform_status: "",
        }
    }

    /// Makes this the record of another request, and keeps its memory.
    pub fn renew(&mut self, created: UnixMicros, ends: Rc<ConnectionEnds>) {
        let mut fresh = Self::new(created, ends);
        for (memory, old) in [
            (&mut fresh.request, &mut self.request),
            (&mut fresh.user_agent, &mut self.user_agent),
            (&mut fresh.target, &mut self.target),
            (&mut fresh.trace_id, &mut self.trace_id),
        ] {
            old.clear();
            std::mem::swap(memory, old);
        }
        self.target_group.clear();
        std::mem::swap(&mut fresh.target_group, &mut self.target_group);
        *self = fresh;
    }

    /// Takes User-Agent, as far as it is logged.
    pub fn set_user_agent(&mut self, value: &[u8]) {
        self.user_agent.clear();
        escape(value.get(..MOST_USER_AGENT).unwrap_or(value), &mut self.user_agent);
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

    /// `time`: that of the response; of a tunnel its end, as where there was no response.
    pub(super) fn time(&self) -> UnixMicros {
        let after = self.answered_after.filter(|_| !self.is_tunnel).unwrap_or(self.whole_time);
        self.created.plus(after)
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
