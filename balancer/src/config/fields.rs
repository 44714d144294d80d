//! Reading a block by its table: every getter gives a value that is in range, and notes a fault when what was
//! written is not. After a fault the value is the default or the least allowed, and the configuration is refused
//! at the end, so that reading can go on and find all faults.

mod meant;
mod members;
mod misplaced;
mod together;

use std::{collections::HashMap, path::PathBuf};

use super::{
    bindings::Env,
    elsewhere, eval,
    fault::Faults,
    raw::{RawAttribute, RawBlock, RawExpression, RawValue},
    schema::{Attribute, AttributeKind, Child, EVERYWHERE_IGNORED, Table},
    scope::{Scope, Unknown},
    source::Position,
    suggest,
    value::{Value, WAY_OUT, is_huge, shortened},
};

/// Protocols of the load balancers that this is none of.
pub(super) const OTHER_BALANCERS: [&str; 7] = ["TCP", "UDP", "TLS", "TCP_UDP", "QUIC", "TCP_QUIC", "GENEVE"];

/// What reading needs everywhere.
#[derive(Clone, Copy)]
pub(super) struct BlockContext<'a> {
    pub(super) faults: &'a Faults<'a>,
    pub(super) scope: &'a Scope<'a>,
}

/// A block being read, or an absent one: then every value is the default.
pub(super) struct BlockFields<'a> {
    context: BlockContext<'a>,
    table: &'static Table,
    block: Option<&'a RawBlock>,
}

impl<'a> BlockFields<'a> {
    /// Opens a block and checks all that the table alone can say: unknown names, what is not supported, repeated
    /// blocks. The getters check values.
    pub(super) fn open(
        context: &BlockContext<'a>,
        table: &'static Table,
        block: Option<&'a RawBlock>,
    ) -> Self {
        let fields = Self { context: *context, table, block };
        if let Some(block) = block {
            let (child, misplaced) = fields.misplaced().unwrap_or_default();
            fields.note_misplaced(child, &misplaced);
            let is_told = |attribute: &RawAttribute| misplaced.iter().any(|it| std::ptr::eq(*it, attribute));
            for attribute in block.body.attributes.iter().filter(|attribute| !is_told(attribute)) {
                fields.check_attribute(attribute);
            }
            let mut firsts = HashMap::new();
            for child in &block.body.blocks {
                let first = *firsts.entry(child.kind.as_str()).or_insert(child);
                fields.check_child(child, (!std::ptr::eq(first, child)).then_some(first));
            }
        }
        fields
    }

    /// The same block by the table of another kind, whose attributes stand in it.
    pub(super) fn seen_as(&self, table: &'static Table) -> Self {
        Self { context: self.context, table, block: self.block }
    }

    fn check_attribute(&self, attribute: &RawAttribute) {
        let name = attribute.name.as_str();
        if self.table.top && EVERYWHERE_IGNORED.contains(&name) {
            return;
        }
        if let Some(known) = self.table.attribute(name) {
            if matches!(known.kind, AttributeKind::Only { .. }) {
                self.check_only(known);
            }
            return;
        }
        let message = match self.table.child(name) {
            Some(_) if attribute.is_no_block => return,
            // Written so in JSON and by old Terraform: harmless where it is not looked at.
            Some(Child::Ignored(_)) => return,
            Some(Child::Unsupported(_)) => unsupported_block(name),
            Some(Child::Block(_) | Child::Repeated(_)) => {
                format!("`{name}` is a block, not an attribute; allowed: `{name} {{ … }}`")
            }
            None => format!(
                "unknown attribute `{name}`{} in {}; allowed: {}",
                self.hint(name),
                self.table.name,
                self.known_names()
            ),
        };
        self.context.faults.add(attribute.position, message);
    }

    fn resolve(&self, value: &RawValue) -> Result<Value, Unknown> {
        let nothing = Env::default();
        eval::resolve(self.context.scope, value, self.block.map_or(&nothing, |block| &block.env))
    }

    fn check_child(&self, child: &RawBlock, earlier: Option<&RawBlock>) {
        let name = child.kind.as_str();
        if self.table.top && EVERYWHERE_IGNORED.contains(&name) {
            return;
        }
        let message = match self.table.child(name) {
            Some(Child::Ignored(_) | Child::Repeated(_)) => return,
            // What an action of a type is about that is refused by its name.
            Some(Child::Unsupported(_)) if self.is_type_of(name) => return,
            Some(Child::Unsupported(_)) => unsupported_block(name),
            Some(Child::Block(_)) => match earlier {
                // That one is refused, and with it what goes together with it.
                Some(earlier) if self.is_refused_by_type(earlier) => return,
                Some(earlier) => format!(
                    "a second `{name}` block is not supported; the first is at {}; allowed: one",
                    self.context.faults.show(earlier.position)
                ),
                None => return,
            },
            None => match self.table.attribute(name) {
                Some(Attribute { kind: AttributeKind::Ignored, .. }) => return,
                Some(_) => format!("`{name}` is an attribute, not a block; allowed: `{name} = …`"),
                None if name == "dynamic" && self.makes_ignored(child) => return,
                None if name == "dynamic" => match self.wrong_with_dynamic(child) {
                    Some((position, message)) => return self.context.faults.add(position, message),
                    None => return,
                },
                None => self.unknown_block(name),
            },
        };
        self.context.faults.add(child.position, message);
    }

    fn check_only(&self, known: &Attribute) {
        let AttributeKind::Only { allowed } = known.kind else { return };
        let is_truth = |word: &&&str| matches!(**word, "true" | "false");
        let is_allowed = |value: &Value| match value.as_text() {
            // As a truth value may be written.
            Some(_)
                if value.as_bool().is_some_and(|truth| {
                    allowed.iter().filter(is_truth).any(|word| *word == truth.to_string())
                }) =>
            {
                true
            }
            Some(text) => allowed.iter().any(|word| word.eq_ignore_ascii_case(&text)),
            None => false,
        };
        if let Some((value, position)) = self.value(known.name)
            && !is_allowed(&value)
        {
            let text = value.as_text().unwrap_or_default();
            let whose = elsewhere::whose(known.name, &text).unwrap_or(known.meaning.trim_end_matches('.'));
            let (name, allowed) = (known.name, known.kind.allowed());
            let message =
                format!("`{name}` = {value} is not supported by this version ({whose}); allowed: {allowed}");
            self.context.faults.add(position, message);
        }
    }

    /// Notes a fault at the block itself.
    pub(super) fn fault(&self, message: impl Into<String>) {
        if let Some(position) = self.position() {
            self.context.faults.add(position, message);
        }
    }

    /// Notes a fault at the value of an attribute, or at the block where it is not given.
    pub(super) fn fault_at(&self, name: &str, message: impl Into<String>) {
        if let Some(position) =
            self.written(name).map(|attribute| attribute.value.position).or(self.position())
        {
            self.context.faults.add(position, message);
        }
    }

    /// Notes what is no fault and yet has to be known, at an attribute.
    pub(super) fn note_at(&self, name: &str, message: impl Into<String>) {
        self.context.faults.note(self.position_of(name), message);
    }

    /// The same at a position within the block.
    pub(super) fn note_in(&self, position: Position, message: impl Into<String>) {
        self.context.faults.note(position, message);
    }

    /// Notes a fault at a position within the block.
    pub(super) fn fault_in(&self, position: Position, message: impl Into<String>) {
        self.context.faults.add(position, message);
    }

    /// A position, for people.
    pub(super) fn show(&self, position: Position) -> String {
        self.context.faults.show(position)
    }

    /// Notes that what may be given once was given before.
    pub(super) fn fault_again(&self, position: Position, name: &str, first: Position) {
        let first = self.context.faults.show(first);
        self.context.faults.add(
            position,
            format!("a second `{name}` condition is not supported; the first is at {first}; allowed: one"),
        );
    }

    /// What kind of block it is.
    pub(super) fn name(&self) -> &'static str {
        self.table.name
    }

    /// Notes a fault when an attribute is not given, or given as nothing.
    pub(super) fn require(&self, name: &str) {
        if self.is_unset(name) && !self.is_meant(name) {
            let allowed = self.allowed(name);
            self.fault(format!("{} needs `{name}`; allowed: {allowed}", self.table.name));
        }
    }

    /// Where the block is; nothing when it is absent.
    pub(super) fn position(&self) -> Option<Position> {
        self.block.map(|block| block.position)
    }

    /// Where the block is, as `file:line:column`; nothing when it is absent.
    pub(super) fn where_written(&self) -> String {
        self.position().map(|position| self.context.faults.show(position)).unwrap_or_default()
    }

    /// Where an attribute is written, or else its block.
    pub(super) fn position_of(&self, name: &str) -> Position {
        let nowhere = Position { file: 0, offset: 0 };
        self.written(name).map(|attribute| attribute.position).or(self.position()).unwrap_or(nowhere)
    }

    /// Where the value of an attribute is written, or else its block.
    pub(super) fn position_of_value(&self, name: &str) -> Position {
        self.written(name).map_or_else(|| self.position_of(name), |attribute| attribute.value.position)
    }

    /// Whether an attribute that means nothing here says true, as far as that can be known. Notes nothing.
    pub(super) fn says_true(&self, name: &str) -> bool {
        self.written(name)
            .is_some_and(|attribute| matches!(self.resolve(&attribute.value), Ok(Value::Bool(true))))
    }

    /// Whether an attribute that means nothing here is neither null nor an empty list, as far as that can be known. Notes
    /// nothing.
    pub(super) fn may_say_something(&self, name: &str) -> bool {
        self.written(name).is_some_and(|attribute| match self.resolve(&attribute.value) {
            Ok(Value::Null) => false,
            Ok(Value::List(items)) => !items.is_empty(),
            _ => true,
        })
    }

    /// Whether an attribute is given and not null.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Whether an attribute is absent or written as nothing: `null`, or an empty text for a reference, as Terraform
    /// has it. A value that is a fault is meant to be something.
    pub(super) fn is_unset(&self, name: &str) -> bool {
        let Some(attribute) = self.written(name) else { return true };
        self.resolve(&attribute.value).is_ok_and(|value| self.is_nothing(name, &value))
    }

    /// Whether what is written for a choice or a number is a fault, so that what depends on it cannot be judged.
    /// Notes nothing.
    pub(super) fn is_wrong(&self, name: &str) -> bool {
        let Some(attribute) = self.written(name) else { return false };
        let Ok(value) = self.resolve(&attribute.value) else { return true };
        let text = value.as_text().unwrap_or_default();
        match self.kind(name) {
            _ if matches!(value, Value::Null) => false,
            Some(AttributeKind::Choice { allowed, .. }) => !allowed.contains(&text.as_str()),
            Some(AttributeKind::AnyCase { allowed, .. }) => {
                !allowed.iter().any(|word| word.eq_ignore_ascii_case(&text))
            }
            Some(AttributeKind::Whole { min, max, .. }) => {
                !value.as_whole().is_some_and(|whole| (min..=max).contains(&&whole))
            }
            _ => false,
        }
    }

    fn is_nothing(&self, name: &str, value: &Value) -> bool {
        let empty = matches!(value, Value::Text(text) if text.is_empty());
        matches!(value, Value::Null)
            || (empty && matches!(self.kind(name), Some(AttributeKind::Reference { .. })))
    }

    /// Whether an attribute is written, be it null or a fault.
    pub(super) fn is_written(&self, name: &str) -> bool {
        self.written(name).is_some()
    }

    /// The nested block of that name, when it is given; the first of several.
    pub(super) fn child(&self, name: &str) -> Option<&'a RawBlock> {
        self.block?.body.blocks.iter().find(|child| child.kind == name)
    }

    /// Whether a nested block is there.
    pub(super) fn has_child(&self, name: &str) -> bool {
        self.child(name).is_some()
    }

    /// A nested block opened by its table, absent or not.
    pub(super) fn open_child(&self, table: &'static Table) -> Self {
        Self::open(&self.context, table, self.child(table.name))
    }

    /// All nested blocks of a table, opened.
    pub(super) fn open_children(&self, table: &'static Table) -> Vec<Self> {
        let blocks = self.block.map(|block| block.body.blocks.as_slice()).unwrap_or_default();
        let ours = blocks.iter().filter(|child| child.kind == table.name);
        ours.map(|child| Self::open(&self.context, table, Some(child))).collect()
    }

    /// The value of an attribute; nothing when it is absent, null or a fault.
    pub(super) fn value(&self, name: &str) -> Option<(Value, Position)> {
        debug_assert!(
            self.table.attribute(name).is_some(),
            "{name} is not in the table of {}",
            self.table.name
        );
        let attribute = self.written(name)?;
        match self.resolve(&attribute.value) {
            Ok(value) if self.is_nothing(name, &value) => None,
            Ok(value) if value.is_foreign() && !self.may_be_foreign(name, &value) => {
                self.note_foreign(name, &value, attribute.value.position);
                None
            }
            Ok(value) => Some((value, attribute.value.position)),
            Err(unknown) => {
                let message = unknown.message()?;
                let block = self.position().unwrap_or(attribute.position);
                self.context.faults.add_of_value(block, name, attribute.value.position, message);
                None
            }
        }
    }

    /// Whether an attribute may lead to a block, or is not looked at. What goes by a variable without a value leads nowhere,
    /// but that a load balancer may stand elsewhere.
    fn may_be_foreign(&self, name: &str, value: &Value) -> bool {
        use AttributeKind::{Ignored, Map, Reference};
        match self.kind(name) {
            Some(Ignored | Map { .. }) => true,
            Some(Reference { to: "load_balancer", .. }) if self.is_of_terraform() => true,
            Some(Reference { .. }) => value.lacking().is_none(),
            _ => false,
        }
    }

    fn note_foreign(&self, name: &str, value: &Value, position: Position) {
        if let Some(lacking) = value.lacking() {
            let block = self.position().unwrap_or(position);
            return self.context.faults.add_of_value(block, name, position, lacking);
        }
        let allowed = self.allowed(name);
        self.context
            .faults
            .add(position, format!("`{name}` = {value} is not known here; allowed: {allowed}{WAY_OUT}"));
    }

    /// Whether the block is a resource of Terraform's.
    pub(super) fn is_of_terraform(&self) -> bool {
        self.block.is_some_and(|block| block.kind == "resource")
    }

    /// The value of an attribute, where it is known. Notes nothing.
    pub(super) fn known(&self, name: &str) -> Option<Value> {
        self.resolve(&self.written(name)?.value).ok()
    }

    /// A whole number that has a default.
    pub(super) fn whole(&self, name: &str) -> u64 {
        self.whole_if_given(name).unwrap_or(match self.kind(name) {
            Some(AttributeKind::Whole { min, default, .. }) => default.unwrap_or(*min),
            _ => 0,
        })
    }

    /// A whole number, when it is given and in range.
    pub(super) fn whole_if_given(&self, name: &str) -> Option<u64> {
        let (value, position) = self.value(name)?;
        let Some(AttributeKind::Whole { min, max, .. }) = self.kind(name) else { return None };
        let whole = value.as_whole().filter(|whole| (min..=max).contains(&whole));
        if whole.is_none() {
            let is_number = match value {
                Value::Number(number) => number.as_f64().is_none_or(|float| float.fract() == 0.0),
                _ => value.as_whole().is_some(),
            };
            let wrong = if is_number { "is out of range" } else { "is no whole number" };
            self.context.faults.add(
                position,
                format!(
                    "`{name}` = {} {wrong}; allowed: {}",
                    self.number(&value, position),
                    self.allowed(name)
                ),
            );
        }
        whole
    }

    /// A whole number; nothing when it is absent, the word that stands for none, or out of range.
    pub(super) fn whole_or_none(&self, name: &str) -> Option<u64> {
        let (value, position) = self.value(name)?;
        let Some(AttributeKind::WholeOr { word, min, max }) = self.kind(name) else { return None };
        if value.as_text().is_some_and(|text| text.eq_ignore_ascii_case(word)) {
            return None;
        }
        let whole = value.as_whole().filter(|whole| (min..=max).contains(&whole));
        if whole.is_none() {
            let number = self.number(&value, position);
            self.context
                .faults
                .add(position, format!("`{name}` = {number}; allowed: {}", self.allowed(name)));
        }
        whole
    }

    /// A value in words: a number that is beyond the parser as it is written, where it stands at this position.
    fn number(&self, value: &Value, position: Position) -> String {
        let text = self.context.faults.text(position);
        let is_part = |letter: char| letter.is_ascii_digit() || matches!(letter, '-' | '+' | '.' | 'e' | 'E');
        match value {
            Value::Number(number) if is_huge(*number) && text.starts_with(is_part) => {
                shortened(text.split(|letter| !is_part(letter)).next().unwrap_or_default())
            }
            value => value.to_string(),
        }
    }

    /// A truth value.
    pub(super) fn truth(&self, name: &str) -> bool {
        let default = matches!(self.kind(name), Some(AttributeKind::Truth { default: true }));
        let Some((value, position)) = self.value(name) else { return default };
        value.as_bool().unwrap_or_else(|| {
            self.context.faults.add(position, format!("`{name}` = {value}; allowed: true or false"));
            default
        })
    }

    /// One of the allowed words.
    pub(super) fn choice(&self, name: &str) -> &'static str {
        let (allowed, default, later, any_case): (_, _, &[&str], _) = match self.kind(name) {
            Some(AttributeKind::Choice { allowed, default, later }) => (*allowed, *default, later, false),
            Some(AttributeKind::AnyCase { allowed, default }) => (*allowed, *default, &[], true),
            _ => return "",
        };
        let Some((value, position)) = self.value(name) else { return default };
        let text = value.as_text().unwrap_or_default();
        let is_meant = |word: &&&str| **word == text || (any_case && word.eq_ignore_ascii_case(&text));
        if let Some(word) = allowed.iter().find(is_meant) {
            return word;
        }
        let wrong = if later.contains(&text.as_str()) {
            let whose = elsewhere::whose(name, &text).map(|whose| format!(" ({whose})"));
            format!(" is not supported by this version{}", whose.unwrap_or_default())
        } else if any_case && OTHER_BALANCERS.iter().any(|word| word.eq_ignore_ascii_case(&text)) {
            " is of Network and Gateway Load Balancers".to_owned()
        } else {
            suggest::hint(&text, allowed.iter().copied())
        };
        let message = format!("`{name}` = {value}{wrong}; allowed: {}", self.allowed(name));
        self.context.faults.add(position, message);
        default
    }

    /// Whether a word is given that is allowed.
    pub(super) fn is_choice(&self, name: &str) -> bool {
        let Some(AttributeKind::Choice { allowed, .. }) = self.kind(name) else { return false };
        self.value(name)
            .and_then(|(value, _)| value.as_text())
            .is_some_and(|text| allowed.contains(&text.as_str()))
    }

    /// A text, when it is given.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let (value, position) = self.value(name)?;
        let text = value.as_text();
        if text.is_none() {
            self.context
                .faults
                .add(position, format!("`{name}` = {value} is no text; allowed: {}", self.allowed(name)));
        }
        text
    }

    /// The members of a list; none when it is absent. One that is not known here is a fault, and left out.
    pub(super) fn list(&self, name: &str) -> Vec<(Value, Position)> {
        match self.value(name) {
            Some((Value::List(items), _)) => {
                let mut items = self.spread_as_of_old(name, items);
                items.retain(|(item, position)| {
                    if item.is_foreign() {
                        self.note_foreign(name, item, *position);
                    }
                    !item.is_foreign()
                });
                items
            }
            Some((value, position)) => {
                let message =
                    format!("`{name}` = {value} is no list; allowed: [{value}], with {}", self.allowed(name));
                self.context.faults.add(position, message);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// What a list is that is not given.
    pub(super) fn listed_default(&self, name: &str) -> Option<&'static [&'static str]> {
        match self.kind(name)? {
            AttributeKind::Listed { default, .. } => Some(default),
            _ => None,
        }
    }

    /// A file that is read along with the configuration: its path as seen from the folder of the file in which the attribute
    /// is written, so that it does not depend on where the balancer was started.
    pub(super) fn named_file(&self, name: &str, path: &str) -> String {
        let position = self.written(name).map(|attribute| attribute.value.position);
        let folder = position.and_then(|position| self.context.faults.folder(position)).unwrap_or_default();
        let file = if path.starts_with('/') { PathBuf::from(path) } else { folder.join(path) };
        self.context.faults.note_file(&file);
        file.to_string_lossy().into_owned()
    }

    /// What an attribute may be, in words.
    pub(super) fn allowed(&self, name: &str) -> String {
        self.table.attribute(name).map(Attribute::allowed).unwrap_or_default()
    }

    fn kind(&self, name: &str) -> Option<&'static AttributeKind> {
        self.table.attribute(name).map(|attribute| &attribute.kind)
    }

    /// The value of an attribute as it is written.
    pub(super) fn raw(&self, name: &str) -> Option<&'a RawExpression> {
        self.written(name).map(|attribute| &attribute.value.expression)
    }

    fn written(&self, name: &str) -> Option<&'a RawAttribute> {
        self.block?.body.attributes.iter().find(|attribute| attribute.name == name)
    }
}

fn unsupported_block(name: &str) -> String {
    format!("`{name}` is not supported by this version; allowed: nothing, leave it out")
}

/// A block's name in prose.
pub(super) fn words(name: &str) -> String {
    name.replace('_', " ")
}
