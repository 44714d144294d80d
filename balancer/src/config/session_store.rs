//! The `session_store` block: where sessions are shared with other balancers. Must not know: how a store is spoken to.
//!
//! What stands before an `@` in a URL is a name and a password: no message shows a URL that has one.

use std::{path::Path, time::Duration};

use rustls::pki_types::ServerName;

use super::{
    fields::{BlockContext, BlockFields},
    raw::RawBlock,
    schema::{Attribute, AttributeKind, Table},
    value::shown,
};
use crate::{
    model::{SessionStoreSettings, StoreAccount, StoreHost, StoreMode, StorePassword, StoreTlsSettings},
    regular_file, tls,
};

const URL: &str = "url";
const MODE: &str = "mode";
const SERVICE: &str = "sentinel_service";
const USERNAME: &str = "username";
const PASSWORD: &str = "password_file";
const SENTINEL_USERNAME: &str = "sentinel_username";
const SENTINEL_PASSWORD: &str = "sentinel_password_file";
const AUTHORITIES: &str = "tls_ca_file";
const SERVER_NAME: &str = "tls_server_name";

/// Where Debian and its kin keep the authorities that a system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Most hosts of a URL.
const MAX_HOSTS: usize = 64;
/// Ports where none is given.
const SERVER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
/// Longest user name, name of a service and password.
const LONGEST_WORD: usize = 256;
const MAX_PASSWORD_FILE: u64 = 4096;

pub(super) static SESSION_STORE: Table = Table {
    name: "session_store",
    top: false,
    attributes: &[
        Attribute::new(
            URL,
            AttributeKind::Text {
                allowed: "\"redis://HOST:PORT\", or rediss:// for TLS; up to 64 hosts with commas between them where `mode` is not \"server\"; /NUMBER at the end for a database",
                default: "none: needed",
            },
            "Where the store is: Valkey, or Redis from 6.2 on. The port is 6379 where none is given, of sentinels 26379. Not with a password in it.",
        ),
        Attribute::new(
            MODE,
            AttributeKind::Choice {
                allowed: &["server", "sentinel", "cluster"],
                default: "server",
                later: &[],
            },
            "What stands at the hosts of `url`: one server, sentinels that know where the primary is, or some nodes of a cluster.",
        ),
        Attribute::new(
            SERVICE,
            AttributeKind::Text { allowed: "1 to 256 characters", default: "none" },
            "The name by which sentinels know the primary. Needed with `mode` = \"sentinel\", and only there.",
        ),
        Attribute::new(
            SENTINEL_USERNAME,
            AttributeKind::Text {
                allowed: "1 to 256 characters, `sentinel_password_file` beside it",
                default: "the sentinels' default user",
            },
            "The user (ACL) to ask sentinels as: they have users of their own.",
        ),
        Attribute::new(
            SENTINEL_PASSWORD,
            AttributeKind::Text { allowed: "the path of a file with one line", default: "none" },
            "The password of that user, or of sentinels with `requirepass`. Only with `mode` = \"sentinel\". Read again on a reload.",
        ),
        Attribute::new(
            USERNAME,
            AttributeKind::Text {
                allowed: "1 to 256 characters, `password_file` beside it",
                default: "the store's default user",
            },
            "The user (ACL) to speak as.",
        ),
        Attribute::new(
            PASSWORD,
            AttributeKind::Text { allowed: "the path of a file with one line", default: "none" },
            "The password of that user. Read again on a reload.",
        ),
        Attribute::new(
            AUTHORITIES,
            AttributeKind::Text {
                allowed: "the path of a file in PEM form",
                default: "\"/etc/ssl/certs/ca-certificates.crt\"",
            },
            "With rediss://: certificates of the authorities that the store's certificate has to be of.",
        ),
        Attribute::new(
            SERVER_NAME,
            AttributeKind::Text { allowed: "a host name or an address", default: "the host of `url`" },
            "With rediss://: what the store's certificate is held against. Not with `mode` = \"cluster\".",
        ),
        Attribute::new(
            "lookup_timeout",
            AttributeKind::Whole { min: 1, max: 1000, default: Some(20) },
            "Milliseconds that the store may take to say what it knows of a request's session, before the request is balanced like one without a session. Where threads of this host come to the answer late, it waits for 200 more at most.",
        ),
        Attribute::new(
            "health_check_leader",
            AttributeKind::Truth { default: false },
            "Whether one of the balancers that share the store checks the health of targets and the others go by what it finds, so that a target is not checked by each of them. On all of them, with one key file.",
        ),
    ],
    blocks: &[],
};

/// Reads the block, which must not be there twice; nothing where there is none.
pub(super) fn build(context: &BlockContext<'_>, blocks: &[&RawBlock]) -> Option<SessionStoreSettings> {
    let first = blocks.first()?;
    for more in blocks.iter().skip(1) {
        let first = context.faults.show(first.position);
        context.faults.add(
            more.position,
            format!("a second `session_store` block; the first is at {first}; allowed: one"),
        );
        read(&BlockFields::open(context, &SESSION_STORE, Some(more)));
    }
    Some(read(&BlockFields::open(context, &SESSION_STORE, Some(first))))
}

fn read(fields: &BlockFields<'_>) -> SessionStoreSettings {
    let mode = mode(fields);
    let StoreUrl { hosts, database, is_encrypted } = place(fields, &mode).unwrap_or_default();
    SessionStoreSettings {
        hosts,
        database,
        tls: encryption(fields, &mode, is_encrypted),
        username: word(fields, USERNAME),
        password: password(fields, USERNAME, PASSWORD),
        lookup_timeout: Duration::from_millis(fields.whole("lookup_timeout")),
        health_check_leader: fields.truth("health_check_leader"),
        mode,
    }
}

fn mode(fields: &BlockFields<'_>) -> StoreMode {
    let service = word(fields, SERVICE);
    match fields.choice(MODE) {
        "sentinel" => {
            fields.require(SERVICE);
            let username = word(fields, SENTINEL_USERNAME);
            let password = password(fields, SENTINEL_USERNAME, SENTINEL_PASSWORD);
            let account = password.map(|password| StoreAccount { username, password });
            StoreMode::Sentinel { service: service.unwrap_or_default(), account }
        }
        other => {
            for name in [SERVICE, SENTINEL_USERNAME, SENTINEL_PASSWORD] {
                if fields.is_given(name) && !fields.is_wrong(MODE) {
                    let message =
                        format!("`{name}` has no meaning; allowed: `{MODE}` = \"sentinel\" beside it");
                    fields.fault_at(name, message);
                }
            }
            if other == "cluster" { StoreMode::Cluster } else { StoreMode::Server }
        }
    }
}

/// What a URL says.
#[derive(Default)]
struct StoreUrl {
    hosts: Vec<StoreHost>,
    database: u16,
    is_encrypted: bool,
}

fn place(fields: &BlockFields<'_>, mode: &StoreMode) -> Option<StoreUrl> {
    fields.require(URL);
    let url = fields.text(URL)?;
    let port = if matches!(mode, StoreMode::Sentinel { .. }) { SENTINEL_PORT } else { SERVER_PORT };
    if url.contains('@') {
        let message = format!(
            "`{URL}` has a user or a password in it; allowed: `{USERNAME}` and `{PASSWORD}` beside it"
        );
        fields.fault_at(URL, message);
        return None;
    }
    let Some(place) = parse(&url, port) else {
        let message = format!("`{URL}` = {}; allowed: {}", shown(&url), fields.allowed(URL));
        fields.fault_at(URL, message);
        return None;
    };
    if *mode == StoreMode::Server && place.hosts.len() > 1 {
        let message = format!(
            "`{URL}` has {} hosts; allowed: one, or `{MODE}` = \"sentinel\" or \"cluster\" beside it",
            place.hosts.len()
        );
        fields.fault_at(URL, message);
    }
    if *mode == StoreMode::Cluster && place.database > 0 {
        let message = format!("`{URL}` names database {}; allowed: 0 in a cluster", place.database);
        fields.fault_at(URL, message);
    }
    Some(place)
}

fn parse(url: &str, default_port: u16) -> Option<StoreUrl> {
    let (scheme, rest) = url.split_once("://")?;
    let is_encrypted = match scheme {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        _ => return None,
    };
    let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
    let database = match database {
        "" => 0,
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => number.parse().ok()?,
        _ => return None,
    };
    let hosts = hosts.split(',').map(|host| parse_host(host, default_port)).collect::<Option<Vec<_>>>()?;
    (hosts.len() <= MAX_HOSTS).then_some(StoreUrl { hosts, database, is_encrypted })
}

fn parse_host(text: &str, default_port: u16) -> Option<StoreHost> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
            (host, port)
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None => default_port,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
        Some(_) => return None,
    };
    // Also addresses are names of servers.
    ServerName::try_from(host).ok()?;
    (port > 0).then(|| StoreHost { host: host.to_owned(), port })
}

fn encryption(fields: &BlockFields<'_>, mode: &StoreMode, is_encrypted: bool) -> Option<StoreTlsSettings> {
    if !is_encrypted {
        for name in [AUTHORITIES, SERVER_NAME].into_iter().filter(|name| fields.is_given(name)) {
            if !fields.is_wrong(URL) {
                fields.fault_at(name, format!("`{name}` has no meaning; allowed: rediss:// in `{URL}`"));
            }
        }
        return None;
    }
    if *mode == StoreMode::Cluster && fields.is_given(SERVER_NAME) {
        let message = format!("`{SERVER_NAME}` has no meaning; allowed: `{MODE}` other than \"cluster\"");
        fields.fault_at(SERVER_NAME, message);
    }
    let server_name = fields.text(SERVER_NAME);
    if let Some(name) = server_name.as_ref().filter(|name| ServerName::try_from(name.as_str()).is_err()) {
        let message = format!("`{SERVER_NAME}` = {}; allowed: {}", shown(name), fields.allowed(SERVER_NAME));
        fields.fault_at(SERVER_NAME, message);
    }
    let path = match fields.text(AUTHORITIES) {
        Some(path) => fields.named_file(AUTHORITIES, &path),
        None => SYSTEM_AUTHORITIES.to_owned(),
    };
    match tls::load_authorities(Path::new(&path)) {
        Ok(authorities) => Some(StoreTlsSettings { authorities, server_name }),
        Err(fault) => {
            let name = if fields.is_given(AUTHORITIES) { AUTHORITIES } else { URL };
            fields.fault_at(
                name,
                format!("{fault}; allowed: `{AUTHORITIES}` with certificates of authorities in PEM form"),
            );
            None
        }
    }
}

fn word(fields: &BlockFields<'_>, name: &str) -> Option<String> {
    let text = fields.text(name)?;
    let fits = (1..=LONGEST_WORD).contains(&text.len()) && !text.contains(char::is_control);
    if !fits {
        fields.fault_at(name, format!("`{name}` = {}; allowed: {}", shown(&text), fields.allowed(name)));
    }
    Some(text)
}

/// The password in the file that `name` names, of the user that `user` names.
fn password(fields: &BlockFields<'_>, user: &'static str, name: &'static str) -> Option<StorePassword> {
    if fields.is_given(user) && fields.is_unset(name) {
        let message = format!("`{user}` stands without `{name}`; allowed: both, or neither of them");
        fields.fault_at(user, message);
    }
    let path = fields.text(name)?;
    let path = fields.named_file(name, &path);
    let wrong = match regular_file::read(Path::new(&path), MAX_PASSWORD_FILE) {
        Err(fault) => fault.to_string(),
        Ok((bytes, _)) => match String::from_utf8(bytes) {
            Ok(text) => {
                let line = text.strip_suffix('\n').unwrap_or(&text);
                let line = line.strip_suffix('\r').unwrap_or(line);
                if (1..=LONGEST_WORD).contains(&line.len()) && !line.contains(char::is_control) {
                    return Some(StorePassword::new(line.to_owned()));
                }
                "has not one line of 1 to 256 characters".to_owned()
            }
            Err(_) => "is no text".to_owned(),
        },
    };
    fields.fault_at(name, format!("`{name}`: {path} {wrong}; allowed: {}", fields.allowed(name)));
    None
}
