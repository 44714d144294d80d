//! The `mutual_authentication` block of a listener, and the names of the fields by which its targets are told of its
//! clients' TLS.

use std::sync::Arc;

use super::{
    fields::{BlockContext, BlockFields},
    names::Names,
    schema::{Attribute, AttributeKind, Table},
    value::shown,
};
use crate::{
    model::{MutualAuthentication, TlsFact, TrustStore},
    wire::fields::{self, Kind as FieldKind},
};

/// Longest name of a field.
const LONGEST_NAME: usize = 64;

pub(super) static MUTUAL_AUTHENTICATION: Table = Table {
    name: "mutual_authentication",
    top: false,
    attributes: &[
        Attribute::new(
            "mode",
            AttributeKind::Choice { allowed: &["off", "passthrough", "verify"], default: "off", later: &[] },
            "Whether clients are asked for a certificate: not, or targets judge it, or it has to be in order. Needed.",
        ),
        Attribute::new(
            "trust_store_arn",
            AttributeKind::Reference { to: "trust_store", default: "" },
            "Who may have signed it. Needed with `verify`.",
        ),
        Attribute::new(
            "ignore_client_certificate_expiry",
            AttributeKind::Truth { default: false },
            "Whether a certificate will do that has expired. Only with `verify`.",
        ),
        Attribute::new(
            "advertise_trust_store_ca_names",
            AttributeKind::Choice { allowed: &["off", "on"], default: "off", later: &[] },
            "Whether clients are told the names of the authorities. Only with `verify`.",
        ),
    ],
    blocks: &[],
};

/// The trust stores there are.
pub(super) struct TrustStores<'n, 'a> {
    pub(super) names: &'n Names<'a>,
    pub(super) built: Vec<Option<Arc<TrustStore>>>,
}

/// What a listener asks of its clients. Outer nothing: a fault, which is noted.
pub(super) fn build(
    context: &BlockContext<'_>,
    listener: &BlockFields<'_>,
    stores: &TrustStores<'_, '_>,
) -> Option<Option<MutualAuthentication>> {
    let fields = listener.open_child(&MUTUAL_AUTHENTICATION);
    if listener.has_child(MUTUAL_AUTHENTICATION.name) {
        fields.require("mode");
    }
    let mode = fields.choice("mode");
    if fields.is_wrong("mode") || listener.is_wrong("protocol") {
        return None;
    }
    if mode != "off" && listener.choice("protocol") != "HTTPS" {
        // Where more is there for HTTPS, the mistake is the protocol, and told of once.
        if !listener.is_given("certificate_arn") {
            let message = format!("`mode` = \"{mode}\" is for HTTPS; allowed: \"off\", or an HTTPS listener");
            fields.fault_at("mode", message);
            return None;
        }
        return Some(None);
    }
    let given = |name: &str| {
        // Terraform writes these too where they ask for nothing.
        let text = fields.value(name).and_then(|(value, _)| value.as_text());
        fields.is_given(name) && !matches!(text.as_deref(), Some("" | "false" | "off"))
    };
    if mode != "verify" {
        for name in ["trust_store_arn", "ignore_client_certificate_expiry", "advertise_trust_store_ca_names"]
        {
            if given(name) {
                let message = format!("`{name}` is for `mode` = \"verify\"; allowed: nothing, leave it out");
                fields.fault_at(name, message);
            }
        }
        return Some((mode == "passthrough").then_some(MutualAuthentication::Passthrough));
    }
    fields.require("trust_store_arn");
    let (value, position) = fields.value("trust_store_arn")?;
    let trust_store = stores.built.get(stores.names.resolve(context, &value, position)?)?.clone()?;
    Some(Some(MutualAuthentication::Verify {
        trust_store,
        ignore_expiry: fields.truth("ignore_client_certificate_expiry"),
        advertise_names: fields.choice("advertise_trust_store_ca_names") == "on",
    }))
}

const NAME: &str = "1 to 64 letters, digits, - and _, no field that is treated in a way of its own";

const fn name(attribute: &'static str, default: &'static str, meaning: &'static str) -> Attribute {
    Attribute::new(attribute, AttributeKind::Text { allowed: NAME, default }, meaning)
}

/// The lines of the listener's table, by [`TlsFact::index`].
pub(super) const VERSION: Attribute = name(
    "routing_http_request_x_amzn_tls_version_header_name",
    "\"x-amzn-tls-version\"",
    "The field that tells targets the TLS version.",
);
pub(super) const CIPHER_SUITE: Attribute = name(
    "routing_http_request_x_amzn_tls_cipher_suite_header_name",
    "\"x-amzn-tls-cipher-suite\"",
    "The field that tells targets the cipher suite.",
);
pub(super) const SERIAL_NUMBER: Attribute = name(
    "routing_http_request_x_amzn_mtls_clientcert_serial_number_header_name",
    "\"X-Amzn-Mtls-Clientcert-Serial-Number\"",
    "The field that tells targets the serial number of a client's certificate.",
);
pub(super) const ISSUER: Attribute = name(
    "routing_http_request_x_amzn_mtls_clientcert_issuer_header_name",
    "\"X-Amzn-Mtls-Clientcert-Issuer\"",
    "The field that tells targets who has signed it.",
);
pub(super) const SUBJECT: Attribute = name(
    "routing_http_request_x_amzn_mtls_clientcert_subject_header_name",
    "\"X-Amzn-Mtls-Clientcert-Subject\"",
    "The field that tells targets whom it is for.",
);
pub(super) const VALIDITY: Attribute = name(
    "routing_http_request_x_amzn_mtls_clientcert_validity_header_name",
    "\"X-Amzn-Mtls-Clientcert-Validity\"",
    "The field that tells targets when it is valid.",
);
pub(super) const LEAF: Attribute = name(
    "routing_http_request_x_amzn_mtls_clientcert_leaf_header_name",
    "\"X-Amzn-Mtls-Clientcert-Leaf\"",
    "The field that gives targets the certificate.",
);
pub(super) const CHAIN: Attribute = name(
    "routing_http_request_x_amzn_mtls_clientcert_header_name",
    "\"X-Amzn-Mtls-Clientcert\"",
    "The field that gives targets the certificate and those shown with it (`passthrough`).",
);

/// The names of the fields, by [`TlsFact::index`]. No two are the same.
pub(super) fn field_names(fields: &BlockFields<'_>) -> [String; 9] {
    const ATTRIBUTES: [Attribute; 8] =
        [VERSION, CIPHER_SUITE, SERIAL_NUMBER, ISSUER, SUBJECT, VALIDITY, LEAF, CHAIN];
    // This one has no other name.
    let mut taken = vec![TlsFact::KeyExchange.default_name().to_owned()];
    let mut names = TlsFact::ALL.map(|fact| fact.default_name().to_owned());
    for (slot, attribute) in names.iter_mut().zip(&ATTRIBUTES) {
        if let Some(given) = fields.text(attribute.name).filter(|text| !text.is_empty()) {
            if is_name(&given) {
                *slot = given;
            } else {
                let message = format!("`{}` = {}; allowed: {NAME}", attribute.name, shown(&given));
                fields.fault_at(attribute.name, message);
            }
        }
        let folded = slot.to_ascii_lowercase().replace('_', "-");
        if taken.contains(&folded) {
            let message = format!("{} is the name of another field; allowed: names that differ", shown(slot));
            fields.fault_at(attribute.name, message);
        }
        taken.push(folded);
    }
    names
}

/// Whether a field in which targets are told of TLS may have this name.
#[must_use]
pub fn is_tls_field_name(text: &str) -> bool {
    is_name(text)
}

fn is_name(text: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(letters)
        && fields::kind(text.as_bytes()) == FieldKind::Other
        && !text.eq_ignore_ascii_case("cookie")
}
