//! `certificate` blocks: what listeners show their clients. There is no ACM here: a certificate is two files.

use std::{path::Path, sync::Arc};

use super::{
    fields::{BlockContext, BlockFields},
    names::{ARN, NAME, Named, Names},
    schema::{Attribute, AttributeKind, Table},
    value::shown,
};
use crate::{
    model::{Certificate, WrittenAt},
    tls,
};

/// Most certificates.
pub(super) const MAX_CERTIFICATES: usize = 1000;

const ARN_ALLOWED: &str =
    "\"arn:aws:acm:REGION:ACCOUNT:certificate/ID\" or \"arn:aws:iam::ACCOUNT:server-certificate/NAME\"";
/// Longest ARN.
const LONGEST_ARN: usize = 2048;

pub(super) static CERTIFICATE: Table = Table {
    name: "certificate",
    top: true,
    attributes: &[
        NAME,
        Attribute::new(
            ARN,
            AttributeKind::Text { allowed: ARN_ALLOWED, default: "none" },
            "What it is called in files of Terraform and through the ELBv2 API: listeners may name it by that.",
        ),
        Attribute::new(
            "certificate_file",
            AttributeKind::Text { allowed: "the path of a file in PEM form", default: "" },
            "The certificate, and after it those that lead from it to an authority. Needed. Read again on a reload.",
        ),
        Attribute::new(
            "private_key_file",
            AttributeKind::Text { allowed: "the path of a file in PEM form", default: "" },
            "Its private key, without a passphrase: RSA from 2048 bits on, ECDSA P-256 or P-384, or Ed25519. Needed.",
        ),
    ],
    blocks: &[],
};

/// Reads all certificates; nothing in the place of one that is a fault.
pub(super) fn build_all(context: &BlockContext<'_>, names: &Names<'_>) -> Vec<Option<Arc<Certificate>>> {
    names.entries.iter().map(|named| build(context, named)).collect()
}

/// The path of a file, which has to be given: an absolute one, or from the folder of the file that says so.
pub(super) fn file(fields: &BlockFields<'_>, name: &str) -> Option<String> {
    fields.require(name);
    let text = fields.text(name)?;
    if !text.is_empty() && !text.contains('\0') {
        return Some(fields.named_file(name, &text));
    }
    fields.fault_at(name, format!("`{name}` = {}; allowed: {}", shown(&text), fields.allowed(name)));
    None
}

/// The name that AWS would give it.
fn arn(fields: &BlockFields<'_>) -> Option<String> {
    let arn = fields.text(ARN)?;
    if is_arn(&arn) {
        return Some(arn);
    }
    fields.fault_at(ARN, format!("`{ARN}` = {}; allowed: {}", shown(&arn), fields.allowed(ARN)));
    None
}

fn is_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, service, _, _, resource] = parts.as_slice() else { return false };
    let (kind, id) = resource.split_once('/').unwrap_or_default();
    let is_certificate = matches!((*service, kind), ("acm", "certificate") | ("iam", "server-certificate"));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= LONGEST_ARN;
    partition.starts_with("aws") && is_certificate && !id.is_empty() && is_plain
}

fn build(context: &BlockContext<'_>, named: &Named<'_>) -> Option<Arc<Certificate>> {
    let fields = &named.fields;
    let arn = arn(fields);
    let (certificate, key) = (file(fields, "certificate_file"), file(fields, "private_key_file"));
    let (certificate, key) = (certificate?, key?);
    match tls::load(Path::new(&certificate), Path::new(&key)) {
        Ok(loaded) => Some(Arc::new(Certificate {
            name: named.name.clone(),
            arn,
            position: WrittenAt(context.faults.show(named.found.block.position)),
            certificate_file: certificate.clone().into(),
            private_key_file: key.clone().into(),
            key_is_public: loaded.key_is_public,
            chain: loaded.chain,
            key: Arc::new(loaded.key),
            facts: loaded.facts,
        })),
        Err(fault) => {
            let name = if fault.is_about(Path::new(&key)) { "private_key_file" } else { "certificate_file" };
            fields.fault_at(name, format!("{fault}; allowed: a certificate and its own key in PEM form"));
            None
        }
    }
}
