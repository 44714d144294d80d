//! Which top-level blocks there are: both spellings, what is Terraform's own, what is not supported.

use super::{
    fault::Faults,
    fields::Context,
    foreign::CLASSIC,
    raw::{RawBlock, RawBody},
    source::Place,
    suggest,
};

/// A top-level block of ours, whichever way it was spelt.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) block: &'a RawBlock,
    /// Its label; empty when it was left out, which is a fault already noted.
    pub(super) label: &'a str,
    pub(super) label_place: Place,
    /// `resource "aws_lb_…" "label"`.
    pub(super) is_resource: bool,
}

/// The top-level blocks by kind, in the order of files and lines.
#[derive(Default)]
pub(super) struct Blocks<'a> {
    pub(super) balancer: Vec<&'a RawBlock>,
    pub(super) load_balancers: Vec<Found<'a>>,
    pub(super) listeners: Vec<Found<'a>>,
    pub(super) rules: Vec<Found<'a>>,
    pub(super) target_groups: Vec<Found<'a>>,
    pub(super) attachments: Vec<Found<'a>>,
    pub(super) certificates: Vec<Found<'a>>,
    pub(super) listener_certificates: Vec<Found<'a>>,
    pub(super) trust_stores: Vec<Found<'a>>,
    pub(super) trust_store_revocations: Vec<Found<'a>>,
    /// The first module, whose blocks are not read.
    module: Option<Place>,
    /// Terraform's, whose files are in S3: kind, label, place.
    in_s3: Vec<(&'a str, &'a str, Place)>,
}

const NATIVE: &[&str] = &[
    "balancer",
    "load_balancer",
    "listener",
    "listener_rule",
    "listener_certificate",
    "certificate",
    "target_group",
    "target_group_attachment",
    "trust_store",
    "trust_store_revocation",
];
/// Those whose Terraform resources have no files: in AWS they lie with ACM and S3.
const NATIVE_ALONE: &[&str] = &["balancer", "certificate", "trust_store", "trust_store_revocation"];
/// Terraform's own top-level blocks: accepted, so that a folder of Terraform loads.
const TERRAFORM: &[&str] = &[
    "provider",
    "terraform",
    "variable",
    "output",
    "data",
    "locals",
    "module",
    "import",
    "moved",
    "removed",
    "check",
    "ephemeral",
];

/// Whether a line is one that begins a block at the top of a file, from its first column on.
pub(super) fn begins_a_block(line: &str) -> bool {
    let kind = line
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .next()
        .unwrap_or_default();
    let after = line.get(kind.len()..).unwrap_or_default().trim();
    // Some of these are names within blocks as well, and have no label there.
    let labelled = NATIVE.contains(&kind) || kind == "resource";
    let is_ours = if kind == "balancer" {
        true
    } else if labelled {
        after.starts_with('"')
    } else {
        TERRAFORM.contains(&kind)
    };
    is_ours && after.contains('{')
}

/// The names a kind of block goes by: its own and Terraform's two.
pub(super) fn spellings(native: &str) -> [String; 3] {
    match native {
        "load_balancer" => ["load_balancer".to_owned(), "aws_lb".to_owned(), "aws_alb".to_owned()],
        // ACM's have no files.
        "certificate" => [(); 3].map(|()| native.to_owned()),
        _ => [native.to_owned(), format!("aws_lb_{native}"), format!("aws_alb_{native}")],
    }
}

/// The native kind that a Terraform type stands for; nothing when the type is none of ours.
fn native_kind(resource_type: &str) -> Option<&str> {
    if matches!(resource_type, "aws_lb" | "aws_alb") {
        return Some("load_balancer");
    }
    resource_type.strip_prefix("aws_lb_").or_else(|| resource_type.strip_prefix("aws_alb_"))
}

/// Whether a Terraform type is of load balancers, be it done here or not.
pub(super) fn is_ours(resource_type: &str) -> bool {
    native_kind(resource_type).is_some()
}

impl<'a> Blocks<'a> {
    /// Sorts the blocks of all files; what is unknown or misplaced goes to `faults`.
    pub(super) fn sort(bodies: &'a [RawBody], faults: &Faults<'_>) -> Self {
        let mut blocks = Self::default();
        for body in bodies {
            for attribute in &body.attributes {
                let name = &attribute.name;
                faults.add(
                    attribute.place,
                    format!("`{name}` stands outside of a block; allowed: blocks only"),
                );
            }
            for block in &body.blocks {
                blocks.add(block, faults);
            }
        }
        blocks.demand_files(faults);
        blocks
    }

    fn add(&mut self, block: &'a RawBlock, faults: &Faults<'_>) {
        let kind = block.kind.as_str();
        if kind == "resource" {
            self.add_resource(block, faults);
        } else if kind == "balancer" {
            if let Some((_, place)) = block.labels.first() {
                faults.add(*place, "`balancer` takes no label; allowed: `balancer { … }`");
            }
            self.balancer.push(block);
        } else if kind == "module" {
            self.module.get_or_insert(block.place);
        } else if kind == "action" && block.labels.len() == 2 {
            // What Terraform does beside making resources.
        } else if NATIVE.contains(&kind) {
            self.file(kind, block, &block.labels, false, faults);
        } else if !TERRAFORM.contains(&kind) {
            let known = NATIVE.iter().chain(TERRAFORM).copied().chain(["resource"]);
            let hint = suggest::hint(kind, known);
            let message =
                format!("unknown block `{kind}`{hint}; allowed: {} and Terraform's", NATIVE.join(", "));
            faults.add(block.place, message);
            faults.note_unread_text();
        }
    }

    fn add_resource(&mut self, block: &'a RawBlock, faults: &Faults<'_>) {
        let Some(((resource_type, type_place), labels)) = block.labels.split_first() else {
            faults.add(
                block.place,
                "`resource` needs a type and a label; allowed: resource \"TYPE\" \"LABEL\" { … }",
            );
            faults.note_unread_text();
            return;
        };
        let Some(kind) = native_kind(resource_type).filter(|_| !CLASSIC.contains(&resource_type.as_str()))
        else {
            return;
        };
        if !NATIVE_ALONE.contains(&kind) && NATIVE.contains(&kind) {
            self.file(kind, block, labels, true, faults);
        } else if kind.starts_with("trust_store") && NATIVE_ALONE.contains(&kind) {
            self.in_s3.push((kind, labels.first().map_or("", |(label, _)| label), *type_place));
        } else {
            let hint = suggest::nearest(
                kind,
                NATIVE.iter().copied().filter(|native| !NATIVE_ALONE.contains(native)),
            )
            .map_or_else(String::new, |near| format!(" (did you mean `aws_lb_{near}`?)"));
            let message = format!(
                "unknown type `{resource_type}`{hint}; allowed: aws_lb, aws_lb_listener, aws_lb_listener_certificate, aws_lb_listener_rule, aws_lb_target_group, aws_lb_target_group_attachment"
            );
            faults.add(*type_place, message);
            faults.note_unread_text();
        }
    }

    /// Blocks of Terraform whose files are in S3 need one of ours with the same label.
    fn demand_files(&self, faults: &Faults<'_>) {
        for (kind, label, place) in &self.in_s3 {
            let natives =
                if *kind == "trust_store" { &self.trust_stores } else { &self.trust_store_revocations };
            if !natives.iter().any(|native| native.label == *label) {
                let message = format!(
                    "`aws_lb_{kind}` has its files in S3; allowed: `{kind}`, which names files, with the same label"
                );
                faults.add(*place, message);
                faults.note_unread_text();
            }
        }
    }

    fn file(
        &mut self,
        kind: &str,
        block: &'a RawBlock,
        labels: &'a [(String, Place)],
        is_resource: bool,
        faults: &Faults<'_>,
    ) {
        let (label, label_place) = labels.first().map_or(("", block.place), |(label, place)| (label, *place));
        if labels.len() != 1 || label.is_empty() {
            let spelling =
                if is_resource { "resource \"TYPE\" \"LABEL\" { … }" } else { "\"LABEL\" { … }" };
            let place = labels.get(1).map_or(label_place, |(_, place)| *place);
            faults.add(place, format!("`{kind}` takes one label, its name; allowed: {spelling}"));
            // What refers to it goes by the label that it was meant to have.
            faults.note_unread_text();
        }
        let found = Found { block, label, label_place, is_resource };
        match kind {
            "load_balancer" => self.load_balancers.push(found),
            "listener" => self.listeners.push(found),
            "listener_rule" => self.rules.push(found),
            "target_group" => self.target_groups.push(found),
            "certificate" => self.certificates.push(found),
            "listener_certificate" => self.listener_certificates.push(found),
            "trust_store" => self.trust_stores.push(found),
            "trust_store_revocation" => self.trust_store_revocations.push(found),
            _ => self.attachments.push(found),
        }
    }

    /// Notes a fault when the files configure nothing at all.
    pub(super) fn demand_something(&self, context: &Context<'_>) {
        let nothing = self.balancer.is_empty()
            && [&self.load_balancers, &self.listeners, &self.rules, &self.target_groups, &self.attachments]
                .iter()
                .all(|found| found.is_empty());
        if nothing && context.faults.is_empty() && !context.faults.is_partial() {
            let but = if self.module.is_some() { " but modules, which are not read" } else { "" };
            let message =
                format!("nothing is configured{but}; allowed: at least one listener or target_group block");
            context.faults.add(self.module.unwrap_or(Place { file: 0, offset: 0 }), message);
        }
    }
}
