use serde_json::json;

use super::*;
use crate::model::TargetAddress;

fn slice(name: &str, endpoints: &Value) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name, "namespace": "shop", "resourceVersion": "17",
                     "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": endpoints,
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}],
    })
}

fn endpoint(address: &str, ready: Option<bool>, serving: Option<bool>, terminating: Option<bool>) -> Value {
    json!({"addresses": [address], "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
           "nodeName": "one", "targetRef": {"kind": "Pod", "name": "web-1"}})
}

fn known(items: &[Value], port: Option<&str>) -> Slices {
    let mut slices = Slices::new(port.map(str::to_owned));
    let list = json!({"kind": "EndpointSliceList", "metadata": {"resourceVersion": "100"}, "items": items});
    assert_eq!(slices.take_page(list.to_string().as_bytes()).unwrap(), None);
    assert!(slices.is_known());
    slices
}

fn event(slices: &mut Slices, kind: &str, object: &Value) -> Result<Happening, SourceFault> {
    slices.take_event(json!({"type": kind, "object": object}).to_string().as_bytes())
}

/// Port and address of each, and whether it is about to go.
fn listed(slices: &Slices) -> Vec<(String, bool)> {
    let each = |target: FoundTarget| match target.spec.address {
        TargetAddress::Ip(ip) => (format!("{ip} {}", target.spec.port), target.share.leaving),
        other => panic!("{other:?}"),
    };
    slices.listing().unwrap().targets.into_iter().map(each).collect()
}

#[test]
fn conditions_say_who_is_a_target() {
    let all = known(
        &[slice(
            "web-a",
            &json!([
                endpoint("10.0.0.1", Some(true), Some(true), Some(false)),
                endpoint("10.0.0.2", None, None, None),
                endpoint("10.0.0.3", Some(false), Some(true), Some(true)),
                endpoint("10.0.0.4", Some(false), Some(false), Some(true)),
                endpoint("10.0.0.5", Some(false), None, None),
                {"addresses": ["10.0.0.6"]},
            ]),
        )],
        None,
    );
    let expected = [("10.0.0.1", false), ("10.0.0.2", false), ("10.0.0.3", true), ("10.0.0.6", false)];
    assert_eq!(listed(&all), expected.map(|(address, leaving)| (format!("{address} 8080"), leaving)));
}

#[test]
fn events_change_slices_and_bookmarks_only_where_to_go_on() {
    let one = |address| json!([endpoint(address, Some(true), None, None)]);
    let mut slices = known(&[slice("web-a", &one("10.0.0.1"))], None);
    assert_eq!(slices.version(), "100");
    assert_eq!(event(&mut slices, "ADDED", &slice("web-b", &one("10.0.0.2"))).unwrap(), Happening::Changed);
    assert_eq!(slices.version(), "17");
    assert_eq!(event(&mut slices, "ADDED", &slice("web-b", &one("10.0.0.2"))).unwrap(), Happening::Nothing);
    assert_eq!(
        event(&mut slices, "MODIFIED", &slice("web-a", &one("10.0.0.3"))).unwrap(),
        Happening::Changed
    );
    assert_eq!(listed(&slices).len(), 2);
    let bookmark = json!({"kind": "EndpointSlice", "metadata": {"resourceVersion": "200"}});
    assert_eq!(event(&mut slices, "BOOKMARK", &bookmark).unwrap(), Happening::Nothing);
    assert_eq!(slices.version(), "200");
    assert_eq!(event(&mut slices, "DELETED", &slice("web-b", &json!(null))).unwrap(), Happening::Changed);
    assert_eq!(listed(&slices), [("10.0.0.3 8080".to_owned(), false)]);
    let gone = json!({"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410});
    assert_eq!(event(&mut slices, "ERROR", &gone).unwrap(), Happening::Gone);
    let broken = json!({"kind": "Status", "code": 500});
    assert_eq!(event(&mut slices, "ERROR", &broken).unwrap_err().why, "a watch ends with 500");
    for garbage in ["", "[]", "{\"type\": \"ADDED\"}", "{\"type\": \"ADDED\", \"object\": {}}", "\u{0}"] {
        slices.take_event(garbage.as_bytes()).unwrap_err();
    }
}

#[test]
fn pages_are_one_list() {
    let one = |address| json!([endpoint(address, Some(true), None, None)]);
    let mut slices = Slices::new(None);
    let page = |name, address, rest: Option<&str>| {
        json!({"metadata": {"resourceVersion": "5", "continue": rest}, "items": [slice(name, &one(address))]})
            .to_string()
    };
    let more = slices.take_page(page("a", "10.0.0.1", Some("x y")).as_bytes()).unwrap();
    assert_eq!((more.as_deref(), slices.is_known()), (Some("x y"), false));
    assert_eq!(slices.take_page(page("b", "10.0.0.2", Some("")).as_bytes()).unwrap(), None);
    assert!(slices.is_known());
    assert_eq!(listed(&slices).len(), 2);
}

#[test]
fn which_port_is_meant_has_to_be_clear() {
    let mut two = slice("web-a", &json!([endpoint("10.0.0.1", Some(true), None, None)]));
    two["ports"] =
        json!([{"name": "http", "port": 80}, {"name": "metrics", "port": 9090, "protocol": "TCP"}]);
    let fault = known(std::slice::from_ref(&two), None).listing().unwrap_err();
    assert!(fault.why.contains("http (80), metrics (9090)"), "{}", fault.why);
    for (wanted, port) in [("http", 80), ("9090", 9090), ("metrics", 9090)] {
        assert_eq!(listed(&known(std::slice::from_ref(&two), Some(wanted)))[0].0, format!("10.0.0.1 {port}"));
    }
    assert_eq!(known(&[two], Some("grpc")).listing().unwrap_err().cause, "port");
}

#[test]
fn addresses_that_are_none_are_left_out() {
    let mut names = slice("web-fqdn", &json!([endpoint("a.test", Some(true), None, None)]));
    names["addressType"] = json!("FQDN");
    let mut six = slice(
        "web-six",
        &json!([endpoint("fd00::1", Some(true), None, None), endpoint("?", None, None, None)]),
    );
    six["addressType"] = json!("IPv6");
    let listing = known(&[names, six], None).listing().unwrap();
    assert_eq!((listing.targets.len(), listing.left_out.len()), (1, 2), "{listing:?}");
}
