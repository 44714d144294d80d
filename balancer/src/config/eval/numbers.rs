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
        "pow" | "log" | "parseint" => (2, 2),
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
        "log" => logarithm(call),
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

/// As Terraform reckons it: a division of two numbers of the machine.
fn logarithm(call: &Call<'_>) -> Result<Val, Fail> {
    let (number, base) = (call.number(0)?, call.number(1)?);
    let allowed = "a number above 0 and a base above 0 that is not 1";
    let natural = |number: Decimal| number.as_float().filter(|number| *number > 0.0).map(natural_logarithm);
    let (Some(above), Some(below)) = (natural(number), natural(base)) else {
        return Err(call.wrong("is given what has no logarithm", allowed));
    };
    let quotient = above / below;
    if !quotient.is_finite() {
        return Err(call.wrong("is given a base without logarithms", allowed));
    }
    Decimal::of_float(quotient).map(Val::Number).ok_or_else(convert::huge)
}

/// FreeBSD's e_log.c, which Go goes by: `ln` of a C library may be another in the last digit, and then `ceil` of it is, too.
fn natural_logarithm(number: f64) -> f64 {
    const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
    const ODD: [f64; 4] = [
        f64::from_bits(0x3fe5_5555_5555_5593),
        f64::from_bits(0x3fd2_4924_9422_9359),
        f64::from_bits(0x3fc7_4664_96cb_03de),
        f64::from_bits(0x3fc2_f112_df3e_5244),
    ];
    const EVEN: [f64; 3] = [
        f64::from_bits(0x3fd9_9999_9997_fa04),
        f64::from_bits(0x3fcc_71c5_1d8e_78af),
        f64::from_bits(0x3fc3_9a09_d078_c69f),
    ];
    let (mut fraction, mut exponent) = parts(number);
    if fraction < std::f64::consts::FRAC_1_SQRT_2 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let rest = fraction - 1.0;
    let ratio = rest / (2.0 + rest);
    let square = ratio * ratio;
    let fourth = square * square;
    let [odd_1, odd_2, odd_3, odd_4] = ODD;
    let [even_1, even_2, even_3] = EVEN;
    let odd = square * (odd_1 + fourth * (odd_2 + fourth * (odd_3 + fourth * odd_4)));
    let even = fourth * (even_1 + fourth * (even_2 + fourth * even_3));
    let half = 0.5 * rest * rest;
    let exponent = f64::from(exponent);
    exponent * LN2_HIGH - ((half - (ratio * (half + (odd + even)) + exponent * LN2_LOW)) - rest)
}

/// The fraction from 0.5 to 1 of a number above 0, and the power of 2 that it is multiplied by.
fn parts(number: f64) -> (f64, i32) {
    const SUBNORMAL: f64 = 18_014_398_509_481_984.0; // 2^54
    let (number, lifted) = if number < f64::MIN_POSITIVE { (number * SUBNORMAL, 54) } else { (number, 0) };
    let bits = number.to_bits();
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or_default() - 1022 - lifted;
    (f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52)), exponent)
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
