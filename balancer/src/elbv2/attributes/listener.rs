//! Attributes of listeners (ALB: HTTP header modification).

use super::{Allowed, AttributeRule, attribute};

/// Longest value of a header that responses get.
const LONGEST: usize = 1024;

/// What begins so is of HTTPS listeners alone.
pub(in crate::elbv2) const OF_HTTPS: &str = "routing.http.request.x_amzn_";

/// Those of all listeners.
pub(in crate::elbv2) static RULES: &[AttributeRule] = &[
    field(
        "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name",
        "X-Amzn-Mtls-Clientcert-Serial-Number",
    ),
    field("routing.http.request.x_amzn_mtls_clientcert_issuer.header_name", "X-Amzn-Mtls-Clientcert-Issuer"),
    field(
        "routing.http.request.x_amzn_mtls_clientcert_subject.header_name",
        "X-Amzn-Mtls-Clientcert-Subject",
    ),
    field(
        "routing.http.request.x_amzn_mtls_clientcert_validity.header_name",
        "X-Amzn-Mtls-Clientcert-Validity",
    ),
    field("routing.http.request.x_amzn_mtls_clientcert_leaf.header_name", "X-Amzn-Mtls-Clientcert-Leaf"),
    field("routing.http.request.x_amzn_mtls_clientcert.header_name", "X-Amzn-Mtls-Clientcert"),
    field("routing.http.request.x_amzn_tls_version.header_name", "X-Amzn-Tls-Version"),
    field("routing.http.request.x_amzn_tls_cipher_suite.header_name", "X-Amzn-Tls-Cipher-Suite"),
    attribute("routing.http.response.server.enabled", "true", Allowed::Truth),
    response("routing.http.response.strict_transport_security.header_value"),
    response("routing.http.response.access_control_allow_origin.header_value"),
    response("routing.http.response.access_control_allow_methods.header_value"),
    response("routing.http.response.access_control_allow_headers.header_value"),
    response("routing.http.response.access_control_allow_credentials.header_value"),
    response("routing.http.response.access_control_expose_headers.header_value"),
    response("routing.http.response.access_control_max_age.header_value"),
    response("routing.http.response.content_security_policy.header_value"),
    response("routing.http.response.x_content_type_options.header_value"),
    response("routing.http.response.x_frame_options.header_value"),
];

const fn field(key: &'static str, default: &'static str) -> AttributeRule {
    attribute(key, default, Allowed::FieldName)
}

const fn response(key: &'static str) -> AttributeRule {
    attribute(key, "", Allowed::Text(LONGEST))
}
