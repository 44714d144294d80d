//! What clients did, by listener.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{metrics::MetricType, registry::Unit};

use super::{Families, traffic::Buckets};
use crate::telemetry::status::{ListenerStatus, Traffic};

type Labels<'a> = [(&'static str, &'a str); 2];

/// Several counters under one name: what the label is called that tells them apart, and which they are.
type Named = (&'static str, fn(&Traffic) -> &BTreeMap<String, u64>);

pub(super) fn write(families: &mut Families<'_>, listeners: &[ListenerStatus]) -> fmt::Result {
    let mut each = EachListener { families, listeners };
    each.connections()?;
    each.requests()?;
    each.http2()?;
    each.tls()?;
    each.bytes()
}

struct EachListener<'a, 'e> {
    families: &'a mut Families<'e>,
    listeners: &'a [ListenerStatus],
}

fn labels(listener: &ListenerStatus) -> Labels<'_> {
    [("load_balancer", &listener.load_balancer), ("listener", &listener.name)]
}

impl EachListener<'_, '_> {
    fn counter(&mut self, name: &str, help: &str, value: fn(&Traffic) -> u64) -> fmt::Result {
        let samples = self.listeners.iter().map(|listener| (labels(listener), value(&listener.traffic)));
        self.families.counters(name, help, samples)
    }

    fn counters(&mut self, name: &str, help: &str, (label, values): Named) -> fmt::Result {
        let samples = self.listeners.iter().flat_map(|listener| {
            let [balancer, name] = labels(listener);
            let counts = values(&listener.traffic).iter();
            counts.map(move |(key, count)| ([balancer, name, (label, key.as_str())], *count))
        });
        self.families.counters(name, help, samples)
    }

    fn byte_counter(&mut self, name: &str, help: &str, value: fn(&Traffic) -> u64) -> fmt::Result {
        let samples = self.listeners.iter().map(|listener| (labels(listener), value(&listener.traffic)));
        self.families.byte_counters(name, help, samples)
    }

    fn gauge(&mut self, name: &str, help: &str, value: fn(&Traffic) -> u64) -> fmt::Result {
        let samples = self.listeners.iter().map(|listener| (labels(listener), value(&listener.traffic)));
        self.families.gauges(name, help, samples)
    }

    fn connections(&mut self) -> fmt::Result {
        self.counter("balancer_connections_accepted", "Client connections accepted.", |traffic| {
            traffic.connections_accepted
        })?;
        self.gauge("balancer_connections_active", "Client connections open now.", |traffic| {
            traffic.connections_active
        })?;
        self.counter(
            "balancer_tunnels_opened",
            "Tunnels begun (an Upgrade answered with 101).",
            |traffic| traffic.tunnels_opened,
        )?;
        self.gauge("balancer_tunnels_active", "Tunnels open now.", |traffic| traffic.tunnels_active)
    }

    fn requests(&mut self) -> fmt::Result {
        self.counter("balancer_requests", "Requests whose head was read whole.", |traffic| traffic.requests)?;
        self.counters(
            "balancer_responses",
            "Answers of the balancer's own by status; 460 (the client went away) is recorded and never sent.",
            ("status", |traffic| &traffic.own_responses),
        )?;
        self.counters(
            "balancer_errors",
            "The same by cause, those alone that there were.",
            ("cause", |traffic| &traffic.errors),
        )?;
        self.counters(
            "balancer_desync_mitigation_non_compliant_requests",
            "Requests that are not compliant with RFC 7230, by classification.",
            ("classification", |traffic| &traffic.non_compliant_requests),
        )?;
        self.counter(
            "balancer_dropped_invalid_header_requests",
            "Requests that lost fields whose names have other characters than letters, digits and hyphens.",
            |traffic| traffic.dropped_invalid_header_requests,
        )?;
        self.counter(
            "balancer_forwarded_invalid_header_requests",
            "Requests with such fields, which they kept.",
            |traffic| traffic.forwarded_invalid_header_requests,
        )?;
        self.counter(
            "balancer_rule_evaluations",
            "Listener rules looked at; default actions are none.",
            |traffic| traffic.rule_evaluations,
        )?;
        self.counter("balancer_redirects", "Redirects answered.", |traffic| traffic.redirects)?;
        self.counters(
            "balancer_fixed_responses",
            "Fixed responses answered, by class of status.",
            ("class", |traffic| &traffic.fixed_responses),
        )?;
        self.counters(
            "balancer_group_stickiness_decisions",
            "Requests to actions with group stickiness, by what came of their cookies.",
            ("outcome", |traffic| &traffic.group_stickiness),
        )?;
        self.counter("balancer_grpc_requests", "Calls of gRPC.", |traffic| traffic.grpc_requests)?;
        self.counter("balancer_ipv6_requests", "Requests of clients at IPv6 addresses.", |traffic| {
            traffic.ipv6_requests
        })?;
        self.families.samples(
            "balancer_request_duration",
            "From the first byte of a request to the last of its answer; requests that became tunnels are left out.",
            Some(&Unit::Seconds),
            MetricType::Histogram,
            self.listeners.iter().map(|listener| (labels(listener), Buckets(&listener.request_duration))),
        )
    }

    fn http2(&mut self) -> fmt::Result {
        self.counter(
            "balancer_http2_connections_opened",
            "Client connections that began with HTTP/2.",
            |traffic| traffic.http2_connections_opened,
        )?;
        self.gauge(
            "balancer_http2_connections_active",
            "Client connections that speak HTTP/2 now.",
            |traffic| traffic.http2_connections_active,
        )?;
        self.counter(
            "balancer_http2_floods",
            "HTTP/2 connections ended for frames that make work and carry nothing.",
            |traffic| traffic.http2_floods,
        )?;
        self.counter("balancer_http2_streams_opened", "Requests begun over HTTP/2.", |traffic| {
            traffic.http2_streams_opened
        })?;
        self.gauge("balancer_http2_streams_active", "Requests over HTTP/2 under way now.", |traffic| {
            traffic.http2_streams_active
        })
    }

    fn tls(&mut self) -> fmt::Result {
        self.counter(
            "balancer_client_tls_handshakes",
            "TLS handshakes with clients that ended well.",
            |traffic| traffic.client_tls_handshakes,
        )?;
        self.counter(
            "balancer_client_tls_resumptions",
            "TLS handshakes with clients that resumed a session.",
            |traffic| traffic.client_tls_resumptions,
        )?;
        self.counter(
            "balancer_client_tls_negotiation_errors",
            "TLS handshakes with clients that failed, plain HTTP to an HTTPS listener included.",
            |traffic| traffic.client_tls_negotiation_errors,
        )?;
        self.counters(
            "balancer_client_certificate_refusals",
            "TLS handshakes with clients that failed for the client's certificate, by reason.",
            ("reason", |traffic| &traffic.client_certificate_refusals),
        )
    }

    fn bytes(&mut self) -> fmt::Result {
        self.byte_counter("balancer_received", "Bytes read from clients.", |traffic| traffic.bytes_received)?;
        self.byte_counter("balancer_sent", "Bytes written to clients.", |traffic| traffic.bytes_sent)?;
        self.byte_counter(
            "balancer_ipv6_processed",
            "Bytes from and to clients at IPv6 addresses.",
            |traffic| traffic.ipv6_bytes,
        )
    }
}
