//! Mutual TLS of listeners: read and told (ALB: mutual authentication).

use crate::elbv2::{
    arn::ArnKind,
    call::{OperationCall, of_kind, shown},
    failure::ApiFailure,
    records::{ListenerRecord, MutualAuthenticationRecord, Records, TrustStoreRecord},
    resource::find,
    xml::Element,
};

/// Reads what is asked of clients of a listener whose protocol is as it will be.
///
/// # Errors
/// It cannot be so.
pub(super) fn read(
    call: &OperationCall<'_>,
    records: &Records,
    listener: &ListenerRecord,
) -> Result<Option<MutualAuthenticationRecord>, ApiFailure> {
    let given = call.params.part("MutualAuthentication");
    let mode = given.text("Mode").unwrap_or("off");
    if !["off", "passthrough", "verify"].contains(&mode) {
        let message = format!(
            "Mutual authentication mode '{}' must be one of '[off, passthrough, verify]'",
            shown(mode)
        );
        return Err(ApiFailure::validation(message));
    }
    if listener.protocol != "HTTPS" {
        return match mode {
            "off" => Ok(None),
            _ => {
                Err(ApiFailure::validation("Mutual authentication can only be specified for HTTPS listeners"))
            }
        };
    }
    if !given.list("ClientCertificateIdentityFilters").is_empty() {
        let message = "ClientCertificateIdentityFilters are not done here: let the target judge the certificate, of which \
                       it is told in headers";
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    let trust_store = given.text("TrustStoreArn");
    let ignores = given.truth("IgnoreClientCertificateExpiry");
    let advertises = given.text("AdvertiseTrustStoreCaNames");
    if mode != "verify" {
        let is_said = trust_store.is_some() || ignores == Some(true) || advertises == Some("on");
        if is_said {
            let message = "TrustStoreArn, IgnoreClientCertificateExpiry and AdvertiseTrustStoreCaNames can only be specified \
                           with the mutual authentication mode 'verify'";
            return Err(ApiFailure::validation(message));
        }
        let record =
            MutualAuthenticationRecord { mode: mode.to_owned(), ..MutualAuthenticationRecord::default() };
        return Ok((mode == "passthrough").then_some(record));
    }
    let arn = trust_store.ok_or_else(|| {
        ApiFailure::validation(
            "A trust store ARN must be specified with the mutual authentication mode 'verify'",
        )
    })?;
    of_kind(arn, ArnKind::TrustStore)?;
    find::<TrustStoreRecord>(call, records, arn)?;
    Ok(Some(MutualAuthenticationRecord {
        mode: mode.to_owned(),
        trust_store_arn: Some(arn.to_owned()),
        ignore_client_certificate_expiry: ignores,
        advertise_trust_store_ca_names: advertises.map(str::to_owned),
    }))
}

/// As it is told.
pub(super) fn element(record: &MutualAuthenticationRecord) -> Element {
    let element = Element::new("MutualAuthentication").text("Mode", &record.mode);
    if record.mode != "verify" {
        return element;
    }
    element
        .text_if("TrustStoreArn", record.trust_store_arn.as_ref())
        .text("IgnoreClientCertificateExpiry", record.ignore_client_certificate_expiry.unwrap_or_default())
        .text("TrustStoreAssociationStatus", "active")
        .text("AdvertiseTrustStoreCaNames", record.advertise_trust_store_ca_names.as_deref().unwrap_or("off"))
}
