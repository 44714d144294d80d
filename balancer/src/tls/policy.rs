//! ALB's named security policies (ALB: security policies), as far as this TLS goes: TLS 1.2 and 1.3, forward
//! secrecy and authenticated encryption. A policy never speaks a version or a suite that ALB's does not.

use crate::model::SecurityPolicy;

/// The policy of listeners that name none: no legacy suites, as ALB's console suggests.
pub const DEFAULT_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06";

const CBC: &str = "suites in CBC mode";
const RSA_CBC: &str = "suites in CBC mode or without forward secrecy";
const OLD: &str = "TLS 1.0 and 1.1 and suites in CBC mode or without forward secrecy";
const OLD_11: &str = "TLS 1.1 and suites in CBC mode or without forward secrecy";
const OLD_FS: &str = "TLS 1.0 and 1.1 and suites in CBC mode";
const OLD_FS_11: &str = "TLS 1.1 and suites in CBC mode";
const PQ: &str = "post-quantum key exchange";
const PQ_CBC: &str = "post-quantum key exchange and suites in CBC mode";
const PQ_RSA_CBC: &str = "post-quantum key exchange and suites in CBC mode or without forward secrecy";
const PQ_OLD: &str =
    "post-quantum key exchange, TLS 1.0 and 1.1 and suites in CBC mode or without forward secrecy";
const FIPS: &str = "cryptography validated under FIPS 140";
const FIPS_MORE: &str =
    "cryptography validated under FIPS 140, and suites in CBC mode or without forward secrecy";
const FIPS_BESIDE: &str =
    "cryptography validated under FIPS 140, and the suites, curves and keys beside those of RFC 9151";
const FIPS_OLD: &str = "cryptography validated under FIPS 140, TLS 1.0 and 1.1, and suites in CBC mode or without forward secrecy";
const FIPS_PQ: &str = "cryptography validated under FIPS 140 and post-quantum key exchange";
const FIPS_PQ_MORE: &str = "cryptography validated under FIPS 140, post-quantum key exchange, and suites in CBC mode or without forward secrecy";
const FIPS_PQ_OLD: &str = "cryptography validated under FIPS 140, post-quantum key exchange, TLS 1.0 and 1.1, and suites in CBC mode or without forward secrecy";

const fn tls13_only(name: &'static str, missing: &'static str) -> SecurityPolicy {
    SecurityPolicy { name, tls12: false, tls13: true, without_chacha20: false, rfc9151: false, missing }
}

const fn both(name: &'static str, missing: &'static str) -> SecurityPolicy {
    SecurityPolicy { name, tls12: true, tls13: true, without_chacha20: false, rfc9151: false, missing }
}

const fn tls12_only(name: &'static str, missing: &'static str) -> SecurityPolicy {
    SecurityPolicy { name, tls12: true, tls13: false, without_chacha20: false, rfc9151: false, missing }
}

const fn fips(policy: SecurityPolicy) -> SecurityPolicy {
    SecurityPolicy { without_chacha20: true, ..policy }
}

const fn rfc9151(policy: SecurityPolicy) -> SecurityPolicy {
    SecurityPolicy { rfc9151: true, ..fips(policy) }
}

/// Every policy there is.
pub const POLICIES: &[SecurityPolicy] = &[
    tls13_only("ELBSecurityPolicy-TLS13-1-3-2021-06", ""),
    both("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", ""),
    both("ELBSecurityPolicy-TLS13-1-2-2021-06", CBC),
    both("ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06", RSA_CBC),
    both("ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06", RSA_CBC),
    both("ELBSecurityPolicy-TLS13-1-1-2021-06", OLD_11),
    both("ELBSecurityPolicy-TLS13-1-0-2021-06", OLD),
    tls13_only("ELBSecurityPolicy-TLS13-1-3-PQ-2025-09", PQ),
    both("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", PQ),
    both("ELBSecurityPolicy-TLS13-1-2-PQ-2025-09", PQ_CBC),
    both("ELBSecurityPolicy-TLS13-1-2-Ext1-PQ-2025-09", PQ_RSA_CBC),
    both("ELBSecurityPolicy-TLS13-1-2-Ext2-PQ-2025-09", PQ_RSA_CBC),
    both("ELBSecurityPolicy-TLS13-1-0-PQ-2025-09", PQ_OLD),
    fips(tls13_only("ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04", FIPS)),
    fips(both("ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04", FIPS)),
    fips(both("ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04", FIPS_MORE)),
    fips(both("ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-2023-04", FIPS_MORE)),
    fips(both("ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-2023-04", FIPS_MORE)),
    fips(both("ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-2023-04", FIPS_MORE)),
    fips(both("ELBSecurityPolicy-TLS13-1-1-FIPS-2023-04", FIPS_OLD)),
    fips(both("ELBSecurityPolicy-TLS13-1-0-FIPS-2023-04", FIPS_OLD)),
    rfc9151(tls13_only("ELBSecurityPolicy-TLS13-1-3-RFC9151-FIPS-2023-07", FIPS)),
    rfc9151(both("ELBSecurityPolicy-TLS13-1-2-RFC9151-FIPS-2023-07", FIPS)),
    rfc9151(both("ELBSecurityPolicy-TLS13-1-2-Ext0-RFC9151-FIPS-2023-07", FIPS_BESIDE)),
    rfc9151(both("ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP1-FIPS-2023-07", FIPS_BESIDE)),
    rfc9151(both("ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP2-FIPS-2023-07", FIPS_BESIDE)),
    rfc9151(both("ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP3-FIPS-2023-07", FIPS_BESIDE)),
    rfc9151(both("ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07", FIPS_BESIDE)),
    fips(tls13_only("ELBSecurityPolicy-TLS13-1-3-FIPS-PQ-2025-09", FIPS_PQ)),
    fips(both("ELBSecurityPolicy-TLS13-1-2-Res-FIPS-PQ-2025-09", FIPS_PQ)),
    fips(both("ELBSecurityPolicy-TLS13-1-2-FIPS-PQ-2025-09", FIPS_PQ_MORE)),
    fips(both("ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-PQ-2025-09", FIPS_PQ_MORE)),
    fips(both("ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-PQ-2025-09", FIPS_PQ_MORE)),
    fips(both("ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-PQ-2025-09", FIPS_PQ_MORE)),
    fips(both("ELBSecurityPolicy-TLS13-1-1-FIPS-PQ-2025-09", FIPS_PQ_OLD)),
    fips(both("ELBSecurityPolicy-TLS13-1-0-FIPS-PQ-2025-09", FIPS_PQ_OLD)),
    tls12_only("ELBSecurityPolicy-FS-1-2-Res-2020-10", ""),
    tls12_only("ELBSecurityPolicy-FS-1-2-Res-2019-08", CBC),
    tls12_only("ELBSecurityPolicy-FS-1-2-2019-08", CBC),
    tls12_only("ELBSecurityPolicy-FS-1-1-2019-08", OLD_FS_11),
    tls12_only("ELBSecurityPolicy-FS-2018-06", OLD_FS),
    tls12_only("ELBSecurityPolicy-TLS-1-2-Ext-2018-06", RSA_CBC),
    tls12_only("ELBSecurityPolicy-TLS-1-2-2017-01", RSA_CBC),
    tls12_only("ELBSecurityPolicy-TLS-1-1-2017-01", OLD_11),
    tls12_only("ELBSecurityPolicy-2016-08", OLD),
    tls12_only("ELBSecurityPolicy-2015-05", OLD),
];

/// The policy of that name.
#[must_use]
pub fn policy(name: &str) -> Option<SecurityPolicy> {
    POLICIES.iter().find(|policy| policy.name == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_the_default_is_one_of_them() {
        assert!(policy(DEFAULT_POLICY).is_some_and(|policy| policy.missing.is_empty()));
        for (index, one) in POLICIES.iter().enumerate() {
            assert_eq!(POLICIES.iter().position(|other| other.name == one.name), Some(index), "{}", one.name);
            assert!(one.tls12 || one.tls13);
            assert_eq!(one.tls13, one.name.contains("TLS13"), "{}", one.name);
        }
    }
}
