//! The attributes of a listener that put fields into responses (`routing_http_response_…`), and what their values
//! may be: what a browser would pass over in silence is a fault here.

use super::{
    fields::BlockFields,
    schema::{Attribute, AttributeKind},
    value::shown,
};
use crate::model::ResponseFields;

/// Longest value, bytes (ALB: HTTP header modification).
const LONGEST: usize = 1024;

/// An attribute and its field.
struct FieldAttribute {
    attribute: &'static str,
    field: &'static str,
    is_valid: fn(&str) -> bool,
}

const TEXT: &str = "1 to 1024 visible ASCII characters and spaces";
const NAMES: &str = "\"*\", or names with commas between them";

static KNOWN: [FieldAttribute; 10] = [
    FieldAttribute {
        attribute: "routing_http_response_strict_transport_security_header_value",
        field: "Strict-Transport-Security",
        is_valid: is_transport_security,
    },
    FieldAttribute {
        attribute: "routing_http_response_access_control_allow_origin_header_value",
        field: "Access-Control-Allow-Origin",
        is_valid: is_origin,
    },
    FieldAttribute {
        attribute: "routing_http_response_access_control_allow_methods_header_value",
        field: "Access-Control-Allow-Methods",
        is_valid: are_names,
    },
    FieldAttribute {
        attribute: "routing_http_response_access_control_allow_headers_header_value",
        field: "Access-Control-Allow-Headers",
        is_valid: are_names,
    },
    FieldAttribute {
        attribute: "routing_http_response_access_control_allow_credentials_header_value",
        field: "Access-Control-Allow-Credentials",
        is_valid: |value| value == "true",
    },
    FieldAttribute {
        attribute: "routing_http_response_access_control_expose_headers_header_value",
        field: "Access-Control-Expose-Headers",
        is_valid: are_names,
    },
    FieldAttribute {
        attribute: "routing_http_response_access_control_max_age_header_value",
        field: "Access-Control-Max-Age",
        is_valid: are_digits,
    },
    FieldAttribute {
        attribute: "routing_http_response_content_security_policy_header_value",
        field: "Content-Security-Policy",
        is_valid: |_| true,
    },
    FieldAttribute {
        attribute: "routing_http_response_x_content_type_options_header_value",
        field: "X-Content-Type-Options",
        is_valid: |value| value == "nosniff",
    },
    FieldAttribute {
        attribute: "routing_http_response_x_frame_options_header_value",
        field: "X-Frame-Options",
        is_valid: is_frame_option,
    },
];

const fn field(name: &'static str, allowed: &'static str, meaning: &'static str) -> Attribute {
    Attribute::new(name, AttributeKind::Text { allowed, default: "" }, meaning)
}

/// The lines of the listener's table.
pub(super) const SERVER_ENABLED: Attribute = Attribute::new(
    "routing_http_response_server_enabled",
    AttributeKind::Truth { default: true },
    "Whether answers of the balancer's own have `Server`. What targets say of themselves is passed on.",
);
pub(super) const STRICT_TRANSPORT_SECURITY: Attribute = field(
    "routing_http_response_strict_transport_security_header_value",
    "\"max-age=SECONDS\", after it \"; includeSubDomains\", \"; preload\"",
    "`Strict-Transport-Security` of every response.",
);
pub(super) const ALLOW_ORIGIN: Attribute = field(
    "routing_http_response_access_control_allow_origin_header_value",
    "\"*\", \"null\" or an origin such as \"https://example.com\"",
    "`Access-Control-Allow-Origin` of every response.",
);
pub(super) const ALLOW_METHODS: Attribute = field(
    "routing_http_response_access_control_allow_methods_header_value",
    NAMES,
    "`Access-Control-Allow-Methods` of every response.",
);
pub(super) const ALLOW_HEADERS: Attribute = field(
    "routing_http_response_access_control_allow_headers_header_value",
    NAMES,
    "`Access-Control-Allow-Headers` of every response.",
);
pub(super) const ALLOW_CREDENTIALS: Attribute = field(
    "routing_http_response_access_control_allow_credentials_header_value",
    "\"true\"",
    "`Access-Control-Allow-Credentials` of every response.",
);
pub(super) const EXPOSE_HEADERS: Attribute = field(
    "routing_http_response_access_control_expose_headers_header_value",
    NAMES,
    "`Access-Control-Expose-Headers` of every response.",
);
pub(super) const MAX_AGE: Attribute = field(
    "routing_http_response_access_control_max_age_header_value",
    "1 to 10 digits",
    "`Access-Control-Max-Age` of every response.",
);
pub(super) const CONTENT_SECURITY_POLICY: Attribute = field(
    "routing_http_response_content_security_policy_header_value",
    TEXT,
    "`Content-Security-Policy` of every response.",
);
pub(super) const CONTENT_TYPE_OPTIONS: Attribute = field(
    "routing_http_response_x_content_type_options_header_value",
    "\"nosniff\"",
    "`X-Content-Type-Options` of every response.",
);
pub(super) const FRAME_OPTIONS: Attribute = field(
    "routing_http_response_x_frame_options_header_value",
    "\"DENY\", \"SAMEORIGIN\" or \"ALLOW-FROM URL\"",
    "`X-Frame-Options` of every response.",
);

/// Whether an attribute may have this value, by the attribute's name.
#[must_use]
pub fn is_response_field(attribute: &str, value: &str) -> bool {
    let known = KNOWN.iter().find(|known| known.attribute == attribute);
    value.is_empty()
        || known.is_some_and(|known| value.len() <= LONGEST && is_text(value) && (known.is_valid)(value))
}

/// Reads them. An empty text is the same as none (ALB).
pub(super) fn build(fields: &BlockFields<'_>) -> ResponseFields {
    let mut set = Vec::new();
    for known in &KNOWN {
        let Some(value) = fields.text(known.attribute).filter(|value| !value.is_empty()) else { continue };
        if value.len() > LONGEST {
            let name = known.attribute;
            fields.fault_at(
                name,
                format!(
                    "the `{name}` value is too long; the limit is '{LONGEST}'; allowed: {}",
                    fields.allowed(name)
                ),
            );
        } else if is_text(&value) && (known.is_valid)(&value) {
            set.push((known.field, value));
        } else {
            let name = known.attribute;
            fields.fault_at(name, format!("`{name}` = {}; allowed: {}", shown(&value), fields.allowed(name)));
        }
    }
    ResponseFields { server: fields.truth(SERVER_ENABLED.name), set }
}

fn is_text(value: &str) -> bool {
    value.trim() == value && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

fn are_digits(value: &str) -> bool {
    (1..=10).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// RFC 6797, section 6.1, without extensions.
fn is_transport_security(value: &str) -> bool {
    let mut directives = value.split(';').map(str::trim);
    let age = directives.next().and_then(|first| {
        let (name, age) = first.split_at_checked("max-age=".len())?;
        name.eq_ignore_ascii_case("max-age=").then_some(age)
    });
    age.is_some_and(are_digits)
        && directives
            .all(|word| ["includeSubDomains", "preload"].iter().any(|known| word.eq_ignore_ascii_case(known)))
}

fn is_origin(value: &str) -> bool {
    let host = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    let is_host = |host: &str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
    };
    matches!(value, "*" | "null") || host.is_some_and(is_host)
}

fn are_names(value: &str) -> bool {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_token = |name: &str| !name.is_empty() && name.bytes().all(is_token_byte);
    value.split(',').map(str::trim).all(is_token)
}

fn is_frame_option(value: &str) -> bool {
    let word = |known: &str| value.eq_ignore_ascii_case(known);
    let from = value.split_once(' ').filter(|(word, _)| word.eq_ignore_ascii_case("ALLOW-FROM"));
    word("DENY")
        || word("SAMEORIGIN")
        || from.is_some_and(|(_, url)| is_origin(url.trim_end_matches('/')) && url != "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_browsers_heed_are_taken() {
        for value in
            ["max-age=0", "max-age=31536000; includeSubDomains; preload", "MAX-AGE=5;includesubdomains"]
        {
            assert!(is_transport_security(value), "{value}");
        }
        for value in ["", "includeSubDomains", "max-age=", "max-age=1y", "max-age=5; other", "max-age=5;"] {
            assert!(!is_transport_security(value), "{value}");
        }
        for value in ["*", "null", "https://example.com", "http://[::1]:8080"] {
            assert!(is_origin(value), "{value}");
        }
        for value in ["example.com", "https://", "https://a/b", "https://a https://b", "https://a,https://b"]
        {
            assert!(!is_origin(value), "{value}");
        }
        assert!(
            are_names("*") && are_names("GET, POST,TRACE") && !are_names("GET POST") && !are_names("a,,b")
        );
        for value in
            ["DENY", "SAMEORIGIN", "ALLOW-FROM https://example.com", "ALLOW-FROM https://example.com/"]
        {
            assert!(is_frame_option(value), "{value}");
        }
        assert!(
            !is_frame_option("ALLOW-FROM") && !is_frame_option("ALLOW-FROM *") && !is_frame_option("NONE")
        );
        assert!(is_text("default-src 'self'") && !is_text(" a") && !is_text("a\tb") && !is_text("caf\u{e9}"));
        assert!(are_digits("86400") && !are_digits("") && !are_digits("-1") && !are_digits("12345678901"));
    }
}
