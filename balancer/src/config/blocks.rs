//! The top-level blocks of all files, sorted by kind, and what is told of those that are not supported.

use super::{
    expand,
    fault::Faults,
    fields::BlockContext,
    kinds::{CLASSIC, NATIVE, NATIVE_ALONE, TERRAFORM, UNLABELLED, native_kind},
    raw::{RawBlock, RawBody},
    source::Position,
    suggest,
};

/// A top-level block of ours, whichever way it was spelt.
#[derive(Clone, Copy)]
pub(super) struct FoundBlock<'a> {
    pub(super) block: &'a RawBlock,
    /// Its label; empty when it was left out, which is a fault already noted.
    pub(super) label: &'a str,
    pub(super) label_position: Position,
    /// `resource "aws_lb_…" "label"`.
    pub(super) is_resource: bool,
}

impl FoundBlock<'_> {
    /// How others refer to it, in the words of its own file. `native`: its kind's own spelling.
    pub(super) fn reference(&self, native: &str) -> String {
        let written = self.block.labels.first().filter(|_| self.is_resource);
        format!("{}.{}.arn", written.map_or(native, |(kind, _)| kind), self.label)
    }
}

/// The top-level blocks by kind, in the order of files and lines.
#[derive(Default)]
pub(super) struct Blocks<'a> {
    pub(super) balancer: Vec<&'a RawBlock>,
    pub(super) shield: Vec<&'a RawBlock>,
    pub(super) session_store: Vec<&'a RawBlock>,
    pub(super) control_api: Vec<&'a RawBlock>,
    pub(super) load_balancers: Vec<FoundBlock<'a>>,
    pub(super) listeners: Vec<FoundBlock<'a>>,
    pub(super) rules: Vec<FoundBlock<'a>>,
    pub(super) target_groups: Vec<FoundBlock<'a>>,
    pub(super) attachments: Vec<FoundBlock<'a>>,
    pub(super) certificates: Vec<FoundBlock<'a>>,
    pub(super) listener_certificates: Vec<FoundBlock<'a>>,
    pub(super) trust_stores: Vec<FoundBlock<'a>>,
    pub(super) trust_store_revocations: Vec<FoundBlock<'a>>,
    /// The first module, whose blocks are not read.
    module: Option<Position>,
    /// Terraform's, whose files are in S3: kind, label, position.
    in_s3: Vec<(&'a str, &'a str, Position)>,
}

impl<'a> Blocks<'a> {
    /// Sorts the blocks of all files; what is unknown or misplaced goes to `faults`.
    pub(super) fn sort(bodies: &'a [RawBody], faults: &Faults<'_>) -> Self {
        let mut blocks = Self::default();
        for body in bodies {
            for attribute in &body.attributes {
                let name = &attribute.name;
                faults.add(
                    attribute.position,
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
        } else if UNLABELLED.contains(&kind) {
            if let Some((_, position)) = block.labels.first() {
                faults.add(*position, format!("`{kind}` takes no label; allowed: `{kind} {{ … }}`"));
            }
            match kind {
                "shield" => self.shield.push(block),
                "session_store" => self.session_store.push(block),
                "control_api" => self.control_api.push(block),
                _ => self.balancer.push(block),
            }
        } else if kind == "module" {
            self.module.get_or_insert(block.position);
        } else if kind == "action" && block.labels.len() == 2 {
            // What Terraform does beside making resources.
        } else if NATIVE.contains(&kind) {
            self.file(kind, block, &block.labels, false, faults);
        } else if !TERRAFORM.contains(&kind) {
            let known = NATIVE.iter().chain(TERRAFORM).copied().chain(["resource"]);
            let hint = suggest::hint(kind, known);
            let message =
                format!("unknown block `{kind}`{hint}; allowed: {} and Terraform's", NATIVE.join(", "));
            faults.add(block.position, message);
            faults.note_unread_text();
        }
    }

    fn add_resource(&mut self, block: &'a RawBlock, faults: &Faults<'_>) {
        let Some(((resource_type, type_position), labels)) = block.labels.split_first() else {
            faults.add(
                block.position,
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
            self.in_s3.push((kind, labels.first().map_or("", |(label, _)| label), *type_position));
        } else {
            let hint = suggest::nearest(
                kind,
                NATIVE.iter().copied().filter(|native| !NATIVE_ALONE.contains(native)),
            )
            .map_or_else(String::new, |near| format!(" (did you mean `aws_lb_{near}`?)"));
            let message = format!(
                "unknown type `{resource_type}`{hint}; allowed: aws_lb, aws_lb_listener, aws_lb_listener_certificate, aws_lb_listener_rule, aws_lb_target_group, aws_lb_target_group_attachment"
            );
            faults.add(*type_position, message);
            faults.note_unread_text();
        }
    }

    /// Blocks of Terraform whose files are in S3 need one of ours with the same label.
    fn demand_files(&self, faults: &Faults<'_>) {
        for (kind, label, position) in &self.in_s3 {
            let natives =
                if *kind == "trust_store" { &self.trust_stores } else { &self.trust_store_revocations };
            if !natives.iter().any(|native| native.label == *label) {
                let message = format!(
                    "`aws_lb_{kind}` has its files in S3; allowed: `{kind}`, which names files, with the same label"
                );
                faults.add(*position, message);
                faults.note_unread_text();
            }
        }
    }

    fn file(
        &mut self,
        kind: &str,
        block: &'a RawBlock,
        labels: &'a [(String, Position)],
        is_resource: bool,
        faults: &Faults<'_>,
    ) {
        let (label, label_position) =
            labels.first().map_or(("", block.position), |(label, position)| (label, *position));
        if labels.len() != 1 || label.is_empty() {
            let spelling =
                if is_resource { "resource \"TYPE\" \"LABEL\" { … }" } else { "\"LABEL\" { … }" };
            let position = labels.get(1).map_or(label_position, |(_, position)| *position);
            faults.add(position, format!("`{kind}` takes one label, its name; allowed: {spelling}"));
            // What refers to it goes by the label that it was meant to have.
            faults.note_unread_text();
        }
        let found = FoundBlock { block, label, label_position, is_resource };
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
    pub(super) fn demand_something(&self, context: &BlockContext<'_>, written: &[RawBody]) {
        let nothing = self.balancer.is_empty()
            && self.control_api.is_empty()
            && [&self.load_balancers, &self.listeners, &self.rules, &self.target_groups, &self.attachments]
                .iter()
                .all(|found| found.is_empty());
        if nothing && context.faults.is_empty() && !context.faults.is_partial() {
            if let Some((position, message)) = expand::none_left(written) {
                return context.faults.add(position, message);
            }
            let (but, or) = match self.module {
                Some(_) => (
                    " but modules, which are not read",
                    ", modules that `terraform init` has fetched, or `balancer import --plan`",
                ),
                None => ("", ""),
            };
            let message = format!(
                "nothing is configured{but}; allowed: at least one listener or target_group block{or}"
            );
            context.faults.add(self.module.unwrap_or(Position { file: 0, offset: 0 }), message);
        }
    }
}
