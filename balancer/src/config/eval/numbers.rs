//! Functions on numbers. Must not know: expressions.

use std::cmp::Ordering;

use super::{call::Call, convert, fail::Fail};
use crate::config::{
    bindings::{Item, Val},
    decimal::Decimal,
};

/// Most numbers of a `range` (Terraform: range).
const MAX_RANGE: usize = 1024;

pub(super) fn call(call: &Call<'_>) -> Result<Option<Val>, Fail> {
    let (least, most) = match call.name {
        "abs" | "ceil" | "floor" | "signum" | "sum" => (1, 1),
        "pow" | "parseint" => (2, 2),
        "min" | "max" => (1, usize::MAX),
        "range" => (1, 3),
        _ => return Ok(None),
    };
    call.takes(least, most)?;
    let made = |number: Option<Decimal>| number.map(Val::Number).ok_or_else(convert::huge);
    match call.name {
        "abs" => {
            let number = call.number(0)?;
            made(if number.is_negative() { number.negated() } else { Some(number) })
        }
        "floor" => made(Some(call.number(0)?.floor())),
        "ceil" => made(call.number(0)?.negated().and_then(|number| number.floor().negated())),
        "signum" => {
            let order = call.number(0)?.compare(Decimal::from(0));
            made(Some(Decimal::from(i128::from(order as i8))))
        }
        "sum" => sum(call),
        "min" => extreme(call, Ordering::Less),
        "max" => extreme(call, Ordering::Greater),
        "pow" => made(power(call)?),
        "parseint" => parse(call),
        _ => range(call),
    }
    .map(Some)
}

fn sum(call: &Call<'_>) -> Result<Val, Fail> {
    let items = call.list(0)?;
    if items.is_empty() {
        return Err(call.wrong("is given an empty list", "a list with numbers"));
    }
    let mut sum = Decimal::from(0);
    for (item, _) in items.iter() {
        sum = sum.add(call.as_number(item)?).ok_or_else(convert::huge)?;
    }
    Ok(Val::Number(sum))
}

fn extreme(call: &Call<'_>, wanted: Ordering) -> Result<Val, Fail> {
    let mut found = call.number(0)?;
    for value in call.values {
        let number = call.as_number(value)?;
        if number.compare(found) == wanted {
            found = number;
        }
    }
    Ok(Val::Number(found))
}

fn power(call: &Call<'_>) -> Result<Option<Decimal>, Fail> {
    /// Beyond it nothing but 0, 1 and -1 fits.
    const MOST: i128 = 128;
    let (base, exponent) = (call.number(0)?, call.whole(1)?);
    if exponent.unsigned_abs() > MOST.unsigned_abs() {
        return Ok(None);
    }
    let mut power = Some(Decimal::from(1));
    for _ in 0..exponent.unsigned_abs() {
        power = power.and_then(|power| power.multiply(base));
    }
    Ok(if exponent < 0 { power.and_then(|power| Decimal::from(1).divide(power)) } else { power })
}

fn parse(call: &Call<'_>) -> Result<Val, Fail> {
    let (text, base) = (call.text(0)?, call.whole(1)?);
    let radix = u32::try_from(base).ok().filter(|base| (2..=36).contains(base));
    let radix = radix.ok_or_else(|| call.not_here("has another base", "a base from 2 to 36"))?;
    let wrong = || call.wrong("is given a text that is no number in this base", "digits of the base");
    if text.starts_with('+') {
        return Err(wrong());
    }
    Ok(Val::Number(Decimal::from(i128::from_str_radix(&text, radix).map_err(|_| wrong())?)))
}

fn range(call: &Call<'_>) -> Result<Val, Fail> {
    let (from, to) = match call.values.len() {
        1 => (Decimal::from(0), call.number(0)?),
        _ => (call.number(0)?, call.number(1)?),
    };
    let down = to.compare(from) == Ordering::Less;
    let step = match call.values.len() {
        3 => call.number(2)?,
        _ => Decimal::from(if down { -1 } else { 1 }),
    };
    let zero = Decimal::from(0);
    let is_wrong_way = if down { !step.is_negative() } else { step.compare(zero) != Ordering::Greater };
    if is_wrong_way && from != to {
        return Err(call.wrong("has a step that leads away from its end", "a step towards the end"));
    }
    let beyond = if down { Ordering::Greater } else { Ordering::Less };
    let mut numbers: Vec<Item> = Vec::new();
    let mut next = from;
    while next.compare(to) == beyond {
        if numbers.len() == MAX_RANGE {
            return Err(call.wrong("makes more than 1024 numbers", "at most 1024"));
        }
        numbers.push((Val::Number(next), call.position));
        next = next.add(step).ok_or_else(convert::huge)?;
    }
    Ok(Val::list(numbers))
}
