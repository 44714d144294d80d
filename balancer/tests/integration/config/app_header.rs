//! Sessions by a header field of the application (`type = "app_header"`).

use balancer::model::StickinessKind;

use super::one_fault::{assert_one_fault, parse};

#[test]
fn fields_with_a_meaning_of_their_own_name_no_sessions() {
    for name in [
        "via",
        "Forwarded",
        "X-Forwarded-For",
        "Sec-WebSocket-Key",
        "X-Amzn-Trace-Id",
        "HTTP2-Settings",
        "content-type",
    ] {
        let text = format!(
            "target_group \"app\" {{\nstickiness {{\ntype = \"app_header\"\nheader_name = \"{name}\"\n}}\n}}\n"
        );
        assert_one_fault(&text, "4:15", &format!("`header_name` = \"{name}\" cannot name sessions"), "token");
    }
}

#[test]
fn a_field_of_the_application_in_place_of_its_cookie() {
    let group = |lines: &str| {
        let text = format!(
            "target_group \"app\" {{\n{lines}\nstickiness {{\ntype = \"app_header\"\nheader_name = \"Mcp-Session-Id\"\n}}\n}}\n"
        );
        parse(&text).expect("taken").target_groups[0].stickiness.clone().expect("on")
    };
    let sticky = group("");
    assert_eq!(sticky.kind, StickinessKind::ApplicationHeader { header_name: "Mcp-Session-Id".to_owned() });
    assert!(sticky.extras.keeps_draining, "nobody begins anew");
    assert!(group("deregistration_stickiness = \"keep\"").extras.keeps_draining);
    assert!(!group("deregistration_stickiness = \"move\"").extras.keeps_draining);
    let other = "target_group \"app\" {\nstickiness {\ntype = \"app_cookie\"\ncookie_name = \"SID\"\n}\n}\n";
    assert!(
        !parse(other).expect("taken").target_groups[0].stickiness.clone().expect("on").extras.keeps_draining
    );
}
