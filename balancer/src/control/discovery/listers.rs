//! Makes the source of each kind and listens to it.

use super::{
    dns_service::DnsServiceLister,
    etcd::EtcdLister,
    file::FileLister,
    http::HttpLister,
    judgement::{Judgement, SourceVerdict},
    kubernetes::KubernetesLister,
    lister::TargetLister,
};
use crate::model::{SourcePlace, TargetSource};

/// Listens to a source for as long as the future is polled. `tell` takes each verdict.
pub(super) async fn listen(source: &TargetSource, tell: impl FnMut(SourceVerdict) + Send) {
    match &source.place {
        SourcePlace::File(path) => follow(FileLister::new(path, source), source, tell).await,
        SourcePlace::DnsService(name) => follow(DnsServiceLister::new(name, source), source, tell).await,
        SourcePlace::Http(place) => follow(HttpLister::new(place, source), source, tell).await,
        SourcePlace::Etcd(place) => follow(EtcdLister::new(place, source), source, tell).await,
        SourcePlace::Kubernetes(place) => follow(KubernetesLister::new(place, source), source, tell).await,
    }
}

async fn follow(
    mut lister: impl TargetLister,
    source: &TargetSource,
    mut tell: impl FnMut(SourceVerdict) + Send,
) {
    let mut judgement = Judgement::new(source);
    loop {
        let verdict = judgement.judge(lister.next().await);
        let rest = judgement.rest();
        tell(verdict);
        if lister.rests() {
            tokio::time::sleep(rest).await;
        }
    }
}
