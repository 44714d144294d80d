//! The client of etcd against real ones: pages, messages of any size, compaction, leases, and watches that end.

use std::time::Duration;

use balancer::etcd::{Access, AccessFiles, Etcd, EtcdError, Transaction, Url};
use support::etcd::Etcd as Server;
use tokio::time::timeout;

const MOST: usize = 64 << 20;

fn client(urls: &str) -> Etcd {
    let endpoints = urls.split(',').map(|url| Url::parse(url).unwrap()).collect();
    Etcd::new(Access::read(&AccessFiles { endpoints, ..AccessFiles::default() }).unwrap())
}

async fn put(etcd: &mut Etcd, key: &str, value: &[u8]) -> i64 {
    etcd.commit(Transaction::default().put(key.as_bytes(), value, 0)).await.unwrap().unwrap()
}

#[tokio::test]
async fn what_is_read_is_all_that_there_is_at_one_revision() {
    let server = Server::start();
    let mut etcd = client(&server.urls());
    assert!(etcd.read(b"/a/", 0, MOST).await.unwrap().values.is_empty());
    // More keys than are read at a time, and neighbours that are not meant.
    for page in 0..12 {
        let mut all = Transaction::default();
        for key in 0..100 {
            all = all.put(format!("/a/{page:02}{key:02}").as_bytes(), b"v", 0);
        }
        etcd.commit(all).await.unwrap().unwrap();
    }
    put(&mut etcd, "/a", b"x").await;
    put(&mut etcd, "/a0", b"x").await;
    let read = etcd.read(b"/a/", 0, MOST).await.unwrap();
    assert_eq!(read.values.len(), 1200);
    assert!(read.values.is_sorted_by(|one, next| one.key < next.key));
    // Larger than a message of gRPC may be by default.
    let large = vec![b'x'; 1_400_000];
    for key in 0..5 {
        put(&mut etcd, &format!("/large/{key}"), &large).await;
    }
    let read = etcd.read(b"/large/", 0, MOST).await.unwrap();
    assert!(read.values.len() == 5 && read.values.iter().all(|value| value.value == large));
    let error = etcd.read(b"/large/", 0, 1 << 20).await.unwrap_err();
    assert!(
        error.to_string().contains("/large/: the keys and values are too large; allowed: 1048576 bytes"),
        "{error}"
    );
    // One that etcd does not take is told in its words.
    let huge = Transaction::default().put(b"/huge", &vec![0; 2_000_000], 0);
    let error = etcd.commit(huge).await.unwrap_err();
    assert!(error.to_string().contains("request is too large"), "{error}");
}

#[tokio::test]
async fn nothing_is_written_where_something_else_is_there_by_then() {
    let server = Server::start();
    let mut etcd = client(&server.urls());
    let first =
        etcd.commit(Transaction::default().only_if(b"k", 0).put(b"k", b"1", 0)).await.unwrap().unwrap();
    assert_eq!(etcd.commit(Transaction::default().only_if(b"k", 0).put(b"k", b"2", 0)).await, Ok(None));
    assert_eq!(etcd.get(b"k").await.unwrap().unwrap().value, b"1");
    let second = etcd.commit(Transaction::default().only_if(b"k", first).delete(b"k")).await.unwrap();
    assert!(second > Some(first));
    assert_eq!(etcd.get(b"k").await, Ok(None));
}

#[tokio::test]
async fn what_has_been_compacted_is_an_error_and_what_is_there_is_read() {
    let server = Server::start();
    let mut etcd = client(&server.urls());
    let first = put(&mut etcd, "/a/k", b"1").await;
    let mut watch = etcd.watch(&[b"/a/".to_vec()], first).await.unwrap();
    let second = put(&mut etcd, "/a/k", b"2").await;
    timeout(Duration::from_secs(20), watch.changed()).await.unwrap().unwrap();
    server.ctl(&["compact", &second.to_string()]);
    assert!(matches!(etcd.read(b"/a/", first, MOST).await, Err(EtcdError::Compacted { .. })));
    assert_eq!(etcd.read(b"/a/", 0, MOST).await.unwrap().values[0].value, b"2");
    // A watch of that time is told so, and one of now is not.
    let mut late = etcd.watch(&[b"/a/".to_vec()], first - 1).await.unwrap();
    let told = timeout(Duration::from_secs(20), late.changed()).await.unwrap().unwrap_err();
    assert!(told.contains("has been compacted"), "{told}");
    put(&mut etcd, "/a/k", b"3").await;
    timeout(Duration::from_secs(20), watch.changed()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_watch_tells_of_changes_and_of_its_end() {
    let mut server = Server::start();
    let mut etcd = client(&server.urls());
    let revision = put(&mut etcd, "/other", b"1").await;
    let mut watch = etcd.watch(&[b"/a/".to_vec(), b"/b/".to_vec()], revision).await.unwrap();
    put(&mut etcd, "/other", b"2").await;
    // Nothing of what is not watched, while it is asked whether it is well.
    assert!(timeout(Duration::from_secs(6), watch.changed()).await.is_err());
    put(&mut etcd, "/b/x", b"1").await;
    timeout(Duration::from_secs(20), watch.changed()).await.unwrap().unwrap();
    // Many at once, of which each is larger than what a stream holds at a time.
    let large = vec![b'x'; 1_000_000];
    for _ in 0..8 {
        put(&mut etcd, "/a/large", &large).await;
    }
    timeout(Duration::from_secs(20), watch.changed()).await.unwrap().unwrap();
    server.kill(0);
    let ended = async { while watch.changed().await.is_ok() {} };
    timeout(Duration::from_secs(20), ended).await.expect("it is over with its server");
}

#[tokio::test]
async fn a_server_that_stands_still_is_left_for_another() {
    let server = Server::start_members(3, None);
    let mut etcd = client(&server.urls());
    let revision = put(&mut etcd, "/a/k", b"1").await;
    let mut watch = etcd.watch(&[b"/a/".to_vec()], revision).await.unwrap();
    let follower = (server.leader() + 1) % 3;
    // The one that is asked first.
    while etcd.endpoint() != Url::parse(&server.url(follower)).unwrap() {
        etcd.watch_failed("the next");
    }
    server.pause(follower, true);
    put_again(&mut etcd).await;
    assert_ne!(etcd.endpoint(), Url::parse(&server.url(follower)).unwrap());
    timeout(Duration::from_secs(20), watch.changed()).await.unwrap().ok();
    server.pause(follower, false);
}

/// What may have been written is written again.
async fn put_again(etcd: &mut Etcd) {
    for _ in 0..3 {
        if etcd.commit(Transaction::default().put(b"/a/k", b"2", 0)).await.is_ok() {
            return;
        }
    }
    panic!("nobody takes it");
}

#[tokio::test]
async fn leases_end_with_what_is_under_them() {
    let server = Server::start();
    let mut etcd = client(&server.urls());
    let lease = etcd.grant(60).await.unwrap();
    etcd.commit(Transaction::default().put(b"/l/k", b"v", lease)).await.unwrap().unwrap();
    assert_eq!(etcd.get(b"/l/k").await.unwrap().unwrap().lease, lease);
    assert_eq!(etcd.keep_alive(lease).await, Ok(true));
    etcd.revoke(lease).await.unwrap();
    assert_eq!(etcd.get(b"/l/k").await, Ok(None));
    assert_eq!(etcd.keep_alive(lease).await, Ok(false));
    let late = etcd.commit(Transaction::default().put(b"/l/k", b"v", lease)).await.unwrap_err();
    assert!(late.to_string().contains("lease not found"), "{late}");
}

#[tokio::test]
async fn what_is_no_etcd_is_told_with_its_address() {
    let target = support::Target::plain();
    let mut etcd = client(&format!("http://{}", target.address));
    let error = etcd.get(b"k").await.unwrap_err();
    assert!(error.is_away() && error.to_string().contains(&target.address), "{error}");
    let nobody = format!("http://127.0.0.1:{}", support::ports::free());
    let error = client(&nobody).get(b"k").await.unwrap_err();
    assert!(error.to_string().contains(&format!("{nobody}: cannot connect")), "{error}");
    // One of several is enough.
    let server = Server::start();
    let mut etcd = client(&format!("{nobody},http://{},{}", target.address, server.urls()));
    assert_eq!(etcd.get(b"k").await, Ok(None));
}
