//! Certificates of listeners: the default one, and those beside it.

use crate::elbv2::{
    arn::ArnKind,
    call::{OperationCall, shown},
    failure::ApiFailure,
    paging,
    params::Params,
    records::{CertificateRecord, ListenerRecord, Records},
    resource::{find, find_own},
    xml::Element,
};

/// Most certificates of a listener beside the default one (ALB: quotas).
pub(super) const MAX_MORE: usize = 25;

/// The ARN of a listener's default certificate.
pub(super) fn default_of(listener: &ListenerRecord) -> Option<&str> {
    listener.certificates.iter().find(|certificate| certificate.is_default).map(|found| found.arn.as_str())
}

/// Sets the default certificate, of which one is given.
///
/// # Errors
/// Several are given, or one that nothing names.
pub(super) fn set_default(
    call: &OperationCall<'_>,
    listener: &mut ListenerRecord,
    given: &[Params],
) -> Result<(), ApiFailure> {
    let [given] = given else {
        let message =
            "You must specify exactly one certificate, the default one; AddListenerCertificates adds others";
        return Err(ApiFailure::new("TooManyCertificates", message));
    };
    let arn = known(call, given)?;
    listener.certificates.retain(|certificate| !certificate.is_default);
    listener.certificates.insert(0, CertificateRecord { arn, is_default: true });
    Ok(())
}

/// The ARN of a certificate that the configuration has. CertificateNotFound would have clients ask again for minutes, and
/// none appears by itself.
fn known(call: &OperationCall<'_>, given: &Params) -> Result<String, ApiFailure> {
    let arn = given
        .text("CertificateArn")
        .ok_or_else(|| ApiFailure::validation("A certificate ARN must be specified"))?;
    if call.world.certificates.contains(arn) {
        return Ok(arn.to_owned());
    }
    let message = format!(
        "Certificate ARN '{}' is not valid: no certificate block of the configuration has it as its arn",
        shown(arn)
    );
    Err(ApiFailure::validation(message))
}

fn of_https(listener: &ListenerRecord) -> Result<(), ApiFailure> {
    if listener.protocol == "HTTPS" {
        return Ok(());
    }
    Err(ApiFailure::validation("Certificates can only be specified for HTTPS listeners"))
}

fn asked(call: &OperationCall<'_>) -> Result<Vec<Params>, ApiFailure> {
    let given = call.params.list("Certificates");
    if given.iter().any(|certificate| certificate.truth("IsDefault").is_some()) {
        let message = "IsDefault cannot be specified: the default certificate is changed by ModifyListener";
        return Err(ApiFailure::validation(message));
    }
    Ok(given)
}

/// `AddListenerCertificates`. One that is there already is passed over.
pub(super) fn add(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("ListenerArn", ArnKind::Listener)?;
    let given = asked(call)?;
    let listener = find_own::<ListenerRecord>(call, records, arn)?;
    of_https(listener)?;
    let mut added = Vec::new();
    for certificate in &given {
        let record = CertificateRecord { arn: known(call, certificate)?, is_default: false };
        if !listener.certificates.contains(&record) {
            listener.certificates.push(record.clone());
        }
        added.push(record);
    }
    if listener.certificates.iter().filter(|certificate| !certificate.is_default).count() > MAX_MORE {
        let message = format!("A listener can have up to {MAX_MORE} certificates beside the default one");
        return Err(ApiFailure::new("TooManyCertificates", message));
    }
    Ok(Element::new("AddListenerCertificatesResult").list("Certificates", added.iter().map(element)))
}

/// `RemoveListenerCertificates`. One that is not there is passed over.
pub(super) fn remove(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("ListenerArn", ArnKind::Listener)?;
    let given = asked(call)?;
    let listener = find_own::<ListenerRecord>(call, records, arn)?;
    of_https(listener)?;
    for certificate in &given {
        let gone = certificate.text("CertificateArn").unwrap_or_default();
        let is_more = |record: &CertificateRecord| record.arn == gone && !record.is_default;
        if default_of(listener) == Some(gone) && !listener.certificates.iter().any(is_more) {
            let message = format!("The default certificate '{}' cannot be removed", shown(gone));
            return Err(ApiFailure::new("OperationNotPermitted", message));
        }
        listener.certificates.retain(|record| !is_more(record));
    }
    Ok(Element::new("RemoveListenerCertificatesResult"))
}

/// `DescribeListenerCertificates`: the default one first, and once more where it is among the others.
pub(super) fn describe(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let listener = find::<ListenerRecord>(call, records, call.arn("ListenerArn", ArnKind::Listener)?)?;
    of_https(listener)?;
    let key = |record: &CertificateRecord| format!("{} {}", u8::from(!record.is_default), record.arn);
    let found = listener.certificates.iter().map(|record| (key(record), record)).collect();
    let page = paging::page(call, found)?;
    Ok(page.end(Element::new("DescribeListenerCertificatesResult"), "Certificates", element))
}

fn element(record: &CertificateRecord) -> Element {
    Element::new("member").text("CertificateArn", &record.arn).text("IsDefault", record.is_default)
}
