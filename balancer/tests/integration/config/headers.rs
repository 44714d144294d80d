//! Attributes about header fields: what they come to, and what is no value of theirs.
use std::path::PathBuf;

use balancer::{config, model::Configuration};

fn listener(lines: &str) -> Result<Configuration, String> {
    let text = format!(
        "listener \"a\" {{\n{lines}\nport = 80\ndefault_action {{\ntype = \"forward\"\ntarget_group_arn = \"g\"\n}}\n}}\n\
         target_group \"g\" {{\n}}\n"
    );
    config::parse(&[(PathBuf::from("x.hcl"), text)]).map_err(|errors| errors.to_string())
}

#[test]
fn response_fields_are_read() {
    let fields = |lines: &str| listener(lines).unwrap().listeners[0].response_fields.clone();
    let none = fields("");
    assert!(none.server && none.set.is_empty());
    let some = fields(
        "routing_http_response_server_enabled = false\n\
         routing_http_response_x_frame_options_header_value = \"\"\n\
         routing_http_response_x_content_type_options_header_value = null\n\
         routing_http_response_access_control_max_age_header_value = 600\n\
         routing_http_response_access_control_allow_credentials_header_value = true\n\
         routing_http_response_strict_transport_security_header_value = \"max-age=60\"",
    );
    assert!(!some.server);
    let set = [
        ("Strict-Transport-Security", "max-age=60".to_owned()),
        ("Access-Control-Allow-Credentials", "true".to_owned()),
        ("Access-Control-Max-Age", "600".to_owned()),
    ];
    assert_eq!(some.set, set);
}

#[test]
fn faults_in_response_fields() {
    for (attribute, value, allowed) in [
        ("strict_transport_security_header_value", "\"includeSubDomains\"", "\"max-age=SECONDS\""),
        ("access_control_allow_origin_header_value", "\"example.com\"", "an origin"),
        ("access_control_allow_methods_header_value", "\"GET POST\"", "commas between"),
        ("access_control_allow_headers_header_value", "\"a:b\"", "commas between"),
        ("access_control_expose_headers_header_value", "\",\"", "commas between"),
        ("access_control_allow_credentials_header_value", "false", "\"true\""),
        ("access_control_max_age_header_value", "-1", "1 to 10 digits"),
        ("content_security_policy_header_value", "\"caf\u{e9}\"", "visible ASCII"),
        ("content_security_policy_header_value", "[1]", "visible ASCII"),
        ("x_content_type_options_header_value", "\"sniff\"", "\"nosniff\""),
        ("x_frame_options_header_value", "\"NONE\"", "\"SAMEORIGIN\""),
        ("server_enabled", "\"no\"", "true or false"),
    ] {
        let attribute = format!("routing_http_response_{attribute}");
        let errors = listener(&format!("{attribute} = {value}")).unwrap_err();
        let place = format!("x.hcl:2:{}: `{attribute}` = ", attribute.len() + 4);
        assert!(errors.starts_with(&place) && errors.lines().count() == 1, "{errors}");
        assert!(errors.split_once("; allowed: ").unwrap().1.contains(allowed), "{errors}");
    }
    let name = "routing_http_response_content_security_policy_header_value";
    let policy = |length| listener(&format!("{name} = \"{}\"", "a".repeat(length)));
    assert!(policy(1024).is_ok());
    let errors = policy(1025).unwrap_err();
    assert!(
        errors.contains(&format!("the `{name}` value is too long; the limit is '1024'; allowed: ")),
        "{errors}"
    );
}
