//! A target for what `bench` asks as gRPC does: it takes a request's message whole and answers with one and `grpc-status` behind it.
//! (nginx, which stands for the other targets, answers and resets a stream before it has read its body.)

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use h2::{RecvStream, server::SendResponse};
use hyper::{HeaderMap, Response, header::HeaderValue};
use tokio::net::{TcpListener, TcpStream};

/// `cargo xtask grpc-target`.
#[derive(Args)]
pub(crate) struct Options {
    /// Where to accept; once for each address.
    #[arg(long, required = true)]
    listen: Vec<SocketAddr>,
    /// Bytes of an answer.
    #[arg(long, default_value_t = 64)]
    body: usize,
}

/// Runs the targets until they are killed.
///
/// # Errors
/// When they cannot listen.
pub(crate) fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let answer = Bytes::from(vec![b'x'; options.body]);
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut last = None;
        for address in &options.listen {
            let listener = TcpListener::bind(address).await.with_context(|| address.to_string())?;
            last = Some(tokio::task::spawn_local(accept(listener, answer.clone())));
        }
        last.context("an address")?.await?
    })
}

async fn accept(listener: TcpListener, answer: Bytes) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        tokio::task::spawn_local(async move {
            // How a connection ends is its client's affair.
            drop(serve(stream, answer).await);
        });
    }
}

async fn serve(stream: TcpStream, answer: Bytes) -> Result<()> {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1000).initial_connection_window_size(1 << 24);
    let mut connection = builder.handshake(stream).await?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        let answer = answer.clone();
        tokio::task::spawn_local(async move {
            drop(one(request.into_body(), respond, answer).await);
        });
    }
    Ok(())
}

async fn one(mut body: RecvStream, mut respond: SendResponse<Bytes>, answer: Bytes) -> Result<()> {
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data?.len())?;
    }
    let response = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut stream = respond.send_response(response, false)?;
    stream.send_data(answer, false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    Ok(stream.send_trailers(trailers)?)
}
