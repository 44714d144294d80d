//! What a kept connection inside TLS tells of itself, against a server that is made to say one thing at a time.

use std::{
    io::Write as _,
    net::{Shutdown, TcpListener},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use rustls::{ServerConfig, ServerConnection, crypto::ring, pki_types::PrivateKeyDer};
use tokio_rustls::TlsConnector;

use super::*;
use crate::{
    clock::test_support::eventually,
    kernel::{EventSender, TargetCounters},
    model::{self, ProtocolVersion},
};

/// What the server does next.
enum Say {
    Nothing,
    Key,
    Word,
    End,
    Close,
}

fn config() -> Arc<ServerConfig> {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(["target.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.send_tls13_tickets = 4;
    Arc::new(config)
}

/// A server of one connection; it tells when it has done what it was told to do.
fn server() -> (Destination, Sender<Say>, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (say, orders) = channel();
    let (tell, told) = channel();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_nodelay(true).unwrap();
        let mut session = ServerConnection::new(config()).unwrap();
        // The tickets go out with the end of the handshake.
        session.complete_io(&mut socket).unwrap();
        for order in orders {
            match order {
                Say::Nothing => {}
                Say::Key => session.refresh_traffic_keys().unwrap(),
                Say::Word => session.writer().write_all(b"what nobody asked for").unwrap(),
                Say::End => session.send_close_notify(),
                Say::Close => break,
            }
            while session.wants_write() {
                session.write_tls(&mut socket).unwrap();
            }
            let _ = tell.send(());
        }
        // Closing alone would not do: a child that another test has just forked has it open, too.
        let _ = socket.shutdown(Shutdown::Both);
        let _ = tell.send(());
    });
    let any = model::TargetTlsSettings { server_name: None, authorities: None };
    let tls = TargetTls::new(&any, ProtocolVersion::Http1).unwrap();
    let endpoint = Endpoint::Tcp(address);
    (Destination { slot: Slot(1), endpoint, tls: Some(Arc::new(tls)) }, say, told)
}

async fn connect(destination: &Destination) -> Connection {
    let counting = Counting::new(TargetCounters::in_memory().unwrap(), EventSender::unheard());
    let connection = Connection::open(destination, &counting).await.unwrap();
    let connector = TlsConnector::from(destination.tls.as_ref().unwrap().with_sessions());
    connection.secure(destination, connector, &counting).await.unwrap()
}

/// What was sent may still be on its way for a moment: a busy host has it delivered by a thread of the kernel's.
fn comes(mut is_there: impl FnMut() -> bool) {
    eventually(|| is_there().then_some(()).ok_or("nothing has come"));
}

/// A connection after this was said, and what keeps its other end there.
async fn after(last: Say) -> (Connection, impl Sized) {
    let (destination, say, told) = server();
    let mut connection = connect(&destination).await;
    say.send(Say::Nothing).unwrap();
    told.recv().unwrap();
    comes(|| connection.counted().stream().has_news_now());
    assert!(!connection.has_news(true), "and are no reason to drop it");
    assert!(!connection.has_news(false));
    say.send(last).unwrap();
    told.recv().unwrap();
    (connection, (say, told))
}

#[tokio::test]
async fn tickets_and_keys_are_no_news_and_all_else_is() {
    for nothing in [Say::Nothing, Say::Key] {
        let (mut connection, _kept) = after(nothing).await;
        assert!(!connection.has_news(true));
    }
    for news in [Say::Word, Say::End, Say::Close] {
        let (mut connection, _kept) = after(news).await;
        comes(|| connection.has_news(true));
    }
}

#[tokio::test]
async fn what_was_read_with_the_tickets_is_news_too() {
    let (destination, say, told) = server();
    let mut connection = connect(&destination).await;
    say.send(Say::Word).unwrap();
    told.recv().unwrap();
    comes(|| connection.has_news(true));
    assert!(connection.has_news(false), "what waits inside is not forgotten");
    drop(say);
    drop(told);
}
