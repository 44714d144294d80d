//! How many a block is, by `count` or `for_each`, and what is bound in each of them.
//! Must not know: what any block means.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    bindings::{Env, Val},
    decimal::Decimal,
    raw::{RawAttribute, RawBlock},
    scope::Unknown,
};

/// The attributes that make several blocks of one.
pub(super) const REPEATING: [&str; 2] = ["count", "for_each"];
/// Most blocks that one stands for.
const MAX_INSTANCES: usize = 1000;

/// The attribute of a block that makes it several.
pub(super) fn repeating(block: &RawBlock) -> Option<&RawAttribute> {
    block.body.attributes.iter().find(|attribute| REPEATING.contains(&attribute.name.as_str()))
}

/// What a block is.
pub(super) enum Instances {
    One,
    Counted(usize),
    Keyed(BTreeMap<String, Val>),
    /// It goes by what is not known here.
    By(Rc<str>),
}

/// How many it is by the value of this attribute.
///
/// # Errors
/// Says why Terraform would not take the value.
pub(super) fn of(name: &str, value: &Val) -> Result<Instances, Unknown> {
    if let Val::Null = value {
        // An override file may have taken it back.
        return Ok(Instances::One);
    }
    if let Some(by) = value.unknown() {
        return Ok(Instances::By(by));
    }
    if name == "count" { counted(value) } else { keyed(value) }
}

fn counted(value: &Val) -> Result<Instances, Unknown> {
    let number = match value {
        Val::Number(number) => Some(*number),
        Val::Text(text) => Decimal::parse(text),
        _ => None,
    };
    let count = number.and_then(Decimal::as_whole).and_then(|count| usize::try_from(count).ok());
    match count.filter(|count| *count <= MAX_INSTANCES) {
        Some(count) => Ok(Instances::Counted(count)),
        None => Err(Unknown::NotHere(format!(
            "{} is no number of blocks; allowed: a whole number from 0 to {MAX_INSTANCES}",
            value.kind()
        ))),
    }
}

fn keyed(value: &Val) -> Result<Instances, Unknown> {
    let members: BTreeMap<String, Val> = match value {
        Val::Object(members) => (**members).clone(),
        Val::Set(items) => {
            let mut members = BTreeMap::new();
            for (item, _) in items.iter() {
                match item {
                    Val::Text(text) => drop(members.insert(text.to_string(), item.clone())),
                    item if item.unknown().is_some() => {
                        return Ok(Instances::By(item.unknown().unwrap_or_default()));
                    }
                    item => {
                        return Err(Unknown::Wrong(format!(
                            "{} is an element of the set; allowed: a set of texts",
                            item.kind()
                        )));
                    }
                }
            }
            members
        }
        value => {
            return Err(Unknown::Wrong(format!(
                "{} makes no blocks; allowed: a map, or a set of texts such as toset([…])",
                value.kind()
            )));
        }
    };
    if members.len() > MAX_INSTANCES {
        return Err(Unknown::NotHere(format!(
            "it makes {} blocks; allowed: at most {MAX_INSTANCES}",
            members.len()
        )));
    }
    Ok(Instances::Keyed(members))
}

impl Instances {
    /// What is bound in the one of that key, which is as a reference has it: `[0]`, `["blue"]`.
    pub(super) fn env(&self, key: &str) -> Option<Env> {
        let key = key.strip_prefix('[')?.strip_suffix(']')?;
        match self {
            Self::Counted(count) => {
                let index = key.parse().ok().filter(|index: &usize| index < count)?;
                Some(counted_env(index))
            }
            Self::Keyed(members) => {
                let key = key.strip_prefix('"')?.strip_suffix('"')?;
                Some(keyed_env(key, members.get(key)?))
            }
            Self::One | Self::By(_) => None,
        }
    }

    /// All of them: how a reference tells each, and what is bound in it.
    pub(super) fn all(&self) -> Vec<(String, Env)> {
        match self {
            Self::One | Self::By(_) => Vec::new(),
            Self::Counted(count) => {
                (0..*count).map(|index| (format!("[{index}]"), counted_env(index))).collect()
            }
            Self::Keyed(members) => {
                members.iter().map(|(key, value)| (format!("[\"{key}\"]"), keyed_env(key, value))).collect()
            }
        }
    }
}

fn counted_env(index: usize) -> Env {
    let count = BTreeMap::from([("index".to_owned(), Val::whole(index))]);
    Env::default().with("count", Val::object(count))
}

fn keyed_env(key: &str, value: &Val) -> Env {
    let each = BTreeMap::from([("key".to_owned(), Val::text(key)), ("value".to_owned(), value.clone())]);
    Env::default().with("each", Val::object(each))
}
