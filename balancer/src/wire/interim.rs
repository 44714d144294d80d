//! How much may come before a response: interim ones (RFC 9110, section 15.2) have no end of their own, the idle timeout begins
//! anew with each, and over HTTP/2 no flow control holds them back. Must not know: what is done with them.

use super::head::{MAX_INTERIM, MAX_RESPONSE_HEAD, Response};

/// What a field counts more than its name and value (RFC 9113, section 6.5.2).
const EXTRA: usize = 32;

/// The interim responses that have come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interim {
    number: usize,
    size: usize,
}

impl Interim {
    /// Counts one. False: that is one too many.
    #[cold]
    #[must_use]
    pub fn admits(&mut self, response: &Response<'_>) -> bool {
        let fields = response.fields.lines().iter();
        self.size += fields.map(|field| field.name.len() + field.value.len() + EXTRA).sum::<usize>();
        self.number += 1;
        self.number <= MAX_INTERIM && self.size <= MAX_RESPONSE_HEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until_one_is_too_many(text: &str) -> usize {
        let mut interim = Interim::default();
        let response = Response::parse(text.as_bytes(), false).expect("valid").expect("complete");
        (0..1000).take_while(|_| interim.admits(&response)).count()
    }

    #[test]
    fn their_number_and_their_size_are_bounded() {
        assert_eq!(until_one_is_too_many("HTTP/1.1 102 Processing\r\n\r\n"), MAX_INTERIM);
        let hints = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "a".repeat(1000 - EXTRA - 4));
        assert_eq!(until_one_is_too_many(&hints), MAX_RESPONSE_HEAD / 1000);
    }
}
