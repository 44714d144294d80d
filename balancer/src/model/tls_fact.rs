//! What targets can be told of a client's TLS, and the names of the fields that tell it.

/// One thing that can be told, in a field of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFact {
    /// The protocol's version.
    Version,
    /// The cipher suite.
    CipherSuite,
    /// Serial number of the client's certificate.
    SerialNumber,
    /// Who has signed it.
    Issuer,
    /// Whom it is for.
    Subject,
    /// From when to when it is valid.
    Validity,
    /// The certificate itself.
    Leaf,
    /// The certificate and all that were shown with it.
    Chain,
    /// The group by which the keys were exchanged.
    KeyExchange,
}

impl TlsFact {
    /// All of them, in the order in which targets get them.
    pub const ALL: [Self; 9] = [
        Self::Version,
        Self::CipherSuite,
        Self::SerialNumber,
        Self::Issuer,
        Self::Subject,
        Self::Validity,
        Self::Leaf,
        Self::Chain,
        Self::KeyExchange,
    ];

    /// Index in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name of its field unless a listener gives another (ALB: listener attributes).
    #[must_use]
    pub const fn default_name(self) -> &'static str {
        match self {
            Self::Version => "x-amzn-tls-version",
            Self::CipherSuite => "x-amzn-tls-cipher-suite",
            Self::SerialNumber => "X-Amzn-Mtls-Clientcert-Serial-Number",
            Self::Issuer => "X-Amzn-Mtls-Clientcert-Issuer",
            Self::Subject => "X-Amzn-Mtls-Clientcert-Subject",
            Self::Validity => "X-Amzn-Mtls-Clientcert-Validity",
            Self::Leaf => "X-Amzn-Mtls-Clientcert-Leaf",
            Self::Chain => "X-Amzn-Mtls-Clientcert",
            Self::KeyExchange => "x-amzn-tls-kx",
        }
    }

    /// Whether it is of the connection, and told where an attribute of the load balancer says so; the others are of the client's
    /// certificate.
    #[must_use]
    pub const fn is_of_connection(self) -> bool {
        matches!(self, Self::Version | Self::CipherSuite | Self::KeyExchange)
    }
}

/// The fields of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFields {
    /// What is told, and the field's name.
    pub told: Vec<(TlsFact, String)>,
    /// Names that no client may use: those of this listener and of the others of its load balancer.
    pub owned: Vec<String>,
}

impl TlsFields {
    /// Whether a client's field of this name is left out. A name with `_` for `-` is the same to many applications.
    #[must_use]
    pub fn own(&self, name: &[u8]) -> bool {
        self.owned.iter().any(|owned| {
            owned.len() == name.len()
                && owned.bytes().zip(name).all(|(owned, byte)| {
                    owned.eq_ignore_ascii_case(byte) || matches!((owned, byte), (b'-', b'_') | (b'_', b'-'))
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_index_themselves_and_names_differ() {
        for (index, fact) in TlsFact::ALL.into_iter().enumerate() {
            assert_eq!(fact.index(), index);
            let same = TlsFact::ALL.iter().filter(|other| other.default_name() == fact.default_name());
            assert_eq!(same.count(), 1);
        }
    }

    #[test]
    fn names_are_owned_however_they_are_written() {
        let fields =
            TlsFields { told: Vec::new(), owned: vec!["X-Amzn-Mtls-Clientcert".into(), "a_b".into()] };
        for name in ["x-amzn-mtls-clientcert", "X_AMZN_Mtls-Clientcert", "A-B", "a_b"] {
            assert!(fields.own(name.as_bytes()), "{name}");
        }
        for name in ["x-amzn-mtls-clientcert-leaf", "x.amzn.mtls.clientcert", "ab", ""] {
            assert!(!fields.own(name.as_bytes()), "{name}");
        }
        assert!(!TlsFields::default().own(b"anything"));
    }
}
