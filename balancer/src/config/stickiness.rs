//! The `stickiness` block of a target group. Ranges and messages: ALB, sticky sessions.

use super::{
    fields::BlockFields,
    schema::{Attribute, AttributeKind, Table},
    value::shown,
};
use crate::model::{
    CookieAttributes, CookiePick, CookieRenewal, MAX_COOKIE_DURATION, StickinessExtras, StickinessKind,
    StickinessSettings, WrittenAt,
};

/// Names that start so are the balancer's own, whatever the prefix set here (ALB: target group attributes).
const RESERVED_PREFIX: &str = "AWSALB";
const MAX_PREFIX: usize = 32;
const MAX_COOKIE_NAME: usize = 256;

const ALLOWED_HEADER: &str = "1 to 256 token characters, and no field that cookies, proxies or connections go by (`Cookie`, `Host`, …)";

/// Fields that do not come back as they were given out, or that mean something of their own (RFC 9110; Fetch standard).
const OTHER_FIELDS: [&str; 42] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referer",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-real-ip",
];

/// What names of such fields begin with.
const OTHER_BEGINNINGS: [&str; 8] =
    ["access-control-", "content-", "if-", "proxy-", "sec-", "x-amzn-", "x-forwarded-", "grpc-"];

fn is_other_field(name: &str) -> bool {
    let begins =
        |start: &&str| name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    OTHER_FIELDS.iter().any(|other| name.eq_ignore_ascii_case(other)) || OTHER_BEGINNINGS.iter().any(begins)
}

pub(super) static STICKINESS: Table = Table {
    name: "stickiness",
    top: false,
    attributes: &[
        Attribute::new(
            "enabled",
            AttributeKind::Truth { default: true },
            "Whether clients stick to their targets.",
        ),
        Attribute::new(
            "type",
            AttributeKind::Choice {
                allowed: &["lb_cookie", "app_cookie", "app_header"],
                default: "lb_cookie",
                later: &[],
            },
            "By the balancer's own cookie, or bound to a cookie of the application, or to a header field that it gives out \
             (that one not on ALB).",
        ),
        Attribute::new(
            "cookie_duration",
            AttributeKind::Whole { min: 1, max: MAX_COOKIE_DURATION as u64, default: Some(86_400) },
            "Seconds without a request after which a client is no longer bound to its target. For all types.",
        ),
        Attribute::new(
            "cookie_name",
            AttributeKind::Text {
                allowed: "1 to 256 token characters, not starting with AWSALB or with `cookie_prefix`",
                default: "none",
            },
            "Name of the application's cookie: needed for `app_cookie`, without meaning for `lb_cookie`.",
        ),
        Attribute::new(
            "header_name",
            AttributeKind::Text { allowed: ALLOWED_HEADER, default: "none" },
            "Name of the header field that the application gives out with a session and that clients return, as \
             `Mcp-Session-Id`: needed for `app_header`, without meaning for the other types. Not on ALB.",
        ),
        Attribute::new(
            "cookie_secure",
            AttributeKind::Truth { default: false },
            "Whether the balancer's cookies are marked `Secure`. Not on ALB.",
        ),
        Attribute::new(
            "cookie_http_only",
            AttributeKind::Truth { default: false },
            "Whether the balancer's cookies are marked `HttpOnly`. Not on ALB.",
        ),
        Attribute::new(
            "cookie_partitioned",
            AttributeKind::Truth { default: false },
            "Whether the balancer's cookies are marked `Partitioned`. Only with `cookie_secure`. Not on ALB.",
        ),
        Attribute::new(
            "cookie_max_age",
            AttributeKind::Truth { default: true },
            "Whether the balancer's cookies say `Max-Age` beside `Expires`. Not on ALB.",
        ),
        Attribute::new(
            "cookie_pick",
            AttributeKind::Choice { allowed: &["first", "last"], default: "first", later: &[] },
            "Of an application's cookie that comes several times: which counts, of those that are known. Only with \
             `app_cookie`. Not on ALB.",
        ),
        Attribute::new(
            "cookie_prefix",
            AttributeKind::Text { allowed: "1 to 32 token characters", default: "\"AWSALB\"" },
            "What the names of the balancer's cookies begin with, so that balancers can be chained. Not on ALB.",
        ),
        Attribute::new(
            "cookie_renewal",
            AttributeKind::Choice { allowed: &["always", "when_due"], default: "always", later: &[] },
            "Set cookies on every response, as ALB does, or only when a session starts, moves, or a tenth of the \
             duration has passed.",
        ),
        Attribute::new(
            "max_lifetime",
            AttributeKind::WholeOr { word: "0", min: 1, max: 31_536_000 },
            "Seconds after its start at which a session ends, however busy it is. Not on ALB.",
        ),
        Attribute::new(
            "load_factor",
            AttributeKind::WholeOr { word: "0", min: 110, max: 1000 },
            "Percent of the mean of requests in flight above which a target's sessions have a request done elsewhere. \
             Not on ALB.",
        ),
    ],
    blocks: &[],
};

/// Reads the block; nothing when it is absent or disabled. What it says is checked either way.
pub(super) fn build(fields: &BlockFields<'_>) -> Option<StickinessSettings> {
    let enabled = fields.truth("enabled");
    let prefix = cookie_prefix(fields);
    let settings = StickinessSettings {
        kind: kind(fields, enabled, &prefix),
        duration_seconds: duration(fields, enabled),
        attributes: cookie_attributes(fields, prefix),
        renewal: match fields.choice("cookie_renewal") {
            "when_due" => CookieRenewal::WhenDue,
            _ => CookieRenewal::Always,
        },
        pick: cookie_pick(fields),
        extras: extras(fields),
    };
    (enabled && fields.position().is_some()).then_some(settings)
}

/// 0 is what Terraform's provider takes for a duration where there is no stickiness.
fn duration(fields: &BlockFields<'_>, enabled: bool) -> u32 {
    let is_zero = || fields.value("cookie_duration").is_some_and(|(value, _)| value.as_whole() == Some(0));
    if !enabled && is_zero() {
        return 1;
    }
    u32::try_from(fields.whole("cookie_duration")).unwrap_or(u32::MAX)
}

/// Those of this block; the group's own are added where the group is read.
fn extras(fields: &BlockFields<'_>) -> StickinessExtras {
    StickinessExtras {
        max_lifetime: fields.whole_or_none("max_lifetime").and_then(|seconds| u32::try_from(seconds).ok()),
        load_factor: fields.whole_or_none("load_factor").and_then(|percent| u16::try_from(percent).ok()),
        ..StickinessExtras::default()
    }
}

/// Types of Network Load Balancers.
const OTHER_TYPES: [&str; 3] = ["source_ip", "source_ip_dest_ip", "source_ip_dest_ip_proto"];

fn cookie_pick(fields: &BlockFields<'_>) -> CookiePick {
    if fields.choice("cookie_pick") != "last" {
        return CookiePick::First;
    }
    if fields.choice("type") != "app_cookie" {
        let message = format!(
            "`cookie_pick` = \"last\" has no meaning for `{}`; allowed: \"first\", or `type` = \"app_cookie\"",
            fields.choice("type")
        );
        fields.fault_at("cookie_pick", message);
    }
    CookiePick::Last
}

fn kind(fields: &BlockFields<'_>, enabled: bool, prefix: &str) -> StickinessKind {
    if let Some((value, _)) = fields.value("type")
        && let Some(text) = value.as_text().filter(|text| OTHER_TYPES.contains(&text.as_str()))
    {
        if !enabled {
            return StickinessKind::LoadBalancerCookie;
        }
        let message = format!(
            "Stickiness type '{text}' is not supported for target groups with the HTTP protocol; allowed: {}",
            fields.allowed("type")
        );
        fields.fault_at("type", message);
        return StickinessKind::LoadBalancerCookie;
    }
    let kind = fields.choice("type");
    let header_name = header_name(fields, enabled, kind);
    // An empty name is what Terraform writes for none.
    let cookie_name = fields.text("cookie_name").filter(|name| !name.is_empty());
    if kind == "app_header" {
        if cookie_name.is_some() && enabled && !fields.is_wrong("type") {
            fields.note_at(
                "cookie_name",
                "`cookie_name` counts for nothing: with `app_header` clients stick by a header field",
            );
        }
        return StickinessKind::ApplicationHeader { header_name: header_name.unwrap_or_default() };
    }
    match (kind, cookie_name) {
        ("app_cookie", Some(cookie_name)) => {
            check_cookie_name(fields, &cookie_name, prefix);
            StickinessKind::ApplicationCookie { cookie_name }
        }
        ("app_cookie", None) => {
            if enabled && fields.is_unset("cookie_name") {
                let message = "You must set an application cookie name to enable stickiness of type 'app_cookie'; \
                               allowed: `cookie_name` = the name of the application's cookie";
                fields.fault_at("type", message);
            } else if enabled && fields.is_given("cookie_name") {
                let message = "You must set an application cookie name to enable stickiness of type 'app_cookie'; \
                               allowed: the name of the application's cookie";
                fields.fault_at("cookie_name", message);
            }
            StickinessKind::ApplicationCookie { cookie_name: String::new() }
        }
        // Terraform's provider passes over the name where it has no meaning.
        (_, Some(name)) => {
            if enabled && !fields.is_wrong("type") {
                let message = format!(
                    "`cookie_name` = {} counts for nothing: with `lb_cookie` clients stick by the balancer's own cookie",
                    shown(&name)
                );
                fields.note_at("cookie_name", message);
            }
            StickinessKind::LoadBalancerCookie
        }
        (_, None) => StickinessKind::LoadBalancerCookie,
    }
}

/// The field of `app_header`; of other types none.
fn header_name(fields: &BlockFields<'_>, enabled: bool, kind: &str) -> Option<String> {
    let name = fields.text("header_name").filter(|name| !name.is_empty());
    let is_meant = kind == "app_header";
    match &name {
        Some(name)
            if is_meant
                && (is_other_field(name) || name.len() > MAX_COOKIE_NAME || !name.bytes().all(is_token)) =>
        {
            let message = format!(
                "`header_name` = {} cannot name sessions; allowed: {}",
                shown(name),
                fields.allowed("header_name")
            );
            fields.fault_at("header_name", message);
        }
        Some(_) if is_meant => {}
        Some(name) if enabled && !fields.is_wrong("type") => {
            let message = format!(
                "`header_name` = {} counts for nothing: only with `type` = \"app_header\" clients stick by it",
                shown(name)
            );
            fields.note_at("header_name", message);
        }
        None if is_meant && enabled && (fields.is_unset("header_name") || fields.is_given("header_name")) => {
            let at = if fields.is_given("header_name") { "header_name" } else { "type" };
            let message = "You must set a header name to enable stickiness of type 'app_header'; allowed: `header_name` \
                           = the field that the application gives out with a session, as \"Mcp-Session-Id\"";
            fields.fault_at(at, message);
        }
        _ => {}
    }
    name.filter(|_| is_meant)
}

fn check_cookie_name(fields: &BlockFields<'_>, name: &str, prefix: &str) {
    let wrong = if name.len() > MAX_COOKIE_NAME || !name.bytes().all(is_token) {
        "is no name of a cookie"
    } else if name.starts_with(RESERVED_PREFIX) || name.starts_with(prefix) {
        "is reserved for the balancer's own cookies"
    } else {
        return;
    };
    let message =
        format!("`cookie_name` = {} {wrong}; allowed: {}", shown(name), fields.allowed("cookie_name"));
    fields.fault_at("cookie_name", message);
}

/// How the balancer's cookies are marked, by the attributes that every block with cookies has.
pub(super) fn cookie_attributes(fields: &BlockFields<'_>, prefix: String) -> CookieAttributes {
    let (secure, partitioned) = (fields.truth("cookie_secure"), fields.truth("cookie_partitioned"));
    if partitioned && !secure {
        let message = "`cookie_partitioned` = true without `cookie_secure`: browsers drop such a cookie; allowed: \
                       `cookie_secure` = true beside it, or false";
        fields.fault_at("cookie_partitioned", message);
    }
    let begins =
        |marked: &str| prefix.get(..marked.len()).is_some_and(|start| start.eq_ignore_ascii_case(marked));
    if !secure && (begins("__Host-") || begins("__Secure-")) {
        let message = format!(
            "`cookie_prefix` = {} without `cookie_secure`: browsers drop such a cookie; allowed: `cookie_secure` = true \
             beside it, or another beginning",
            shown(&prefix)
        );
        fields.fault_at("cookie_prefix", message);
    }
    CookieAttributes {
        secure,
        http_only: fields.truth("cookie_http_only"),
        partitioned,
        max_age: fields.truth("cookie_max_age"),
        prefix,
        position: WrittenAt(fields.where_written()),
    }
}

/// What the names of the balancer's cookies begin with.
pub(super) fn cookie_prefix(fields: &BlockFields<'_>) -> String {
    let prefix = fields.text("cookie_prefix").unwrap_or_else(|| RESERVED_PREFIX.to_owned());
    if (1..=MAX_PREFIX).contains(&prefix.len()) && prefix.bytes().all(is_token) {
        return prefix;
    }
    let message =
        format!("`cookie_prefix` = {}; allowed: {}", shown(&prefix), fields.allowed("cookie_prefix"));
    fields.fault_at("cookie_prefix", message);
    RESERVED_PREFIX.to_owned()
}

/// RFC 9110, section 5.6.2: what names of cookies are made of (RFC 6265, section 4.1.1).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
