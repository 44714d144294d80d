//! Names of blocks that others refer to, and the references: `target_group.app.arn`,
//! `aws_lb_target_group.app.arn`, "app".

use std::{borrow::Cow, collections::HashMap};

use super::{
    blocks::FoundBlock,
    fields::{BlockContext, BlockFields, words},
    kinds::{is_ours, spellings},
    schema::{Attribute, AttributeKind, Table},
    source::Position,
    suggest,
    value::{Value, WAY_OUT_OF_BLOCKS, shown, way_out_of_block},
};

/// Longest name of a target group or load balancer (ALB: CreateTargetGroup, CreateLoadBalancer).
const MAX_NAME: usize = 32;
/// What a name may be, in words.
const NAME_ALLOWED: &str = "1 to 32 letters, digits and hyphens, no hyphen at the ends";

/// The attribute that names a block as AWS does.
pub(super) const ARN: &str = "arn";

/// The attribute that names a block.
pub(super) const NAME: Attribute = Attribute::new(
    "name",
    AttributeKind::Text { allowed: NAME_ALLOWED, default: "the label, hyphens for underscores" },
    "Its name.",
);

/// The name of a block that has none: its label, as far as it is one. Terraform makes up the names of its resources, so
/// that any label of theirs will do; one that is no name is made one, and has a number that is always the same. Sessions are
/// bound to it: no other block changes it.
fn made_name(found: &FoundBlock<'_>) -> String {
    // One of several has its index behind it.
    let in_module = found.label.replace("module.", "").replace('.', "-");
    let (label, index) = in_module.split_once('[').unwrap_or((&in_module, ""));
    let index = index.trim_end_matches(']').trim_matches('"');
    let hyphen = if index.is_empty() { "" } else { "-" };
    let name = format!("{label}{hyphen}{index}").replace('_', "-");
    if is_name(&name) || !(found.is_resource || found.label.contains('[')) {
        return name;
    }
    // FNV-1a.
    let number = found
        .label
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
    let start: String = name.chars().filter(is_plain).take(MAX_NAME - 9).collect();
    format!("{}-{number:08x}", start.trim_matches('-')).trim_matches('-').to_owned()
}

/// Kind and label of the block that a reference leads to, an index of one of several as a part of the label, and which
/// attribute of it.
pub(super) fn block_of(path: &[String]) -> Option<(&str, Cow<'_, str>, Option<&str>)> {
    let (kind, label, rest) = match path {
        [kind, label, index, rest @ ..] if index.starts_with('[') => {
            (kind, Cow::Owned(format!("{label}{index}")), rest)
        }
        [kind, label, rest @ ..] => (kind, Cow::Borrowed(label.as_str()), rest),
        _ => return None,
    };
    match rest {
        [] => Some((kind, label, None)),
        [attribute] => Some((kind, label, Some(attribute))),
        _ => None,
    }
}

/// The steps of a reference that stands in a text.
fn steps(text: &str) -> Vec<String> {
    text.split('.').take(4).map(str::to_owned).collect()
}

/// A block with a name.
pub(super) struct Named<'a> {
    pub(super) found: FoundBlock<'a>,
    pub(super) name: String,
    /// Read once, so that each fault is noted once.
    pub(super) fields: BlockFields<'a>,
}

/// The blocks of one kind, in order; their index is how the model refers to them.
pub(super) struct Names<'a> {
    table: &'static Table,
    pub(super) entries: Vec<Named<'a>>,
    by_label: HashMap<&'a str, usize>,
    by_name: HashMap<String, usize>,
    /// What AWS calls them, where that is said.
    by_arn: HashMap<String, usize>,
}

impl<'a> Names<'a> {
    /// Gives every block its name: `name`, or else its label with hyphens for underscores. Labels and names that
    /// occur twice are faults. Blocks beyond `most` are a fault too and left out.
    pub(super) fn collect(
        context: &BlockContext<'a>,
        table: &'static Table,
        found: &[FoundBlock<'a>],
        most: usize,
    ) -> Self {
        let mut names = Self {
            table,
            entries: Vec::new(),
            by_label: HashMap::new(),
            by_name: HashMap::new(),
            by_arn: HashMap::new(),
        };
        for found in found.iter().take(most) {
            names.add(context, *found);
        }
        if let Some(first_too_many) = found.get(most) {
            let message = format!("too many {}s; allowed: at most {most}", words(table.name));
            context.faults.add(first_too_many.block.position, message);
            context.faults.note_unread_text();
        }
        names
    }

    fn add(&mut self, context: &BlockContext<'a>, found: FoundBlock<'a>) {
        let fields = BlockFields::open(context, self.table, Some(found.block));
        let is_elsewhere = found.is_resource && fields.known("name").is_some_and(|name| name.is_foreign());
        let given = if is_elsewhere { None } else { fields.text("name").zip(fields.value("name")) };
        // One that is a fault might be any.
        let is_unknown = given.is_none() && !is_elsewhere && !fields.is_unset("name");
        let is_given = given.is_some();
        let (name, position) = match given {
            Some((name, (_, position))) => (name, position),
            None => (made_name(&found), found.label_position),
        };
        if let Some(elsewhere) = fields.known("name").filter(|_| is_elsewhere) {
            let why =
                match elsewhere.lacking().and_then(|lacking| Some(lacking.split_once(';')?.0.to_owned())) {
                    Some(lacking) => format!("`name`: {lacking}"),
                    None => format!("`name` = {elsewhere} is not known here"),
                };
            fields.note_at("name", format!("{why}: it is called {} here", shown(&name)));
        }
        // ALB: CreateLoadBalancer. A name made from a label is ours alone.
        if self.table.name == "load_balancer" && is_given && name.starts_with("internal-") {
            let message = format!(
                "{} is no name: those of internal load balancers begin with `internal-` on AWS; \
                 allowed: a `name` that begins otherwise",
                shown(&name)
            );
            context.faults.add(position, message);
        }
        if !is_name(&name) && !found.label.is_empty() && !is_unknown {
            context
                .faults
                .add(position, format!("{} is no name; allowed: `name` of {NAME_ALLOWED}", shown(&name)));
        }
        let index = self.entries.len();
        let kind = words(self.table.name);
        let position_of = |names: &Self, index: usize| {
            names
                .entries
                .get(index)
                .map_or_else(String::new, |named| context.faults.show(named.found.block.position))
        };
        if let Some(&first) = self.by_label.get(found.label).filter(|_| !found.label.is_empty()) {
            let message = format!(
                "{kind} {} is given twice, first at {}; allowed: labels that differ",
                shown(found.label),
                position_of(self, first)
            );
            context.faults.add(found.label_position, message);
        } else if let Some(&first) = self.by_name.get(&name).filter(|_| !name.is_empty() && !is_unknown) {
            let allowed = if is_given { "names that differ" } else { "a `name` of its own" };
            let message = format!(
                "the name {} is taken by the {kind} at {}; allowed: {allowed}",
                shown(&name),
                position_of(self, first)
            );
            context.faults.add(position, message);
        }
        self.add_arn(context, &fields, index);
        self.by_label.entry(found.label).or_insert(index);
        if !is_unknown {
            self.by_name.entry(name.clone()).or_insert(index);
        }
        self.entries.push(Named { found, name, fields });
    }

    fn add_arn(&mut self, context: &BlockContext<'_>, fields: &BlockFields<'_>, index: usize) {
        if self.table.attribute(ARN).is_none() {
            return;
        }
        let Some(arn) = fields.known(ARN).and_then(|arn| arn.as_text()) else { return };
        match self.by_arn.get(&arn).and_then(|first| self.entries.get(*first)) {
            Some(first) => {
                let first = context.faults.show(first.found.block.position);
                let kind = words(self.table.name);
                let message = format!(
                    "`{ARN}` = {} is that of the {kind} at {first} too; allowed: one that no other has",
                    shown(&arn)
                );
                fields.fault_at(ARN, message);
            }
            None => drop(self.by_arn.insert(arn, index)),
        }
    }

    /// Whether a text is the name, the label or the ARN of one of them.
    pub(super) fn knows(&self, text: &str) -> bool {
        self.by_name.contains_key(text) || self.by_label.contains_key(text) || self.by_arn.contains_key(text)
    }

    /// The index of the block that a value refers to. A reference that leads nowhere is a fault.
    pub(super) fn resolve(&self, context: &BlockContext<'_>, value: &Value, at: Position) -> Option<usize> {
        let outcome = match value {
            Value::Text(text) => self.resolve_text(text),
            Value::Reference(path) => self.resolve_path(path),
            _ => Err(format!("{value} is no reference")),
        };
        match outcome {
            Ok(index) => Some(index),
            Err(_) if context.faults.is_partial() => None,
            Err(wrong) => {
                let beside =
                    if self.entries.is_empty() { made_beside(self.table.name, value) } else { String::new() };
                context.faults.add(at, format!("{wrong}; allowed: {}{beside}", self.known()));
                None
            }
        }
    }

    fn resolve_text(&self, text: &str) -> Result<usize, String> {
        let kind = words(self.table.name);
        let labelled = self.by_label.get(text).or_else(|| self.by_arn.get(text));
        match (self.by_name.get(text), labelled) {
            (Some(named), Some(labelled)) if named != labelled => {
                Err(format!("{} is the name of one {kind} and the label of another", shown(text)))
            }
            (Some(&index), _) | (None, Some(&index)) => Ok(index),
            (None, None) if text.starts_with("arn:") => Err(format!(
                "{} is a {kind} of AWS, which cannot be reached from here{}",
                shown(text),
                WAY_OUT_OF_BLOCKS
            )),
            (None, None) if self.resolve_path(&steps(text)).is_ok() => Err(format!(
                "there is no {kind} {}: a reference stands without quotes, and in JSON as \"${{{text}}}\"",
                shown(text)
            )),
            (None, None) => {
                let known = self.by_name.keys().map(String::as_str).chain(self.by_label.keys().copied());
                Err(format!("there is no {kind} {}{}", shown(text), suggest::hint(text, known)))
            }
        }
    }

    fn resolve_path(&self, path: &[String]) -> Result<usize, String> {
        let written = Value::Reference(path.to_vec());
        let spellings = spellings(self.table.name);
        // What is of a kind that there is here is meant to stand here, and only written wrong.
        let is_ours = path.first().is_some_and(|root| is_ours(root));
        let way_out = if written.is_foreign() && !is_ours { way_out_of_block(&written) } else { "" };
        let (kind, label) = match block_of(path) {
            Some((kind, label, None)) => (kind, label),
            Some((kind, label, Some("arn" | "id" | "name"))) => (kind, label),
            _ => {
                let kind = words(self.table.name);
                return Err(format!("{written} is no reference to a {kind}{way_out}"));
            }
        };
        if !spellings.iter().any(|spelling| spelling == kind) {
            let hint = suggest::hint(kind, spellings.iter().map(String::as_str));
            let way_out = if hint.is_empty() { way_out } else { "" };
            let kind = words(self.table.name);
            return Err(format!("{written} is no reference to a {kind}{hint}{way_out}"));
        }
        // One of ours that stands in for the only one of a resource with `count`.
        let stands_in = || {
            let index = self.by_label.get(label.strip_suffix("[0]")?)?;
            self.entries.get(*index).filter(|entry| !entry.found.is_resource).map(|_| *index)
        };
        self.by_label.get(&*label).copied().or_else(stands_in).ok_or_else(|| {
            let hint = suggest::hint(&label, self.by_label.keys().copied());
            format!("there is no {} {}{hint}", words(self.table.name), shown(&label))
        })
    }

    /// The references that would do, in words.
    pub(super) fn known(&self) -> String {
        const MOST: usize = 8;
        let mut labels: Vec<(&str, usize)> = self
            .by_label
            .iter()
            .filter(|(label, _)| !label.is_empty())
            .map(|(label, index)| (*label, *index))
            .collect();
        labels.sort_unstable();
        let known = labels.iter().filter_map(|(_, index)| self.entries.get(*index));
        let shown: Vec<String> =
            known.take(MOST).map(|known| known.found.reference(self.table.name)).collect();
        match labels.len() {
            0 => format!("a {}, but none is given", words(self.table.name)),
            1..=MOST => shown.join(", "),
            more => format!("{} and {} more", shown.join(", "), more - MOST),
        }
    }
}

/// Where a block of ours can be made that stands in for one that is elsewhere.
pub(super) fn made_beside(kind: &str, value: &Value) -> String {
    let is_elsewhere = match value {
        Value::Text(text) => text.starts_with("arn:"),
        Value::Reference(path) => value.is_foreign() && !path.first().is_some_and(|root| is_ours(root)),
        _ => false,
    };
    if is_elsewhere {
        format!("; a `{kind}` block in a file such as local.hcl beside it can be one")
    } else {
        String::new()
    }
}

/// Whether ALB would take it as a name.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}
