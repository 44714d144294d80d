//! What all requests of one client's connection have in common. Must not know: requests.

use std::{
    cell::{Cell, OnceCell},
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
};

use crate::{
    digits::{decimal, ip},
    logs::access_log::{ConnectionEnds, TlsFacts, escape},
    model::{MutualAuthentication, TlsFact},
    snapshot::ListenerView,
    tls::{ClientCertificate, cipher_name, protocol_name},
    wire::{client_stream::ClientStream, head::LINE_EXTRA},
};

/// One worker's source of names for connections: unique, and nothing follows from one of them.
#[derive(Debug, Default)]
pub(super) struct ConnectionIds {
    keys: [RandomState; 2],
    drawn: Cell<u64>,
}

impl ConnectionIds {
    fn draw(&self) -> u128 {
        let number = self.drawn.get();
        self.drawn.set(number.wrapping_add(1));
        let [high, low] = self.keys.each_ref().map(|key| u128::from(key.hash_one(number)));
        high << 64 | low
    }
}

/// A client's connection.
#[derive(Debug)]
pub(super) struct Connected {
    /// The client.
    pub(super) peer: SocketAddr,
    /// The address that it connected to.
    pub(super) local: SocketAddr,
    /// TLS, when it has it.
    pub(super) tls: Option<Rc<TlsFacts>>,
    /// How the client has authenticated itself.
    pub(super) authentication: Option<Box<ClientAuthentication>>,
    ends: OnceCell<Rc<ConnectionEnds>>,
    origin: OnceCell<Origin>,
}

/// Where the requests of a connection come from, as targets are told.
#[derive(Debug)]
pub(super) struct Origin {
    /// The client's address.
    pub(super) address: Vec<u8>,
    /// The lines of X-Forwarded-Proto and X-Forwarded-Port.
    pub(super) lines: Vec<u8>,
    /// Bytes of the first one.
    first: usize,
}

impl Origin {
    /// Where both lines begin, and how long their names and values are.
    pub(super) fn fields(&self) -> [(usize, usize, usize); 2] {
        let (proto, port) = ("X-Forwarded-Proto".len(), "X-Forwarded-Port".len());
        let value = |line: usize, name: usize| line.saturating_sub(name + LINE_EXTRA);
        let second = self.lines.len().saturating_sub(self.first);
        [(0, proto, value(self.first, proto)), (self.first, port, value(second, port))]
    }
}

/// What the lines of an [`Origin`] and its address take at most, that of IPv4.
const USUAL_LINES: usize = 56;
const USUAL_ADDRESS: usize = 15;

/// How a client was asked to authenticate itself, and what it has shown.
#[derive(Debug, Default)]
pub struct ClientAuthentication {
    /// Its certificate.
    pub certificate: Option<ClientCertificate>,
    /// What its listener asked for then.
    pub asked: Option<MutualAuthentication>,
}

impl Connected {
    /// `certificate` names the one that the client was shown.
    pub(super) fn new(
        stream: &ClientStream,
        peer: SocketAddr,
        local: SocketAddr,
        certificate: Option<Arc<str>>,
        authentication: Option<Box<ClientAuthentication>>,
    ) -> Self {
        let tls = tls_facts(stream, certificate).map(Rc::new);
        Self { peer, local, tls, authentication, ends: OnceCell::new(), origin: OnceCell::new() }
    }

    /// One without TLS.
    pub(super) fn plain(peer: SocketAddr, local: SocketAddr) -> Self {
        let (ends, origin) = (OnceCell::new(), OnceCell::new());
        Self { peer, local, tls: None, authentication: None, ends, origin }
    }

    /// Whether the connection is of the kind that its listener takes now: a reload may have put TLS before it, or have
    /// it ask for something else.
    pub(super) fn suits(&self, listener: &ListenerView) -> bool {
        let asked = self.authentication.as_ref().and_then(|it| it.asked.as_ref());
        listener.tls.is_some() == self.tls.is_some() && listener.asked.as_ref() == asked
    }

    /// Whether it is one that its listener would take now.
    pub(super) fn may_stay(&self, listener: &ListenerView) -> bool {
        self.suits(listener) && listener.takes(self.local.ip())
    }

    /// What a target can be told of its TLS; none without it, or of a certificate that was not shown.
    pub(super) fn fact(&self, fact: TlsFact) -> Option<&str> {
        let text = match fact {
            TlsFact::Version => self.tls.as_ref()?.protocol,
            TlsFact::CipherSuite => self.tls.as_ref()?.cipher,
            TlsFact::KeyExchange => self.tls.as_ref()?.key_exchange,
            of_certificate => self.authentication.as_ref()?.certificate.as_ref()?.get(of_certificate),
        };
        (!text.is_empty()).then_some(text)
    }

    /// Whether the client is at an IPv6 address.
    pub(super) fn is_ipv6(&self) -> bool {
        self.peer.ip().to_canonical().is_ipv6()
    }

    /// What targets are told of it, which is written once. `port` is the listener's.
    pub(super) fn origin(&self, secure: bool, port: u16) -> &Origin {
        self.origin.get_or_init(|| {
            let mut lines = Vec::with_capacity(USUAL_LINES);
            lines.extend_from_slice(b"X-Forwarded-Proto: ");
            lines.extend_from_slice(if secure { b"https" } else { b"http" });
            lines.extend_from_slice(b"\r\n");
            let first = lines.len();
            lines.extend_from_slice(b"X-Forwarded-Port: ");
            decimal(port, &mut lines);
            lines.extend_from_slice(b"\r\n");
            let mut address = Vec::with_capacity(USUAL_ADDRESS);
            ip(self.peer.ip().to_canonical(), &mut address);
            Origin { address, lines, first }
        })
    }

    /// What targets are told of it is made anew when it is needed again.
    pub(super) fn forget_origin(&mut self) {
        self.origin.take();
    }

    /// What lines of the log say of it, made when it is first asked for.
    pub(super) fn ends(&self, ids: &ConnectionIds) -> Rc<ConnectionEnds> {
        let make = || {
            let client = SocketAddr::new(self.peer.ip().to_canonical(), self.peer.port());
            Rc::new(ConnectionEnds::new(client, self.local.ip().to_canonical(), ids.draw()))
        };
        Rc::clone(self.ends.get_or_init(make))
    }
}

/// The name of a group in IANA's registry.
fn group_name(group: rustls::NamedGroup) -> &'static str {
    match group {
        rustls::NamedGroup::X25519 => "x25519",
        rustls::NamedGroup::secp256r1 => "secp256r1",
        rustls::NamedGroup::secp384r1 => "secp384r1",
        rustls::NamedGroup::secp521r1 => "secp521r1",
        rustls::NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        _ => "",
    }
}

fn tls_facts(stream: &ClientStream, certificate: Option<Arc<str>>) -> Option<TlsFacts> {
    let session = stream.session()?;
    let server_name = session.server_name().map(|name| {
        let mut text = Vec::new();
        escape(name.as_bytes(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    });
    Some(TlsFacts {
        cipher: session.negotiated_cipher_suite().map(|suite| cipher_name(suite.suite())).unwrap_or_default(),
        key_exchange: session
            .negotiated_key_exchange_group()
            .map(|group| group_name(group.name()))
            .unwrap_or_default(),
        protocol: session.protocol_version().map(protocol_name).unwrap_or_default(),
        server_name,
        certificate,
        resumed: session.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
    })
}
