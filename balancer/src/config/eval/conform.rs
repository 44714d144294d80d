//! Values that a module is called with, as its variables' types have them: Terraform converts them when it has worked them out.
//! Must not know: which module it is.

use std::collections::BTreeMap;

use super::{Evaluated, Evaluator, convert, said};
use crate::config::{
    bindings::{Env, Val},
    raw::{RawExpression, RawValue},
    scope::{Argument, Unknown},
};

impl Evaluator<'_, '_> {
    /// What a module is called with for a variable of it.
    pub(super) fn argument(
        &self,
        value: &RawValue,
        kind: Option<&RawExpression>,
        argument: &Argument<'_>,
    ) -> Evaluated {
        let mut value = self.value(&value.expression, argument.env)?;
        if let (Val::Null, Some(default)) = (&value, argument.in_place_of_null) {
            value = self.value(&default.expression, &Env::default())?;
        }
        match kind {
            Some(kind) => self.conforming(value, kind),
            None => Ok(value),
        }
    }

    /// A value as one of a type. What is not known stays so.
    fn conforming(&self, value: Val, kind: &RawExpression) -> Evaluated {
        self.charge(1)?;
        if matches!(value, Val::Null) || value.unknown().is_some() {
            return Ok(value);
        }
        match kind {
            RawExpression::Path(words, _) => match words.first().map(String::as_str) {
                Some("string") => said(convert::to_text(&value)),
                Some("number") => said(convert::to_number(&value)),
                Some("bool") => said(convert::to_truth(&value)),
                Some(kind @ ("list" | "set" | "map")) => self.collection(kind, &value, None),
                _ => Ok(value),
            },
            RawExpression::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
                ("optional", [inner, ..]) => self.conforming(value, inner),
                ("object", [RawExpression::Object(kinds)]) => self.object_of(&value, kinds),
                ("tuple", [RawExpression::List(kinds)]) => self.tuple_of(&value, kinds),
                (kind @ ("list" | "set" | "map"), [inner]) => self.collection(kind, &value, Some(inner)),
                _ => Ok(value),
            },
            _ => Ok(value),
        }
    }

    fn collection(&self, kind: &str, value: &Val, inner: Option<&RawExpression>) -> Evaluated {
        let of = |item: &Val| match inner {
            Some(inner) => self.conforming(item.clone(), inner),
            None => Ok(item.clone()),
        };
        match (kind, value) {
            ("list" | "set", Val::List(items) | Val::Set(items)) => {
                let items = items.iter().map(|(item, at)| Ok((of(item)?, *at)));
                let items = items.collect::<Result<Vec<_>, Unknown>>()?;
                if kind == "set" { said(convert::set(&items)) } else { Ok(Val::list(items)) }
            }
            ("map", Val::Object(members)) => {
                let members = members.iter().map(|(key, member)| Ok((key.clone(), of(member)?)));
                Ok(Val::object(members.collect::<Result<_, Unknown>>()?))
            }
            _ => Err(unfit(value, &format!("a {kind}"))),
        }
    }

    fn object_of(&self, value: &Val, kinds: &[(RawExpression, RawValue)]) -> Evaluated {
        let Val::Object(members) = value else { return Err(unfit(value, "an object")) };
        let mut made = BTreeMap::new();
        for (key, kind) in kinds {
            let name = match key {
                RawExpression::Text(name) => name.clone(),
                RawExpression::Path(words, _) => words.first().cloned().unwrap_or_default(),
                _ => continue,
            };
            let kind = &kind.expression;
            let given = members.get(&name).filter(|given| !matches!(given, Val::Null));
            let member = match (given, kind) {
                (Some(given), kind) => self.conforming(given.clone(), kind)?,
                (None, RawExpression::Call(optional, arguments)) if optional == "optional" => {
                    match &**arguments {
                        [kind, default, ..] => {
                            self.conforming(self.value(default, &Env::default())?, kind)?
                        }
                        _ => Val::Null,
                    }
                }
                (None, _) if members.contains_key(&name) => Val::Null,
                (None, _) => {
                    return Err(Unknown::Wrong(format!(
                        "an object has no `{name}`, which the type of the variable says; allowed: all of its attributes"
                    )));
                }
            };
            made.insert(name, member);
        }
        self.weighed(Val::object(made))
    }

    fn tuple_of(&self, value: &Val, kinds: &[RawValue]) -> Evaluated {
        let Val::List(items) = value else { return Err(unfit(value, "a tuple")) };
        if items.len() != kinds.len() {
            return Err(unfit(value, &format!("a tuple of {}", kinds.len())));
        }
        let items = items
            .iter()
            .zip(kinds)
            .map(|((item, at), kind)| Ok((self.conforming(item.clone(), &kind.expression)?, *at)));
        Ok(Val::list(items.collect::<Result<_, Unknown>>()?))
    }
}

fn unfit(value: &Val, kind: &str) -> Unknown {
    Unknown::Wrong(format!(
        "{} stands where the type of the variable says {kind}; allowed: {kind}",
        value.kind()
    ))
}
