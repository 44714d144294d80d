//! What is measured: kinds of work, who takes part in each, and what figures it has.

use clap::ValueEnum;

use super::{
    load::{Protocol, bulk::client, idle},
    proxies::{Front, Shape},
    table::Column,
};
use crate::handshakes::Handshake;

/// A kind of work; each gets a table and a chart of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Work {
    /// Small requests with a stickiness cookie, HTTP/1.1 on kept-alive connections.
    Small,
    /// HTTP/1.1 on kept-alive TLS connections.
    Https,
    /// New TLS 1.3 connections with a full handshake and one request each.
    HandshakeFull,
    /// New TLS 1.3 connections that resume a session, with one request each.
    HandshakeResumed,
    /// A new connection for each request.
    NewConnection,
    /// Small requests, each written to an access log.
    AccessLog,
    /// HTTP/2 without TLS, 32 connections with 4 streams.
    #[value(name = "h2c-32x4")]
    H2c32x4,
    /// HTTP/2 without TLS, 8 connections with 32 streams.
    #[value(name = "h2c-8x32")]
    H2c8x32,
    /// HTTP/2 over TLS, 32 connections with 4 streams.
    #[value(name = "h2-32x4")]
    H2Tls32x4,
    /// HTTP/2 over TLS, 8 connections with 32 streams.
    #[value(name = "h2-8x32")]
    H2Tls8x32,
    /// HTTP/2 without TLS to targets that speak HTTP/2.
    #[value(name = "h2c-to-h2")]
    H2ToH2,
    /// POST of 64 bytes as gRPC has it, to targets that speak HTTP/2.
    Grpc,
    /// Latency at 60 % of what the slowest can do.
    #[value(name = "latency-60")]
    Latency60,
    /// Latency while 1,000 targets are reloaded.
    Reload,
    /// Latency at 30 %.
    #[value(name = "latency-30")]
    Latency30,
    /// Latency at 90 %.
    #[value(name = "latency-90")]
    Latency90,
    /// Small requests without stickiness.
    SmallPlain,
    /// TLS 1.2, full handshakes.
    #[value(name = "handshake12-full")]
    Handshake12Full,
    /// TLS 1.2, resumed.
    #[value(name = "handshake12-resumed")]
    Handshake12Resumed,
    /// Downloads of 64 KiB.
    #[value(name = "down-64k")]
    Down64k,
    /// Downloads of 1 MiB.
    #[value(name = "down-1m")]
    Down1m,
    /// Downloads of 100 MiB.
    #[value(name = "down-100m")]
    Down100m,
    /// Uploads of 64 KiB.
    #[value(name = "up-64k")]
    Up64k,
    /// Uploads of 1 MiB.
    #[value(name = "up-1m")]
    Up1m,
    /// Uploads of 100 MiB.
    #[value(name = "up-100m")]
    Up100m,
    /// Short messages of WebSockets and their echoes.
    WebsocketEcho,
    /// Much through a WebSocket, to the client.
    WebsocketDown,
    /// Much through a WebSocket, from the client.
    WebsocketUp,
    /// Memory of an idle connection.
    Idle,
    /// Memory of an idle TLS connection.
    IdleTls,
    /// Memory of a stream of HTTP/2 whose client takes nothing.
    Stalled,
    /// Small requests before 100 targets.
    #[value(name = "targets-100")]
    Targets100,
    /// Small requests before 1,000 targets.
    #[value(name = "targets-1000")]
    Targets1000,
    /// Small requests with one rule.
    #[value(name = "rules-1")]
    Rules1,
    /// Small requests with 100 rules.
    #[value(name = "rules-100")]
    Rules100,
    /// Small requests of 10 thousand sessions that are known by the application's cookie.
    #[value(name = "sessions-10k")]
    Sessions10k,
    /// Of a million sessions.
    #[value(name = "sessions-1m")]
    Sessions1m,
    /// Of ten million sessions, which takes minutes to fill and gigabytes to hold.
    #[value(name = "sessions-10m")]
    Sessions10m,
    /// Checking 1,000 targets each five seconds.
    Checks,
}

/// How it is loaded, and so what figures there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// wrk on kept-alive connections.
    KeptAlive,
    /// wrk with a new connection each.
    NewConnections,
    H2load {
        protocol: Protocol,
        post: bool,
    },
    Handshakes(Handshake),
    Bulk(client::Work, u64),
    Echo,
    Idle {
        tls: bool,
    },
    Stalled,
    /// At so many percent of what the slowest can do.
    Rate(u32),
    Reload,
    Sessions(u64),
    Checks,
}

/// New TLS connections at a time, and new ones without.
pub(crate) const NEW_CONNECTIONS: u32 = 16;
/// WebSockets at a time.
pub(crate) const WEBSOCKETS: u32 = 64;
/// Idle connections.
pub(crate) const IDLE: u32 = 2000;
/// Connections with streams that stall.
pub(crate) const STALLED: u32 = 50;
/// The rate of requests while configurations are read, percent of what the slowest can do.
pub(crate) const RELOAD_RATE: u32 = 60;

const MIB: u64 = 1 << 20;

const fn column(head: &'static str, digits: usize) -> Column {
    Column { head, digits }
}

impl Work {
    /// All of them, in the order in which they are measured: the first fourteen are what the summary is about.
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Those that are measured when none is asked for: all but the ones that take minutes.
    pub(crate) fn usual() -> Vec<Self> {
        Self::all().iter().copied().filter(|work| *work != Self::Sessions10m).collect()
    }

    /// The word for it on the command line.
    pub(crate) fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    pub(crate) fn kind(self) -> Kind {
        let h2load = |protocol| Kind::H2load { protocol, post: false };
        let handshakes = |tls12, resumed| Kind::Handshakes(Handshake { tls12, resumed });
        match self {
            Self::Small | Self::SmallPlain | Self::AccessLog => Kind::KeptAlive,
            Self::Targets100 | Self::Targets1000 | Self::Rules1 | Self::Rules100 => Kind::KeptAlive,
            Self::Https => h2load(Protocol::Http1Tls { clients: 64 }),
            Self::HandshakeFull => handshakes(false, false),
            Self::HandshakeResumed => handshakes(false, true),
            Self::Handshake12Full => handshakes(true, false),
            Self::Handshake12Resumed => handshakes(true, true),
            Self::NewConnection => Kind::NewConnections,
            Self::H2c32x4 => h2load(Protocol::Http2Clear { clients: 32, streams: 4 }),
            Self::H2c8x32 | Self::H2ToH2 => h2load(Protocol::Http2Clear { clients: 8, streams: 32 }),
            Self::H2Tls32x4 => h2load(Protocol::Http2Tls { clients: 32, streams: 4 }),
            Self::H2Tls8x32 => h2load(Protocol::Http2Tls { clients: 8, streams: 32 }),
            Self::Grpc => {
                Kind::H2load { protocol: Protocol::Http2Clear { clients: 8, streams: 32 }, post: true }
            }
            Self::Latency30 => Kind::Rate(30),
            Self::Latency60 => Kind::Rate(60),
            Self::Latency90 => Kind::Rate(90),
            Self::Reload => Kind::Reload,
            Self::Down64k => Kind::Bulk(client::Work::Down { size: MIB / 16 }, 256 * MIB),
            Self::Down1m => Kind::Bulk(client::Work::Down { size: MIB }, 512 * MIB),
            Self::Down100m => Kind::Bulk(client::Work::Down { size: 100 * MIB }, 1000 * MIB),
            Self::Up64k => Kind::Bulk(client::Work::Up { size: MIB / 16 }, 256 * MIB),
            Self::Up1m => Kind::Bulk(client::Work::Up { size: MIB }, 512 * MIB),
            Self::Up100m => Kind::Bulk(client::Work::Up { size: 100 * MIB }, 1000 * MIB),
            Self::WebsocketEcho => Kind::Echo,
            Self::WebsocketDown => Kind::Bulk(client::Work::TunnelDown, 512 * MIB),
            Self::WebsocketUp => Kind::Bulk(client::Work::TunnelUp, 512 * MIB),
            Self::Idle => Kind::Idle { tls: false },
            Self::IdleTls => Kind::Idle { tls: true },
            Self::Stalled => Kind::Stalled,
            Self::Sessions10k => Kind::Sessions(10_000),
            Self::Sessions1m => Kind::Sessions(1_000_000),
            Self::Sessions10m => Kind::Sessions(10_000_000),
            Self::Checks => Kind::Checks,
        }
    }

    /// What a proxy has to do.
    pub(crate) fn shape(self) -> Shape {
        let sticky = Shape::STICKY;
        match self {
            Self::SmallPlain => Shape { sticky: false, ..sticky },
            Self::AccessLog => Shape { log: true, ..sticky },
            Self::Https | Self::HandshakeFull | Self::HandshakeResumed | Self::IdleTls => {
                Shape { front: Front::Tls13, ..sticky }
            }
            Self::H2Tls32x4 | Self::H2Tls8x32 => Shape { front: Front::Tls13, ..sticky },
            Self::Handshake12Full | Self::Handshake12Resumed => Shape { front: Front::Tls12, ..sticky },
            Self::H2c32x4 | Self::H2c8x32 | Self::Stalled => Shape { front: Front::H2c, ..sticky },
            Self::H2ToH2 => Shape { front: Front::H2c, h2_targets: true, ..sticky },
            Self::Grpc => Shape { front: Front::H2c, h2_targets: true, grpc: true, ..sticky },
            Self::WebsocketEcho | Self::WebsocketDown | Self::WebsocketUp => {
                Shape { websocket: true, ..sticky }
            }
            Self::Targets100 => Shape { targets: 100, ..sticky },
            Self::Targets1000 => Shape { targets: 1000, ..sticky },
            Self::Reload => Shape { targets: 1000, reload: true, ..sticky },
            Self::Checks => Shape { targets: 1000, checks: true, ..sticky },
            Self::Rules1 => Shape { rules: 1, ..sticky },
            Self::Rules100 => Shape { rules: 100, ..sticky },
            Self::Sessions10k | Self::Sessions1m | Self::Sessions10m => {
                let Kind::Sessions(count) = self.kind() else { return sticky };
                Shape { sessions: count * 2, ..sticky }
            }
            _ => sticky,
        }
    }

    /// Who takes part where nobody is named. Small requests have all; the rest those that come near each other.
    pub(crate) fn proxies(self) -> &'static [&'static str] {
        match self {
            Self::Small => &super::proxies::USUAL,
            Self::SmallPlain | Self::NewConnection => &[
                "balancer",
                "baseline",
                "nginx",
                "haproxy",
                "sozu",
                "pingora",
                "hyper",
                "relay",
                "relay-uring",
            ],
            Self::Down1m
            | Self::Down100m
            | Self::Up1m
            | Self::Up100m
            | Self::WebsocketDown
            | Self::WebsocketUp => &["balancer", "baseline", "nginx", "haproxy", "haproxy-splice", "relay"],
            _ => &["balancer", "baseline", "nginx", "haproxy"],
        }
    }

    /// The line above the table.
    pub(crate) fn title(self) -> String {
        match self {
            Self::Small => "Small requests, HTTP/1.1 kept alive, sticky".to_owned(),
            Self::SmallPlain => "Small requests, HTTP/1.1 kept alive, no stickiness".to_owned(),
            Self::AccessLog => "Small requests, each written to an access log".to_owned(),
            Self::Https => "HTTP/1.1 over TLS 1.3, kept alive".to_owned(),
            Self::HandshakeFull => "TLS 1.3: full handshake and one request".to_owned(),
            Self::HandshakeResumed => "TLS 1.3: resumed handshake and one request".to_owned(),
            Self::Handshake12Full => "TLS 1.2: full handshake and one request".to_owned(),
            Self::Handshake12Resumed => "TLS 1.2: resumed handshake and one request".to_owned(),
            Self::NewConnection => "A new connection for each request".to_owned(),
            Self::H2c32x4 => "HTTP/2 without TLS, 32 connections with 4 streams".to_owned(),
            Self::H2c8x32 => "HTTP/2 without TLS, 8 connections with 32 streams".to_owned(),
            Self::H2Tls32x4 => "HTTP/2 over TLS, 32 connections with 4 streams".to_owned(),
            Self::H2Tls8x32 => "HTTP/2 over TLS, 8 connections with 32 streams".to_owned(),
            Self::H2ToH2 => "HTTP/2 without TLS to HTTP/2 targets, 8 connections with 32 streams".to_owned(),
            Self::Grpc => {
                "As gRPC: POST of 64 bytes to HTTP/2 targets, 8 connections with 32 streams".to_owned()
            }
            Self::Latency30 | Self::Latency60 | Self::Latency90 => {
                let Kind::Rate(percent) = self.kind() else { return String::new() };
                format!("Latency at {percent} % of what the slowest of them can do")
            }
            Self::Reload => {
                format!("Latency at {RELOAD_RATE} % while 1,000 targets are reloaded, each second once")
            }
            Self::WebsocketEcho => {
                format!("WebSocket: short messages and their echoes, {WEBSOCKETS} at a time")
            }
            Self::Idle => format!("Memory of an idle connection ({IDLE} of them)"),
            Self::IdleTls => format!("Memory of an idle TLS connection ({IDLE} of them)"),
            Self::Stalled => {
                format!(
                    "Memory of a stalled HTTP/2 stream ({STALLED} connections with {} streams)",
                    idle::STREAMS
                )
            }
            Self::Targets100 => "Small requests before 100 targets".to_owned(),
            Self::Targets1000 => "Small requests before 1,000 targets".to_owned(),
            Self::Rules1 => "Small requests with one rule".to_owned(),
            Self::Rules100 => "Small requests with 100 rules".to_owned(),
            Self::Checks => "1,000 targets checked each five seconds".to_owned(),
            _ => match self.kind() {
                Kind::Bulk(work, _) => format!("{work}"),
                Kind::Sessions(count) => {
                    format!("Small requests of {count} sessions by the application's cookie")
                }
                _ => self.word(),
            },
        }
    }
}

impl Kind {
    /// The figures of a sample; the first one is what proxies are compared by.
    pub(crate) fn columns(self) -> &'static [Column] {
        const REQUESTS: [Column; 6] = [
            column("CPU µs/request", 1),
            column("user", 1),
            column("system", 1),
            column("requests/s", 0),
            column("p50 ms", 2),
            column("p99 ms", 2),
        ];
        const BYTES: [Column; 4] =
            [column("CPU s/GiB", 3), column("user", 3), column("system", 3), column("MiB/s", 0)];
        const RATE: [Column; 6] = [
            column("p99 ms", 2),
            column("p50 ms", 2),
            column("p90 ms", 2),
            column("p99.9 ms", 2),
            column("requests/s", 0),
            column("CPU µs/request", 1),
        ];
        const RELOAD: [Column; 6] = [
            column("p99 during : before", 2),
            column("p99 ms before", 2),
            column("p99 ms during", 2),
            column("p99.9 ms during", 2),
            column("requests/s", 0),
            column("sent again", 0),
        ];
        const IDLE: [Column; 3] =
            [column("bytes each", 0), column("MiB before", 1), column("MiB with them", 1)];
        const CHECKS: [Column; 3] = [column("CPU ms/s", 1), column("user", 1), column("system", 1)];
        match self {
            Self::Bulk(..) => &BYTES,
            Self::Rate(_) => &RATE,
            Self::Reload => &RELOAD,
            Self::Idle { .. } | Self::Stalled => &IDLE,
            Self::Checks => &CHECKS,
            _ => &REQUESTS,
        }
    }

    /// Whether targets are servers in this process, which give and take what they are asked to, and not nginx.
    pub(crate) fn has_own_targets(self) -> bool {
        matches!(self, Self::Bulk(..) | Self::Echo | Self::Stalled)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_and_titles_are_of_one_work_each() {
        let words: HashSet<String> = Work::all().iter().map(|work| work.word()).collect();
        let titles: HashSet<String> = Work::all().iter().map(|work| work.title()).collect();
        assert_eq!((words.len(), titles.len()), (Work::all().len(), Work::all().len()), "{titles:?}");
        assert!(
            words.contains("small") && words.contains("h2-8x32") && words.contains("down-100m"),
            "{words:?}"
        );
    }

    #[test]
    fn whoever_takes_part_by_default_can() {
        for work in Work::all() {
            for name in work.proxies() {
                let refused = super::super::proxies::refuses(name, &work.shape());
                let is_absent = refused.is_some_and(|why| why.contains("is not here"));
                let is_known = refused == Some("has no health checks of its own");
                assert!(refused.is_none() || is_absent || is_known, "{work:?} {name}: {refused:?}");
            }
        }
    }
}
