//! The `redirect` block of an action (ALB: RedirectActionConfig).

use super::{
    fields::BlockFields,
    schema::{Attribute, AttributeKind, Table},
    value::shown,
};
use crate::model::{Piece, Redirect, Template, UriComponent};

/// Longest host, path and query, in characters as written.
const MAX_TEXT: usize = 128;

pub(super) static REDIRECT: Table = Table {
    name: "redirect",
    top: false,
    attributes: &[
        Attribute::new(
            "status_code",
            AttributeKind::Choice { allowed: &["HTTP_301", "HTTP_302"], default: "", later: &[] },
            "For good (301) or for now (302). Needed.",
        ),
        Attribute::new(
            "protocol",
            AttributeKind::Choice {
                allowed: &["HTTP", "HTTPS", "#{protocol}"],
                default: "#{protocol}",
                later: &[],
            },
            "The scheme. From HTTPS to HTTP is not allowed.",
        ),
        Attribute::new(
            "host",
            AttributeKind::Text {
                allowed: "1 to 128 letters, digits, `-`, `.` and `_`, or an IPv6 address in brackets, with `#{host}`",
                default: "\"#{host}\"",
            },
            "The host.",
        ),
        Attribute::new(
            "port",
            AttributeKind::Text { allowed: "1 to 65535 or \"#{port}\"", default: "\"#{port}\"" },
            "The port: it is always written out.",
        ),
        Attribute::new(
            "path",
            AttributeKind::Text {
                allowed: "1 to 128 characters, the first a slash, with `#{host}`, `#{path}` and `#{port}`",
                default: "\"/#{path}\"",
            },
            "The path. `#{path}` has no leading slash.",
        ),
        Attribute::new(
            "query",
            AttributeKind::Text {
                allowed: "at most 128 characters without a leading question mark, with any of the placeholders",
                default: "\"#{query}\"",
            },
            "The query; empty for none.",
        ),
    ],
    blocks: &[],
};

/// Where the requests that are redirected came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestOrigin {
    pub(super) secure: bool,
    pub(super) port: u16,
}

/// Reads the block.
pub(super) fn build(fields: &BlockFields<'_>, origin: Option<RequestOrigin>) -> Redirect {
    fields.require("status_code");
    let protocol = match fields.choice("protocol") {
        "HTTP" => text("http"),
        "HTTPS" => text("https"),
        _ => part(UriComponent::Protocol),
    };
    let [host, port, path] = [
        template(fields, "host", &[UriComponent::Host], is_host),
        template(fields, "port", &[UriComponent::Port], is_port),
        template(fields, "path", &[UriComponent::Host, UriComponent::Path, UriComponent::Port], is_path),
    ];
    // What is a fault was meant to change something.
    let is_whole = [("host", &host), ("port", &port), ("path", &path)]
        .iter()
        .all(|(name, template)| template.is_some() || fields.is_unset(name))
        && (fields.is_unset("protocol") || fields.is_choice("protocol"))
        && !["protocol", "host", "port", "path"].into_iter().any(|name| fields.is_meant(name));
    let redirect = Redirect {
        status: if fields.choice("status_code") == "HTTP_302" { 302 } else { 301 },
        protocol,
        host: host.unwrap_or_else(|| part(UriComponent::Host)),
        port: port.unwrap_or_else(|| part(UriComponent::Port)),
        path: path
            .unwrap_or_else(|| Template(vec![Piece::Text("/".into()), Piece::Component(UriComponent::Path)])),
        query: template(fields, "query", &UriComponent::ALL, is_query)
            .unwrap_or_else(|| part(UriComponent::Query)),
    };
    if is_whole {
        check(fields, &redirect, origin);
    }
    redirect
}

/// Whether a text may be this part of where a redirect leads: `host`, `port`, `path` or `query`.
#[must_use]
pub fn is_redirect_part(name: &str, text: &str) -> bool {
    let (parts, is_allowed): (&[UriComponent], fn(&str) -> bool) = match name {
        "host" => (&[UriComponent::Host], is_host),
        "port" => (&[UriComponent::Port], is_port),
        "path" => (&[UriComponent::Host, UriComponent::Path, UriComponent::Port], is_path),
        _ => (&UriComponent::ALL, is_query),
    };
    parse(text, parts).is_some() && text.chars().count() <= MAX_TEXT && is_allowed(text)
}

fn text(text: &str) -> Template {
    Template(vec![Piece::Text(text.to_owned())])
}

fn part(part: UriComponent) -> Template {
    Template(vec![Piece::Component(part)])
}

/// What ALB does not let a redirect be: one that leads back to itself, or out of TLS.
fn check(fields: &BlockFields<'_>, redirect: &Redirect, origin: Option<RequestOrigin>) {
    let port = redirect.port.as_text().and_then(|port| port.parse().ok());
    let is_same_protocol = redirect.protocol.is(UriComponent::Protocol)
        || origin.is_some_and(|origin| {
            redirect.protocol.as_text() == Some(if origin.secure { "https" } else { "http" })
        });
    let is_same_port =
        redirect.port.is(UriComponent::Port) || origin.is_some_and(|origin| port == Some(origin.port));
    let is_same_path = redirect.path.0 == [Piece::Text("/".into()), Piece::Component(UriComponent::Path)];
    if is_same_protocol && is_same_port && redirect.host.is(UriComponent::Host) && is_same_path {
        fields.fault(
            "The redirect configuration is not valid because it creates a loop; allowed: another protocol, host, \
             port or path than that of the request",
        );
    }
    if origin.is_some_and(|origin| origin.secure) && redirect.protocol.as_text() == Some("http") {
        let message = "a redirect from HTTPS to HTTP is not supported; allowed: \"HTTPS\" or \"#{protocol}\"";
        fields.fault_at("protocol", message);
    }
}

/// The text with its placeholders; nothing when it is not given or a fault.
fn template(
    fields: &BlockFields<'_>,
    name: &str,
    parts: &[UriComponent],
    is_allowed: fn(&str) -> bool,
) -> Option<Template> {
    let written = fields.text(name)?;
    let template =
        parse(&written, parts).filter(|_| written.chars().count() <= MAX_TEXT && is_allowed(&written));
    if template.is_none() {
        let message = format!("`{name}` = {}; allowed: {}", shown(&written), fields.allowed(name));
        fields.fault_at(name, message);
    }
    template
}

/// Nothing when a placeholder is none of `parts`.
fn parse(written: &str, parts: &[UriComponent]) -> Option<Template> {
    let mut pieces = Vec::new();
    let mut rest = written;
    while let Some(start) = rest.find("#{") {
        let (before, from) = rest.split_at_checked(start)?;
        let found = parts.iter().find(|part| from.starts_with(part.placeholder()))?;
        if !before.is_empty() {
            pieces.push(Piece::Text(encoded(before)));
        }
        pieces.push(Piece::Component(*found));
        rest = from.get(found.placeholder().len()..)?;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(encoded(rest)));
    }
    Some(Template(pieces))
}

/// Percent-encoded where it would be no part of a URI (RFC 3986, section 2); what is encoded already stays.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn is_host(text: &str) -> bool {
    let literal = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let plain = text.replace("#{host}", "");
    literal.is_some_and(|literal| literal.parse::<std::net::Ipv6Addr>().is_ok())
        || (!text.is_empty()
            && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)))
}

fn is_port(text: &str) -> bool {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text == UriComponent::Port.placeholder() || (is_number && text.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.contains('?') && !text.contains(char::is_control)
}

fn is_query(text: &str) -> bool {
    !text.starts_with('?') && !text.contains(char::is_control)
}
