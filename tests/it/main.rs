//! End-to-end tests over real sockets and real servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::needless_pass_by_value,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod access_log;
mod access_log_files;
mod actions;
mod application_lines;
mod application_session_extras;
mod applications;
mod bad_requests;
mod behind_haproxy;
mod bench;
mod bodies;
mod bulk;
mod byte_counts;
mod canary;
mod causes;
mod check_as_run;
mod client_faults;
mod clients;
mod configuration;
mod connection_authentication;
mod control_api;
mod cookies;
mod counted_failures;
mod dashboard;
mod demo;
mod desync;
mod discovery;
mod doctor;
mod documents;
mod draining;
mod etcd;
mod failover;
mod grpc;
mod harness;
mod header_sessions;
mod headers;
mod health_check_log;
mod host_names;
mod http2;
mod http2_broken_bodies;
mod http2_conformance;
mod http2_floods;
mod http2_memory;
mod http2_neighbours;
mod http2_request_targets;
mod http2_target_bounds;
mod http2_target_causes;
mod http2_targets;
mod http2_websockets;
mod https_targets;
mod idle;
mod insight;
mod interim_responses;
mod keys;
mod late_targets;
mod listener_changes;
mod lost_targets;
mod many_dead_targets;
mod mcp;
mod memory;
mod monitoring;
mod moving_listeners;
mod mutual_tls;
mod nodes;
mod one_owner;
mod panics;
mod parked;
mod parked_http2;
mod pinned_maps;
mod planted_links;
mod preflight;
mod privileges;
mod reload;
mod removed_listeners;
mod request_corpus;
mod response_headers;
mod rules;
mod service;
mod service_restart;
mod session_counts;
mod session_flood;
mod sessions;
mod shared_sessions;
mod shop;
mod special_files;
mod start_memory;
mod startup;
mod stickiness_extras;
mod stopping;
mod succession;
mod succession_failures;
mod succession_load;
mod succession_signals;
mod target_faults;
mod target_responses;
mod targets;
mod telemetry;
mod tls;
mod tls_headers;
mod top;
mod truncated_tables;
mod tunnels;
mod unread_bodies;
mod upgrades;
mod upgrading_clients;
mod websockets;
mod weights;
mod worker_choice;
