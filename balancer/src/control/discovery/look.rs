//! What is wrong with sources as far as it can be seen on this host, with nobody asked: their lists, tokens, passwords,
//! certificates. Must not know: how a source is asked, what is done about it.

use std::path::Path;

use super::{
    client, etcd, file,
    judgement::{Judgement, SourceVerdict},
    kubernetes,
    lister::SourceFault,
    sources,
};
use crate::model::{Configuration, HttpPlace, SourcePlace, TargetGroup, TargetSource};

/// What sources would fail for, in the words that they would fail with, and what a list has that is left out.
pub(in crate::control) fn look(configuration: &Configuration) -> Vec<String> {
    let of = |(group, source): (&TargetGroup, &TargetSource)| {
        let (name, place) = (&group.name, &source.place);
        Some(format!("target group {name:?}: {place}: {}", wrong_with(source)?))
    };
    sources(configuration).filter_map(of).collect()
}

/// The files that sources are asked by, with the name of the group.
pub(in crate::control) fn files(configuration: &Configuration) -> impl Iterator<Item = (&str, &Path)> {
    sources(configuration)
        .flat_map(|(group, source)| files_of(source).into_iter().map(|file| (group.name.as_str(), file)))
}

fn files_of(source: &TargetSource) -> Vec<&Path> {
    let files = match &source.place {
        SourcePlace::File(path) => vec![Some(path.as_path())],
        SourcePlace::DnsService(_) => Vec::new(),
        SourcePlace::Http(place) => of_http(place).to_vec(),
        SourcePlace::Kubernetes(place) => place.server.iter().flat_map(of_http).collect(),
        SourcePlace::Etcd(place) => vec![
            place.ca_file.as_deref(),
            place.user.as_ref().map(|(_, file)| file.as_path()),
            place.certificate.as_ref().map(|(file, _)| file.as_path()),
            place.certificate.as_ref().map(|(_, file)| file.as_path()),
        ],
    };
    files.into_iter().flatten().collect()
}

fn of_http(place: &HttpPlace) -> [Option<&Path>; 2] {
    [place.ca_file.as_deref(), place.token_file.as_deref()]
}

fn wrong_with(source: &TargetSource) -> Option<String> {
    let looked = match &source.place {
        SourcePlace::File(path) => {
            let verdict = Judgement::new(source).judge(file::read(path, source.port));
            let SourceVerdict { fault, left_out, .. } = verdict;
            let left_out = (!left_out.is_empty()).then_some(left_out);
            return fault.map(|fault| fault.why).or(left_out);
        }
        SourcePlace::DnsService(_) => Ok(()),
        SourcePlace::Http(place) => over_http(place),
        SourcePlace::Kubernetes(place) => kubernetes::server_of(place).and_then(|server| over_http(&server)),
        SourcePlace::Etcd(place) => etcd::access(place).map(drop),
    };
    looked.err().map(|fault| fault.why)
}

fn over_http(place: &HttpPlace) -> Result<(), SourceFault> {
    if place.tls {
        client::authorities(place)?;
    }
    place.token_file.as_deref().map(client::token).transpose().map(drop)
}
