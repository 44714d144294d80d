//! What is imported, wherever it comes from: resources in the words of Terraform's provider, with what leads to others.
//! Must not know: files, or how a configuration is written.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::config::fields::OTHER_BALANCERS;

/// A load balancer, a group, a target and so on.
#[derive(Debug)]
pub(super) struct Resource {
    /// The native kind: `target_group`.
    pub(super) kind: String,
    /// What it is called in what is imported, for people.
    pub(super) place: String,
    /// Its label here.
    pub(super) label: String,
    /// Its attributes and nested blocks, each block a list of objects.
    pub(super) values: Map<String, Value>,
    /// What an attribute leads to that is not known yet, by its path: `default_action.0.target_group_arn`.
    pub(super) leads: BTreeMap<String, Lead>,
}

/// What stands in the place of a value that is known after Terraform has made the resources.
#[derive(Clone, Debug)]
pub(super) enum Lead {
    /// Another resource, by its place.
    To(String),
    /// The one of the same number, of as many: an expression may count otherwise, which is not said.
    ByNumber(String),
    /// It is not known which, and why.
    Lost(String),
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Haul {
    pub(super) resources: Vec<Resource>,
    /// Addresses of instances, by their ids and by their places.
    pub(super) addresses: BTreeMap<String, String>,
    /// What could not be taken along as a whole: each with its place.
    pub(super) left: Vec<String>,
}

impl Resource {
    /// A text among its attributes.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_str().filter(|text| !text.is_empty())
    }
}

impl Haul {
    /// Leaves out listeners and groups of Network and Gateway Load Balancers, and the targets of these groups.
    pub(super) fn leave_out_others(&mut self) {
        let protocol_of_others = |resource: &Resource| {
            let protocol = resource
                .text("protocol")
                .filter(|_| matches!(&*resource.kind, "listener" | "target_group"))?;
            OTHER_BALANCERS.contains(&protocol).then(|| protocol.to_owned())
        };
        let mut groups: Vec<String> = Vec::new();
        for resource in &self.resources {
            let Some(protocol) = protocol_of_others(resource) else { continue };
            let place = &resource.place;
            self.left.push(format!(
                "{place}: {protocol} is of Network and Gateway Load Balancers, which are not done here"
            ));
            if resource.kind == "target_group" {
                groups.push(place.clone());
                groups.extend(resource.text("arn").map(str::to_owned));
            }
        }
        let is_target_of_others = |resource: &Resource| {
            let group = resource.text("target_group_arn").or_else(|| {
                match resource.leads.get("target_group_arn")? {
                    Lead::To(place) | Lead::ByNumber(place) => Some(place),
                    Lead::Lost(_) => None,
                }
            });
            resource.kind == "target_group_attachment"
                && group.is_some_and(|group| groups.iter().any(|it| it == group))
        };
        self.resources
            .retain(|resource| protocol_of_others(resource).is_none() && !is_target_of_others(resource));
    }

    /// Gives all resources labels that differ, made of what they are called.
    pub(super) fn label_all(&mut self) {
        let mut taken: BTreeMap<(String, String), usize> = BTreeMap::new();
        for resource in &mut self.resources {
            let made = label(&resource.label);
            let times = taken.entry((resource.kind.clone(), made.clone())).or_default();
            *times += 1;
            resource.label = if *times == 1 { made } else { format!("{made}_{times}") };
        }
    }
}

/// Letters, digits and underscores.
fn label(text: &str) -> String {
    let mut label = String::new();
    for letter in text.chars() {
        let letter = if letter.is_ascii_alphanumeric() { letter } else { '_' };
        if letter != '_' || !label.ends_with('_') {
            label.push(letter);
        }
    }
    let label = label.trim_matches('_');
    if label.is_empty() { "x".to_owned() } else { label.to_owned() }
}

/// A text among the members of a value; empty where there is none.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The members of a value.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
