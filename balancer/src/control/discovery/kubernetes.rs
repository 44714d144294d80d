//! Targets of a Service of Kubernetes: its EndpointSlices, listed once and then watched, so that what changes is known at once.
//!
//! The API is HTTP and JSON, and this is all of it that is needed; a library for the whole of it would be larger than the rest of the
//! balancer. A watch goes on where the one before ended (`resourceVersion`); bookmarks move that on; when the server has forgotten
//! it (410 Gone), everything is listed anew. Must not know: what is in a slice.

use std::{
    env,
    time::{Duration, Instant},
};

use http_body_util::BodyExt as _;
use hyper::{StatusCode, header::HeaderMap};
use tokio::time::{sleep, timeout};

use super::{
    client::{self, SourceAnswer},
    document::MAX_DOCUMENT,
    http::{body, in_time, refused},
    lister::{Listing, SourceFault, TargetLister},
};
use crate::{
    clock::monotonic_now,
    control::watch_pace::WatchPace,
    model::{HttpPlace, KubernetesPlace, TargetSource},
};

mod slices;

use self::slices::{Happening, Slices};

/// Where a pod finds who it is, and whom to trust.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const AUTHORITY: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
/// Slices of a page, and most pages.
const PAGE: u32 = 100;
const MOST_PAGES: u32 = 100;
/// What comes together is collected: so long after the last of it, and no longer than that after the first.
const COLLECT: Duration = Duration::from_millis(20);
const MOST_CHANGES: Duration = Duration::from_secs(1);

/// Most characters of what the server says of a refusal.
const MOST_WORDS: usize = 300;

pub(super) struct KubernetesLister {
    place: KubernetesPlace,
    server: Option<HttpPlace>,
    slices: Slices,
    patience: Duration,
    /// How long a watch is asked for.
    span: Duration,
    watch: Option<SliceWatch>,
    pace: WatchPace,
    /// Whether something failed since the last listing: that all is well again is to be told, though nothing has changed.
    has_failed: bool,
}

/// A watch that is under way.
struct SliceWatch {
    answer: SourceAnswer,
    /// What has come of the next event.
    bytes: Vec<u8>,
}

/// What became of a watch.
enum WatchNews {
    /// Something happened.
    Event(Vec<u8>),
    /// It is over, as every one is some time.
    Over,
}

/// Whom to ask: the server that is given, or that of the cluster.
pub(super) fn server_of(place: &KubernetesPlace) -> Result<HttpPlace, SourceFault> {
    place.server.clone().or_else(in_cluster).ok_or_else(nowhere)
}

fn nowhere() -> SourceFault {
    SourceFault::away(
        "no server is given (`server`), and this is no pod of a cluster (KUBERNETES_SERVICE_HOST)",
    )
}

impl KubernetesLister {
    pub(super) fn new(place: &KubernetesPlace, source: &TargetSource) -> Self {
        Self {
            server: place.server.clone().or_else(in_cluster),
            slices: Slices::new(place.port.clone()),
            place: place.clone(),
            patience: source.timeout,
            span: source.interval.max(Duration::from_secs(5)),
            watch: None,
            pace: WatchPace::default(),
            has_failed: false,
        }
    }

    fn server(&self) -> Result<HttpPlace, SourceFault> {
        self.server.clone().ok_or_else(nowhere)
    }

    fn path(&self, server: &HttpPlace, query: &str) -> String {
        let KubernetesPlace { namespace, service, .. } = &self.place;
        format!(
            "{}/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{service}&{query}",
            server.path.trim_end_matches('/')
        )
    }

    /// Everything there is, in pages.
    async fn list(&mut self) -> Result<(), SourceFault> {
        let server = self.server()?;
        self.slices.begin();
        let mut rest = String::new();
        for _ in 0..MOST_PAGES {
            let path = self.path(&server, &format!("limit={PAGE}{rest}"));
            let asked = async {
                let mut answer = client::get(&server, &path, HeaderMap::new()).await?;
                match answer.response.status() {
                    StatusCode::OK => body(&server, answer.response.body_mut()).await,
                    _ => Err(refusal(&server, answer).await),
                }
            };
            let page = in_time(self.patience, &server, asked).await?;
            match self.slices.take_page(&page)? {
                None => return Ok(()),
                Some(more) => rest = format!("&continue={}", escaped(&more)),
            }
        }
        Err(SourceFault::garbage(format!("{} lists slices without end", server.authority())))
    }

    async fn begin_watch(&mut self) -> Result<Option<SliceWatch>, SourceFault> {
        let server = self.server()?;
        let query = format!(
            "watch=1&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}",
            self.span.as_secs(),
            escaped(self.slices.version())
        );
        let path = self.path(&server, &query);
        sleep(self.pace.rest(monotonic_now())).await;
        self.pace.begin(monotonic_now());
        let answer = in_time(self.patience, &server, client::get(&server, &path, HeaderMap::new())).await?;
        match answer.response.status() {
            StatusCode::OK => Ok(Some(SliceWatch { answer, bytes: Vec::new() })),
            StatusCode::GONE => Ok(None),
            _ => in_time(self.patience, &server, async { Err(refusal(&server, answer).await) }).await,
        }
    }

    async fn go_on(&mut self) -> Result<Listing, SourceFault> {
        if self.slices.is_known() && self.follow().await? {
            return self.slices.listing();
        }
        self.watch = None;
        self.slices.forget();
        self.list().await?;
        self.slices.listing()
    }

    /// Waits for the slices to change. False: the server has forgotten what it said, and is to be asked for everything.
    async fn follow(&mut self) -> Result<bool, SourceFault> {
        // When what has changed is told, however much comes behind it.
        let mut told_by: Option<Instant> = None;
        loop {
            let left = told_by.map(|end| end.saturating_duration_since(monotonic_now()));
            if left == Some(Duration::ZERO) {
                return Ok(true);
            }
            let Some(watch) = &mut self.watch else {
                match self.begin_watch().await? {
                    Some(watch) => self.watch = Some(watch),
                    None => return Ok(false),
                }
                if std::mem::take(&mut self.has_failed) {
                    return Ok(true);
                }
                continue;
            };
            // A server that has gone without a word is noticed by what does not come to its end.
            let most = left.map_or(self.span + self.patience, |left| left.min(COLLECT));
            match timeout(most, watch.next()).await {
                Err(_) if left.is_some() => return Ok(true),
                Err(_) => {
                    self.watch = None;
                    return Err(SourceFault::away("a watch did not end when it should have"));
                }
                Ok(Err(fault)) => {
                    self.watch = None;
                    return Err(fault);
                }
                Ok(Ok(WatchNews::Over)) => {
                    self.watch = None;
                    if left.is_some() {
                        return Ok(true);
                    }
                }
                Ok(Ok(WatchNews::Event(event))) => match self.slices.take_event(&event) {
                    Ok(Happening::Changed) => {
                        self.pace.told();
                        told_by.get_or_insert_with(|| monotonic_now() + MOST_CHANGES);
                    }
                    Ok(Happening::Nothing) => self.pace.told(),
                    Ok(Happening::Gone) => {
                        self.watch = None;
                        return Ok(false);
                    }
                    Err(fault) => {
                        // What is not understood may be anything: nothing is taken for known any more.
                        self.watch = None;
                        self.slices.forget();
                        return Err(fault);
                    }
                },
            }
        }
    }
}

impl TargetLister for KubernetesLister {
    async fn next(&mut self) -> Result<Listing, SourceFault> {
        let listing = self.go_on().await;
        self.has_failed = listing.is_err();
        listing
    }
}

impl SliceWatch {
    /// The next event, a line each. Cancel safe.
    async fn next(&mut self) -> Result<WatchNews, SourceFault> {
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let rest = self.bytes.split_off(end + 1);
                return Ok(WatchNews::Event(std::mem::replace(&mut self.bytes, rest)));
            }
            if self.bytes.len() as u64 > MAX_DOCUMENT {
                return Err(SourceFault::garbage(format!(
                    "an event of a watch has more than {MAX_DOCUMENT} bytes"
                )));
            }
            match self.answer.response.body_mut().frame().await {
                None => return Ok(WatchNews::Over),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.bytes.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(SourceFault::away(format!("a watch broke off: {error}"))),
            }
        }
    }
}

/// What is said of a refusal, with the server's own words where it has any.
async fn refusal(server: &HttpPlace, mut answer: SourceAnswer) -> SourceFault {
    let mut fault = refused(server, answer.response.status());
    let Ok(said) = body(server, answer.response.body_mut()).await else { return fault };
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap_or_default();
    if let Some(words) = said.get("message").and_then(serde_json::Value::as_str) {
        let words: String =
            words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_WORDS).collect();
        fault.why = format!("{}: {words}", fault.why);
    }
    fault
}

/// The server as a pod of its cluster finds it.
fn in_cluster() -> Option<HttpPlace> {
    let host = env::var("KUBERNETES_SERVICE_HOST").ok().filter(|host| !host.is_empty())?;
    let port = env::var("KUBERNETES_SERVICE_PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(443);
    Some(HttpPlace {
        tls: true,
        host,
        port,
        path: String::new(),
        ca_file: Some(AUTHORITY.into()),
        token_file: Some(TOKEN.into()),
    })
}

/// As a value of a query.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
