//! Revocation lists of trust stores.

use std::path::Path;

use crate::{
    elbv2::{
        arn::ArnKind,
        call::OperationCall,
        failure::ApiFailure,
        paging,
        params::Params,
        records::{Records, TrustStoreRecord},
        resource::{find, find_own},
        xml::Element,
    },
    tls,
};

use super::buckets;

/// Most revocation lists of a trust store (ALB: quotas).
pub(super) const MAX_LISTS: usize = 30;

/// `AddTrustStoreRevocations`.
pub(super) fn add(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TrustStoreArn", ArnKind::TrustStore)?;
    let contents = call.params.list("RevocationContents");
    if contents.is_empty() {
        return Err(ApiFailure::validation("Revocation contents must be specified"));
    }
    let store = find_own::<TrustStoreRecord>(call, records, arn)?;
    if store.revocations.len() + contents.len() > MAX_LISTS {
        let message = format!("A trust store can have up to {MAX_LISTS} revocation lists");
        return Err(ApiFailure::new("TooManyTrustStoreRevocationEntries", message));
    }
    let mut added = Vec::new();
    for content in &contents {
        let (path, entries) = list(call, store, content)?;
        let id = store.revocations.last_key_value().map_or(1, |(last, _)| last + 1);
        store.revocations.insert(id, path);
        store.revoked.insert(id, entries);
        added.push(element(store, id));
    }
    Ok(Element::new("AddTrustStoreRevocationsResult").list("TrustStoreRevocations", added))
}

fn list(
    call: &OperationCall<'_>,
    store: &TrustStoreRecord,
    content: &Params,
) -> Result<(String, u64), ApiFailure> {
    let text = |name: &str| content.text(name).unwrap_or_default();
    let object = buckets::read(
        call,
        "RevocationContentNotFound",
        text("S3Bucket"),
        text("S3Key"),
        content.text("S3ObjectVersion"),
    )?;
    let invalid = |why: String| ApiFailure::new("InvalidRevocationContent", why);
    let bundle = (call.world.read_file)(&store.ca_file).map_err(invalid)?;
    let authorities = tls::parse_authorities(&bundle, Path::new(&store.ca_file))
        .map_err(|fault| invalid(fault.to_string()))?;
    let lists = tls::parse_revocations(&object.text, Path::new(&object.path), &authorities)
        .map_err(|fault| invalid(fault.to_string()))?;
    Ok((object.path, tls::count_revoked(&lists)))
}

/// The ids that are asked for, each of which there has to be.
fn asked(call: &OperationCall<'_>, store: &TrustStoreRecord) -> Result<Vec<u64>, ApiFailure> {
    let ids = call.params.texts("RevocationIds");
    ids.iter().map(|id| known(store, id)).collect()
}

fn known(store: &TrustStoreRecord, id: &str) -> Result<u64, ApiFailure> {
    let number = id.parse().ok().filter(|id| store.revocations.contains_key(id));
    number.ok_or_else(|| {
        let id = crate::elbv2::call::shown(id);
        ApiFailure::new("RevocationIdNotFound", format!("Revocation ID '{id}' not found"))
    })
}

/// `RemoveTrustStoreRevocations`.
pub(super) fn remove(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TrustStoreArn", ArnKind::TrustStore)?;
    let store = find_own::<TrustStoreRecord>(call, records, arn)?;
    for id in asked(call, store)? {
        store.revocations.remove(&id);
        store.revoked.remove(&id);
    }
    Ok(Element::new("RemoveTrustStoreRevocationsResult"))
}

/// `DescribeTrustStoreRevocations`.
pub(super) fn describe(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TrustStoreArn", ArnKind::TrustStore)?;
    let store = find::<TrustStoreRecord>(call, records, arn)?;
    let ids = asked(call, store)?;
    let found = store.revocations.keys().filter(|id| ids.is_empty() || ids.contains(id));
    let page = paging::page(call, found.map(|id| (format!("{id:020}"), *id)).collect())?;
    let result = Element::new("DescribeTrustStoreRevocationsResult");
    Ok(page.end(result, "TrustStoreRevocations", |id| element(store, id)))
}

/// `GetTrustStoreRevocationContent`: where a list is.
pub(super) fn get_content(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TrustStoreArn", ArnKind::TrustStore)?;
    let store = find::<TrustStoreRecord>(call, records, arn)?;
    let id = known(store, call.params.text("RevocationId").unwrap_or_default())?;
    let path = store.revocations.get(&id).map_or("", String::as_str);
    Ok(Element::new("GetTrustStoreRevocationContentResult").text("Location", format!("file://{path}")))
}

fn element(store: &TrustStoreRecord, id: u64) -> Element {
    Element::new("member")
        .text("TrustStoreArn", &store.arn)
        .text("RevocationId", id)
        .text("RevocationType", "CRL")
        .text("NumberOfRevokedEntries", store.revoked.get(&id).copied().unwrap_or_default())
}
