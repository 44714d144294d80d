use std::{fs, os::unix::fs::PermissionsExt as _};

use super::*;
use crate::elbv2::records::{TargetGroupRecord, TargetRecord};

/// Records of so many groups, each with as many targets as this number.
fn records(groups: u16, number: u16) -> Records {
    let target =
        |port: u16| TargetRecord { id: "10.0.0.1".to_owned(), port: Some(port), availability_zone: None };
    let group = |index: u16| {
        let arn = format!("arn:{index}");
        let targets = (1..=number).map(target).collect();
        (arn.clone(), TargetGroupRecord { arn, port: number, targets, ..TargetGroupRecord::default() })
    };
    Records { target_groups: (0..groups).map(group).collect(), ..Records::default() }
}

#[test]
fn what_is_committed_is_there_after_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let (mut store, found) = Store::open(&path, None).unwrap();
    assert_eq!((found, store.revision()), (Records::default(), 0));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for (revision, number) in [(1, 3), (2, 0), (3, 7)] {
        store.commit(&records(4, number)).unwrap();
        assert_eq!(store.revision(), revision);
    }
    store.commit(&records(4, 7)).unwrap();
    assert_eq!(store.revision(), 3, "nothing was changed");
    assert_eq!(Store::look(&path).unwrap().records, records(4, 7), "while it is open");
    assert!(matches!(Store::open(&path, None), Err(StoreError::InUse(_))), "one changes it");
    store.close();
    let (mut other, found) = Store::open(&path, None).unwrap();
    assert_eq!((found, other.revision()), (records(4, 7), 3));
    other.commit(&records(2, 1)).unwrap();
    drop(other);
    assert_eq!(Store::look(&path).unwrap().revision, 4, "and while nobody has it open");
    // Who comes back to it goes on with what it has acknowledged.
    store.reopen().unwrap();
    assert_eq!(Store::look(&path).unwrap().records, records(4, 7));
    assert_eq!(store.revision(), 5);
}

#[test]
fn what_would_be_opened_is_told_from_what_would_not_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let looked = || Store::could_open(&path, None).map_err(|error| error.to_string());
    assert_eq!(looked(), Ok(()));
    assert!(!path.exists(), "nothing is made");
    let (mut store, _) = Store::open(&path, None).unwrap();
    assert_eq!(looked(), Ok(()), "its own process has it open");
    store.commit(&records(2, 2)).unwrap();
    // As a process leaves it that was killed.
    let killed = folder.path().join("killed.redb");
    fs::copy(&path, &killed).unwrap();
    let before = fs::read(&killed).unwrap();
    assert!(Store::could_open(&killed, None).is_ok());
    assert_eq!(fs::read(&killed).unwrap(), before, "nothing is mended");
    assert!(Store::open(&killed, None).is_ok());
    StateCopy::new(store.revision(), records(2, 2)).keep(&copy_path(&path), None).unwrap();
    drop(store);
    fs::write(&path, "hello").unwrap();
    assert!(looked().unwrap_err().contains("the database is damaged") && looked() == opened(&path));
    fs::remove_file(&path).unwrap();
    assert!(looked().unwrap_err().contains("there was one") && looked() == opened(&path));
    fs::create_dir(&path).unwrap();
    assert!(looked().unwrap_err().contains("is a folder") && looked() == opened(&path));
}

fn opened(path: &Path) -> Result<(), String> {
    Store::open(path, None).map(drop).map_err(|error| error.to_string())
}

#[test]
fn a_copy_is_kept_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let (mut store, _) = Store::open(&path, None).unwrap();
    store.commit(&records(2, 2)).unwrap();
    StateCopy::new(store.revision(), records(2, 2)).keep(&copy_path(&path), None).unwrap();
    let copy = StateCopy::read(&copy_path(&path)).unwrap();
    assert_eq!((copy.revision, copy.records), (1, records(2, 2)));
    assert_eq!(fs::metadata(copy_path(&path)).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
    drop(store);
    fs::remove_file(&path).unwrap();
    let gone = Store::open(&path, None).unwrap_err();
    assert!(
        matches!(gone, StoreError::Gone { .. }) && gone.to_string().contains("state.redb.json"),
        "{gone}"
    );
    assert!(!path.exists(), "nothing is begun in its place");
    fs::write(&path, "").unwrap();
    assert!(matches!(Store::open(&path, None), Err(StoreError::Gone { .. })));
    let (begun, nothing) = Store::begin_anew(&path, None).unwrap();
    assert_eq!((begun.revision(), nothing), (0, Records::default()));
    assert!(folder.path().join("state.redb.damaged").exists());
    for garbage in ["", "{}", "[1]", "{\"schema\":1,\"revision\":1,\"records\":{\"rules\":1}}"] {
        fs::write(copy_path(&path), garbage).unwrap();
        assert!(matches!(StateCopy::read(&copy_path(&path)), Err(StoreError::NoState { .. })), "{garbage}");
    }
    fs::write(copy_path(&path), "{\"schema\":2,\"revision\":1,\"records\":{}}").unwrap();
    let newer = StateCopy::read(&copy_path(&path)).unwrap_err().to_string();
    assert!(newer.contains("form 2") && newer.contains("allowed: forms up to 1"), "{newer}");
}

#[test]
fn a_damaged_file_is_named_with_its_copy_and_nothing_else_is_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let (mut store, _) = Store::open(&path, None).unwrap();
    for number in 1..5 {
        store.commit(&records(20, number)).unwrap();
    }
    StateCopy::new(store.revision(), records(20, 4)).keep(&copy_path(&path), None).unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    let other = folder.path().join("other.redb");
    fs::copy(copy_path(&path), copy_path(&other)).unwrap();
    let (mut damaged, mut same) = (0, 0);
    let flips = (0..whole.len()).step_by(whole.len() / 400).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        bytes
    });
    let cut = [1, 8, 64, 320, 4096, whole.len() / 2, whole.len() - 1].map(|length| whole[..length].to_vec());
    let garbage = [vec![b'x'; 10_000], b"redb".to_vec(), vec![0; 65_536]];
    for bytes in flips.chain(cut).chain(garbage) {
        fs::write(&other, &bytes).unwrap();
        match Store::open(&other, None) {
            Err(StoreError::Damaged { path, why, copy }) => {
                let told = StoreError::Damaged { path, why, copy }.to_string();
                assert!(told.contains("other.redb: the database is damaged"), "{told}");
                assert!(told.contains("(change 4)") && told.contains("balancer state import"), "{told}");
                damaged += 1;
            }
            // What was hit is in no use.
            Ok((_, found)) if found == records(20, 4) => same += 1,
            Ok((_, found)) => panic!("something else: {} groups", found.target_groups.len()),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(damaged > 10 && same > 10, "{damaged} {same}");
}

#[test]
fn what_cannot_be_opened_is_told_with_the_systems_words() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("none/state.redb");
    let told = Store::open(&nowhere, None).unwrap_err().to_string();
    assert!(told.contains("none"), "{told}");
    let told = Store::look(&folder.path().join("state.redb")).unwrap_err().to_string();
    assert!(told.contains("state.redb"), "{told}");
    assert!(Store::open(folder.path(), None).is_err());
}

#[test]
fn a_state_with_what_is_not_known_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        StateCopy::read(&path).map_err(|error| error.to_string())
    };
    let records = r#"{"load_balancers":{},"target_groups":{"a":{"name":"a"}},"listeners":{},"rules":{},"trust_stores":{}}"#;
    let state = |records: &str, form: u32| format!(r#"{{"schema":{form},"revision":1,"records":{records}}}"#);
    assert!(read(&state(records, 1)).is_ok());
    for (from, to, told) in [
        ("\"name\":\"a\"", "\"colour\":1", "records.target_groups.a.colour"),
        ("\"rules\"", "\"roles\":{},\"rules\"", "records.roles"),
        ("\"name\"", "\"targets\":[{},{\"zone\":1}],\"name\"", "records.target_groups.a.targets[1].zone"),
    ] {
        let error = read(&state(&records.replacen(from, to, 1), 1)).unwrap_err();
        assert!(error.contains(told), "{told}: {error}");
    }
    assert!(read(&state(records, 0)).unwrap_err().contains("there is no form 0"));
    assert!(read(&state(records, 9)).unwrap_err().contains("newer version"));
}

#[test]
fn a_copy_that_cannot_be_kept_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.json");
    std::fs::create_dir(&path).unwrap();
    assert!(StateCopy::new(1, Records::default()).keep(&path, None).is_err(), "a folder is in its place");
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["copy.json"]);
}
