//! The call of a function: its name and what it is given, as what the function takes.
//! Must not know: what any function does.

use std::rc::Rc;

use super::{convert, fail::Fail};
use crate::config::{
    bindings::{Items, Members, Val},
    decimal::Decimal,
    source::Position,
};

pub(super) struct Call<'c> {
    pub(super) name: &'c str,
    pub(super) values: &'c [Val],
    /// Where the value is written that it is a part of.
    pub(super) position: Position,
}

impl Call<'_> {
    /// What is wrong with the call.
    pub(super) fn wrong(&self, wrong: &str, allowed: &str) -> Fail {
        Fail::Wrong(format!("`{}` {wrong}; allowed: {allowed}", self.name))
    }

    /// What keeps it from being worked out here.
    pub(super) fn not_here(&self, why: &str, allowed: &str) -> Fail {
        Fail::NotHere(format!("`{}` {why}; allowed: {allowed}", self.name))
    }

    /// Holds it to a number of arguments.
    pub(super) fn takes(&self, least: usize, most: usize) -> Result<(), Fail> {
        if (least..=most).contains(&self.values.len()) {
            return Ok(());
        }
        let allowed = match (least, most) {
            (least, most) if least == most => format!("{least} of them"),
            (least, usize::MAX) => format!("{least} or more"),
            (least, most) => format!("{least} to {most}"),
        };
        Err(self.wrong(&format!("has {} arguments", self.values.len()), &allowed))
    }

    pub(super) fn value(&self, index: usize) -> Result<&Val, Fail> {
        self.values.get(index).ok_or_else(|| self.wrong("has too few arguments", "more of them"))
    }

    /// One that is neither null nor unknown.
    fn known(&self, value: &Val) -> Result<(), Fail> {
        match value {
            Val::Null => Err(self.wrong("is given null", "a value")),
            value => value.unknown().map_or(Ok(()), |by| Err(Fail::By(by))),
        }
    }

    pub(super) fn text(&self, index: usize) -> Result<Rc<str>, Fail> {
        self.as_text(self.value(index)?)
    }

    pub(super) fn as_text(&self, value: &Val) -> Result<Rc<str>, Fail> {
        self.known(value)?;
        match convert::to_text(value)? {
            Val::Text(text) => Ok(text),
            _ => Err(self.wrong("is given what is no text", "a text")),
        }
    }

    pub(super) fn number(&self, index: usize) -> Result<Decimal, Fail> {
        self.as_number(self.value(index)?)
    }

    pub(super) fn as_number(&self, value: &Val) -> Result<Decimal, Fail> {
        self.known(value)?;
        match convert::to_number(value)? {
            Val::Number(number) => Ok(number),
            _ => Err(self.wrong("is given what is no number", "a number")),
        }
    }

    pub(super) fn whole(&self, index: usize) -> Result<i128, Fail> {
        self.number(index)?
            .as_whole()
            .ok_or_else(|| self.wrong("is given a number that is not whole", "a whole number"))
    }

    /// A list or a set.
    pub(super) fn list(&self, index: usize) -> Result<&Items, Fail> {
        self.as_list(self.value(index)?)
    }

    pub(super) fn as_list<'v>(&self, value: &'v Val) -> Result<&'v Items, Fail> {
        self.known(value)?;
        match value {
            Val::List(items) | Val::Set(items) => Ok(items),
            value => Err(self.wrong(&format!("is given {}", value.kind()), "a list")),
        }
    }

    pub(super) fn object(&self, index: usize) -> Result<&Members, Fail> {
        let value = self.value(index)?;
        self.known(value)?;
        match value {
            Val::Object(members) => Ok(members),
            value => Err(self.wrong(&format!("is given {}", value.kind()), "a map")),
        }
    }

    /// The texts of a list.
    pub(super) fn texts(&self, index: usize) -> Result<Vec<Rc<str>>, Fail> {
        self.list(index)?.iter().map(|(item, _)| self.as_text(item)).collect()
    }
}
