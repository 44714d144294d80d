//! What a target group says of TLS to its targets. Not on ALB: there any certificate will do, and nothing can be set.

use std::path::Path;

use rustls::pki_types::DnsName;

use super::{certificate::file, fields::BlockFields, value::shown};
use crate::{
    model::{Authorities, TargetTlsSettings},
    tls,
};

pub(super) const VERIFICATION: &str = "target_tls_verification";
pub(super) const CA_FILE: &str = "target_tls_ca_file";
pub(super) const SERVER_NAME: &str = "target_tls_server_name";

/// TLS to the targets of a group; none when they speak plain HTTP.
pub(super) fn build(fields: &BlockFields<'_>) -> Option<TargetTlsSettings> {
    let verifies = fields.choice(VERIFICATION) == "on";
    if fields.choice("protocol") != "HTTPS" {
        if fields.is_wrong("protocol") {
            return None;
        }
        let off = (VERIFICATION, verifies);
        let of_https = [off, (CA_FILE, true), (SERVER_NAME, true)];
        let given = of_https.into_iter().filter(|(name, wrong)| *wrong && fields.is_given(name));
        fields.fault_without_https(&given.map(|(name, _)| name).collect::<Vec<_>>());
        return None;
    }
    if !verifies && fields.is_given(CA_FILE) {
        let message = format!("`{CA_FILE}` has no meaning; allowed: `{VERIFICATION}` = \"on\" beside it");
        fields.fault_at(CA_FILE, message);
    }
    Some(TargetTlsSettings {
        server_name: server_name(fields),
        authorities: if verifies { authorities(fields) } else { None },
    })
}

fn authorities(fields: &BlockFields<'_>) -> Option<Authorities> {
    match tls::load_authorities(Path::new(&file(fields, CA_FILE)?)) {
        Ok(authorities) => Some(authorities),
        Err(fault) => {
            fields.fault_at(CA_FILE, format!("{fault}; allowed: certificates of authorities in PEM form"));
            None
        }
    }
}

fn server_name(fields: &BlockFields<'_>) -> Option<String> {
    let name = fields.text(SERVER_NAME)?;
    if DnsName::try_from(name.as_str()).is_ok() {
        return Some(name);
    }
    let message = format!("`{SERVER_NAME}` = {}; allowed: {}", shown(&name), fields.allowed(SERVER_NAME));
    fields.fault_at(SERVER_NAME, message);
    None
}
