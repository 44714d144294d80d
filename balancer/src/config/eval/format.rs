//! `format` and `formatlist`: Terraform's verbs. Must not know: what a text is for.

use super::{call::Call, convert, encoding, fail::Fail};
use crate::config::{bindings::Val, decimal::Decimal};

/// Longest width and precision.
const MAX_WIDTH: usize = 1000;

/// What stands between `%` and its letter.
#[derive(Default)]
struct Verb {
    plus: bool,
    minus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// The text that comes of a format, the first of the values, and the others.
pub(super) fn format(call: &Call<'_>, values: &[Val]) -> Result<String, Fail> {
    let (pattern, values) = match values.split_first() {
        Some((pattern, values)) => (call.as_text(pattern)?, values),
        None => return Err(call.wrong("has no format", "a format first")),
    };
    let mut text = String::new();
    let mut letters = pattern.chars().peekable();
    let (mut next, mut highest, mut is_indexed) = (0, 0, false);
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = letters.next_if(|letter| "+-0 #".contains(*letter)) {
            match flag {
                '+' => verb.plus = true,
                '-' => verb.minus = true,
                '0' => verb.zero = true,
                '#' => verb.sharp = true,
                _ => verb.space = true,
            }
        }
        verb.width = number(call, &mut letters)?.unwrap_or_default();
        if letters.next_if_eq(&'.').is_some() {
            verb.precision = Some(number(call, &mut letters)?.unwrap_or_default());
        }
        if letters.next_if_eq(&'[').is_some() {
            let index = number(call, &mut letters)?.unwrap_or_default();
            if letters.next_if_eq(&']').is_none() || index == 0 {
                return Err(call.wrong("has an argument index that is none", "such as %[1]s"));
            }
            next = index - 1;
            is_indexed = true;
        }
        let Some(letter) = letters.next() else {
            return Err(call.wrong("has a format that ends within a verb", "%% for a percent sign"));
        };
        if letter == '%' {
            text.push('%');
            continue;
        }
        let value = values
            .get(next)
            .ok_or_else(|| call.wrong("has fewer arguments than its format has verbs", "one for each"))?;
        next += 1;
        highest = highest.max(next);
        text.push_str(&verb.write(call, letter, value)?);
    }
    if highest < values.len() && !is_indexed {
        return Err(call.wrong("has more arguments than its format has verbs", "one for each"));
    }
    Ok(text)
}

fn number(
    call: &Call<'_>,
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<Option<usize>, Fail> {
    let mut digits = String::new();
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    if digits.is_empty() {
        return Ok(None);
    }
    match digits.parse() {
        Ok(number) if number <= MAX_WIDTH => Ok(Some(number)),
        _ => Err(call.not_here("has too large a width", "at most 1000")),
    }
}

impl Verb {
    fn write(&self, call: &Call<'_>, letter: char, value: &Val) -> Result<String, Fail> {
        if let Some(by) = value.unknown_within() {
            return Err(Fail::By(by));
        }
        if matches!(value, Val::Null) && letter != 'v' {
            return Err(call.wrong("is given null", "a value"));
        }
        let text = match letter {
            'v' if self.sharp => encoding::json(call, value)?,
            'v' => match value {
                Val::Null => "null".to_owned(),
                Val::List(_) | Val::Set(_) | Val::Object(_) => encoding::json(call, value)?,
                Val::Number(number) => return self.pad(&self.signed(&plain(call, *number)?), true),
                value => call.as_text(value)?.to_string(),
            },
            's' => {
                let text = call.as_text(value)?;
                match self.precision {
                    Some(most) => text.chars().take(most).collect(),
                    None => text.to_string(),
                }
            }
            'q' => encoding::json(call, &Val::Text(call.as_text(value)?))?,
            't' => match convert::to_truth(value)? {
                Val::Bool(truth) => truth.to_string(),
                _ => return Err(call.wrong("is given what is no truth value", "true or false")),
            },
            'd' | 'b' | 'o' | 'x' | 'X' => return self.whole(call, letter, value),
            'f' => return self.pointed(call, value),
            'e' | 'E' | 'g' | 'G' => {
                return Err(call.not_here(&format!("has the verb %{letter}"), "%s, %d, %f, %v, %q or %t"));
            }
            _ => {
                return Err(
                    call.wrong(&format!("has the verb %{letter}"), "%s, %d, %f, %v, %q, %t, %x, %o or %b")
                );
            }
        };
        self.pad(&text, false)
    }

    fn whole(&self, call: &Call<'_>, letter: char, value: &Val) -> Result<String, Fail> {
        let number = call.as_number(value)?;
        let whole = number
            .as_whole()
            .ok_or_else(|| call.not_here("is given a number that is not whole", "a whole number"))?;
        let absolute = whole.unsigned_abs();
        let digits = match letter {
            'b' => format!("{absolute:b}"),
            'o' => format!("{absolute:o}"),
            'x' => format!("{absolute:x}"),
            'X' => format!("{absolute:X}"),
            _ => absolute.to_string(),
        };
        let sign = if whole < 0 { "-" } else { "" };
        self.pad(&self.signed(&format!("{sign}{digits}")), true)
    }

    /// `%f`: six digits behind the point, or as many as it says.
    fn pointed(&self, call: &Call<'_>, value: &Val) -> Result<String, Fail> {
        const DIGITS: usize = 6;
        let number = call.as_number(value)?;
        let digits = self.precision.unwrap_or(DIGITS);
        if digits > 15 {
            return Err(call.not_here("has too many digits", "at most 15"));
        }
        let rounded = rounded(number, digits).ok_or_else(convert::huge)?;
        self.pad(&self.signed(&rounded), true)
    }

    fn signed(&self, digits: &str) -> String {
        match digits.starts_with('-') {
            false if self.plus => format!("+{digits}"),
            false if self.space => format!(" {digits}"),
            _ => digits.to_owned(),
        }
    }

    fn pad(&self, text: &str, is_number: bool) -> Result<String, Fail> {
        let missing = self.width.saturating_sub(text.chars().count());
        if self.minus {
            return Ok(format!("{text}{}", " ".repeat(missing)));
        }
        if self.zero && is_number {
            let sign = text.len() - text.trim_start_matches(['+', '-', ' ']).len();
            let (sign, digits) = text.split_at(sign);
            return Ok(format!("{sign}{}{digits}", "0".repeat(missing)));
        }
        Ok(format!("{}{text}", " ".repeat(missing)))
    }
}

fn plain(call: &Call<'_>, number: Decimal) -> Result<String, Fail> {
    number
        .digits()
        .ok_or_else(|| call.not_here("is given a number without an end of digits", "a rounded one"))
}

/// Half is rounded to even, as Go does it.
fn rounded(number: Decimal, digits: usize) -> Option<String> {
    let power = 10_i128.checked_pow(u32::try_from(digits).ok()?)?;
    let scaled = number.multiply(Decimal::from(power))?;
    let floor = scaled.floor();
    let rest = scaled.add(floor.negated()?)?;
    let half = Decimal::from(1).divide(Decimal::from(2))?;
    let floor = floor.as_whole()?;
    let up = match rest.compare(half) {
        std::cmp::Ordering::Greater => 1,
        std::cmp::Ordering::Equal => floor.rem_euclid(2),
        std::cmp::Ordering::Less => 0,
    };
    let whole = floor.checked_add(up)?;
    let sign = if whole < 0 { "-" } else { "" };
    let (front, back) =
        (whole.unsigned_abs() / power.unsigned_abs(), whole.unsigned_abs() % power.unsigned_abs());
    Some(if digits == 0 { format!("{sign}{front}") } else { format!("{sign}{front}.{back:0digits$}") })
}

/// `formatlist`: a text for each element of the lists, which are of one length.
pub(super) fn list(call: &Call<'_>) -> Result<Val, Fail> {
    let lists = call.values.iter().filter_map(|value| match value {
        Val::List(items) | Val::Set(items) => Some(items.len()),
        _ => None,
    });
    let mut lengths: Vec<usize> = lists.collect();
    lengths.dedup();
    let length = match lengths.as_slice() {
        [] => 1,
        [length] => *length,
        _ => return Err(call.wrong("is given lists of different lengths", "lists of one length")),
    };
    if let Some(by) = call.values.iter().find_map(Val::unknown) {
        return Err(Fail::By(by));
    }
    let mut texts = Vec::new();
    for index in 0..length {
        let row: Vec<Val> = call
            .values
            .iter()
            .map(|value| match value {
                Val::List(items) | Val::Set(items) => {
                    items.get(index).map_or(Val::Null, |(item, _)| item.clone())
                }
                value => value.clone(),
            })
            .collect();
        texts.push((Val::text(format(call, &row)?), call.position));
    }
    Ok(Val::list(texts))
}
