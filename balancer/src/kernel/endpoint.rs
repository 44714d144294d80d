//! What identifies an endpoint in the shared tables: its key in TARGETS and its fingerprint.
//! Must not know: slots, maps.

use std::{
    hash::Hasher,
    net::{IpAddr, SocketAddr},
    os::unix::ffi::OsStrExt,
};

use balancer_common::TargetKey;
use siphasher::sip::SipHasher13;

use crate::model::Endpoint;

/// Set in the fingerprint of endpoints whose connections are always counted by the workers.
const UNIX: u64 = 1;
/// Set in every fingerprint: none is zero, which means free.
const PRESENT: u64 = 2;

/// The endpoint's key in TARGETS; none for Unix sockets, which the kernel does not count.
/// An IPv4 address and the same one mapped into IPv6 are the same key, as connections to both are.
pub(super) fn target_key(endpoint: &Endpoint) -> Option<TargetKey> {
    let Endpoint::Tcp(address) = endpoint else { return None };
    let bytes = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let interface = match address {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => v6.scope_id(),
        _ => 0,
    };
    Some(TargetKey { address: bytes.octets(), port: address.port(), padding: 0, interface })
}

/// A number that stands for the endpoint in the tables, the same in every process and never zero.
pub(super) fn fingerprint(endpoint: &Endpoint) -> u64 {
    // The keys need not be secret: whoever chooses endpoints is the operator.
    let mut hasher = SipHasher13::new_with_keys(0x62_61_6c_61_6e_63_65_72, 0x65_6e_64_70_6f_69_6e_74);
    let kind = match (target_key(endpoint), endpoint) {
        (Some(key), _) => {
            hasher.write(&key.address);
            hasher.write(&key.port.to_le_bytes());
            hasher.write(&key.interface.to_le_bytes());
            0
        }
        (None, Endpoint::Unix(path)) => {
            hasher.write(path.as_os_str().as_bytes());
            UNIX
        }
        (None, Endpoint::Tcp(_)) => 0,
    };
    (hasher.finish() & !UNIX) | kind | PRESENT
}

/// Whether the workers count the connections of the endpoint with this fingerprint even when the kernel counts.
pub(super) fn counted_by_workers(fingerprint: u64) -> bool {
    fingerprint & UNIX != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str) -> Endpoint {
        Endpoint::Tcp(address.parse().unwrap())
    }

    #[test]
    fn addresses_are_keyed_in_one_form() {
        let key = target_key(&tcp("192.0.2.1:80")).unwrap();
        assert_eq!(key.address, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1]);
        assert_eq!((key.port, key.padding, key.interface), (80, 0, 0));
        assert_eq!(target_key(&tcp("[::ffff:192.0.2.1]:80")), Some(key));
        assert_eq!(target_key(&tcp("[fe80::1%3]:80")).unwrap().interface, 3);
        assert_eq!(target_key(&tcp("[2001:db8::1%3]:80")).unwrap().interface, 0);
        assert_eq!(target_key(&Endpoint::Unix("/run/a".into())), None);
    }

    #[test]
    fn fingerprints_differ_where_endpoints_do() {
        let all = [
            tcp("192.0.2.1:80"),
            tcp("192.0.2.1:81"),
            tcp("192.0.2.2:80"),
            tcp("[fe80::1%1]:80"),
            tcp("[fe80::1%2]:80"),
            Endpoint::Unix("/run/a".into()),
            Endpoint::Unix("/run/b".into()),
        ];
        let mut prints: Vec<u64> = all.iter().map(fingerprint).collect();
        prints.sort_unstable();
        prints.dedup();
        assert!(prints.len() == all.len() && prints.iter().all(|&print| print != 0));
        assert_eq!(fingerprint(&tcp("192.0.2.1:80")), fingerprint(&tcp("[::ffff:192.0.2.1]:80")));
        assert!(counted_by_workers(fingerprint(&all[5])) && !counted_by_workers(fingerprint(&all[0])));
    }

    #[test]
    fn fingerprints_stay_the_same_from_release_to_release() {
        assert_eq!(fingerprint(&tcp("192.0.2.1:80")), 4_299_090_360_388_276_690);
    }
}
