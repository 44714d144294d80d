//! `balancer status`: asks the admin endpoint of a running balancer and prints the answer.

use std::time::Duration;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, body::Bytes, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::told::{CommandFailure, admin_endpoint, print};
use crate::telemetry::{inspect::VERSION, status::Status, status_text::StatusText};

/// How long the whole exchange may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Most that is read of an answer: some 60,000 targets.
const MOST: usize = 64 * 1024 * 1024;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  balancer status\n  balancer status --json | jq '.target_groups[].targets[]'"
)]
pub(super) struct StatusArguments {
    /// Print the JSON document of the endpoint's /status as it is
    #[arg(long)]
    json: bool,
    /// Admin endpoint of the balancer: its admin_address, with or without http://
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9900", value_parser = admin_endpoint)]
    admin: String,
}

/// Prints the state of a running balancer.
pub(super) fn run(arguments: &StatusArguments) -> Result<(), CommandFailure> {
    Ok(print(&report(arguments)?)?)
}

fn report(arguments: &StatusArguments) -> anyhow::Result<String> {
    let (document, status) = ask(&arguments.admin)?;
    Ok(if arguments.json { document } else { StatusText(&status).to_string() })
}

/// The status document of the balancer whose admin endpoint this is, as it came and as it was understood.
pub(super) fn ask(admin: &str) -> anyhow::Result<(String, Status)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start an I/O runtime")?;
    let answer = runtime.block_on(async { tokio::time::timeout(LIMIT, fetch(admin)).await });
    // A name still being looked up must not hold up the exit.
    runtime.shutdown_background();
    let Ok(body) = answer else {
        bail!("no answer from the admin endpoint {admin} within {} s", LIMIT.as_secs());
    };
    let document = String::from_utf8_lossy(&body?).into_owned();
    // What the reader of JSON has to say of a document that is something else helps nobody.
    let Ok(status) = serde_json::from_str(&document) else {
        bail!(
            "what answers at {admin} is not a balancer's admin endpoint, or one of another version than this ({VERSION})"
        );
    };
    Ok((document, status))
}

async fn fetch(admin: &str) -> anyhow::Result<Bytes> {
    let stream = TcpStream::connect(admin)
        .await
        .with_context(|| format!("cannot reach the admin endpoint {admin} (is a balancer running there?)"))?;
    let garbled = || format!("what answers at {admin} is not a balancer's admin endpoint");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.with_context(garbled)?;
    let request = Request::get("/status")
        // Whatever name it was reached by: that of the host is not one that the endpoint has to know.
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .with_context(|| format!("{admin} is not an address"))?;
    let exchange = async {
        let response = sender.send_request(request).await.with_context(garbled)?;
        if response.status() != hyper::StatusCode::OK {
            bail!("the admin endpoint {admin} answered {}", response.status());
        }
        match Limited::new(response.into_body(), MOST).collect().await {
            Ok(body) => Ok(body.to_bytes()),
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

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Answers one connection with `bytes`.
    fn endpoint(bytes: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap() == 0 {
                    return;
                }
                request.extend_from_slice(&byte);
            }
            assert!(request.starts_with(b"GET /status HTTP/1.1\r\n"));
            let _ = stream.write_all(&bytes);
        });
        address
    }

    fn failure(admin: String) -> String {
        format!("{:#}", report(&StatusArguments { json: true, admin }).unwrap_err())
    }

    #[test]
    fn a_document_is_printed_and_anything_else_is_told_in_one_line() {
        let body = serde_json::to_string(&Status::default()).unwrap();
        let good = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let until_close = format!("HTTP/1.0 200 OK\r\n\r\n{body}");
        for answer in [&good, &until_close] {
            let told =
                |json| report(&StatusArguments { json, admin: endpoint(answer.clone().into()) }).unwrap();
            assert_eq!(told(true), body);
            assert_eq!(told(false), StatusText(&Status::default()).to_string());
        }

        let refused = endpoint(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec());
        assert!(failure(refused).contains("answered 503"));
        let other = endpoint(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_vec());
        let told = failure(other);
        assert!(told.contains("not a balancer's admin endpoint") && !told.contains("column"), "{told}");
        let garbage = endpoint(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec());
        assert!(failure(garbage).contains("not a balancer's admin endpoint"));
        let short = endpoint(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"ver".to_vec());
        assert!(failure(short).contains("broke off"));
    }

    #[test]
    fn nobody_listening_is_told_with_the_address() {
        let (_socket, address) = crate::clock::test_support::refusing();
        let admin = address.to_string();
        let told = failure(admin.clone());
        assert!(told.contains(&admin) && told.contains("refused"), "{told}");
        assert!(failure("not an address".into()).contains("cannot reach"));
    }
}
