//! Asks the admin endpoint of a running balancer. Must not know: what for.

use std::time::Duration;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::telemetry::{arrivals::ArrivalsDocument, inspect::VERSION, status::Status};

/// How long the whole exchange may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Most that is read of an answer: some 60,000 targets.
const MOST: usize = 64 * 1024 * 1024;

/// A sample of the requests of its sticky groups; nothing of a balancer of a version that keeps none.
pub(super) fn ask_arrivals(admin: &str) -> anyhow::Result<ArrivalsDocument> {
    let (status, body) = within_limit(admin, get(admin, "/arrivals"))?;
    if status != StatusCode::OK {
        return Ok(ArrivalsDocument::default());
    }
    let garbled =
        || format!("what {admin} tells of its requests is of another version than this ({VERSION})");
    serde_json::from_slice(&body).with_context(garbled)
}

/// The status document of the balancer whose admin endpoint this is, as it came and as it was understood.
pub(super) fn ask(admin: &str) -> anyhow::Result<(String, Status)> {
    understood(admin, &within_limit(admin, fetch(admin))?)
}

/// What comes of an exchange, which may take so long.
fn within_limit<T>(admin: &str, exchange: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start an I/O runtime")?;
    let answer = runtime.block_on(async { tokio::time::timeout(LIMIT, exchange).await });
    // A name still being looked up must not hold up the exit.
    runtime.shutdown_background();
    let Ok(answer) = answer else {
        bail!("no answer from the admin endpoint {admin} within {} s", LIMIT.as_secs());
    };
    answer
}

/// The document as it came and as it was understood.
pub(super) fn understood(admin: &str, body: &[u8]) -> anyhow::Result<(String, Status)> {
    let document = String::from_utf8_lossy(body).into_owned();
    // What the reader of JSON has to say of a document that is something else helps nobody.
    let Ok(status) = serde_json::from_str(&document) else {
        bail!(
            "what answers at {admin} is not a balancer's admin endpoint, or one of another version than this ({VERSION})"
        );
    };
    Ok((document, status))
}

/// The status document of a balancer, within the time that an exchange may take.
pub(super) async fn fetch(admin: &str) -> anyhow::Result<Bytes> {
    let (status, body) = get(admin, "/status").await?;
    if status != StatusCode::OK {
        bail!("the admin endpoint {admin} answered {status}");
    }
    Ok(body)
}

/// What the admin endpoint answers to a GET of `path`.
pub(super) async fn get(admin: &str, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
    let stream = TcpStream::connect(admin)
        .await
        .with_context(|| format!("cannot reach the admin endpoint {admin} (is a balancer running there?)"))?;
    let garbled = || format!("what answers at {admin} is not a balancer's admin endpoint");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.with_context(garbled)?;
    let request = Request::get(path)
        // Whatever name it was reached by: that of the host is not one that the endpoint has to know.
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .with_context(|| format!("{admin} is not an address"))?;
    let exchange = async {
        let response = sender.send_request(request).await.with_context(garbled)?;
        let status = response.status();
        match Limited::new(response.into_body(), MOST).collect().await {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) => bail!("the answer of the admin endpoint {admin} broke off: {error}"),
        }
    };
    tokio::pin!(exchange);
    tokio::select! {
        // Polled first, so that an answer that is there is taken even when the connection has ended, too.
        biased;
        answer = &mut exchange => answer,
        ended = connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(anyhow::Error::new(error).context(garbled())),
        },
    }
}
