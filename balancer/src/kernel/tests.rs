//! Options, tables and the fallback, without a kernel program.

use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::clock::test_support::eventually;

/// Names are the host's: as unique as the folder.
fn instance(runtime_dir: &std::path::Path) -> String {
    let name = runtime_dir.file_name().unwrap().to_string_lossy().to_lowercase();
    format!("unit{}-{}", name.trim_start_matches(['.']), std::process::id())
}

fn options(runtime_dir: &std::path::Path) -> KernelOptions {
    KernelOptions {
        instance: instance(runtime_dir),
        runtime_dir: runtime_dir.to_owned(),
        assist: KernelAssist::Off,
        session_table_size: 1024,
        shield: None,
    }
}

fn tcp(port: u16) -> Endpoint {
    Endpoint::Tcp(([127, 0, 0, 1], port).into())
}

#[test]
fn session_tables_are_sized_for_the_sessions_asked_for() {
    for (sessions, buckets) in [(0, 128), (1024, 128), (1025, 256), (1 << 20, 1 << 17), (1 << 26, 1 << 23)] {
        assert_eq!(sticky_words(sessions), buckets * 32, "{sessions}");
    }
}

#[test]
fn everything_works_without_the_kernel_side_and_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let mut kernel = Kernel::open(&options(dir.path())).unwrap();
    assert!(matches!(kernel.assist(), Assist::Off { .. }));
    let tables = kernel.tables();
    assert!(!tables.counters.kernel_counts());
    let gone = kernel.claim_slot(&tcp(1)).unwrap();
    let kept = kernel.claim_slot(&tcp(2)).unwrap();
    // As when the process is killed.
    std::mem::forget((tables.counters.attempt(kept).opened(), tables.outstanding.begin(kept)));
    tables.sticky[77].store(5, Relaxed);
    drop((kernel, tables));

    let mut kernel = eventually(|| Kernel::open(&options(dir.path())));
    let tables = kernel.tables();
    assert_eq!(kernel.claim_slot(&tcp(2)).unwrap(), kept);
    kernel.release_unclaimed();
    let values = tables.counters.read(kept);
    assert_eq!((values.opened, values.open, values.closed), (1, 0, 1), "it closed with its process");
    assert_eq!(tables.outstanding.get(kept), 0);
    assert_eq!(tables.sticky[77].load(Relaxed), 5);
    kernel.reap();
    kernel.reap();
    assert_eq!(kernel.claim_slot(&tcp(3)).unwrap(), gone);
}

#[test]
fn a_second_process_is_refused_and_so_is_cleanup_while_one_runs() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = Kernel::open(&options(dir.path())).unwrap();
    let refused = Kernel::open(&options(dir.path())).unwrap_err();
    assert!(matches!(refused, KernelError::Running { .. }), "{refused}");
    let name = instance(dir.path());
    assert!(matches!(cleanup(&name, dir.path()), Err(KernelError::Running { .. })));
    let elsewhere = tempfile::tempdir().unwrap();
    assert!(matches!(cleanup(&name, elsewhere.path()), Err(KernelError::Running { pid: Some(_), .. })));
    drop(kernel);
    assert_eq!(eventually(|| cleanup(&name, dir.path())).removed, [dir.path().join(&name)]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(eventually(|| cleanup(&name, dir.path())), CleanupReport::default());
}

#[test]
fn tables_whose_files_are_cut_short_are_mended() {
    let dir = tempfile::tempdir().unwrap();
    let mut kernel = Kernel::open(&options(dir.path())).unwrap();
    let tables = kernel.tables();
    let slot = kernel.claim_slot(&tcp(1)).unwrap();
    let in_flight = tables.outstanding.begin(slot);
    let connection = tables.counters.attempt(slot).opened();
    tables.sticky[77].store(5, Relaxed);
    let folder = dir.path().join(instance(dir.path())).join(format!("v{}", balancer_common::ABI_VERSION));
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3);
    for file in &files {
        std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(0).unwrap();
    }
    assert_eq!(tables.sticky[77].load(Relaxed), 0);
    drop((in_flight, connection));
    kernel.reap();
    assert_eq!((tables.outstanding.get(slot), tables.counters.read(slot).live()), (0, 0));
    tables.sticky[78].store(6, Relaxed);
    drop((kernel, tables));
    let mut kernel = eventually(|| Kernel::open(&options(dir.path())));
    assert_eq!(kernel.tables().sticky[78].load(Relaxed), 6, "what came later is in the file");
    assert_eq!(kernel.claim_slot(&tcp(1)).unwrap(), slot);
}

#[tokio::test]
async fn events_of_workers_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let mut kernel = Kernel::open(&options(dir.path())).unwrap();
    let mut events = kernel.take_events().unwrap();
    assert!(kernel.take_events().is_none());
    let event = TargetEvent { slot: Slot(1), kind: TargetEventKind::ConnectFailed };
    kernel.event_sender().send(event);
    assert_eq!(events.next().await, Some(event));
}
