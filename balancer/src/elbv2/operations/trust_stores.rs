//! Trust stores: whom clients' certificates may be from (ALB: mutual authentication). What AWS reads from S3 is read from
//! files.

use std::path::Path;

use crate::{
    elbv2::{
        arn::ArnKind,
        call::{OperationCall, shown},
        failure::ApiFailure,
        names, paging,
        records::{ListenerRecord, RecordOwner, Records, TrustStoreRecord},
        resource::{all, find, find_own},
        tagging,
        xml::Element,
    },
    tls,
};

use super::buckets::{self, BucketFile};

/// Most trust stores, and most certificates in one (ALB: quotas).
pub(super) const MAX_TRUST_STORES: usize = 100;
pub(super) const MAX_AUTHORITIES: usize = 25;

/// `CreateTrustStore`.
pub(super) fn create(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let name = call.params.text("Name").unwrap_or_default().to_owned();
    let tags = tagging::given(call.params)?;
    if let Some((_, other)) = all::<TrustStoreRecord>(call, records).find(|(_, other)| other.name == name) {
        let file = names::of_file(&other.owner);
        let message = format!("A trust store with the same name '{name}' exists{file}");
        return Err(ApiFailure::new("DuplicateTrustStoreName", message));
    }
    if all::<TrustStoreRecord>(call, records).count() >= MAX_TRUST_STORES {
        let message = format!("The maximum number of trust stores, {MAX_TRUST_STORES}, has been reached");
        return Err(ApiFailure::new("TooManyTrustStores", message));
    }
    let (ca_file, certificates) = bundle(call)?;
    let arn = call.arns().trust_store(&name, call.new_id("trust store", &name));
    let made = TrustStoreRecord {
        arn: arn.clone(),
        name,
        owner: RecordOwner::Api,
        ca_file,
        certificates,
        tags,
        ..TrustStoreRecord::default()
    };
    let element = element(&made);
    records.trust_stores.insert(arn, made);
    Ok(Element::new("CreateTrustStoreResult").list("TrustStores", [element]))
}

/// The path of the certificates that are asked for, and how many they are.
fn bundle(call: &OperationCall<'_>) -> Result<(String, u32), ApiFailure> {
    let text = |name: &str| call.params.text(name).unwrap_or_default();
    let version = call.params.text("CaCertificatesBundleS3ObjectVersion");
    let BucketFile { path, text } = buckets::read(
        call,
        "CaCertificatesBundleNotFound",
        text("CaCertificatesBundleS3Bucket"),
        text("CaCertificatesBundleS3Key"),
        version,
    )?;
    let invalid = |why: String| ApiFailure::new("InvalidCaCertificatesBundle", why);
    let authorities =
        tls::parse_authorities(&text, Path::new(&path)).map_err(|fault| invalid(fault.to_string()))?;
    let count = authorities.certificates.len();
    if count > MAX_AUTHORITIES {
        return Err(invalid(format!(
            "The certificates bundle has {count} certificates; a trust store can have up to {MAX_AUTHORITIES}"
        )));
    }
    Ok((path, u32::try_from(count).unwrap_or(u32::MAX)))
}

/// `ModifyTrustStore`: other certificates.
pub(super) fn modify(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TrustStoreArn", ArnKind::TrustStore)?;
    find_own::<TrustStoreRecord>(call, records, arn)?;
    let (ca_file, certificates) = bundle(call)?;
    let store = find_own::<TrustStoreRecord>(call, records, arn)?;
    store.ca_file = ca_file;
    store.certificates = certificates;
    Ok(Element::new("ModifyTrustStoreResult").list("TrustStores", [element(store)]))
}

/// `DescribeTrustStores`.
pub(super) fn describe(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arns = call.params.texts("TrustStoreArns");
    let asked_names = call.params.texts("Names");
    if !arns.is_empty() && !asked_names.is_empty() {
        return Err(ApiFailure::validation(
            "Trust store names and trust store ARNs cannot both be specified",
        ));
    }
    let words = "One or more trust stores not found";
    for arn in &arns {
        find::<TrustStoreRecord>(call, records, arn)
            .map_err(|failure| failure.of_several("TrustStoreNotFound", words))?;
    }
    let has_name =
        |name: &String| all::<TrustStoreRecord>(call, records).any(|(_, store)| store.name == *name);
    if !asked_names.iter().all(has_name) {
        return Err(ApiFailure::new("TrustStoreNotFound", words));
    }
    let is_asked = |store: &TrustStoreRecord| {
        (arns.is_empty() && asked_names.is_empty())
            || arns.contains(&store.arn)
            || asked_names.contains(&store.name)
    };
    let found = all::<TrustStoreRecord>(call, records).filter(|(_, store)| is_asked(store));
    let page = paging::page(call, found.map(|(arn, store)| (arn.clone(), store)).collect())?;
    Ok(page.end(Element::new("DescribeTrustStoresResult"), "TrustStores", element))
}

/// Listeners that ask for certificates of a trust store.
fn associations(call: &OperationCall<'_>, records: &Records, arn: &str) -> Vec<String> {
    let uses = |listener: &ListenerRecord| {
        listener
            .mutual_authentication
            .as_ref()
            .is_some_and(|mutual| mutual.trust_store_arn.as_deref() == Some(arn))
    };
    let found = all::<ListenerRecord>(call, records).filter(|(_, listener)| uses(listener));
    found.map(|(listener, _)| listener.clone()).collect()
}

/// `DeleteTrustStore`.
pub(super) fn delete(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TrustStoreArn", ArnKind::TrustStore)?;
    find_own::<TrustStoreRecord>(call, records, arn)?;
    if let Some(listener) = associations(call, records, arn).first() {
        let message = format!("Trust store '{arn}' is currently in use by listener '{listener}'");
        return Err(ApiFailure::new("TrustStoreInUse", message));
    }
    records.trust_stores.remove(arn);
    Ok(Element::new("DeleteTrustStoreResult"))
}

/// `DescribeTrustStoreAssociations`.
pub(super) fn describe_associations(
    call: &OperationCall<'_>,
    records: &mut Records,
) -> Result<Element, ApiFailure> {
    let arn = call.arn("TrustStoreArn", ArnKind::TrustStore)?;
    find::<TrustStoreRecord>(call, records, arn)?;
    let found = associations(call, records, arn).into_iter().map(|listener| (listener.clone(), listener));
    let page = paging::page(call, found.collect())?;
    let result = Element::new("DescribeTrustStoreAssociationsResult");
    Ok(page.end(result, "TrustStoreAssociations", |listener| {
        Element::new("member").text("ResourceArn", listener)
    }))
}

/// `DeleteSharedTrustStoreAssociation`: nothing is shared between accounts, for there is one.
pub(super) fn delete_shared(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TrustStoreArn", ArnKind::TrustStore)?;
    find::<TrustStoreRecord>(call, records, arn)?;
    let resource = call.params.text("ResourceArn").unwrap_or_default();
    if associations(call, records, arn).iter().any(|listener| listener == resource) {
        let message =
            "The association is of the same account: change the mutual authentication of the listener";
        return Err(ApiFailure::new("DeleteAssociationSameAccount", message));
    }
    let message = format!("Trust store '{arn}' is not associated with '{}'", shown(resource));
    Err(ApiFailure::new("AssociationNotFound", message))
}

/// `GetTrustStoreCaCertificatesBundle`: where the certificates are.
pub(super) fn get_bundle(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("TrustStoreArn", ArnKind::TrustStore)?;
    let store = find::<TrustStoreRecord>(call, records, arn)?;
    let location = format!("file://{}", store.ca_file);
    Ok(Element::new("GetTrustStoreCaCertificatesBundleResult").text("Location", location))
}

/// `GetResourcePolicy`: nothing is shared with other accounts, and has a policy for it.
pub(super) fn get_policy(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.params.text("ResourceArn").unwrap_or_default();
    let what = match find::<TrustStoreRecord>(call, records, arn) {
        Ok(_) => "has no resource policy",
        Err(failure) if failure.code == "TrustStoreNotFound" => "not found",
        Err(failure) => return Err(failure),
    };
    Err(ApiFailure::new("ResourceNotFound", format!("The resource '{}' {what}", shown(arn))))
}

fn element(store: &TrustStoreRecord) -> Element {
    Element::new("member")
        .text("Name", &store.name)
        .text("TrustStoreArn", &store.arn)
        .text("Status", "ACTIVE")
        .text("NumberOfCaCertificates", store.certificates)
        .text("TotalRevokedEntries", store.revoked.values().sum::<u64>())
}
