//! Where a target group learns of targets that are not listed: `targets_from` and its `target_discovery` block. Not on ALB.
//! Must not know: how a source is asked.

use std::{path::PathBuf, time::Duration};

use http::Uri;

use super::{
    fields::BlockFields,
    schema::{Attribute, AttributeKind, Table},
    target_address,
    value::shown,
};
use crate::etcd::Url;
use crate::model::{EtcdPlace, HttpPlace, KubernetesPlace, SourcePlace, TargetAddress, TargetSource};

pub(super) const TARGETS_FROM: &str = "targets_from";
pub(super) const ALLOWED: &str = "\"file:PATH\" of a .json, .yaml or .yml file, \"dns+srv:_http._tcp.NAME\", \"http://…\", \
                                  \"https://…\", \"etcd:/PREFIX/\", or \"kubernetes:NAMESPACE/SERVICE\" with \":PORT\" where there are several";
/// Longest label of Kubernetes, and longest name of a port, both of RFC 1123's letters.
const MAX_LABEL: usize = 63;
/// Longest text that keys of etcd may begin with, and most members of a cluster.
const MAX_PREFIX: usize = 512;
const MAX_SERVERS: usize = 20;

pub(super) static TARGET_DISCOVERY: Table = Table {
    name: "target_discovery",
    top: false,
    attributes: &[
        Attribute::new(
            "interval",
            AttributeKind::Whole { min: 1, max: 3600, default: Some(30) },
            "Seconds between two questions to a source that has to be asked. A file is looked at each second all the same.",
        ),
        Attribute::new(
            "timeout",
            AttributeKind::Whole { min: 1, max: 60, default: Some(5) },
            "Seconds that an answer of the source may take.",
        ),
        Attribute::new(
            "empty_is_error",
            AttributeKind::Truth { default: true },
            "Whether a source that has no targets at all is held to be mistaken, so that the last ones stay.",
        ),
        Attribute::new(
            "server",
            AttributeKind::Text {
                allowed: "\"https://HOST:PORT\" or \"http://HOST:PORT\"",
                default: "of the cluster",
            },
            "The API server of `kubernetes:`, by default that of the cluster that the balancer is a pod of, with the pod's own token; or the members of `etcd:`, separated by commas, which have to be said.",
        ),
        Attribute::new(
            "ca_file",
            AttributeKind::Text { allowed: "the path of a file in PEM form", default: "the system's" },
            "The authorities that the certificate of an HTTPS source is held against.",
        ),
        Attribute::new(
            "token_file",
            AttributeKind::Text { allowed: "the path of a file", default: "none" },
            "What is sent to an HTTP source as a bearer token. Read again for each question.",
        ),
        Attribute::new(
            "user",
            AttributeKind::Text { allowed: "the name of a user", default: "none" },
            "Who asks `etcd:`. With `password_file`.",
        ),
        Attribute::new(
            "password_file",
            AttributeKind::Text { allowed: "the path of a file", default: "none" },
            "The password of `user`. Read again when etcd has been away.",
        ),
        Attribute::new(
            "certificate_file",
            AttributeKind::Text { allowed: "the path of a file in PEM form", default: "none" },
            "What is shown to an `etcd:` that wants a certificate. With `private_key_file`.",
        ),
        Attribute::new(
            "private_key_file",
            AttributeKind::Text { allowed: "the path of a file in PEM form", default: "none" },
            "The key of `certificate_file`.",
        ),
    ],
    blocks: &[],
};

/// The source of a group whose `port` is this.
pub(super) fn build(group: &BlockFields<'_>, port: Option<u16>) -> Option<TargetSource> {
    let settings = group.open_child(&TARGET_DISCOVERY);
    let (interval, timeout) = (settings.whole("interval"), settings.whole("timeout"));
    let empty_is_error = settings.truth("empty_is_error");
    let Some(text) = group.text(TARGETS_FROM) else {
        if group.has_child(TARGET_DISCOVERY.name) && !group.is_written(TARGETS_FROM) {
            settings.fault(format!(
                "`target_discovery` stands without `{TARGETS_FROM}`; allowed: both, or neither of them"
            ));
        }
        return None;
    };
    let reader = SourceReader { group, settings: &settings };
    match reader.place(&text) {
        Ok(place) => Some(TargetSource {
            place,
            interval: Duration::from_secs(interval),
            timeout: Duration::from_secs(timeout),
            empty_is_error,
            port,
        }),
        Err(wrong) => {
            group.fault_at(
                TARGETS_FROM,
                format!("`{TARGETS_FROM}` = {}{wrong}; allowed: {ALLOWED}", shown(without_query(&text))),
            );
            None
        }
    }
}

/// A query may be a secret.
fn without_query(url: &str) -> &str {
    if url.starts_with("http") { url.split('?').next().unwrap_or_default() } else { url }
}

/// Reads the text of a source beside its settings.
struct SourceReader<'r, 'a> {
    group: &'r BlockFields<'a>,
    settings: &'r BlockFields<'a>,
}

impl SourceReader<'_, '_> {
    fn place(&self, text: &str) -> Result<SourcePlace, &'static str> {
        let (scheme, rest) = text.split_once(':').ok_or(" does not say of which kind it is")?;
        let place = match scheme {
            "file" => self.file(rest)?,
            "dns+srv" => SourcePlace::DnsService(service_name(rest)?),
            "http" | "https" => SourcePlace::Http(self.http(text)?),
            "kubernetes" => SourcePlace::Kubernetes(self.kubernetes(rest)?),
            "etcd" => SourcePlace::Etcd(self.etcd(rest)?),
            _ => return Err(" is of no kind that is known"),
        };
        let is_etcd = matches!(place, SourcePlace::Etcd(_));
        let is_asked = matches!(place, SourcePlace::Http(_) | SourcePlace::Kubernetes(_));
        for (name, is_meant) in [
            ("server", is_etcd || matches!(place, SourcePlace::Kubernetes(_))),
            ("ca_file", is_etcd || is_asked),
            ("token_file", is_asked),
            ("user", is_etcd),
            ("password_file", is_etcd),
            ("certificate_file", is_etcd),
            ("private_key_file", is_etcd),
        ] {
            if self.settings.is_given(name) && !is_meant {
                self.settings.fault_at(
                    name,
                    format!("`{name}` has no meaning for this source; allowed: nothing, leave it out"),
                );
            }
        }
        Ok(place)
    }

    fn file(&self, path: &str) -> Result<SourcePlace, &'static str> {
        // As a URL has it.
        let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
        let has_ending = [".json", ".yaml", ".yml"].iter().any(|ending| path.ends_with(ending));
        if path.is_empty() || path.contains('\0') {
            return Err(" names no file");
        }
        if !has_ending {
            return Err(" has an ending that does not say what it is written in");
        }
        Ok(SourcePlace::File(self.group.named_file(TARGETS_FROM, path).into()))
    }

    fn file_of(&self, name: &str) -> Option<PathBuf> {
        let path = self.settings.text(name).filter(|path| !path.is_empty())?;
        Some(self.settings.named_file(name, &path).into())
    }

    fn http(&self, url: &str) -> Result<HttpPlace, &'static str> {
        let uri: Uri = url.parse().map_err(|_| " is no URL")?;
        let authority = uri.authority().ok_or(" has no host")?;
        if authority.as_str().contains('@') {
            return Err(
                " has a password in it, which everybody sees; use `token_file` of `target_discovery`",
            );
        }
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(" is no URL of HTTP"),
        };
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_bare = authority.as_str().trim_end_matches(':') == authority.host();
        let port = match (authority.port(), uri.port_u16()) {
            (None, _) if is_bare => {
                if tls {
                    443
                } else {
                    80
                }
            }
            (Some(_), Some(port)) if port > 0 => port,
            _ => return Err(" has a port that is none"),
        };
        if target_address::parse(host).is_err() {
            return Err(" has a host that is neither an address nor a host name");
        }
        Ok(HttpPlace {
            tls,
            host: host.to_ascii_lowercase(),
            port,
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            ca_file: self.file_of("ca_file"),
            token_file: self.file_of("token_file"),
        })
    }

    fn etcd(&self, prefix: &str) -> Result<EtcdPlace, &'static str> {
        let is_prefix = prefix.starts_with('/') && prefix.ends_with('/') && prefix.len() > 2;
        if !is_prefix || prefix.len() > MAX_PREFIX || prefix.chars().any(char::is_control) {
            return Err(" names no keys that targets could be below");
        }
        let told = |name: &str, what: &str| self.settings.fault_at(name, format!("`{name}` {what}"));
        let text = self.settings.text("server").unwrap_or_default();
        let servers: Vec<String> = text.split(',').map(|url| url.trim().to_owned()).collect();
        if self.settings.is_unset("server") {
            let allowed = Url::ALLOWED;
            self.group.fault_at(
                TARGETS_FROM,
                format!("`{TARGETS_FROM}` = \"etcd:…\" stands without `server` of `target_discovery`; allowed: {allowed}"),
            );
        } else if let Some(wrong) = servers.iter().find_map(|url| Url::parse(url).err()) {
            told("server", &format!("is no URL of etcd, or several with commas between them; {wrong}"));
        } else if servers.len() > MAX_SERVERS {
            told("server", &format!("names {} members; allowed: 1 to {MAX_SERVERS}", servers.len()));
        }
        let is_secure = servers.iter().any(|url| url.starts_with("https:"));
        let ca_file = self.file_of("ca_file");
        if is_secure && ca_file.is_none() {
            told("server", "is asked over TLS, and there is no `ca_file`; allowed: both");
        }
        for name in ["ca_file", "certificate_file"] {
            if self.settings.is_given(name) && !is_secure {
                told(name, "has no meaning without TLS; allowed: `server` with https://");
            }
        }
        for (one, other) in [("user", "password_file"), ("certificate_file", "private_key_file")] {
            for (one, other) in [(one, other), (other, one)] {
                if self.settings.is_given(one) && self.settings.is_unset(other) {
                    told(one, &format!("stands without `{other}`; allowed: both, or neither of them"));
                }
            }
        }
        Ok(EtcdPlace {
            prefix: prefix.to_owned(),
            servers,
            ca_file,
            user: self.settings.text("user").zip(self.file_of("password_file")),
            certificate: self.file_of("certificate_file").zip(self.file_of("private_key_file")),
        })
    }

    fn kubernetes(&self, text: &str) -> Result<KubernetesPlace, &'static str> {
        let wrong = " names no service";
        let (namespace, rest) = text.split_once('/').ok_or(wrong)?;
        let (service, port) =
            rest.split_once(':').map_or((rest, None), |(service, port)| (service, Some(port)));
        if ![Some(namespace), Some(service), port].into_iter().flatten().all(is_label) {
            return Err(wrong);
        }
        let server = self.settings.text("server").and_then(|url| {
            let told = |wrong| {
                let allowed = self.settings.allowed("server");
                self.settings.fault_at(
                    "server",
                    format!("`server` = {}{wrong}; allowed: {allowed}", shown(without_query(&url))),
                );
            };
            self.http(&url).map_err(told).ok()
        });
        for name in ["ca_file", "token_file"] {
            if self.settings.is_given(name) && self.settings.is_unset("server") {
                self.settings.fault_at(
                    name,
                    format!("`{name}` stands without `server`; allowed: both, or neither of them"),
                );
            }
        }
        let (namespace, service) = (namespace.to_owned(), service.to_owned());
        Ok(KubernetesPlace { server, namespace, service, port: port.map(str::to_owned) })
    }
}

fn is_label(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_LABEL).contains(&text.len())
        && text.bytes().all(is_letter)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// `_SERVICE._PROTOCOL.NAME`, which is no host's name for its underscores.
fn service_name(name: &str) -> Result<String, &'static str> {
    let mut labels = name.splitn(3, '.');
    let has_service =
        labels.by_ref().take(2).filter(|label| label.len() > 1 && label.starts_with('_')).count() == 2;
    let rest = labels.next().unwrap_or_default();
    if !has_service
        || !matches!(target_address::parse(rest), Ok((TargetAddress::Host(_), None)))
        || name.len() > 253
    {
        return Err(" names no service in DNS");
    }
    Ok(name.to_ascii_lowercase())
}
