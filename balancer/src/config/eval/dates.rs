//! Dates as `formatdate`, `timeadd` and `timecmp` take them: RFC 3339, in whole seconds. Must not know: what time it is.

use std::cmp::Ordering;

use super::{call::Call, fail::Fail};
use crate::config::{bindings::Val, decimal::Decimal};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// The first of January 1970 was a Thursday.
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
const A_DAY: i64 = 86_400;
const A_SECOND: i128 = 1_000_000_000;
/// The longest time that Go can say, in nanoseconds.
const LONGEST: i128 = i64::MAX as i128;

/// A moment, and where it is so late.
#[derive(Clone, Copy)]
struct Moment {
    /// Nanoseconds since 1970.
    nanos: i128,
    /// Seconds that the clock there is ahead.
    ahead: i64,
}

pub(super) fn call(call: &Call<'_>) -> Result<Option<Val>, Fail> {
    if !matches!(call.name, "formatdate" | "timeadd" | "timecmp") {
        return Ok(None);
    }
    call.takes(2, 2)?;
    match call.name {
        "formatdate" => {
            let (format, moment) = (call.text(0)?, moment(call, 1)?);
            written(call, &format, moment).map(Val::text)
        }
        "timeadd" => {
            let moment = moment(call, 0)?;
            let by = span(&call.text(1)?)
                .ok_or_else(|| call.wrong("is given what is no duration", "such as \"1h30m\" or \"-5s\""))?;
            Ok(Val::text(Moment { nanos: moment.nanos + by, ..moment }.rfc3339()))
        }
        _ => {
            let order = moment(call, 0)?.nanos.cmp(&moment(call, 1)?.nanos);
            let order = match order {
                Ordering::Less => -1,
                Ordering::Equal => 0,
                Ordering::Greater => 1,
            };
            Ok(Val::Number(Decimal::from(order)))
        }
    }
    .map(Some)
}

fn moment(call: &Call<'_>, index: usize) -> Result<Moment, Fail> {
    parsed(&call.text(index)?).ok_or_else(|| {
        call.wrong("is given what is no date", "one of RFC 3339, such as \"2026-01-31T23:59:59Z\"")
    })
}

/// Days since 1970, by eras of 400 years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of so many days since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let since = days + 719_468;
    let (era, of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn parsed(text: &str) -> Option<Moment> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let marks = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")];
    if !marks.iter().all(|(at, mark)| text.get(*at..at + 1) == Some(mark)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let day_number = days(year, month, day);
    if !(1..=12).contains(&month) || civil(day_number) != (year, month, day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut nanos = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, zone) = fraction.split_at_checked(length)?;
        let digits = digits.get(..length.min(9))?;
        nanos = format!("{digits:0<9}").parse::<i128>().ok().filter(|_| length > 0)?;
        rest = zone;
    }
    let ahead = zone(rest)?;
    let seconds = day_number * A_DAY + hour * 3600 + minute * 60 + second - ahead;
    Some(Moment { nanos: i128::from(seconds) * A_SECOND + nanos, ahead })
}

fn zone(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let number = |part: &str, most: i64| {
        let is_sound = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_sound.then(|| part.parse::<i64>().ok())?.filter(|number| *number <= most)
    };
    Some(sign * (number(hours, 23)? * 3600 + number(minutes, 59)? * 60))
}

/// A duration as Go writes it, in nanoseconds.
fn span(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut sum: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let length = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, behind) = rest.split_at_checked(length)?;
        let end = behind.bytes().take_while(|byte| !byte.is_ascii_digit() && *byte != b'.').count();
        let (unit, behind) = behind.split_at_checked(end)?;
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => A_SECOND,
            "m" => 60 * A_SECOND,
            "h" => 3600 * A_SECOND,
            _ => return None,
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && part.is_empty()) || part.contains('.') || part.len() > 18 {
            return None;
        }
        let whole: i128 = format!("0{whole}").parse().ok()?;
        let part_of: i128 = format!("0{part}").parse().ok()?;
        let below = 10_i128.pow(u32::try_from(part.len()).ok()?);
        sum = sum.checked_add(whole.checked_mul(unit)?)?.checked_add(part_of * unit / below)?;
        rest = behind;
    }
    (sum <= LONGEST).then_some(sign * sum)
}

impl Moment {
    /// Days since 1970 where it is, and seconds of the day.
    fn local(self) -> (i64, i64) {
        let seconds = i64::try_from(self.nanos.div_euclid(A_SECOND)).unwrap_or_default() + self.ahead;
        (seconds.div_euclid(A_DAY), seconds.rem_euclid(A_DAY))
    }

    /// `+01:00`, or without the colon.
    fn zone(self, colon: &str) -> String {
        let sign = if self.ahead < 0 { '-' } else { '+' };
        let minutes = self.ahead.abs() / 60;
        format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
    }

    fn rfc3339(self) -> String {
        let (days, second) = self.local();
        let (year, month, day) = civil(days);
        let zone = if self.ahead == 0 { "Z".to_owned() } else { self.zone(":") };
        format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}{zone}",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// A moment by a format of Terraform's: letters stand for parts, others for themselves, and text in quotes for itself.
fn written(call: &Call<'_>, format: &str, moment: Moment) -> Result<String, Fail> {
    let mut text = String::new();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\'' {
            if !quoted(&mut letters, &mut text) {
                return Err(call.wrong("has a quote without an end in its format", "two of them"));
            }
            continue;
        }
        if !letter.is_ascii_alphabetic() {
            text.push(letter);
            continue;
        }
        let mut verb = String::from(letter);
        while letters.peek() == Some(&letter) {
            verb.extend(letters.next());
        }
        let part = part(&verb, moment).ok_or_else(|| {
            call.wrong(
                "has letters in its format that stand for nothing",
                "YYYY, YY, MMMM, MMM, MM, M, DD, D, EEEE, EEE, hh, h, HH, H, AA, aa, mm, m, ss, s, ZZZZZ, ZZZZ, ZZZ, Z, and \
                 text in single quotes",
            )
        })?;
        text.push_str(&part);
    }
    Ok(text)
}

/// Text to the next quote; two of them are one of it.
fn quoted(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, text: &mut String) -> bool {
    while let Some(letter) = letters.next() {
        match letter {
            '\'' if letters.peek() == Some(&'\'') => text.extend(letters.next()),
            '\'' => return true,
            letter => text.push(letter),
        }
    }
    false
}

fn part(verb: &str, moment: Moment) -> Option<String> {
    let (days, second) = moment.local();
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let name = |names: &[&'static str], index: i64| names.get(usize::try_from(index).ok()?).copied();
    let of_month = || name(&MONTHS, month - 1);
    let of_day = || name(&DAYS, days.rem_euclid(7));
    let half = if hour % 12 == 0 { 12 } else { hour % 12 };
    Some(match verb {
        "YYYY" => format!("{year:04}"),
        "YY" => format!("{:02}", year % 100),
        "MMMM" => of_month()?.to_owned(),
        "MMM" => of_month()?.get(..3)?.to_owned(),
        "MM" => format!("{month:02}"),
        "M" => month.to_string(),
        "DD" => format!("{day:02}"),
        "D" => day.to_string(),
        "EEEE" => of_day()?.to_owned(),
        "EEE" => of_day()?.get(..3)?.to_owned(),
        "hh" => format!("{hour:02}"),
        "h" => hour.to_string(),
        "HH" => format!("{half:02}"),
        "H" => half.to_string(),
        "AA" => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        "aa" => if hour < 12 { "am" } else { "pm" }.to_owned(),
        "mm" => format!("{minute:02}"),
        "m" => minute.to_string(),
        "ss" => format!("{second:02}"),
        "s" => second.to_string(),
        "ZZZZZ" => moment.zone(":"),
        "ZZZZ" => moment.zone(""),
        "ZZZ" if moment.ahead == 0 => "UTC".to_owned(),
        "ZZZ" => moment.zone(""),
        "Z" if moment.ahead == 0 => "Z".to_owned(),
        "Z" => moment.zone(":"),
        _ => return None,
    })
}
