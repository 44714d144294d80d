//! The `session_store` block: what is read, and every fault with its place.
use std::{fs, time::Duration};

use balancer::model::{SessionStoreSettings, StoreMode};

use super::one_fault::{assert_one_fault, parse};

const LISTENER: &str = "listener \"web\" {\n  port = 80\n  default_action {\n    type = \"fixed-response\"\n    \
                        fixed_response {\n      content_type = \"text/plain\"\n      status_code = \"200\"\n    }\n  }\n}\n";

fn text(lines: &str) -> String {
    format!("session_store {{\n{lines}\n}}\n{LISTENER}")
}

fn store(lines: &str) -> SessionStoreSettings {
    let text = text(lines);
    parse(&text).unwrap_or_else(|faults| panic!("{text}\n{faults}")).session_store.expect("a store")
}

fn hosts(store: &SessionStoreSettings) -> Vec<String> {
    store.hosts.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_left_out_has_a_default() {
    let found = store("url = \"redis://cache.internal\"");
    assert_eq!(hosts(&found), ["cache.internal:6379"]);
    assert_eq!((found.mode.clone(), found.database), (StoreMode::Server, 0));
    assert_eq!(found.lookup_timeout, Duration::from_millis(20));
    assert!(!found.health_check_leader);
    assert!(found.tls.is_none() && found.username.is_none() && found.password.is_none());
    assert_eq!(parse(LISTENER).unwrap().session_store, None, "there is none where none is asked for");
}

#[test]
fn everything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (password, authority) = (folder.path().join("password"), folder.path().join("ca.pem"));
    fs::write(&password, "s3cret with blanks\r\n").unwrap();
    let made = rcgen::generate_simple_self_signed(["cache.internal".to_owned()]).unwrap();
    fs::write(&authority, made.cert.pem()).unwrap();
    let found = store(&format!(
        "url = \"rediss://[2001:db8::1]:7000/3\"\nusername = \"balancer\"\npassword_file = \"{}\"\n\
         tls_ca_file = \"{}\"\ntls_server_name = \"cache.internal\"\nlookup_timeout = 5\nhealth_check_leader = true",
        password.display(),
        authority.display()
    ));
    assert_eq!((hosts(&found), found.database), (vec!["[2001:db8::1]:7000".to_owned()], 3));
    assert_eq!(found.username.as_deref(), Some("balancer"));
    let held = found.password.as_ref().expect("a password");
    assert_eq!(held.reveal(), "s3cret with blanks");
    assert!(!format!("{found:?}").contains("s3cret"), "it shows itself to nobody");
    let tls = found.tls.as_ref().expect("TLS");
    assert_eq!(tls.server_name.as_deref(), Some("cache.internal"));
    assert_eq!(found.lookup_timeout, Duration::from_millis(5));
    assert!(found.health_check_leader);
    let found = store("url = \"valkey://a,b:1,192.0.2.7\"\nmode = \"sentinel\"\nsentinel_service = \"main\"");
    assert_eq!(hosts(&found), ["a:26379", "b:1", "192.0.2.7:26379"]);
    assert_eq!(found.mode, StoreMode::Sentinel { service: "main".to_owned(), account: None });
    let found = store(&format!(
        "url = \"redis://a\"\nmode = \"sentinel\"\nsentinel_service = \"main\"\nsentinel_username = \"asker\"\n\
         sentinel_password_file = \"{}\"",
        password.display()
    ));
    let StoreMode::Sentinel { account: Some(account), .. } = &found.mode else { panic!("{found:?}") };
    assert_eq!(
        (account.username.as_deref(), account.password.reveal()),
        (Some("asker"), "s3cret with blanks")
    );
    assert!(found.password.is_none() && !format!("{found:?}").contains("s3cret"));
    assert_eq!(store("url = \"redis://a,b\"\nmode = \"cluster\"").mode, StoreMode::Cluster);
    let json = r#"{"session_store": {"url": "redis://a"}}"#;
    let files = [("x.tf.json".into(), json.to_owned()), ("y.hcl".into(), LISTENER.to_owned())];
    assert!(balancer::config::parse(&files).unwrap().session_store.is_some());
}

#[test]
fn faults_are_told_with_their_places() {
    let one = "redis://HOST:PORT";
    for (lines, place, wrong, allowed) in [
        ("mode = \"server\"", "1:1", "session_store needs `url`", one),
        ("url = \"cache:6379\"", "2:7", "`url` = \"cache:6379\"", one),
        ("url = \"http://a\"", "2:7", "`url`", one),
        ("url = \"redis://\"", "2:7", "`url`", one),
        ("url = \"redis://a:0\"", "2:7", "`url`", one),
        ("url = \"redis://a:65536\"", "2:7", "`url`", one),
        ("url = \"redis://a:+1\"", "2:7", "`url`", one),
        ("url = \"redis://[::1\"", "2:7", "`url`", one),
        ("url = \"redis://a/x\"", "2:7", "`url`", one),
        ("url = \"redis://a/70000\"", "2:7", "`url`", one),
        ("url = \"redis://a,b\"", "2:7", "`url` has 2 hosts", "one, or `mode`"),
        ("url = \"redis://a/1\"\nmode = \"cluster\"", "2:7", "`url` names database 1", "0 in a cluster"),
        ("url = \"redis://a\"\nmode = \"ring\"", "3:8", "`mode` = \"ring\"", "\"server\""),
        (
            "url = \"redis://a\"\nmode = \"sentinel\"",
            "1:1",
            "session_store needs `sentinel_service`",
            "1 to 256",
        ),
        (
            "url = \"redis://a\"\nsentinel_service = \"x\"",
            "3:20",
            "`sentinel_service` has no meaning",
            "`mode` = \"sentinel\"",
        ),
        (
            "url = \"redis://a\"\nsentinel_password_file = \"x\"",
            "3:26",
            "`sentinel_password_file` has no meaning",
            "`mode` = \"sentinel\"",
        ),
        (
            "url = \"redis://a\"\nmode = \"sentinel\"\nsentinel_service = \"x\"\nsentinel_username = \"x\"",
            "5:21",
            "`sentinel_username` stands without `sentinel_password_file`",
            "both, or neither",
        ),
        ("url = \"redis://a\"\nusername = \"x\"", "3:12", "`username` stands without", "both, or neither"),
        (
            "url = \"redis://a\"\npassword_file = \"/no/such\"",
            "3:17",
            "`password_file`: /no/such cannot be read",
            "one line",
        ),
        (
            "url = \"redis://a\"\ntls_server_name = \"x\"",
            "3:19",
            "`tls_server_name` has no meaning",
            "rediss://",
        ),
        ("url = \"rediss://a\"\ntls_ca_file = \"/no/such\"", "3:15", "/no/such", "PEM"),
        ("url = \"redis://a\"\nlookup_timeout = 0", "3:18", "`lookup_timeout` = 0", "1 to 1000"),
        ("url = \"redis://a\"\nlookup_timeout = 1001", "3:18", "`lookup_timeout` = 1001", "1 to 1000"),
    ] {
        assert_one_fault(&text(lines), place, wrong, allowed);
    }
    let two = format!("{}session_store {{\n  url = \"redis://b\"\n}}\n", text("url = \"redis://a\""));
    assert_one_fault(&two, "14:1", "a second `session_store` block", "one");
}

#[test]
fn a_password_in_a_url_is_refused_and_not_shown() {
    for url in ["redis://balancer:hunter2@cache", "rediss://:hunter2@cache/1", "redis:/hunter2@"] {
        let lines = text(&format!("url = \"{url}\""));
        let faults = parse(&lines).expect_err(&lines);
        assert!(faults.contains("`password_file`") && !faults.contains("hunter2"), "{faults}");
    }
}
