//! Operators on values. Must not know: expressions.

use std::cmp::Ordering;

use super::{convert, fail::Fail};
use crate::config::{
    bindings::Val,
    decimal::Decimal,
    raw::{BinaryOperator, UnaryOperator},
};

pub(super) fn unary(operator: UnaryOperator, operand: &Val) -> Result<Val, Fail> {
    match operator {
        UnaryOperator::Neg => Ok(Val::Number(number(operand)?.negated().ok_or_else(convert::huge)?)),
        UnaryOperator::Not => Ok(Val::Bool(!truth(operand)?)),
    }
}

/// What the first operand decides alone.
pub(super) fn decided(one: &Val, operator: BinaryOperator) -> Result<Option<Val>, Fail> {
    let decides = match operator {
        BinaryOperator::And => Some(false),
        BinaryOperator::Or => Some(true),
        _ => return Ok(None),
    };
    Ok(decides.filter(|decides| truth(one).is_ok_and(|truth| truth == *decides)).map(Val::Bool))
}

pub(super) fn binary(one: &Val, operator: BinaryOperator, other: &Val) -> Result<Val, Fail> {
    use BinaryOperator::{And, Div, Eq, Greater, GreaterEq, Less, LessEq, Minus, Mod, Mul, NotEq, Or, Plus};
    match operator {
        Eq | NotEq => match equal(one, other)? {
            Some(same) => Ok(Val::Bool(same == (operator == Eq))),
            None => {
                Err(Fail::By(one.unknown_within().or_else(|| other.unknown_within()).unwrap_or_default()))
            }
        },
        And | Or => logical(one, operator, other),
        Less | LessEq | Greater | GreaterEq => {
            let order = number(one)?.compare(number(other)?);
            Ok(Val::Bool(match operator {
                Less => order == Ordering::Less,
                LessEq => order != Ordering::Greater,
                Greater => order == Ordering::Greater,
                _ => order != Ordering::Less,
            }))
        }
        Plus | Minus | Mul | Div | Mod => {
            let (one, other) = (number(one)?, number(other)?);
            if matches!(operator, Div | Mod) && other == Decimal::from(0) {
                return Err(Fail::Wrong("a division by zero; allowed: another divisor".to_owned()));
            }
            let result = match operator {
                Plus => one.add(other),
                Minus => other.negated().and_then(|other| one.add(other)),
                Mul => one.multiply(other),
                Div => one.divide(other),
                _ => one.remainder(other),
            };
            Ok(Val::Number(result.ok_or_else(convert::huge)?))
        }
    }
}

fn logical(one: &Val, operator: BinaryOperator, other: &Val) -> Result<Val, Fail> {
    let decides = operator == BinaryOperator::Or;
    let by = match (truth(one), truth(other)) {
        (Ok(one), Ok(other)) => {
            return Ok(Val::Bool(if decides { one || other } else { one && other }));
        }
        // False with whatever is false, true with whatever is true.
        (Err(Fail::By(_)), Ok(known)) if known == decides => return Ok(Val::Bool(decides)),
        (Err(wrong @ (Fail::Wrong(_) | Fail::NotHere(_))), _) | (_, Err(wrong)) | (Err(wrong), _) => wrong,
    };
    Err(by)
}

fn number(value: &Val) -> Result<Decimal, Fail> {
    match convert::to_number(value)? {
        Val::Number(number) => Ok(number),
        Val::Null => Err(Fail::Wrong("null is no number; allowed: a number".to_owned())),
        unknown => Err(Fail::By(unknown.unknown().unwrap_or_default())),
    }
}

fn truth(value: &Val) -> Result<bool, Fail> {
    match convert::to_truth(value)? {
        Val::Bool(truth) => Ok(truth),
        Val::Null => Err(Fail::Wrong("null is no truth value; allowed: true or false".to_owned())),
        unknown => Err(Fail::By(unknown.unknown().unwrap_or_default())),
    }
}

/// Whether two values are the same; nothing where that is not known. Values of different types are not.
pub(super) fn equal(one: &Val, other: &Val) -> Result<Option<bool>, Fail> {
    let same = match (one, other) {
        (Val::Reference(one), Val::Reference(other)) if one == other => Some(true),
        // What a resource is called is not null.
        (Val::Reference(path), Val::Null) | (Val::Null, Val::Reference(path)) if is_name(path) => Some(false),
        (Val::Reference(_) | Val::Unknown(_), _) | (_, Val::Reference(_) | Val::Unknown(_)) => None,
        (Val::Huge(_), _) | (_, Val::Huge(_)) => return Err(convert::huge()),
        (Val::List(one), Val::List(other)) | (Val::Set(one), Val::Set(other)) => {
            match one.len() == other.len() {
                true => all(one.iter().zip(other.iter()).map(|((one, _), (other, _))| (one, other)))?,
                false => Some(false),
            }
        }
        (Val::Object(one), Val::Object(other)) => match one.keys().eq(other.keys()) {
            true => all(one.values().zip(other.values()))?,
            false => Some(false),
        },
        (one, other) => Some(one.is_same(other)),
    };
    let is_collection = |value: &Val| matches!(value, Val::List(_) | Val::Set(_) | Val::Object(_));
    if same == Some(true) && is_collection(one) {
        return Err(Fail::NotHere(
            "whether two collections are equal goes by types that are not known here; allowed: a comparison of texts or \
             numbers, such as length(…) == 0"
                .to_owned(),
        ));
    }
    Ok(same)
}

fn all<'v>(pairs: impl Iterator<Item = (&'v Val, &'v Val)>) -> Result<Option<bool>, Fail> {
    let mut same = Some(true);
    for (one, other) in pairs {
        match equal(one, other) {
            Ok(Some(true)) => {}
            Ok(Some(false)) => return Ok(Some(false)),
            Ok(None) => same = None,
            // Equal as far as that can be told.
            Err(Fail::NotHere(_)) => {}
            Err(wrong) => return Err(wrong),
        }
    }
    Ok(same)
}

/// Whether it is the name that AWS gives to a resource.
fn is_name(path: &[String]) -> bool {
    let is_resource = path.first().is_some_and(|root| root != "data" && root != "module");
    is_resource && path.last().is_some_and(|last| matches!(last.as_str(), "arn" | "id"))
}
