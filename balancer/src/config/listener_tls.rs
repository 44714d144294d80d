//! What a listener says of TLS, and the `listener_certificate` blocks that add to it.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use super::{
    blocks::FoundBlock,
    fields::{BlockContext, BlockFields},
    listener_table::LISTENER,
    mutual_authentication::{self, TrustStores},
    names::{Names, block_of},
    schema::{Attribute, AttributeKind, Table},
    suggest,
    value::{Value, shown, way_out_of_block},
};
use crate::{
    model::{AlpnPolicy, Certificate, ListenerTls},
    tls,
};

/// Most certificates of a listener beside the default one (ALB: quotas).
const MAX_MORE: usize = 25;

pub(super) static LISTENER_CERTIFICATE: Table = Table {
    name: "listener_certificate",
    top: true,
    attributes: &[
        Attribute::new(
            "listener_arn",
            AttributeKind::Reference { to: "listener", default: "" },
            "The HTTPS listener. Needed.",
        ),
        Attribute::new(
            "certificate_arn",
            AttributeKind::Reference { to: "certificate", default: "" },
            "A certificate for clients that ask for one of its names (SNI). Needed.",
        ),
    ],
    blocks: &[],
};

/// The certificates there are, and those of `listener_certificate` blocks by the label of their listener.
pub(super) struct Certificates<'n, 'a> {
    pub(super) names: &'n Names<'a>,
    pub(super) built: Vec<Option<Arc<Certificate>>>,
    pub(super) more: HashMap<String, Vec<Arc<Certificate>>>,
    pub(super) trust_stores: TrustStores<'n, 'a>,
}

impl<'n, 'a> Certificates<'n, 'a> {
    /// Reads the `listener_certificate` blocks. `listeners` are all that they may name.
    pub(super) fn collect(
        context: &BlockContext<'_>,
        names: &'n Names<'a>,
        built: Vec<Option<Arc<Certificate>>>,
        trust_stores: TrustStores<'n, 'a>,
        blocks: &[FoundBlock<'_>],
        listeners: &[FoundBlock<'_>],
    ) -> Self {
        let mut certificates = Self { names, built, more: HashMap::new(), trust_stores };
        for found in blocks {
            certificates.add(context, found, listeners);
        }
        certificates
    }

    fn add(&mut self, context: &BlockContext<'_>, found: &FoundBlock<'_>, listeners: &[FoundBlock<'_>]) {
        let fields = BlockFields::open(context, &LISTENER_CERTIFICATE, Some(found.block));
        fields.require("listener_arn");
        fields.require("certificate_arn");
        let certificate = self.resolve(context, &fields);
        let Some((value, position)) = fields.value("listener_arn") else { return };
        let label: Option<Cow<'_, str>> = match &value {
            Value::Text(label) => Some(label.as_str().into()),
            Value::Reference(path) => {
                let kinds = ["listener", "aws_lb_listener", "aws_alb_listener"];
                block_of(path).filter(|(kind, ..)| kinds.contains(kind)).map(|(_, label, _)| label)
            }
            _ => None,
        };
        let label = label.as_deref();
        let Some(listener) = listeners.iter().find(|listener| Some(listener.label) == label) else {
            if !context.faults.is_partial() {
                let hint =
                    suggest::hint(label.unwrap_or_default(), listeners.iter().map(|found| found.label));
                let is_of_aws = label.is_none() || label.is_some_and(|label| label.starts_with("arn:"));
                let is_elsewhere = is_of_aws && (value.is_foreign() || matches!(value, Value::Text(_)));
                let way_out = if is_elsewhere { way_out_of_block(&value) } else { "" };
                let allowed = fields.allowed("listener_arn");
                let message = format!("{value} is no listener{hint}{way_out}; allowed: {allowed}");
                context.faults.add(position, message);
            }
            return;
        };
        let is_https = BlockFields::open(context, &LISTENER, Some(listener.block));
        // Where it has one of its own, that is told at the listener.
        if is_https.choice("protocol") != "HTTPS" && !is_https.is_given("certificate_arn") {
            let message =
                format!("listener {} is not HTTPS; allowed: an HTTPS listener", shown(listener.label));
            context.faults.add(position, message);
        }
        let Some(certificate) = certificate else { return };
        let more = self.more.entry(listener.label.to_owned()).or_default();
        if more.len() == MAX_MORE {
            let message = format!(
                "too many certificates of listener {}; allowed: at most {MAX_MORE} beside the default one",
                shown(listener.label)
            );
            context.faults.add(position, message);
        }
        more.push(certificate);
    }

    fn resolve(&self, context: &BlockContext<'_>, fields: &BlockFields<'_>) -> Option<Arc<Certificate>> {
        let (value, position) = fields.value("certificate_arn")?;
        self.built.get(self.names.resolve(context, &value, position)?)?.clone()
    }

    /// TLS of a listener. Outer nothing: a fault, which is noted; inner nothing: plain HTTP.
    pub(super) fn of_listener(
        &self,
        context: &BlockContext<'_>,
        label: &str,
        fields: &BlockFields<'_>,
    ) -> Option<Option<ListenerTls>> {
        let mutual_authentication = mutual_authentication::build(context, fields, &self.trust_stores);
        let given = fields.text("ssl_policy").filter(|name| !name.is_empty());
        let alpn = fields.choice("alpn_policy");
        if fields.choice("protocol") != "HTTPS" {
            if fields.is_wrong("protocol") {
                return None;
            }
            let is_alpn = !matches!(alpn, "" | "None");
            let mut of_https = OF_HTTPS.map(|name| (name, says_https(fields, name))).to_vec();
            if of_https.iter().any(|(_, given)| *given) {
                of_https.push(("alpn_policy", is_alpn));
            } else if is_alpn {
                fields.fault_at("alpn_policy", "`alpn_policy` is for HTTPS; allowed: \"None\"");
            }
            of_https.retain(|(_, given)| *given);
            fields.fault_without_https(&of_https.iter().map(|(name, _)| *name).collect::<Vec<_>>());
            return Some(None);
        }
        fields.require("certificate_arn");
        let policy = tls::policy(given.as_deref().unwrap_or(tls::DEFAULT_POLICY));
        if policy.is_none() {
            let text = given.unwrap_or_default();
            let known: Vec<&str> = tls::POLICIES.iter().map(|policy| policy.name).collect();
            let hint = suggest::hint(&text, known.iter().copied());
            // The common beginning once: the message would not be whole otherwise.
            let short: Vec<&str> =
                known.iter().map(|name| name.trim_start_matches("ELBSecurityPolicy-")).collect();
            let message = format!(
                "`ssl_policy` = {}{hint}; allowed: ELBSecurityPolicy- and one of {}",
                shown(&text),
                short.join(", ")
            );
            fields.fault_at("ssl_policy", message);
        }
        let default_certificate = self.resolve(context, fields)?;
        let certificates = self.more.get(label).cloned().unwrap_or_default();
        if policy.is_some_and(|policy| policy.rfc9151) {
            let fits = |certificate: &&Arc<Certificate>| {
                certificate.facts.is_ecdsa && certificate.facts.key_bits == 384
            };
            if let Some(odd) = certificates.iter().chain([&default_certificate]).find(|one| !fits(one)) {
                let message = format!(
                    "`ssl_policy` keeps to RFC 9151, and the key of certificate {} does not; \
                     allowed: certificates with ECDSA keys on P-384, or another policy",
                    shown(&odd.name)
                );
                fields.fault_at("ssl_policy", message);
            }
        }
        Some(Some(ListenerTls {
            policy: policy?,
            alpn: alpn_policy(alpn),
            default_certificate,
            certificates,
            mutual_authentication: mutual_authentication?,
        }))
    }
}

/// What only an HTTPS listener has.
const OF_HTTPS: [&str; 2] = ["ssl_policy", "certificate_arn"];

/// Whether an attribute is given, and not as the nothing that modules write.
fn says_https(fields: &BlockFields<'_>, name: &str) -> bool {
    fields.value(name).is_some_and(|(value, _)| value.as_text().as_deref() != Some(""))
}

fn alpn_policy(word: &str) -> AlpnPolicy {
    match word {
        "None" => AlpnPolicy::None,
        "HTTP1Only" => AlpnPolicy::Http1Only,
        "HTTP2Only" => AlpnPolicy::Http2Only,
        "HTTP2Optional" => AlpnPolicy::Http2Optional,
        _ => AlpnPolicy::Http2Preferred,
    }
}
