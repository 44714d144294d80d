//! `trust_store` and `trust_store_revocation` blocks: whom clients' certificates may be from. There is no S3 here: what
//! Terraform's resources of these names leave in a bucket are files.

use std::{path::Path, sync::Arc};

use super::{
    blocks::FoundBlock,
    certificate::file,
    fields::{BlockContext, BlockFields},
    names::{NAME, Names},
    schema::{Attribute, AttributeKind, Table},
};
use crate::{
    model::{Authorities, RevocationList, TrustStore, WrittenAt},
    tls,
};

/// Most trust stores.
pub(super) const MAX_TRUST_STORES: usize = 100;
/// Most certificates of authorities in a trust store (ALB: quotas, CA certificates per trust store).
const MAX_AUTHORITIES: usize = 25;
/// Most revocation lists of a trust store (ALB: quotas, revocation lists per trust store).
const MAX_LISTS: usize = 30;

pub(super) static TRUST_STORE: Table = Table {
    name: "trust_store",
    top: true,
    attributes: &[
        NAME,
        Attribute::new(
            "ca_certificates_bundle_file",
            AttributeKind::Text { allowed: "the path of a file in PEM form", default: "" },
            "The certificates of authorities, 25 at most. Needed. Read again on a reload.",
        ),
    ],
    blocks: &[],
};

pub(super) static TRUST_STORE_REVOCATION: Table = Table {
    name: "trust_store_revocation",
    top: true,
    attributes: &[
        Attribute::new(
            "trust_store_arn",
            AttributeKind::Reference { to: "trust_store", default: "" },
            "The trust store whose authorities have taken certificates back. Needed.",
        ),
        Attribute::new(
            "revocations_file",
            AttributeKind::Text { allowed: "the path of a file in PEM form", default: "" },
            "Their revocation lists, 30 at most for a trust store. Needed. Read again on a reload.",
        ),
    ],
    blocks: &[],
};

/// Reads all trust stores; nothing in the place of one that is a fault.
pub(super) fn build_all(
    context: &BlockContext<'_>,
    names: &Names<'_>,
    revocations: &[FoundBlock<'_>],
) -> Vec<Option<Arc<TrustStore>>> {
    let mut stores: Vec<Option<TrustStore>> = names
        .entries
        .iter()
        .map(|named| {
            let attribute = "ca_certificates_bundle_file";
            let path = file(&named.fields, attribute)?;
            let loaded = tls::load_authorities(Path::new(&path))
                .map_err(|fault| format!("{fault}; allowed: certificates of authorities in PEM form"))
                .and_then(within_quotas);
            match loaded {
                Ok(authorities) => Some(TrustStore {
                    name: named.name.clone(),
                    position: WrittenAt(context.faults.show(named.found.block.position)),
                    authorities,
                    revocations: Vec::new(),
                }),
                Err(message) => {
                    named.fields.fault_at(attribute, message);
                    None
                }
            }
        })
        .collect();
    for found in revocations {
        let fields = BlockFields::open(context, &TRUST_STORE_REVOCATION, Some(found.block));
        fields.require("trust_store_arn");
        let path = file(&fields, "revocations_file");
        let Some((value, position)) = fields.value("trust_store_arn") else { continue };
        let store =
            names.resolve(context, &value, position).and_then(|index| stores.get_mut(index)?.as_mut());
        if let (Some(store), Some(path)) = (store, path) {
            store.revocations.extend(revoked(&fields, store, &path));
            if store.revocations.len() > MAX_LISTS {
                let message = format!(
                    "trust store {} comes to {} revocation lists; allowed: at most {MAX_LISTS}",
                    store.name,
                    store.revocations.len()
                );
                fields.fault_at("revocations_file", message);
                // Told once, whatever follows.
                store.revocations.clear();
            }
        }
    }
    stores.into_iter().map(|store| store.map(Arc::new)).collect()
}

/// Holds a trust store against ALB's quotas.
///
/// # Errors
/// What is wrong, and what is allowed.
fn within_quotas(authorities: Authorities) -> Result<Authorities, String> {
    let Authorities { file, certificates, .. } = &authorities;
    if certificates.len() > MAX_AUTHORITIES {
        return Err(format!(
            "{} holds {} CA certificates; allowed: at most {MAX_AUTHORITIES}",
            file.display(),
            certificates.len()
        ));
    }
    Ok(authorities)
}

fn revoked(fields: &BlockFields<'_>, store: &TrustStore, path: &str) -> Vec<RevocationList> {
    tls::load_revocations(Path::new(path), &store.authorities).unwrap_or_else(|fault| {
        let message = format!("{fault}; allowed: revocation lists of its authorities in PEM form");
        fields.fault_at("revocations_file", message);
        Vec::new()
    })
}
