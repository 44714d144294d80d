//! Terraform's JSON syntax (`*.tf.json`, `*.tfvars.json`) → raw blocks.
//! Must not know what any block or attribute means: what is an object, or a list of them, is a block where blocks may
//! be, and reading by tables tells what is none.

use std::collections::HashMap;

use super::{
    bindings::Env,
    fault::Faults,
    json::{self, Json, Member, Node},
    raw::{self, RawAttribute, RawBlock, RawBody, RawExpression, RawValue},
    source::{Position, control_character},
};

/// Reads a file of blocks; faults go to `faults`, what could be read is returned.
pub(super) fn parse(file: usize, text: &str, faults: &Faults<'_>) -> RawBody {
    let reader = BlockReader { file, faults, has_templates: true };
    let mut body = RawBody::default();
    for node in reader.root(text).iter().flat_map(listed) {
        let members = reader.object(node, "an object of blocks");
        for Member { name, offset, node } in members.iter().filter(|member| !is_comment(member)) {
            let position = reader.position(*offset);
            reader.blocks(name, position, node, &mut Vec::new(), &mut body.blocks);
        }
    }
    body
}

/// Reads a file of values of variables. Its texts are no templates.
pub(super) fn parse_values(file: usize, text: &str, faults: &Faults<'_>) -> RawBody {
    let reader = BlockReader { file, faults, has_templates: false };
    let root = reader.root(text);
    let members = root.iter().flat_map(|node| reader.object(node, "an object of values"));
    RawBody { attributes: members.map(|member| reader.attribute(member)).collect(), blocks: Vec::new() }
}

/// How many labels stand before the body of a block.
fn labels_of(kind: &str) -> usize {
    match kind {
        "balancer" | "shield" | "session_store" | "control_api" | "import" | "locals" | "moved"
        | "removed" | "terraform" => 0,
        "action" | "data" | "ephemeral" | "resource" => 2,
        _ => 1,
    }
}

/// A property that says nothing, by Terraform's rules.
fn is_comment(member: &Member) -> bool {
    member.name == "//"
}

/// Of control characters, those that may stand in JSON, if not in its texts.
fn is_blank(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r')
}

/// Whether there are values where labels should be. One alone may be a label with something wrong behind it.
fn has_no_label(members: &[Member]) -> bool {
    let is_block = |node: &Node| matches!(node.json, Json::Object(_) | Json::Null);
    let named = || members.iter().filter(|member| !is_comment(member));
    let values = named().filter(|member| !listed(&member.node).iter().all(is_block)).count();
    values > 0 && named().count() > 1
}

/// The members of a list, or the one value.
fn listed(node: &Node) -> &[Node] {
    match &node.json {
        Json::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}

struct BlockReader<'f, 's> {
    file: usize,
    faults: &'f Faults<'s>,
    has_templates: bool,
}

impl BlockReader<'_, '_> {
    fn position(&self, offset: usize) -> Position {
        Position { file: self.file, offset }
    }

    fn root(&self, text: &str) -> Option<Node> {
        json::parse(text)
            .map_err(|error| {
                self.faults.note_unread_text();
                let found = text.get(error.offset..).and_then(|rest| rest.chars().next());
                let message = match found.filter(|found| found.is_control() && !is_blank(*found)) {
                    Some(found) => control_character(found, "JSON"),
                    None => format!("syntax error in JSON; expected {}", error.expected),
                };
                self.faults.add(self.position(error.offset), message);
            })
            .ok()
    }

    fn object<'n>(&self, node: &'n Node, allowed: &str) -> &'n [Member] {
        match &node.json {
            Json::Object(members) => members,
            Json::Null => &[],
            _ => {
                self.faults.add(self.position(node.offset), format!("this is no object; allowed: {allowed}"));
                &[]
            }
        }
    }

    fn blocks(
        &self,
        kind: &str,
        position: Position,
        node: &Node,
        labels: &mut Vec<(String, Position)>,
        found: &mut Vec<RawBlock>,
    ) {
        for (index, node) in listed(node).iter().enumerate() {
            let position = self.position_of_item(position, index, node);
            let members = self.object(node, "an object, or a list of them");
            if labels.len() < labels_of(kind) && has_no_label(members) {
                // What the block would define is not known by its name.
                self.faults.note_unread_text();
                let message =
                    format!("`{kind}` needs a label around its values; allowed: {{\"LABEL\": {{ … }}}}");
                self.faults.add(position, message);
            } else if labels.len() < labels_of(kind) {
                for member in members.iter().filter(|member| !is_comment(member)) {
                    labels.push((member.name.clone(), self.position(member.offset)));
                    self.blocks(kind, self.position(member.offset), &member.node, labels, found);
                    labels.pop();
                }
            } else if !matches!(node.json, Json::Null) {
                // Of values, not of blocks, even where they are objects.
                let is_flat = matches!(
                    kind,
                    "locals"
                        | "variable"
                        | "module"
                        | "output"
                        | "balancer"
                        | "shield"
                        | "session_store"
                        | "control_api"
                );
                let body = if is_flat { self.flat(members) } else { self.body(members) };
                found.push(RawBlock {
                    kind: kind.to_owned(),
                    position,
                    labels: labels.clone(),
                    body,
                    env: Env::default(),
                });
            }
        }
    }

    fn flat(&self, members: &[Member]) -> RawBody {
        let members = members.iter().filter(|member| !is_comment(member));
        RawBody { attributes: members.map(|member| self.attribute(member)).collect(), blocks: Vec::new() }
    }

    fn body(&self, members: &[Member]) -> RawBody {
        let mut body = RawBody::default();
        let mut positions: HashMap<&str, Position> = HashMap::new();
        for member in members.iter().filter(|member| !is_comment(member)) {
            let items = listed(&member.node);
            if member.name == "dynamic" {
                let (position, before) = (self.position(member.offset), body.blocks.len());
                self.blocks("dynamic", position, &member.node, &mut Vec::new(), &mut body.blocks);
                body.blocks.iter_mut().skip(before).for_each(|block| block.position = position);
            } else if !items.is_empty()
                && !matches!(&*member.name, "count" | "for_each")
                && items.iter().all(|item| matches!(item.json, Json::Object(_)))
            {
                for (index, item) in items.iter().enumerate() {
                    let position = self.position_of_item(self.position(member.offset), index, item);
                    let inner = self.body(self.object(item, "an object"));
                    let kind = member.name.clone();
                    body.blocks.push(RawBlock {
                        kind,
                        position,
                        labels: Vec::new(),
                        body: inner,
                        env: Env::default(),
                    });
                }
            } else if let Some(first) = positions.insert(&member.name, self.position(member.offset)) {
                let first = self.faults.show(first);
                let message = format!("`{}` is given twice, first at {first}; allowed: once", member.name);
                self.faults.add(self.position(member.offset), message);
            } else if !matches!(member.node.json, Json::Null) {
                body.attributes.push(self.attribute(member));
            }
        }
        body
    }

    /// Where one of several blocks is that share a name, the first of which is where the name is.
    fn position_of_item(&self, first: Position, index: usize, item: &Node) -> Position {
        if index == 0 { first } else { self.position(item.offset) }
    }

    fn attribute(&self, member: &Member) -> RawAttribute {
        RawAttribute {
            name: member.name.clone(),
            position: self.position(member.offset),
            value: self.value(&member.node),
            is_no_block: matches!(&member.node.json, Json::List(items) if items.is_empty()),
        }
    }

    fn value(&self, node: &Node) -> RawValue {
        let position = self.position(node.offset);
        let expression = match &node.json {
            Json::Null => RawExpression::Null,
            Json::Bool(value) => RawExpression::Bool(*value),
            Json::Number(number) => RawExpression::Number(*number),
            Json::Text(text) => self.text(text, position),
            Json::List(items) => RawExpression::List(items.iter().map(|item| self.value(item)).collect()),
            Json::Object(members) => RawExpression::Object(
                members
                    .iter()
                    .map(|member| {
                        let position = self.position(member.offset);
                        (self.text(&member.name, position), self.value(&member.node))
                    })
                    .collect(),
            ),
        };
        RawValue { position, expression }
    }

    fn text(&self, text: &str, position: Position) -> RawExpression {
        if !self.has_templates || !(text.contains("${") || text.contains("%{")) {
            return RawExpression::Text(text.to_owned());
        }
        raw::convert::template(text, position).unwrap_or_else(|wrong| {
            self.faults.note_unread_text();
            self.faults.add(position, format!("syntax error in the text: {wrong}"));
            RawExpression::Unread
        })
    }
}
