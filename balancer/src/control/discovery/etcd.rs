//! Targets that keep themselves in etcd: each a key below a prefix, mostly under a lease, so that one that is gone vanishes there
//! as well. What stands there is read whole, again whenever a watch says that something has changed.
//! Must not know: what is done with targets.

use std::{path::PathBuf, time::Duration};

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    document::{self, DocumentForm, MAX_DOCUMENT},
    lister::{Listing, SourceFault, TargetLister},
};
use crate::{
    clock::monotonic_now,
    control::watch_pace::WatchPace,
    etcd::{Access, AccessFiles, Etcd, EtcdError, KeyWatch, StoredValue, Url},
    model::{EtcdPlace, FoundTarget, TargetShare, TargetSource},
};

/// Changes that come together are read together: so long after the last, and no longer than that after the first.
const QUIET: Duration = Duration::from_millis(20);
const MOST_CHANGES: Duration = Duration::from_secs(1);
/// Keys that are told of which are no target.
const MOST_TOLD: usize = 5;

pub(super) struct EtcdLister {
    place: EtcdPlace,
    port: Option<u16>,
    patience: Duration,
    etcd: Option<Etcd>,
    watch: Option<KeyWatch>,
    pace: WatchPace,
}

impl EtcdLister {
    pub(super) fn new(place: &EtcdPlace, source: &TargetSource) -> Self {
        Self {
            place: place.clone(),
            port: source.port,
            patience: source.timeout,
            etcd: None,
            watch: None,
            pace: WatchPace::default(),
        }
    }

    /// The client; its files are read when it begins, and again after a fault.
    async fn client(&mut self) -> Result<&mut Etcd, SourceFault> {
        let etcd = match self.etcd.take() {
            Some(etcd) => etcd,
            None => begin(&self.place).await?,
        };
        Ok(self.etcd.insert(etcd))
    }

    /// All that stands there, which is watched from then on.
    async fn list(&mut self) -> Result<Listing, SourceFault> {
        let (prefix, port) = (self.place.prefix.clone().into_bytes(), self.port);
        let is_watched = self.watch.is_some();
        let most = usize::try_from(MAX_DOCUMENT).unwrap_or(usize::MAX);
        let etcd = self.client().await?;
        let reading = etcd.read(&prefix, 0, most).await.map_err(|error| fault(&error))?;
        if !is_watched {
            let watch = etcd.watch(std::slice::from_ref(&prefix), reading.revision).await;
            self.watch = Some(watch.map_err(|error| fault(&error))?);
            self.pace.begin(monotonic_now());
        }
        Ok(listing(&prefix, &reading.values, port))
    }

    /// Waits for a change, and until no further ones come. A watch that has ended is one: nobody knows what it would have told.
    async fn changed(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        let mut end = None;
        loop {
            let changed = match end {
                None => Ok(watch.changed().await),
                Some(end) => timeout_at((Instant::now() + QUIET).min(end), watch.changed()).await,
            };
            match changed {
                Ok(Ok(())) => {
                    self.pace.told();
                    end.get_or_insert_with(|| Instant::now() + MOST_CHANGES);
                }
                Ok(Err(why)) => {
                    self.watch = None;
                    if let Some(etcd) = &mut self.etcd {
                        // The next question goes to another member.
                        let _ = etcd.watch_failed(&why);
                    }
                    return;
                }
                Err(_) => return,
            }
        }
    }
}

impl TargetLister for EtcdLister {
    async fn next(&mut self) -> Result<Listing, SourceFault> {
        self.changed().await;
        if self.watch.is_none() {
            sleep(self.pace.rest(monotonic_now())).await;
        }
        let patience = self.patience;
        let listed = timeout(patience, self.list()).await;
        let listed =
            listed.unwrap_or_else(|_| Err(SourceFault::away(format!("no answer within {patience:?}"))));
        if listed.is_err() {
            (self.etcd, self.watch) = (None, None);
        }
        listed
    }
}

async fn begin(place: &EtcdPlace) -> Result<Etcd, SourceFault> {
    let place = place.clone();
    let read = tokio::task::spawn_blocking(move || access(&place)).await;
    Ok(Etcd::new(read.map_err(|_| SourceFault::away("its files cannot be read"))??))
}

/// All that etcd is asked with, read from its files.
pub(super) fn access(place: &EtcdPlace) -> Result<Access, SourceFault> {
    let own = |path: &Option<PathBuf>| path.clone();
    let endpoints: Result<Vec<Url>, String> = place.servers.iter().map(|url| Url::parse(url)).collect();
    let (user, password) = place.user.clone().unzip();
    let files = AccessFiles {
        endpoints: endpoints.map_err(|wrong| SourceFault::away(format!("server: {wrong}")))?,
        user,
        password,
        authorities: own(&place.ca_file),
        certificate: place.certificate.clone(),
    };
    Access::read(&files).map_err(|wrong| SourceFault { cause: "access", why: wrong.to_string() })
}

fn fault(error: &EtcdError) -> SourceFault {
    let why = error.to_string();
    match error {
        EtcdError::Refused { .. } => SourceFault { cause: "refused", why },
        EtcdError::TooMuch(_) => SourceFault::garbage(why),
        _ => SourceFault::away(why),
    }
}

/// What keys and values come to. What is no target is left out: each key is another program's.
fn listing(prefix: &[u8], values: &[StoredValue], port: Option<u16>) -> Listing {
    let mut listing = Listing::default();
    for StoredValue { key, value, .. } in values {
        let name = String::from_utf8_lossy(key.strip_prefix(prefix).unwrap_or(key));
        match targets(&name, value, port) {
            Ok(targets) => listing.targets.extend(targets),
            Err(why) if listing.left_out.len() < MOST_TOLD => {
                listing.left_out.push(format!("key {:?}: {why}", name.chars().take(80).collect::<String>()));
            }
            Err(_) => {}
        }
    }
    listing
}

/// The targets of a key: those of a list as files have it, the one that its value is, or its name where it has no value.
fn targets(name: &str, value: &[u8], port: Option<u16>) -> Result<Vec<FoundTarget>, String> {
    let text = value.trim_ascii();
    let list = match text.first() {
        Some(b'[') => Some(text.to_vec()),
        Some(b'{') => Some([b"[", text, b"]"].concat()),
        _ => None,
    };
    if let Some(list) = list {
        let listing = document::read(&list, DocumentForm::Json, port).map_err(|fault| fault.why)?;
        return Ok(listing.targets);
    }
    let text =
        if text.is_empty() { name } else { std::str::from_utf8(text).map_err(|_| "its value is no text")? };
    Ok(vec![FoundTarget { spec: document::spec(text, port)?, share: TargetShare::default() }])
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
    };

    use proptest::prelude::*;

    use super::*;

    fn stored(key: &str, value: &str) -> StoredValue {
        StoredValue { key: key.into(), value: value.into(), ..StoredValue::default() }
    }

    #[test]
    fn a_key_is_a_target_by_its_value_or_by_its_name() {
        let values = [
            stored("/shop/10.0.0.1:81", ""),
            stored("/shop/a", "10.0.0.2"),
            stored("/shop/b", " 10.0.0.3:83\n"),
            stored("/shop/c", r#"{"targets": ["10.0.0.4:84"], "labels": {"weight": "3"}}"#),
            stored("/shop/d", r#"[{"targets": ["10.0.0.5:85", "app.test:86"]}]"#),
            stored("/shop/e", "{"),
            stored("/shop/f", "no host"),
        ];
        let Listing { targets, left_out } = listing(b"/shop/", &values, Some(8080));
        let ports: Vec<_> = targets.iter().map(|target| (target.spec.port, target.share.weight)).collect();
        assert_eq!(ports, [(81, 1), (8080, 1), (83, 1), (84, 3), (85, 1), (86, 1)]);
        assert_eq!(left_out.len(), 2, "{left_out:?}");
        assert!(left_out[0].contains("\"e\"") && left_out[1].contains("\"f\""), "{left_out:?}");
        assert!(
            listing(b"/shop/", &[stored("/shop/a", "10.0.0.2")], None).left_out[0].contains("has no port")
        );
        let many: Vec<_> = (0..1000).map(|n| stored(&format!("/shop/{n}"), "\u{1}")).collect();
        assert_eq!(listing(b"/shop/", &many, Some(1)).left_out.len(), MOST_TOLD);
    }

    /// Something before etcd that lets no watch through: it answers what is asked once, and ends what goes on. Counts the watches.
    async fn without_watches(watches: Arc<AtomicUsize>) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let watches = Arc::clone(&watches);
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((request, mut respond))) = connection.accept().await {
                        let is_watch = request.uri().path().ends_with("/Watch");
                        let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
                        let mut trailers = http::HeaderMap::new();
                        if is_watch {
                            watches.fetch_add(1, Relaxed);
                            trailers.insert("grpc-status", "14".parse().unwrap());
                        } else {
                            // A header with revision 7, and one key.
                            let answer = b"\0\0\0\0\x1b\x0a\x02\x18\x07\x12\x15\x0a\x03/a/\x2a\x0c10.0.0.1:811\x18\x07";
                            let answer = bytes::Bytes::from_static(answer);
                            stream.send_data(answer, false).unwrap();
                            trailers.insert("grpc-status", "0".parse().unwrap());
                        }
                        stream.send_trailers(trailers).unwrap();
                    }
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn watches_that_end_at_once_are_not_begun_all_the_time() {
        let watches = Arc::new(AtomicUsize::new(0));
        let server = format!("http://{}", without_watches(Arc::clone(&watches)).await);
        let place = EtcdPlace {
            prefix: "/a/".into(),
            servers: vec![server],
            ca_file: None,
            user: None,
            certificate: None,
        };
        let source = TargetSource {
            place: crate::model::SourcePlace::Etcd(place.clone()),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(20),
            empty_is_error: true,
            port: None,
        };
        let mut lister = EtcdLister::new(&place, &source);
        let began = monotonic_now();
        for _ in 0..3 {
            assert_eq!(lister.next().await.unwrap().targets.len(), 1);
        }
        assert!(began.elapsed() > Duration::from_secs(2), "one second, and two: {:?}", began.elapsed());
        assert!(watches.load(Relaxed) <= 3);
    }

    proptest! {
        #[test]
        fn any_keys_and_values_are_targets_or_left_out(pairs in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..9)) {
            let of = |(key, value)| StoredValue { key, value, ..StoredValue::default() };
            let values: Vec<_> = pairs.into_iter().map(of).collect();
            let _ = listing(b"/", &values, None);
        }
    }
}
