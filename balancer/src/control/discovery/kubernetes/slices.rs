//! EndpointSlices (`discovery.k8s.io/v1`) as they are listed and as they change, and the targets that they come to: who is ready gets
//! requests, who terminates and still serves keeps its sessions, who does neither is no target.
//! Must not know: how they are asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::super::{
    document,
    lister::{Listing, SourceFault},
};
use crate::model::{FoundTarget, MAX_TARGETS, TargetShare};

/// Most slices that are kept. One has 1,000 endpoints at most.
const MOST_SLICES: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SliceList {
    #[serde(default)]
    metadata: ListFacts,
    #[serde(default)]
    items: Option<Vec<Slice>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListFacts {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    rest: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Slice {
    metadata: SliceFacts,
    #[serde(default)]
    address_type: String,
    #[serde(default)]
    endpoints: Option<Vec<SliceEndpoint>>,
    #[serde(default)]
    ports: Option<Vec<SlicePort>>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct SliceFacts {
    name: String,
}

#[derive(Debug, Deserialize, PartialEq)]
struct SliceEndpoint {
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    conditions: Option<Conditions>,
}

/// Nothing is not known, which is to be taken for ready.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
struct Conditions {
    #[serde(default)]
    ready: Option<bool>,
    #[serde(default)]
    serving: Option<bool>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct SlicePort {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    protocol: Option<String>,
}

#[derive(Debug, Deserialize)]
struct WatchEvent {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// What an event comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// Slices are others than before.
    Changed,
    /// They are not.
    Nothing,
    /// What was known is too old to go on from.
    Gone,
}

/// All slices of a service.
#[derive(Debug)]
pub(super) struct Slices {
    /// The port that is wanted, by name or number.
    port: Option<String>,
    version: String,
    slices: BTreeMap<String, Slice>,
    is_known: bool,
}

fn understood<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, SourceFault> {
    let wrong = |error: serde_json::Error| {
        SourceFault::garbage(format!("it answers what is no {what}: {}", document::where_wrong(&error)))
    };
    serde_json::from_slice(bytes).map_err(wrong)
}

impl Slices {
    pub(super) fn new(port: Option<String>) -> Self {
        Self { port, version: String::new(), slices: BTreeMap::new(), is_known: false }
    }

    /// Whether they were listed whole.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// By which a watch goes on.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn forget(&mut self) {
        self.begin();
    }

    /// They are about to be listed.
    pub(super) fn begin(&mut self) {
        self.slices.clear();
        self.version.clear();
        self.is_known = false;
    }

    /// Takes in a page of a list: how to ask for the next one, if there is one.
    pub(super) fn take_page(&mut self, page: &[u8]) -> Result<Option<String>, SourceFault> {
        let SliceList { metadata, items } = understood(page, "list of EndpointSlices")?;
        for slice in items.unwrap_or_default() {
            self.put(slice)?;
        }
        self.version = metadata.resource_version;
        let rest = metadata.rest.filter(|rest| !rest.is_empty());
        self.is_known = rest.is_none();
        Ok(rest)
    }

    fn put(&mut self, slice: Slice) -> Result<bool, SourceFault> {
        if self.slices.len() >= MOST_SLICES && !self.slices.contains_key(&slice.metadata.name) {
            return Err(SourceFault::garbage(format!("it has more than {MOST_SLICES} EndpointSlices")));
        }
        let is_new = self.slices.get(&slice.metadata.name).is_none_or(|known| *known != slice);
        self.slices.insert(slice.metadata.name.clone(), slice);
        Ok(is_new)
    }

    /// Takes in an event of a watch.
    pub(super) fn take_event(&mut self, event: &[u8]) -> Result<Happening, SourceFault> {
        let WatchEvent { kind, object } = understood(event, "event of a watch")?;
        if kind == "ERROR" {
            let code = object.get("code").and_then(Value::as_u64);
            if code == Some(410) {
                return Ok(Happening::Gone);
            }
            let code = code.map_or_else(|| "an error".to_owned(), |code| code.to_string());
            return Err(SourceFault { cause: "refused", why: format!("a watch ends with {code}") });
        }
        let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
        let has_changed = match kind.as_str() {
            "BOOKMARK" => false,
            "ADDED" | "MODIFIED" => self.put(slice(object)?)?,
            "DELETED" => self.slices.remove(&slice(object)?.metadata.name).is_some(),
            // Of a version to come.
            _ => false,
        };
        if let Some(version) = version {
            self.version = version;
        }
        Ok(if has_changed { Happening::Changed } else { Happening::Nothing })
    }

    /// The targets that they come to.
    pub(super) fn listing(&self) -> Result<Listing, SourceFault> {
        let mut listing = Listing::default();
        for slice in self.slices.values() {
            let endpoints = slice.endpoints.as_deref().unwrap_or_default();
            if endpoints.is_empty() {
                continue;
            }
            if !matches!(slice.address_type.as_str(), "IPv4" | "IPv6") {
                let (name, kind) = (&slice.metadata.name, &slice.address_type);
                listing.left_out.push(format!("slice {name:?} has addresses of type {kind:?}"));
                continue;
            }
            let port = self.port_of(slice)?;
            for endpoint in endpoints {
                let Some(leaving) = standing(endpoint.conditions.unwrap_or_default()) else { continue };
                // All of them are as good, and the first is to be taken.
                let Some(address) = endpoint.addresses.first() else { continue };
                let address = if address.contains(':') { format!("[{address}]") } else { address.clone() };
                match document::spec(&format!("{address}:{port}"), None) {
                    Ok(spec) => {
                        let share = TargetShare { leaving, ..TargetShare::default() };
                        listing.targets.push(FoundTarget { spec, share });
                    }
                    Err(wrong) if listing.left_out.len() < MAX_TARGETS => listing.left_out.push(wrong),
                    Err(_) => {}
                }
            }
        }
        Ok(listing)
    }

    fn port_of(&self, slice: &Slice) -> Result<u16, SourceFault> {
        let ports = slice.ports.as_deref().unwrap_or_default();
        let is_tcp = |port: &&SlicePort| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
        let tcp = || ports.iter().filter(is_tcp);
        let is_wanted = |port: &&SlicePort| {
            let number = port.port.map(|number| number.to_string());
            self.port
                .as_ref()
                .is_none_or(|wanted| port.name.as_ref() == Some(wanted) || number.as_ref() == Some(wanted))
        };
        let found: Vec<u16> = tcp().filter(is_wanted).filter_map(|port| port.port).collect();
        match (found.as_slice(), &self.port) {
            (&[port], _) => Ok(port),
            (_, wanted) => {
                let names: Vec<String> = tcp()
                    .take(10)
                    .map(|port| {
                        format!(
                            "{} ({})",
                            port.name.as_deref().unwrap_or_default(),
                            port.port.unwrap_or_default()
                        )
                    })
                    .collect();
                let wanted = wanted
                    .as_deref()
                    .map_or_else(|| "one port".to_owned(), |port| format!("a port {port:?}"));
                Err(SourceFault {
                    cause: "port",
                    why: format!(
                        "slice {:?} does not have {wanted} of TCP, but: {}; allowed: one of them behind the service's name",
                        slice.metadata.name,
                        names.join(", ")
                    ),
                })
            }
        }
    }
}

fn slice(object: Value) -> Result<Slice, SourceFault> {
    serde_json::from_value(object)
        .map_err(|_| SourceFault::garbage("an event of a watch has no EndpointSlice"))
}

/// Whether an endpoint is about to go; nothing where it is no target.
fn standing(Conditions { ready, serving }: Conditions) -> Option<bool> {
    match (ready.unwrap_or(true), serving) {
        (true, _) => Some(false),
        (false, Some(true)) => Some(true),
        (false, _) => None,
    }
}

#[cfg(test)]
mod tests;
