//! What the targets of a group are once its host names are resolved: no more than a group may have, however many
//! addresses a name has. Must not know: how a name is resolved.

use std::{
    collections::{BTreeSet, HashSet},
    net::{IpAddr, SocketAddr},
};

use crate::{
    model::{
        Configuration, Endpoint, FoundTarget, MAX_TARGETS, TargetAddress, TargetGroup, TargetShare,
        TargetSpec,
    },
    target_group::WantedTarget,
};

/// The endpoints of a group.
#[derive(Debug)]
pub(super) struct Endpoints {
    /// Each once, [`MAX_TARGETS`] at most.
    pub(super) kept: Vec<WantedTarget>,
    /// How many more there would be.
    pub(super) left_out: usize,
}

/// The endpoints of `group`, in the order of its targets, then of those that were `found`. Those that are written down have
/// their place before any address of a name, and before what was found. `addresses`: those of a name at a port.
pub(super) fn of<I: Iterator<Item = IpAddr>>(
    group: &TargetGroup,
    found: &[FoundTarget],
    addresses: impl Fn(&str, u16) -> I,
) -> Endpoints {
    let is_written = |target: &&TargetSpec| !matches!(target.address, TargetAddress::Host(_));
    let written = group.targets.iter().filter(is_written).count();
    let mut room = MAX_TARGETS.saturating_sub(written);
    let mut seen = HashSet::new();
    let mut endpoints = Endpoints { kept: Vec::new(), left_out: 0 };
    let listed = group.targets.iter().map(|spec| (spec, TargetShare::default(), is_written(&spec)));
    for (spec, share, has_place) in listed.chain(found.iter().map(|found| (&found.spec, found.share, false)))
    {
        let mut at = |endpoint: Endpoint| {
            if !seen.insert(endpoint.clone()) {
            } else if has_place {
                endpoints.kept.push(WantedTarget { endpoint, share });
            } else if room == 0 {
                endpoints.left_out += 1;
            } else {
                room -= 1;
                endpoints.kept.push(WantedTarget { endpoint, share });
            }
        };
        match &spec.address {
            TargetAddress::Ip(ip) => at(Endpoint::Tcp(SocketAddr::new(*ip, spec.port))),
            TargetAddress::Unix(path) => at(Endpoint::Unix(path.clone())),
            TargetAddress::Host(name) => {
                addresses(name, spec.port).for_each(|ip| at(Endpoint::Tcp(SocketAddr::new(ip, spec.port))))
            }
        }
    }
    endpoints
}

/// The host names of all targets.
pub(super) fn host_names(configuration: &Configuration) -> BTreeSet<String> {
    let targets = configuration.target_groups.iter().flat_map(|group| &group.targets);
    targets
        .filter_map(|target| match &target.address {
            TargetAddress::Host(name) => Some(name.clone()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config;

    fn group(targets: &str) -> TargetGroup {
        let text = format!("target_group \"app\" {{ targets = [{targets}] }}");
        config::parse(&[(PathBuf::from("x.hcl"), text)]).unwrap().target_groups.remove(0)
    }

    fn many(count: u32) -> Vec<IpAddr> {
        (0..count).map(|number| IpAddr::from((0x0A00_0000 + number).to_be_bytes())).collect()
    }

    #[test]
    fn a_name_of_many_addresses_is_held_to_the_limit_of_targets() {
        for (count, kept, left_out) in [(0, 0, 0), (999, 999, 0), (1000, 1000, 0), (3000, 1000, 2000)] {
            let found = many(count);
            let endpoints = of(&group("\"app.test:80\""), &[], |_, _| found.iter().copied());
            assert_eq!((endpoints.kept.len(), endpoints.left_out), (kept, left_out), "{count}");
        }
    }

    #[test]
    fn targets_that_are_written_down_come_before_addresses_of_names() {
        let found = many(1000);
        let endpoints = of(
            &group("\"a.test:80\", \"127.0.0.1:81\", \"b.test:80\", \"unix:/run/app\""),
            &[],
            |name, _| found.iter().copied().take(if name == "a.test" { 1000 } else { 0 }),
        );
        assert_eq!((endpoints.kept.len(), endpoints.left_out), (1000, 2));
        assert!(endpoints.kept.contains(&Endpoint::Tcp("127.0.0.1:81".parse().unwrap()).into()));
        assert!(endpoints.kept.contains(&Endpoint::Unix("/run/app".into()).into()));
    }

    #[test]
    fn names_that_share_addresses_share_their_room() {
        let found = many(900);
        let endpoints = of(&group("\"a.test:80\", \"b.test:80\""), &[], |_, _| found.iter().copied());
        assert_eq!((endpoints.kept.len(), endpoints.left_out), (900, 0));
    }
}
