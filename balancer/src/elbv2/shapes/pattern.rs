//! What texts have to look like.

/// A regular expression of the API, and what decides whether a text fits.
#[derive(Clone, Copy)]
pub(in crate::elbv2) enum ParameterPattern {
    /// Of keys of attributes.
    AttributeKey,
    /// Of keys and values of tags.
    Tag,
    /// Of names of trust stores.
    Name,
    /// Of a redirect's protocol.
    Protocol,
    /// Of statuses that a fixed response may have.
    Status,
    /// Of pools of Outposts.
    CustomerPool,
    /// Of pools of the address manager.
    IpamPool,
}

impl ParameterPattern {
    /// As the API has it.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::AttributeKey => r"^[a-zA-Z0-9._]+$",
            Self::Tag => r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$",
            Self::Name => r"^([a-zA-Z0-9]+-)*[a-zA-Z0-9]+$",
            Self::Protocol => r"^(HTTPS?|#\{protocol\})$",
            Self::Status => r"^(2|4|5)\d\d$",
            Self::CustomerPool => r"^(ipv4pool-coip-)[a-zA-Z0-9]+$",
            Self::IpamPool => r"^(ipam-pool-)[a-zA-Z0-9]+$",
        }
    }

    /// Whether a text is so.
    pub(super) fn fits(self, text: &str) -> bool {
        let is_alphanumeric =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let begins = |start: &str| text.strip_prefix(start).is_some_and(is_alphanumeric);
        match self {
            Self::AttributeKey => {
                text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte))
            }
            Self::Tag => text.chars().all(is_of_tags),
            Self::Name => text.split('-').all(is_alphanumeric),
            Self::Protocol => matches!(text, "HTTP" | "HTTPS" | "#{protocol}"),
            Self::Status => match text.as_bytes() {
                [first, rest @ ..] => {
                    b"245".contains(first) && rest.len() == 2 && rest.iter().all(u8::is_ascii_digit)
                }
                [] => false,
            },
            Self::CustomerPool => begins("ipv4pool-coip-"),
            Self::IpamPool => begins("ipam-pool-"),
        }
    }
}

fn is_of_tags(character: char) -> bool {
    character.is_alphanumeric()
        || (character.is_whitespace() && !character.is_control())
        || "_.:/=+-@".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_what_the_api_says() {
        let cases: [(ParameterPattern, &[&str], &[&str]); 7] = [
            (ParameterPattern::AttributeKey, &["stickiness.enabled", "a_b.C9"], &["a-b", "a b", "ä"]),
            (ParameterPattern::Tag, &["", "Größe 2 = a+b:c/d_e@f-g"], &["a\nb", "a*b", "<"]),
            (ParameterPattern::Name, &["a", "a-b", "9-a"], &["-a", "a-", "a--b", "a_b", ""]),
            (ParameterPattern::Protocol, &["HTTP", "HTTPS", "#{protocol}"], &["http", "TCP", ""]),
            (ParameterPattern::Status, &["200", "404", "599"], &["302", "20", "2000", "2x0", "", "100"]),
            (ParameterPattern::CustomerPool, &["ipv4pool-coip-a1"], &["ipv4pool-coip-", "x"]),
            (ParameterPattern::IpamPool, &["ipam-pool-a1"], &["ipam-pool-", "ipam-pool-a-b"]),
        ];
        for (pattern, fitting, others) in cases {
            for text in fitting {
                assert!(pattern.fits(text), "{text} {}", pattern.text());
            }
            for text in others {
                assert!(!pattern.fits(text), "{text} {}", pattern.text());
            }
        }
    }
}
