//! Targets at a URL, asked for every interval, in the form of Prometheus' http_sd. Must not know: what a connection is made of.

use std::{future::Future, time::Duration};

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{
    StatusCode,
    body::Bytes,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use tokio::time::{sleep, timeout};

use super::{
    client::{self, SourceAnswer},
    document::{self, DocumentForm, MAX_DOCUMENT},
    lister::{Listing, SourceFault, TargetLister},
};
use crate::model::{HttpPlace, TargetSource};

/// By which servers of http_sd learn how often they are asked.
const REFRESH_INTERVAL: HeaderName = HeaderName::from_static("x-prometheus-refresh-interval-seconds");

pub(super) struct HttpLister {
    place: HttpPlace,
    port: Option<u16>,
    interval: Duration,
    patience: Duration,
    /// Whether the last question was answered: then the next one has time.
    was_answered: bool,
    /// What the server calls what it said last, and that.
    known: Option<(HeaderValue, Listing)>,
}

impl HttpLister {
    pub(super) fn new(place: &HttpPlace, source: &TargetSource) -> Self {
        Self {
            place: place.clone(),
            port: source.port,
            interval: source.interval,
            patience: source.timeout,
            was_answered: false,
            known: None,
        }
    }

    async fn ask(&mut self) -> Result<Listing, SourceFault> {
        let mut fields = HeaderMap::new();
        fields.insert(REFRESH_INTERVAL, HeaderValue::from(self.interval.as_secs()));
        if let Some((tag, _)) = &self.known {
            fields.insert(header::IF_NONE_MATCH, tag.clone());
        }
        let SourceAnswer { response, .. } = &mut client::get(&self.place, &self.place.path, fields).await?;
        match (response.status(), &self.known) {
            (StatusCode::NOT_MODIFIED, Some((_, listing))) => return Ok(listing.clone()),
            (StatusCode::OK, _) => {}
            (status, _) => return Err(refused(&self.place, status)),
        }
        let tag = response.headers().get(header::ETAG).cloned();
        let listing =
            document::read(&body(&self.place, response.body_mut()).await?, DocumentForm::Json, self.port)?;
        self.known = tag.map(|tag| (tag, listing.clone()));
        Ok(listing)
    }
}

/// What is said of an answer of this status.
pub(super) fn refused(place: &HttpPlace, status: StatusCode) -> SourceFault {
    SourceFault { cause: "refused", why: format!("{} answers {}", place.authority(), status.as_u16()) }
}

/// The whole body, within bounds.
pub(super) async fn body(place: &HttpPlace, body: &mut hyper::body::Incoming) -> Result<Bytes, SourceFault> {
    let most = usize::try_from(MAX_DOCUMENT).unwrap_or(usize::MAX);
    match Limited::new(body, most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(SourceFault::garbage(format!("{} answers more than {MAX_DOCUMENT} bytes", place.authority())))
        }
        Err(error) => Err(SourceFault::away(format!("{}: the answer broke off: {error}", place.authority()))),
    }
}

/// What comes of a question within the time that an answer may take.
pub(super) async fn in_time<T>(
    patience: Duration,
    place: &HttpPlace,
    question: impl Future<Output = Result<T, SourceFault>>,
) -> Result<T, SourceFault> {
    let late =
        |_| SourceFault::away(format!("{}: no answer within {} s", place.authority(), patience.as_secs()));
    timeout(patience, question).await.map_err(late)?
}

impl TargetLister for HttpLister {
    async fn next(&mut self) -> Result<Listing, SourceFault> {
        if std::mem::take(&mut self.was_answered) {
            sleep(self.interval).await;
        }
        let (patience, place) = (self.patience, self.place.clone());
        let listing = in_time(patience, &place, self.ask()).await?;
        self.was_answered = true;
        Ok(listing)
    }
}
