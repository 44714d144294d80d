//! The `balancer` block: settings of the process.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    thread,
    time::Duration,
};

use super::{
    fields::{BlockContext, BlockFields},
    own_places::OwnPlaces,
    raw::{RawBlock, RawExpression},
    schema::{Attribute, AttributeKind, Table},
    scope::TERRAFORM_VALUES,
    source::Position,
    value::{Value, shown},
};
use crate::model::{BalancerSettings, KernelAssist, LogFormat, LogLevel};

const MAX_WORKERS: usize = 256;
const MAX_ADMIN_HOSTS: usize = 64;
const DEFAULT_INSTANCE: &str = "default";
const DEFAULT_STATE_DIR: &str = "/var/lib/balancer";
const DEFAULT_RUNTIME_DIR: &str = "/run/balancer";
const DEFAULT_ADMIN: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 9900));

pub(super) static BALANCER: Table = Table {
    name: "balancer",
    top: false,
    attributes: &[
        Attribute::new(
            "instance",
            AttributeKind::Text { allowed: "1 to 32 of a-z, 0-9 and -", default: "\"default\"" },
            "Names what the balancer keeps in the kernel and in folders, so that several can live on one host. One process has it at a time, whatever user starts it; any user may take a free name, and a start that finds it taken names the process.",
        ),
        Attribute::new(
            "workers",
            AttributeKind::Whole { min: 1, max: MAX_WORKERS as u64, default: None },
            "Worker threads. By default one per core.",
        ),
        Attribute::new(
            "state_dir",
            AttributeKind::Text { allowed: "an absolute path", default: "\"/var/lib/balancer\"" },
            "Folder of the key file.",
        ),
        Attribute::new(
            "runtime_dir",
            AttributeKind::Text { allowed: "an absolute path", default: "\"/run/balancer\"" },
            "Folder of locks and, without the kernel side, of the shared tables.",
        ),
        Attribute::new(
            "kernel_assist",
            AttributeKind::Choice { allowed: &["auto", "required", "off"], default: "auto", later: &[] },
            "Whether the kernel side is used: where it can be had, or else not start, or never.",
        ),
        Attribute::new(
            "admin_address",
            AttributeKind::Text { allowed: "\"ADDRESS:PORT\" or \"off\"", default: "\"127.0.0.1:9900\"" },
            "Where the dashboard (/), /metrics, /status and /healthz are served. Port 0 takes any free one.",
        ),
        Attribute::new(
            "admin_hosts",
            AttributeKind::List {
                allowed: "up to 64 host names or addresses without a port, or \"*\" for any",
            },
            "Names by which the admin endpoint may be asked, besides localhost, loopback addresses and its own.",
        ),
        Attribute::new(
            "admin_token_file",
            AttributeKind::Text {
                allowed: "an absolute path",
                default: "none: nothing can be changed there",
            },
            "File of the token by which targets can be drained and sources denied over the admin endpoint: one line of 16 to 512 visible characters, readable by its owner alone.",
        ),
        Attribute::new(
            "user",
            AttributeKind::Text { allowed: "the name of a user", default: "none: stay who one is" },
            "The user to become once sockets are bound and the kernel side is loaded.",
        ),
        Attribute::new(
            "seccomp",
            AttributeKind::Choice { allowed: &["on", "off"], default: "off", later: &[] },
            "Whether system calls are taken away that a running balancer never makes: see SECURITY.md.",
        ),
        Attribute::new(
            "key_file",
            AttributeKind::Text { allowed: "an absolute path", default: "stickiness.key in `state_dir`" },
            "The secrets that stickiness cookies are signed with: 1 to 8 of 32 bytes each.",
        ),
        Attribute::new(
            "session_table_size",
            AttributeKind::Whole { min: 1024, max: 67_108_864, default: Some(1_048_576) },
            "How many application sessions the session table is sized for; one with a `max_lifetime` counts twice.",
        ),
        Attribute::new(
            "http2_buffer_limit",
            AttributeKind::Whole { min: 16, max: 65_536, default: Some(256) },
            "MiB that all connections of HTTP/2, of clients and to targets, may hold of bodies that somebody does not read as fast as they come. From half of it on windows stay small and clients are offered fewer requests at a time, from three quarters on those that hold some of it are told to go, and close to it requests are refused.",
        ),
        Attribute::new(
            "upgrade_drain",
            AttributeKind::Whole { min: 1, max: 86_400, default: Some(3600) },
            "Seconds that a process has to finish what it has once `balancer upgrade` has put another in its place.",
        ),
        Attribute::new(
            "log_format",
            AttributeKind::Choice { allowed: &["text", "json"], default: "text", later: &[] },
            "Form of the log on standard error.",
        ),
        Attribute::new(
            "log_level",
            AttributeKind::Choice {
                allowed: &["error", "warn", "info", "debug"],
                default: "info",
                later: &[],
            },
            "Least severity that is logged.",
        ),
        Attribute::new(
            TERRAFORM_VALUES,
            AttributeKind::Map {
                allowed: "a map of references, ARNs and ids, in quotes, to what they are here: texts, lists of texts, references to blocks",
            },
            "What Terraform knows and this host does not: certificates of ACM, ids of instances, outputs of modules. Not on ALB.",
        ),
    ],
    blocks: &[],
};

/// The settings and where the block is, for conflicts with listeners.
pub(super) struct Settings {
    pub(super) settings: BalancerSettings,
    pub(super) admin_position: Option<Position>,
}

/// Reads the block, which may be absent and must not be there twice.
pub(super) fn build(context: &BlockContext<'_>, blocks: &[&RawBlock]) -> Settings {
    let first = blocks.first().copied();
    let fields = BlockFields::open(context, &BALANCER, first);
    if let Some(first) = first {
        let message = format!(
            "a second `balancer` block; the first is at {}; allowed: one",
            context.faults.show(first.position)
        );
        for more in blocks.iter().skip(1) {
            context.faults.add(more.position, message.clone());
        }
        if let Some(second) = blocks.get(1) {
            // Its faults are told all the same.
            read(&BlockFields::open(context, &BALANCER, Some(second)));
        }
    }
    let admin_position = fields.value("admin_address").map(|(_, position)| position);
    let settings = read(&fields);
    check_places(&fields, &settings);
    Settings { settings, admin_position }
}

/// The keys lie where nothing is cleared.
fn check_places(fields: &BlockFields<'_>, settings: &BalancerSettings) {
    let own = OwnPlaces::of(settings);
    let (name, path) = match &settings.key_file {
        Some(path) => ("key_file", path),
        None => ("state_dir", &settings.state_dir),
    };
    if let Some(wrong) = own.wrong_for_keys(path) {
        // By default they are elsewhere: then it is the other one that was put there.
        let given = [name, "runtime_dir", "instance"].into_iter().find(|name| fields.is_given(name));
        fields.fault_at(given.unwrap_or(name), format!("`{name}` = {wrong}"));
    }
}

fn read(fields: &BlockFields<'_>) -> BalancerSettings {
    check_terraform_values(fields);
    BalancerSettings {
        instance: instance(fields),
        workers: fields
            .whole_if_given("workers")
            .and_then(|workers| usize::try_from(workers).ok())
            .unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS)),
        state_dir: path(fields, "state_dir").unwrap_or_else(|| DEFAULT_STATE_DIR.into()),
        runtime_dir: path(fields, "runtime_dir").unwrap_or_else(|| DEFAULT_RUNTIME_DIR.into()),
        kernel_assist: match fields.choice("kernel_assist") {
            "required" => KernelAssist::Required,
            "off" => KernelAssist::Off,
            _ => KernelAssist::Auto,
        },
        admin_address: admin_address(fields),
        admin_hosts: admin_hosts(fields),
        admin_token_file: path(fields, "admin_token_file"),
        user: user(fields),
        seccomp: fields.choice("seccomp") == "on",
        key_file: path(fields, "key_file"),
        session_table_size: u32::try_from(fields.whole("session_table_size")).unwrap_or(u32::MAX),
        http2_buffer_limit: fields.whole("http2_buffer_limit") << 20,
        upgrade_drain: Duration::from_secs(fields.whole("upgrade_drain")),
        log_format: match fields.choice("log_format") {
            "json" => LogFormat::Json,
            _ => LogFormat::Text,
        },
        log_level: match fields.choice("log_level") {
            "error" => LogLevel::Error,
            "warn" => LogLevel::Warn,
            "debug" => LogLevel::Debug,
            _ => LogLevel::Info,
        },
    }
}

/// They are looked up as they are written, so they have to be written here.
fn check_terraform_values(fields: &BlockFields<'_>) {
    let is_map = |expression: &RawExpression| match expression {
        RawExpression::Object(items) => items.iter().all(|(key, _)| matches!(key, RawExpression::Text(_))),
        _ => false,
    };
    if fields.is_given(TERRAFORM_VALUES) && !fields.raw(TERRAFORM_VALUES).is_some_and(is_map) {
        let allowed = fields.allowed(TERRAFORM_VALUES);
        fields.fault_at(TERRAFORM_VALUES, format!("`{TERRAFORM_VALUES}` is no map; allowed: {allowed}"));
    }
}

fn instance(fields: &BlockFields<'_>) -> String {
    let instance = fields.text("instance").unwrap_or_else(|| DEFAULT_INSTANCE.to_owned());
    let fits = (1..=32).contains(&instance.len())
        && instance.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    refuse_unless(fits, fields, "instance", &instance);
    instance
}

fn path(fields: &BlockFields<'_>, name: &str) -> Option<PathBuf> {
    let text = fields.text(name)?;
    refuse_unless(text.starts_with('/') && !text.contains('\0'), fields, name, &text);
    Some(text.into())
}

fn admin_address(fields: &BlockFields<'_>) -> Option<SocketAddr> {
    match fields.text("admin_address") {
        None => Some(DEFAULT_ADMIN),
        Some(off) if off == "off" => None,
        Some(text) => {
            let address = text.parse().ok();
            refuse_unless(address.is_some(), fields, "admin_address", &text);
            address
        }
    }
}

fn admin_hosts(fields: &BlockFields<'_>) -> Vec<String> {
    let items = match fields.value("admin_hosts") {
        // One name, or any.
        Some((Value::Text(host), position)) => vec![(Value::Text(host), position)],
        _ => fields.list("admin_hosts"),
    };
    let allowed = fields.allowed("admin_hosts");
    if items.len() > MAX_ADMIN_HOSTS {
        fields
            .fault_at("admin_hosts", format!("`admin_hosts` has {} names; allowed: {allowed}", items.len()));
    }
    items
        .into_iter()
        .filter_map(|(value, position)| {
            let host = value.as_text().map(|text| text.trim_matches(['[', ']']).to_ascii_lowercase());
            let host = host.map(|host| host.strip_suffix('.').unwrap_or(&host).to_owned());
            let is_host = |host: &String| {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
                let is_name = (1..=253).contains(&host.len()) && host.bytes().all(plain);
                is_name || host == "*" || host.parse::<IpAddr>().is_ok()
            };
            let host = host.filter(is_host);
            if host.is_none() {
                fields.fault_in(position, format!("`admin_hosts` has {value}; allowed: {allowed}"));
            }
            host
        })
        .collect()
}

fn user(fields: &BlockFields<'_>) -> Option<String> {
    let user = fields.text("user")?;
    let odd = |letter: char| letter.is_whitespace() || letter.is_control() || matches!(letter, ':' | '/');
    refuse_unless(
        (1..=32).contains(&user.len()) && !user.starts_with('-') && !user.contains(odd),
        fields,
        "user",
        &user,
    );
    Some(user)
}

fn refuse_unless(fits: bool, fields: &BlockFields<'_>, name: &str, text: &str) {
    if !fits {
        fields.fault_at(name, format!("`{name}` = {}; allowed: {}", shown(text), fields.allowed(name)));
    }
}
