//! Dates of cookies as clients read them (RFC 6265, section 5.1.1): not by a form, but by what looks like a part of a
//! date, wherever it stands. Must not know: cookies, what time it is.

/// Days of the months before this one, in a year without a leap day.
const DAYS_BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
const DAY: i64 = 86_400;

/// The parts of a date that were found, each the first of its kind.
#[derive(Default)]
struct DateParts {
    /// Hour, minute, second.
    time: Option<[i64; 3]>,
    day_of_month: Option<i64>,
    /// 0 to 11.
    month: Option<usize>,
    year: Option<i64>,
}

/// Seconds from 1970 to the date that `text` stands for, which may be negative; none where it stands for none.
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    let mut found = DateParts::default();
    for token in text.split(|byte| is_delimiter(*byte)).filter(|token| !token.is_empty()) {
        found.take(token);
    }
    found.seconds()
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, 0x09 | 0x20..=0x2F | 0x3B..=0x40 | 0x5B..=0x60 | 0x7B..=0x7E)
}

impl DateParts {
    /// A token is a part of the first kind that it has the form of and that was not found yet.
    fn take(&mut self, token: &[u8]) {
        if self.time.is_none() && set(&mut self.time, time(token)) {
            return;
        }
        if self.day_of_month.is_none() && set(&mut self.day_of_month, number(token, 1..=2)) {
            return;
        }
        if self.month.is_none() && set(&mut self.month, month(token)) {
            return;
        }
        if self.year.is_none() {
            self.year = number(token, 2..=4);
        }
    }

    fn seconds(&self) -> Option<i64> {
        let [hour, minute, second] = self.time?;
        let (day, month) = (self.day_of_month?, self.month?);
        let year = match self.year? {
            year @ 70..=99 => year + 1900,
            year @ 0..=69 => year + 2000,
            year => year,
        };
        let is_real = (1..=days_of(year, month)?).contains(&day)
            && year >= 1601
            && hour <= 23
            && minute <= 59
            && second <= 59;
        let days = days_before_year(year) + DAYS_BEFORE.get(month)? + leap_day_before(year, month) + day - 1;
        is_real.then_some(days * DAY + hour * 3600 + minute * 60 + second)
    }
}

fn set<T>(part: &mut Option<T>, found: Option<T>) -> bool {
    *part = found;
    part.is_some()
}

/// The number that the token begins with, when it has so many digits and then none.
fn number(token: &[u8], digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let (number, _) = leading_number(token, &digits)?;
    Some(number)
}

/// The number, and what follows it.
fn leading_number<'t>(token: &'t [u8], digits: &std::ops::RangeInclusive<usize>) -> Option<(i64, &'t [u8])> {
    let length = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = token.split_at_checked(length).filter(|_| digits.contains(&length))?;
    Some((number.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')), rest))
}

fn time(token: &[u8]) -> Option<[i64; 3]> {
    let (hour, rest) = leading_number(token, &(1..=2))?;
    let (minute, rest) = leading_number(rest.strip_prefix(b":")?, &(1..=2))?;
    let (second, _) = leading_number(rest.strip_prefix(b":")?, &(1..=2))?;
    Some([hour, minute, second])
}

fn month(token: &[u8]) -> Option<usize> {
    let name = token.first_chunk::<3>()?;
    MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn leap_day_before(year: i64, month: usize) -> i64 {
    i64::from(month > 1 && is_leap(year))
}

fn days_of(year: i64, month: usize) -> Option<i64> {
    let next = DAYS_BEFORE.get(month + 1).copied().unwrap_or(365);
    Some(next - DAYS_BEFORE.get(month)? + i64::from(month == 1 && is_leap(year)))
}

/// From the first of January 1970 to that of `year`, of the Gregorian calendar throughout.
fn days_before_year(year: i64) -> i64 {
    let leap_days = |year: i64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969)
}

#[cfg(test)]
mod tests;
