//! Names of this host itself. `localhost` has an address of each family, and an application listens at one of them or at
//! both: it is one target either way, at IPv4 until that takes no connections and IPv6 does, and the other way round.
//! Must not know: how a name is resolved, how it is found out who takes connections.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use crate::model::{Endpoint, TargetAddress, TargetGroup};

/// At which of its two families of addresses a name is a target.
#[derive(Debug, Default)]
pub(super) struct Loopback {
    /// Names and ports that are targets at their IPv6 addresses.
    at_ipv6: BTreeSet<(String, u16)>,
}

impl Loopback {
    /// Which of the addresses that `name` resolved to are targets at `port`: all of them, unless they are of this host
    /// and of two families.
    pub(super) fn of<'a>(
        &self,
        name: &str,
        port: u16,
        addresses: &'a [IpAddr],
    ) -> impl Iterator<Item = IpAddr> + use<'a> {
        let wants_ipv6 = has_two_families(addresses).then(|| self.at_ipv6.contains(&(name.to_owned(), port)));
        addresses.iter().copied().filter(move |ip| wants_ipv6.is_none_or(|wanted| ip.is_ipv6() == wanted))
    }

    /// Where else the application behind `endpoint` may listen, which a name among the targets of `group` led to.
    pub(super) fn elsewhere<'a>(
        group: &TargetGroup,
        endpoint: &Endpoint,
        addresses: impl Fn(&str) -> &'a [IpAddr],
    ) -> Vec<SocketAddr> {
        let Endpoint::Tcp(here) = endpoint else { return Vec::new() };
        if !here.ip().is_loopback() {
            return Vec::new();
        }
        let found = names(group, here.port()).map(addresses);
        let found = found.filter(|found| has_two_families(found) && found.contains(&here.ip()));
        let others = found.flatten().filter(|ip| ip.is_ipv6() != here.is_ipv6());
        others.map(|ip| SocketAddr::new(*ip, here.port())).collect()
    }

    /// Connections are taken at `address`, and not where a target of `group` was. The names that have moved.
    pub(super) fn moved_to(&mut self, group: &TargetGroup, address: SocketAddr) -> Vec<String> {
        let port = address.port();
        let change = |name: &&str| {
            let key = ((*name).to_owned(), port);
            if address.is_ipv6() { self.at_ipv6.insert(key) } else { self.at_ipv6.remove(&key) }
        };
        names(group, port).filter(change).map(str::to_owned).collect()
    }
}

/// The host names among the targets of a group at a port.
fn names(group: &TargetGroup, port: u16) -> impl Iterator<Item = &str> {
    group.targets.iter().filter(move |target| target.port == port).filter_map(|target| {
        match &target.address {
            TargetAddress::Host(name) => Some(name.as_str()),
            _ => None,
        }
    })
}

fn has_two_families(addresses: &[IpAddr]) -> bool {
    addresses.iter().all(IpAddr::is_loopback)
        && addresses.iter().any(IpAddr::is_ipv4)
        && addresses.iter().any(IpAddr::is_ipv6)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config;

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    fn group() -> TargetGroup {
        let text = "target_group \"app\" { targets = [\"localhost:80\", \"localhost:81\", \"app.test:80\"] }";
        config::parse(&[(PathBuf::from("x.hcl"), text.to_owned())]).unwrap().target_groups.remove(0)
    }

    #[test]
    fn a_name_of_this_host_is_one_target_at_either_family() {
        let mut loopback = Loopback::default();
        let of = |loopback: &Loopback, port| loopback.of("localhost", port, &[V4, V6]).collect::<Vec<_>>();
        assert_eq!(of(&loopback, 80), [V4]);
        assert_eq!(loopback.moved_to(&group(), (V6, 80).into()), ["localhost", "app.test"]);
        assert_eq!((of(&loopback, 80), of(&loopback, 81)), (vec![V6], vec![V4]));
        assert!(loopback.moved_to(&group(), (V6, 80).into()).is_empty(), "it is there already");
        assert_eq!(loopback.moved_to(&group(), (V4, 80).into()), ["localhost", "app.test"]);
        assert_eq!(of(&loopback, 80), [V4]);
    }

    #[test]
    fn addresses_of_other_hosts_or_of_one_family_are_a_target_each() {
        let mut loopback = Loopback::default();
        loopback.moved_to(&group(), (V6, 80).into());
        let (other, far): (IpAddr, IpAddr) = ([127, 0, 0, 2].into(), [192, 0, 2, 1].into());
        for addresses in [vec![V4, other], vec![V6], vec![V4, V6, far], vec![]] {
            assert_eq!(loopback.of("localhost", 80, &addresses).collect::<Vec<_>>(), addresses);
            let here = Endpoint::Tcp((V4, 80).into());
            assert!(Loopback::elsewhere(&group(), &here, |_| &addresses).is_empty());
        }
    }

    #[test]
    fn the_other_family_is_where_a_name_may_be_instead() {
        let found = |name: &str| if name == "localhost" { &[V4, V6][..] } else { &[] };
        let elsewhere = |address: SocketAddr| Loopback::elsewhere(&group(), &Endpoint::Tcp(address), found);
        assert_eq!(elsewhere((V4, 80).into()), [SocketAddr::from((V6, 80))]);
        assert_eq!(elsewhere((V6, 81).into()), [SocketAddr::from((V4, 81))]);
        assert!(
            elsewhere((V4, 82).into()).is_empty() && elsewhere("192.0.2.1:80".parse().unwrap()).is_empty()
        );
        assert!(Loopback::elsewhere(&group(), &Endpoint::Unix("/a".into()), found).is_empty());
    }
}
