//! Times as signatures write them: `20150830T123600Z`. Must not know: what is signed.

use crate::clock::{UnixMicros, UnixSeconds};

/// Such a text, or a date of HTTP, as a time.
pub(super) fn read(text: &str) -> Option<UnixSeconds> {
    basic(text).or_else(|| {
        let since = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        u32::try_from(since.as_secs()).ok().map(UnixSeconds)
    })
}

fn basic(text: &str) -> Option<UnixSeconds> {
    let bytes = text.as_bytes();
    let in_place = bytes.len() == 16 && bytes.get(8) == Some(&b'T') && bytes.get(15) == Some(&b'Z');
    if !in_place {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<u64>().ok()
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    if !(1970..=2105).contains(&year) || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 60
    {
        return None;
    }
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let length = |month: u64| match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=length(month)).contains(&day) {
        return None;
    }
    let years: u64 = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum();
    let months: u64 = (1..month).map(length).sum();
    let seconds = ((years + months + day - 1) * 24 + hour) * 3600 + minute * 60 + second;
    u32::try_from(seconds).ok().map(UnixSeconds)
}

/// The text of a time.
pub(super) fn text(time: UnixSeconds) -> String {
    // `2015-08-30T12:36:00.000000Z`, without what is between the digits and behind the seconds.
    let long = UnixMicros(u64::from(time.0) * 1_000_000).to_string();
    let short: String = long.chars().take(19).filter(|letter| !matches!(letter, '-' | ':')).collect();
    short + "Z"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        assert_eq!(read("20150830T123600Z"), Some(UnixSeconds(1_440_938_160)));
        assert_eq!(read("Sun, 30 Aug 2015 12:36:00 GMT"), Some(UnixSeconds(1_440_938_160)));
        for seconds in (0..4_200_000_000_u32).step_by(86_400 * 13 + 3701) {
            assert_eq!(read(&text(UnixSeconds(seconds))), Some(UnixSeconds(seconds)));
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "20150830",
            "2015-08-30T12:36:00Z",
            "20151330T123600Z",
            "20150230T123600Z",
            "20150800T123600Z",
            "20150830T243600Z",
            "20150830T126000Z",
            "20150830T123600",
            "20150830t123600Z",
            "+0150830T123600Z",
            "19691231T235959Z",
            "99991231T235959Z",
            "2015083éT12360Z",
            "Sun, 30 Aug 1950 12:36:00 GMT",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
