//! Target groups, their targets, health checks and stickiness.

use std::time::Duration;

use super::{WrittenAt, discovery::TargetSource, endpoint::TargetSpec};

/// Most targets of a group (ALB: quotas), addresses of its host names included.
pub const MAX_TARGETS: usize = 1000;

/// Longest `cookie_duration` in seconds: seven days (ALB: sticky sessions).
pub const MAX_COOKIE_DURATION: u32 = 604_800;

/// A target group (`target_group`, `aws_lb_target_group`).
#[derive(Clone, Debug, PartialEq)]
pub struct TargetGroup {
    /// `name`, or else the block label: at most 32 letters, digits and hyphens, no hyphen at the ends.
    pub name: String,
    /// Port of targets that give none, 1 to 65535.
    pub port: u16,
    /// `protocol_version`, default HTTP1.
    pub protocol_version: ProtocolVersion,
    /// TLS to its targets, when `protocol` is HTTPS.
    pub tls: Option<super::TargetTlsSettings>,
    /// `load_balancing_algorithm_type`, default round robin.
    pub algorithm: Algorithm,
    /// `load_balancing_anomaly_mitigation`, default off. Only with [`Algorithm::WeightedRandom`].
    pub anomaly_mitigation: bool,
    /// `routing_http2_rst_stream_error_forwarding_enabled`: whether the code by which a target resets a request over HTTP/2
    /// goes to its client; default false.
    pub forwards_resets: bool,
    /// `slow_start`: 30 to 900 s; none (0) by default. Only with [`Algorithm::RoundRobin`].
    pub slow_start: Option<Duration>,
    /// `target_group_health`, `unhealthy_state_routing`.
    pub minimum_healthy: MinimumHealthy,
    /// `deregistration_delay`: 0 to 3600 s, default 300 s.
    pub deregistration_delay: Duration,
    /// `stickiness` when its `enabled` is true (the default inside a block, as Terraform has it).
    pub stickiness: Option<StickinessSettings>,
    /// `health_check`.
    pub health_check: HealthCheck,
    /// Targets in the order given, each distinct.
    pub targets: Vec<TargetSpec>,
    /// `targets_from`: where it learns of further ones; none by default.
    pub source: Option<TargetSource>,
}

/// `load_balancing_algorithm_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// In turn.
    RoundRobin,
    /// Fewest requests in flight; ties rotate.
    LeastOutstandingRequests,
    /// At random by weights, which are equal but for targets that fail more than others. Not with stickiness.
    WeightedRandom,
}

impl Algorithm {
    /// ALB's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastOutstandingRequests => "least_outstanding_requests",
            Self::WeightedRandom => "weighted_random",
        }
    }
}

/// `unhealthy_state_routing`: with fewer healthy targets than either says, all registered targets get requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinimumHealthy {
    /// `minimum_healthy_targets_count`: 1 to 1000, default 1.
    pub count: u16,
    /// `minimum_healthy_targets_percentage` of the registered targets: 1 to 100; none (`off`) by default.
    pub percentage: Option<u8>,
}

impl Default for MinimumHealthy {
    fn default() -> Self {
        Self { count: 1, percentage: None }
    }
}

impl MinimumHealthy {
    /// Whether `healthy` of `registered` targets are too few (ALB: either threshold breached is enough).
    #[must_use]
    pub fn is_breached(&self, healthy: usize, registered: usize) -> bool {
        let wanted = usize::from(self.percentage.unwrap_or(0)) * registered;
        healthy < usize::from(self.count) || healthy * 100 < wanted
    }
}

/// `protocol_version` (ALB: protocol versions of target groups).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolVersion {
    /// Targets speak HTTP/1.1.
    Http1,
    /// Targets speak HTTP/2.
    Http2,
    /// Targets speak gRPC.
    Grpc,
}

/// `health_check` (ALB: target group health checks).
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// `enabled`; default true. Off: targets are `unavailable` and get requests.
    pub enabled: bool,
    /// `protocol`, default HTTP.
    pub protocol: ProbeProtocol,
    /// `port`, default `traffic-port`.
    pub port: HealthCheckPort,
    /// That of the group.
    pub protocol_version: ProtocolVersion,
    /// `path`: 1 to 1024 bytes, starts with `/`, default `/`, of gRPC `/AWS.ALB/healthcheck`.
    pub path: String,
    /// `interval`: 5 to 300 s, default 30 s.
    pub interval: Duration,
    /// `timeout`: 2 to 120 s, default 5 s, less than the interval.
    pub timeout: Duration,
    /// `healthy_threshold`: 2 to 10, default 5 (Terraform's 3 in an `aws_lb_target_group`).
    pub healthy_threshold: u8,
    /// `unhealthy_threshold`: 2 to 10, default 2 (Terraform's 3 in an `aws_lb_target_group`).
    pub unhealthy_threshold: u8,
    /// `matcher`, default 200, of gRPC 12.
    pub matcher: Matcher,
}

/// Protocol of health checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeProtocol {
    /// Plain.
    Http,
    /// Over TLS; the target's certificate is not validated, as on ALB, unless the group wants that for requests.
    Https,
}

/// Port of health checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthCheckPort {
    /// The port the target gets requests on.
    Traffic,
    /// This one.
    Port(u16),
}

/// Status codes that count as healthy: closed ranges within 200 to 499, of gRPC within 0 to 99.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher(pub Vec<(u16, u16)>);

impl Matcher {
    /// Whether `status` counts as healthy.
    #[must_use]
    pub fn matches(&self, status: u16) -> bool {
        self.0.iter().any(|&(low, high)| (low..=high).contains(&status))
    }
}

/// `stickiness` of a group, enabled (ALB: sticky sessions).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickinessSettings {
    /// Which kind.
    pub kind: StickinessKind,
    /// `cookie_duration`: 1 to [`MAX_COOKIE_DURATION`] s, default 86400 s.
    pub duration_seconds: u32,
    /// Attributes of the cookies the balancer sets.
    pub attributes: CookieAttributes,
    /// When cookies are set anew.
    pub renewal: CookieRenewal,
    /// `cookie_pick`: which of several cookies of the application's name counts; default the first.
    pub pick: CookiePick,
    /// What ALB does not have.
    pub extras: StickinessExtras,
}

/// Stickiness beyond ALB's; by default none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StickinessExtras {
    /// `max_lifetime`: seconds after its start at which a session ends, 1 to 31536000; none (0) by default.
    pub max_lifetime: Option<u32>,
    /// `load_factor`: percent of the mean of requests in flight above which a target's bound requests go elsewhere,
    /// 110 to 1000; none (0) by default.
    pub load_factor: Option<u16>,
    /// `stickiness_failover` of the group is `fail`: a request whose target is unhealthy is refused.
    pub fails_when_unhealthy: bool,
    /// `deregistration_stickiness` of the group is `keep`: sessions stay until the deregistration delay ends.
    pub keeps_draining: bool,
}

/// Kinds of stickiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StickinessKind {
    /// `lb_cookie`: AWSALB and AWSALBCORS.
    LoadBalancerCookie,
    /// `app_cookie`: AWSALBAPP-0 to -3, bound to the application's cookie of this name.
    ApplicationCookie {
        /// `cookie_name`.
        cookie_name: String,
    },
    /// `app_header`: bound to the value of a header field that the application gives out and that comes back; AWSALBAPP-0 to -3
    /// beside it, for clients that keep cookies.
    ApplicationHeader {
        /// `header_name`.
        header_name: String,
    },
}

impl StickinessKind {
    /// `type`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::LoadBalancerCookie => "lb_cookie",
            Self::ApplicationCookie { .. } => "app_cookie",
            Self::ApplicationHeader { .. } => "app_header",
        }
    }
}

/// Attributes of the balancer's cookies; by default as ALB's are, and `Max-Age` beside `Expires`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieAttributes {
    /// `cookie_secure`: add `Secure`; default false.
    pub secure: bool,
    /// `cookie_http_only`: add `HttpOnly`; default false.
    pub http_only: bool,
    /// `cookie_partitioned`: add `Partitioned`; default false. Only with `secure`.
    pub partitioned: bool,
    /// `cookie_max_age`: add `Max-Age`; default true.
    pub max_age: bool,
    /// `cookie_prefix`: 1 to 32 token characters, default `AWSALB`. The cookies are `<prefix>`, `<prefix>CORS`, `<prefix>APP-0`…
    pub prefix: String,
    /// Where they are asked for.
    pub position: WrittenAt,
}

impl Default for CookieAttributes {
    fn default() -> Self {
        Self {
            secure: false,
            http_only: false,
            partitioned: false,
            max_age: true,
            prefix: "AWSALB".to_owned(),
            position: WrittenAt::default(),
        }
    }
}

/// `cookie_pick`: browsers send a cookie of one name several times when it was set for several paths, and of those that
/// applications look at about half take the first and half the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CookiePick {
    /// The first that is known.
    #[default]
    First,
    /// The last that is known.
    Last,
}

/// `cookie_renewal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieRenewal {
    /// On every response, as ALB.
    Always,
    /// When a session starts, moves, or a tenth of the duration has passed; values are then accepted for a tenth longer.
    WhenDue,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_threshold_is_enough() {
        let minimum = |count, percentage| MinimumHealthy { count, percentage };
        for (minimum, healthy, registered, breached) in [
            (MinimumHealthy::default(), 0, 5, true),
            (MinimumHealthy::default(), 1, 1000, false),
            (minimum(3, None), 2, 5, true),
            (minimum(3, None), 3, 5, false),
            (minimum(3, None), 2, 2, true),
            (minimum(1, Some(50)), 2, 4, false),
            (minimum(1, Some(50)), 2, 5, true),
            (minimum(1, Some(100)), 4, 5, true),
            (minimum(1, Some(100)), 5, 5, false),
            (minimum(4, Some(20)), 3, 5, true),
            (minimum(1, Some(1)), 0, 1, true),
        ] {
            assert_eq!(
                minimum.is_breached(healthy, registered),
                breached,
                "{minimum:?}: {healthy} of {registered}"
            );
        }
    }
}
