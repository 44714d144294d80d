//! What is measured: kinds of work, who takes part in each, and the load that each means.

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::{
    LOAD_CORE, Options,
    load::{self, Load},
    proxies::Proxy,
};

/// A kind of work; each gets a table of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Work {
    /// Plain HTTP/1.1 on kept-alive connections.
    Http,
    /// New connections, each with a full TLS handshake and one request.
    Handshakes,
    /// HTTP/1.1 on kept-alive TLS connections.
    Https,
    /// HTTP/2 over TLS, several streams a connection.
    Http2,
}

/// Streams at a time of a connection.
const STREAMS: u32 = 4;
/// New connections at a time.
const HANDSHAKES: u32 = 16;

impl Work {
    /// All of them, in the order in which they are measured.
    pub(crate) const ALL: [Self; 4] = [Self::Http, Self::Handshakes, Self::Https, Self::Http2];

    /// Who takes part, in the order of the table.
    pub(crate) fn proxies(self) -> &'static [&'static str] {
        match self {
            Self::Http => &["balancer", "baseline", "balancer-rules", "haproxy", "nginx", "relay"],
            _ => &["balancer", "baseline", "haproxy", "nginx"],
        }
    }

    pub(crate) fn is_tls(self) -> bool {
        !matches!(self, Self::Http)
    }

    /// The line above the table.
    pub(crate) fn title(self, options: &Options) -> String {
        let connections = options.connections;
        match self {
            Self::Http => format!("HTTP/1.1, {connections} kept-alive connections"),
            Self::Handshakes => {
                format!("TLS: connections with a full handshake and one request each, {HANDSHAKES} at a time")
            }
            Self::Https => format!("HTTP/1.1 over TLS, {connections} kept-alive connections"),
            Self::Http2 => {
                format!(
                    "HTTP/2 over TLS, {} connections, {STREAMS} streams at a time each",
                    half(connections)
                )
            }
        }
    }

    /// Loads `proxy` once.
    pub(crate) fn load(self, proxy: &Proxy, options: &Options) -> Result<Load> {
        let (address, cookie, seconds) = (proxy.address, proxy.cookie.as_str(), options.seconds);
        let load = match self {
            Self::Http => load::wrk(LOAD_CORE, address, cookie, options.connections, seconds),
            Self::Handshakes => load::handshakes(LOAD_CORE, address, cookie, HANDSHAKES, seconds),
            Self::Https => {
                let shape = ["--h1".to_owned(), format!("--clients={}", options.connections)];
                load::h2load(LOAD_CORE, address, cookie, &shape, seconds)
            }
            Self::Http2 => {
                let clients = format!("--clients={}", half(options.connections));
                let shape = [clients, format!("--max-concurrent-streams={STREAMS}")];
                load::h2load(LOAD_CORE, address, cookie, &shape, seconds)
            }
        };
        load.with_context(|| format!("{}: {}", proxy.name, proxy.process.said()))
    }
}

fn half(connections: u32) -> u32 {
    connections.div_ceil(2)
}
