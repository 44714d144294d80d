//! Numbers that arithmetic is done with: fractions of whole numbers, so that what Terraform reckons with 512 bits comes
//! out the same. Must not know: where a number comes from.

use std::{cmp::Ordering, fmt};

/// Most digits behind the point that a number is written with.
const MAX_DIGITS: usize = 40;

/// A fraction in lowest terms; what is below is above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    above: i128,
    below: i128,
}

impl From<i128> for Decimal {
    fn from(above: i128) -> Self {
        Self { above, below: 1 }
    }
}

fn gcd(one: i128, other: i128) -> i128 {
    let (mut one, mut other) = (one.unsigned_abs(), other.unsigned_abs());
    while other > 0 {
        (one, other) = (other, one % other);
    }
    i128::try_from(one).unwrap_or(1).max(1)
}

impl Decimal {
    fn new(above: i128, below: i128) -> Option<Self> {
        if below == 0 {
            return None;
        }
        let by = gcd(above, below);
        let (above, below) = (above / by, below / by);
        if below < 0 {
            return Some(Self { above: above.checked_neg()?, below: below.checked_neg()? });
        }
        Some(Self { above, below })
    }

    /// Digits, with a sign, a point and an exponent as the case may be. Nothing for what is none, or too large.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(digits);
        let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || !is_digits(whole) || !is_digits(part) {
            return None;
        }
        if unsigned.contains('.') && (whole.is_empty() || part.is_empty()) {
            return None;
        }
        let part = part.trim_end_matches('0');
        let mut above: i128 = format!("{whole}{part}").parse().ok()?;
        if digits.starts_with('-') {
            above = -above;
        }
        let shift = exponent.checked_sub(i32::try_from(part.len()).ok()?)?;
        let power = 10_i128.checked_pow(shift.unsigned_abs())?;
        if shift >= 0 { Self::new(above.checked_mul(power)?, 1) } else { Self::new(above, power) }
    }

    /// A number of the parser.
    pub(super) fn of_float(float: f64) -> Option<Self> {
        Self::parse(&float.to_string())
    }

    pub(super) fn add(self, other: Self) -> Option<Self> {
        let one = self.above.checked_mul(other.below)?;
        let two = other.above.checked_mul(self.below)?;
        Self::new(one.checked_add(two)?, self.below.checked_mul(other.below)?)
    }

    pub(super) fn negated(self) -> Option<Self> {
        Some(Self { above: self.above.checked_neg()?, ..self })
    }

    pub(super) fn multiply(self, other: Self) -> Option<Self> {
        Self::new(self.above.checked_mul(other.above)?, self.below.checked_mul(other.below)?)
    }

    /// Nothing for a division by zero, too.
    pub(super) fn divide(self, other: Self) -> Option<Self> {
        Self::new(self.above.checked_mul(other.below)?, self.below.checked_mul(other.above)?)
    }

    /// What is left of a division whose result has no part behind the point; it has the sign of what is divided.
    pub(super) fn remainder(self, other: Self) -> Option<Self> {
        let quotient = self.divide(other)?;
        let whole = Self::from(quotient.above / quotient.below);
        self.add(whole.multiply(other)?.negated()?)
    }

    pub(super) fn floor(self) -> Self {
        Self::from(self.above.div_euclid(self.below))
    }

    /// The number as a whole one, where it is one.
    pub(super) fn as_whole(self) -> Option<i128> {
        (self.below == 1).then_some(self.above)
    }

    /// The nearest number of the machine.
    pub(super) fn as_float(self) -> Option<f64> {
        let float = |whole: i128| whole.to_string().parse::<f64>().ok();
        match self.digits() {
            Some(digits) => digits.parse().ok(),
            None => Some(float(self.above)? / float(self.below)?),
        }
    }

    pub(super) fn is_negative(self) -> bool {
        self.above < 0
    }

    pub(super) fn compare(self, other: Self) -> Ordering {
        let difference = other.negated().and_then(|other| self.add(other));
        match difference {
            Some(difference) => difference.above.cmp(&0),
            None => self.as_float().partial_cmp(&other.as_float()).unwrap_or(Ordering::Equal),
        }
    }

    /// In digits alone; nothing for one that has no end of them.
    pub(super) fn digits(self) -> Option<String> {
        let sign = if self.above < 0 { "-" } else { "" };
        let below = self.below.unsigned_abs();
        let (whole, mut rest) = (self.above.unsigned_abs() / below, self.above.unsigned_abs() % below);
        let mut text = format!("{sign}{whole}");
        if rest > 0 {
            text.push('.');
        }
        for _ in 0..MAX_DIGITS {
            if rest == 0 {
                return Some(text);
            }
            rest = rest.checked_mul(10)?;
            text.push_str(&(rest / below).to_string());
            rest %= below;
        }
        (rest == 0).then_some(text)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.digits() {
            Some(digits) => f.write_str(&digits),
            None => write!(f, "{}/{}", self.above, self.below),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_exact() {
        assert_eq!(of("0.1").add(of("0.2")), Some(of("0.3")));
        let third = of("1").divide(of("3")).unwrap();
        assert_eq!(third.multiply(of("3")), Some(of("1")));
        assert_eq!(third.digits(), None);
        for (text, digits) in [
            ("1e3", "1000"),
            ("-2.50", "-2.5"),
            ("1E-3", "0.001"),
            ("+7", "7"),
            ("0.0", "0"),
            ("1e20", "100000000000000000000"),
        ] {
            assert_eq!(of(text).digits().as_deref(), Some(digits), "{text}");
        }
        for text in ["", "-", ".", "1.", ".5", "0x1", "1e999", "1e", "a", " 1", "1_0"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        assert_eq!(of("-7").remainder(of("3")), Some(of("-1")));
        assert_eq!(of("7.5").remainder(of("2")), Some(of("1.5")));
        assert_eq!((of("-1.5").floor(), of("1.5").floor()), (of("-2"), of("1")));
        assert_eq!(of("1").divide(of("0")), None);
    }

    proptest! {
        #[test]
        fn no_number_is_too_much(above: i128, below: i128, other: i128, text in "[-+0-9.eE]{0,50}") {
            let _ = Decimal::parse(&text);
            let Some(number) = Decimal::new(above, below) else { return Ok(()) };
            let other = Decimal::from(other);
            let _ = (number.add(other), number.multiply(other), number.divide(other), number.remainder(other));
            let _ = (number.digits(), number.as_float(), number.compare(other), number.floor(), number.negated());
        }
    }
}
