//! Attributes of listeners (ALB: HTTP header modification).

use crate::{
    config,
    elbv2::{
        arn::ArnKind,
        attributes::{
            AttributeRule, given,
            listener::{OF_HTTPS, RULES},
            same_value, told, told_of, value,
        },
        call::OperationCall,
        failure::ApiFailure,
        records::{ListenerRecord, Records},
        resource::{find, find_own},
        xml::Element,
    },
};

/// What ends so is the value of a header of responses.
const OF_VALUES: &str = ".header_value";

/// Those of a listener that speaks so.
fn rules(protocol: &str) -> Vec<AttributeRule> {
    RULES.iter().filter(|rule| protocol == "HTTPS" || !rule.key().starts_with(OF_HTTPS)).copied().collect()
}

/// `DescribeListenerAttributes`.
pub(super) fn describe(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let listener = find::<ListenerRecord>(call, records, call.arn("ListenerArn", ArnKind::Listener)?)?;
    let told = told(&rules(&listener.protocol), &listener.attributes);
    Ok(Element::new("DescribeListenerAttributesResult").list("Attributes", told))
}

/// `ModifyListenerAttributes`.
pub(super) fn modify(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let arn = call.arn("ListenerArn", ArnKind::Listener)?;
    let given = given("Listener", RULES, call.params)?;
    let is_wrong = |(key, value): &&(String, String)| {
        key.ends_with(OF_VALUES) && !config::is_response_field(&key.replace('.', "_"), value)
    };
    if let Some((key, value)) = given.iter().find(is_wrong) {
        let message = format!("'{key}' value '{value}' is none that the header may have");
        return Err(ApiFailure::validation(message));
    }
    let listener = find_own::<ListenerRecord>(call, records, arn)?;
    if let Some((key, _)) =
        given.iter().find(|(key, _)| key.starts_with(OF_HTTPS) && listener.protocol != "HTTPS")
    {
        let message = format!("Listener attribute key '{key}' is only supported for HTTPS listeners");
        return Err(ApiFailure::new("InvalidConfigurationRequest", message));
    }
    listener.attributes.extend(given.iter().cloned());
    if let Some(key) = same_value(RULES, &listener.attributes, OF_HTTPS) {
        let name = value(RULES, &listener.attributes, key);
        let message = format!("'{key}' value '{name}' is the name of another header; they have to differ");
        return Err(ApiFailure::validation(message));
    }
    let told = told_of(&listener.attributes, given.iter().map(|(key, _)| key));
    Ok(Element::new("ModifyListenerAttributesResult").list("Attributes", told))
}
