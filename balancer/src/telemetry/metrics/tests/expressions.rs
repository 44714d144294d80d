//! The expressions of the table of CloudWatch's metrics, evaluated over the metrics text of figures that are all different,
//! come to what CloudWatch means by these metrics.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{
    cloudwatch::{Export, METRICS},
    parse,
    promql::{Value, evaluate},
    render,
};

/// The figures that `figures_tests` counts, of two listeners of two load balancers, and of two groups that share a target, of
/// which the second has another one.
fn document() -> Json {
    let mut status: Json = serde_json::from_str(include_str!("../../figures_tests/status.json")).unwrap();
    let listeners = status["listeners"].as_array_mut().unwrap();
    let mut second = raised(&listeners[0], 1_000);
    (second["name"], second["load_balancer"]) = ("api".into(), "other".into());
    listeners.push(second);
    let groups = status["target_groups"].as_array_mut().unwrap();
    let mut targets = vec![groups[0]["targets"][0].clone()];
    targets.push(raised(&targets[0], 5_000));
    (targets[1]["port"], targets[1]["state"], targets[1]["weight"]) =
        (9002.into(), "healthy".into(), 1.0.into());
    let mut second = raised(&groups[0], 3_000);
    (second["name"], second["targets"], second["failing_open"]) =
        ("api".into(), targets.into(), false.into());
    groups.push(second);
    status
}

/// Every whole number of it is so much greater.
fn raised(value: &Json, by: u64) -> Json {
    match value {
        Json::Number(number) => number.as_u64().map_or_else(|| value.clone(), |number| (number + by).into()),
        Json::Array(values) => values.iter().map(|value| raised(value, by)).collect(),
        Json::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), raised(value, by))).collect()
        }
        _ => value.clone(),
    }
}

fn number(value: &Json) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn all(value: &Json) -> f64 {
    value.as_object().unwrap().values().map(number).sum()
}

/// Those of which the name begins so.
fn some(value: &Json, begin: &str) -> f64 {
    let entries = value.as_object().unwrap().iter();
    entries.filter(|(name, _)| name.starts_with(begin)).map(|(_, value)| number(value)).sum()
}

/// What a metric of load balancers is, by listener, and what there is besides.
type OfListener = (&'static str, fn(&Json) -> f64);
const OF_LISTENERS: &[OfListener] = &[
    ("ActiveConnectionCount", |listener| number(&listener["connections_active"])),
    ("NewConnectionCount", |listener| number(&listener["connections_accepted"])),
    ("ProcessedBytes", |listener| number(&listener["bytes_received"]) + number(&listener["bytes_sent"])),
    ("IPv6ProcessedBytes", |listener| number(&listener["ipv6_bytes"])),
    ("IPv6RequestCount", |listener| number(&listener["ipv6_requests"])),
    ("ClientTLSNegotiationErrorCount", |listener| number(&listener["client_tls_negotiation_errors"])),
    ("HTTPCode_ELB_3XX_Count", |listener| number(&listener["redirects"])),
    ("HTTPCode_ELB_4XX_Count", |listener| {
        some(&listener["own_responses"], "4") + number(&listener["fixed_responses"]["4xx"])
    }),
    ("HTTPCode_ELB_5XX_Count", |listener| {
        some(&listener["own_responses"], "5") + number(&listener["fixed_responses"]["5xx"])
    }),
    ("HTTPCode_ELB_500_Count", |listener| number(&listener["own_responses"]["500"])),
    ("HTTPCode_ELB_502_Count", |listener| number(&listener["own_responses"]["502"])),
    ("HTTPCode_ELB_503_Count", |listener| number(&listener["own_responses"]["503"])),
    ("HTTPCode_ELB_504_Count", |listener| number(&listener["own_responses"]["504"])),
    ("HTTP_Fixed_Response_Count", |listener| all(&listener["fixed_responses"])),
    ("HTTP_Redirect_Count", |listener| number(&listener["redirects"])),
    ("HTTP_Redirect_Url_Limit_Exceeded_Count", |listener| number(&listener["own_responses"]["507"])),
    ("DesyncMitigationMode_NonCompliant_Request_Count", |listener| all(&listener["non_compliant_requests"])),
    ("DroppedInvalidHeaderRequestCount", |listener| number(&listener["dropped_invalid_header_requests"])),
    ("ForwardedInvalidHeaderRequestCount", |listener| number(&listener["forwarded_invalid_header_requests"])),
    ("RuleEvaluations", |listener| number(&listener["rule_evaluations"])),
];

/// What a metric of target groups is, by group.
const OF_GROUPS: &[OfListener] = &[
    ("RequestCount", |group| number(&group["requests_with_target"])),
    ("HTTPCode_Target_2XX_Count", |group| number(&group["responses"]["2xx"])),
    ("HTTPCode_Target_3XX_Count", |group| number(&group["responses"]["3xx"])),
    ("HTTPCode_Target_4XX_Count", |group| number(&group["responses"]["4xx"])),
    ("HTTPCode_Target_5XX_Count", |group| number(&group["responses"]["5xx"])),
    ("TargetConnectionErrorCount", |group| number(&group["connection_errors"])),
    ("TargetTLSNegotiationErrorCount", |group| {
        group["targets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|target| number(&target["tls_negotiation_errors"]))
            .sum()
    }),
    ("HealthyHostCount", |group| hosts(group, "healthy")),
    ("UnHealthyHostCount", |group| hosts(group, "unhealthy")),
    ("AnomalousHostCount", |group| number(&group["anomalous_hosts"])),
    ("MitigatedHostCount", |group| number(&group["mitigated_hosts"])),
    ("HealthyStateRouting", |group| f64::from(!group["failing_open"].as_bool().unwrap())),
    ("UnhealthyStateRouting", |group| f64::from(group["failing_open"].as_bool().unwrap())),
    ("UnhealthyRoutingRequestCount", |group| number(&group["unhealthy_routing_requests"])),
    ("RequestCountPerTarget", |group| {
        number(&group["requests_with_target"]) / group["targets"].as_array().unwrap().len() as f64
    }),
    ("GrpcRequestCount", |group| number(&group["grpc_requests"])),
];

fn hosts(group: &Json, state: &str) -> f64 {
    group["targets"].as_array().unwrap().iter().filter(|target| target["state"] == state).count() as f64
}

fn value_of(name: &str, document: &Json) -> Vec<(BTreeMap<String, String>, f64)> {
    let export = METRICS.iter().find(|(metric, _)| *metric == name).unwrap().1;
    let Export::Expression(expression) = export else { panic!("{name} is nowhere") };
    let (_, samples) = parse(&render(&serde_json::from_value(document.clone()).unwrap()));
    match evaluate(expression, &samples) {
        Value::Vector(vector) => vector,
        Value::Scalar(value) => panic!("{name} is {value} whatever is counted"),
    }
}

/// One series without labels.
fn alone(value: f64) -> Vec<(BTreeMap<String, String>, f64)> {
    vec![(BTreeMap::new(), value)]
}

fn listeners(document: &Json, of: fn(&Json) -> f64) -> f64 {
    document["listeners"].as_array().unwrap().iter().map(of).sum()
}

#[test]
fn load_balancers_have_the_figures_of_their_listeners() {
    let document = document();
    let group = |index: usize| &document["target_groups"][index];
    // A connection to a target of two groups is one.
    let to_targets: f64 = group(1)["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| number(&target["connections"]["open"]))
        .sum();
    for (name, of) in OF_LISTENERS {
        let besides = match *name {
            "ActiveConnectionCount" => to_targets,
            "NewConnectionCount" => number(&document["totals"]["target_connects"]),
            _ => 0.0,
        };
        assert_eq!(value_of(name, &document), alone(listeners(&document, *of) + besides), "{name}");
    }
    let pauses = number(&document["totals"]["accept_pauses"]);
    assert_eq!(value_of("RejectedConnectionCount", &document), alone(pauses));
    let unbound = |group: &Json| {
        all(&group["stickiness"]["decisions"]) - number(&group["stickiness"]["decisions"]["pinned"])
    };
    for name in ["NonStickyRequestCount", "AppCookieNonStickinessCount"] {
        assert_eq!(value_of(name, &document), alone(unbound(group(0)) + unbound(group(1))), "{name}");
    }
}

#[test]
fn groups_have_their_own_figures() {
    let document = document();
    for group in document["target_groups"].as_array().unwrap() {
        let of_group = |name: &str| {
            let mut found = value_of(name, &document);
            found.retain(|(labels, _)| labels["target_group"] == *group["name"].as_str().unwrap());
            found
        };
        for (name, of) in OF_GROUPS {
            let found = of_group(name);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert_eq!(found[0].1, of(group), "{name} of {}", group["name"]);
        }
        // Of all buckets the last one holds all.
        let times = of_group("TargetResponseTime");
        let counts = group["response_time"]["counts"].as_array().unwrap();
        let last = times.iter().find(|(labels, _)| labels["le"] == "+Inf").unwrap();
        assert_eq!((times.len(), last.1), (counts.len(), counts.iter().map(number).sum()));
    }
}

#[test]
fn where_there_are_no_targets_load_balancers_have_their_figures_all_the_same() {
    let mut document = document();
    for group in document["target_groups"].as_array_mut().unwrap() {
        group["targets"] = Json::Array(Vec::new());
    }
    for (name, of) in OF_LISTENERS {
        let besides =
            if *name == "NewConnectionCount" { number(&document["totals"]["target_connects"]) } else { 0.0 };
        assert_eq!(value_of(name, &document), alone(listeners(&document, *of) + besides), "{name}");
    }
}

#[test]
fn every_expression_is_evaluated() {
    let mut proven: Vec<&str> = OF_LISTENERS.iter().chain(OF_GROUPS).map(|(name, _)| *name).collect();
    proven.extend([
        "RejectedConnectionCount",
        "NonStickyRequestCount",
        "AppCookieNonStickinessCount",
        "TargetResponseTime",
    ]);
    let expressions = METRICS.iter().filter(|(_, export)| matches!(export, Export::Expression(_)));
    let left: Vec<&str> = expressions.map(|(name, _)| *name).filter(|name| !proven.contains(name)).collect();
    assert_eq!(left, [""; 0]);
}
