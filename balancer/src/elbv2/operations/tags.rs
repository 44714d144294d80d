//! Tags of all resources.

use std::collections::BTreeMap;

use crate::elbv2::{
    arn::ArnKind,
    call::{OperationCall, shown},
    failure::ApiFailure,
    names,
    records::{ListenerRecord, LoadBalancerRecord, Records, RuleRecord, TargetGroupRecord, TrustStoreRecord},
    resource::{RecordKind, find, find_own},
    tagging,
    xml::Element,
};

/// Most resources in one call (API reference).
const MOST: usize = 20;

type Tags = BTreeMap<String, String>;

/// `AddTags`.
pub(super) fn add(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let given = tagging::given(call.params)?;
    for arn in asked(call)? {
        let tags = tags_mut(call, records, &arn)?;
        tags.extend(given.clone());
        tagging::within_limit(tags)?;
    }
    Ok(Element::new("AddTagsResult"))
}

/// `RemoveTags`. Keys that are not there are passed over.
pub(super) fn remove(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let keys = call.params.texts("TagKeys");
    for arn in asked(call)? {
        tags_mut(call, records, &arn)?.retain(|key, _| !keys.contains(key));
    }
    Ok(Element::new("RemoveTagsResult"))
}

/// `DescribeTags`.
pub(super) fn describe(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let mut described = Vec::new();
    for arn in asked(call)? {
        let tags = tagging::elements(tags_of(call, records, &arn)?);
        described.push(Element::new("member").text("ResourceArn", &arn).list("Tags", tags));
    }
    Ok(Element::new("DescribeTagsResult").list("TagDescriptions", described))
}

fn asked(call: &OperationCall<'_>) -> Result<Vec<String>, ApiFailure> {
    let arns = call.params.texts("ResourceArns");
    names::at_most("resources", MOST, arns.len())?;
    Ok(arns)
}

fn kind(arn: &str) -> Result<ArnKind, ApiFailure> {
    ArnKind::of(arn)
        .ok_or_else(|| ApiFailure::validation(format!("'{}' is not a valid resource ARN", shown(arn))))
}

fn tags_of<'r>(call: &OperationCall<'r>, records: &'r Records, arn: &str) -> Result<&'r Tags, ApiFailure> {
    Ok(match kind(arn)? {
        ArnKind::LoadBalancer => find::<LoadBalancerRecord>(call, records, arn)?.tags(),
        ArnKind::TargetGroup => find::<TargetGroupRecord>(call, records, arn)?.tags(),
        ArnKind::Listener => find::<ListenerRecord>(call, records, arn)?.tags(),
        ArnKind::Rule => find::<RuleRecord>(call, records, arn)?.tags(),
        ArnKind::TrustStore => find::<TrustStoreRecord>(call, records, arn)?.tags(),
    })
}

fn tags_mut<'r>(
    call: &OperationCall<'_>,
    records: &'r mut Records,
    arn: &str,
) -> Result<&'r mut Tags, ApiFailure> {
    Ok(match kind(arn)? {
        ArnKind::LoadBalancer => find_own::<LoadBalancerRecord>(call, records, arn)?.tags_mut(),
        ArnKind::TargetGroup => find_own::<TargetGroupRecord>(call, records, arn)?.tags_mut(),
        ArnKind::Listener => find_own::<ListenerRecord>(call, records, arn)?.tags_mut(),
        ArnKind::Rule => find_own::<RuleRecord>(call, records, arn)?.tags_mut(),
        ArnKind::TrustStore => find_own::<TrustStoreRecord>(call, records, arn)?.tags_mut(),
    })
}
