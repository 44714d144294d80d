use std::{
    fs,
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::*;
use crate::{clock::test_support::eventually, model::LogDestination};

const LONG: Duration = Duration::from_secs(20);

struct Fixture {
    folder: tempfile::TempDir,
    written: Arc<WrittenLines>,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), written: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn sink(&self, path: &Path) -> Arc<LogSink> {
        let output = Output::open(&LogDestination::File(path.to_owned()), None).unwrap();
        LogSink::start(output, 2, Arc::clone(&self.written)).unwrap()
    }
}

fn line(number: u32) -> impl FnOnce(&mut Vec<u8>) {
    move |out| out.extend_from_slice(format!("{number}\n").as_bytes())
}

#[test]
fn lines_of_all_lanes_are_written_in_the_order_of_each() {
    let fixture = Fixture::new();
    let sink = fixture.sink(&fixture.path());
    let (mut first, mut second) = (Batches::new(0), Batches::new(1));
    for number in 0..20_000 {
        assert_eq!(first.add(&sink, line(2 * number)) + second.add(&sink, line(2 * number + 1)), 0);
    }
    assert_eq!(first.flush() + second.flush(), 0);
    flush(&[sink], LONG);
    let text = fs::read_to_string(fixture.path()).unwrap();
    let numbers: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    for parity in [0, 1] {
        let of_lane: Vec<_> = numbers.iter().copied().filter(|number| number % 2 == parity).collect();
        assert_eq!(of_lane, (0..20_000).map(|number| 2 * number + parity).collect::<Vec<_>>());
    }
    assert_eq!((fixture.written.lines(), fixture.written.lost()), (40_000, 0));
}

#[test]
fn what_is_queued_is_written_after_the_sink_is_gone() {
    let fixture = Fixture::new();
    let sink = fixture.sink(&fixture.path());
    let mut batches = Batches::new(0);
    assert_eq!(batches.add(&sink, line(7)), 0);
    drop(sink);
    drop(batches);
    let deadline = monotonic_now() + LONG;
    while fixture.written.lines() == 0 {
        assert!(monotonic_now() < deadline);
        std::thread::yield_now();
    }
    assert_eq!(fs::read_to_string(fixture.path()).unwrap(), "7\n");
}

#[test]
fn a_file_that_was_renamed_is_left_for_one_of_its_name_at_the_order() {
    let fixture = Fixture::new();
    let (path, old) = (fixture.path(), fixture.folder.path().join("log.1"));
    let sink = fixture.sink(&path);
    let mut batches = Batches::new(0);
    let mut write = |number| {
        assert_eq!(batches.add(&sink, line(number)) + batches.flush(), 0);
        flush(std::slice::from_ref(&sink), LONG);
    };
    write(1);
    fs::rename(&path, &old).unwrap();
    write(2);
    sink.reopen();
    // An order behind that one: what comes from here on goes to the new file.
    flush(std::slice::from_ref(&sink), LONG);
    write(3);
    assert_eq!(fs::read_to_string(&old).unwrap(), "1\n2\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "3\n");
}

#[test]
fn a_file_that_cannot_be_opened_anew_stays_in_use() {
    let fixture = Fixture::new();
    let folder = fixture.folder.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let sink = fixture.sink(&folder.join("log"));
    let elsewhere = fixture.folder.path().join("elsewhere");
    fs::rename(&folder, &elsewhere).unwrap();
    sink.reopen();
    let mut batches = Batches::new(0);
    assert_eq!(batches.add(&sink, line(1)) + batches.flush(), 0);
    flush(&[sink], LONG);
    assert_eq!(fs::read_to_string(elsewhere.join("log")).unwrap(), "1\n");
}

/// A named pipe and a reader of it that reads when asked.
fn pipe(fixture: &Fixture) -> (PathBuf, fs::File) {
    let path = fixture.folder.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let reader = fs::OpenOptions::new().read(true).custom_flags(nonblocking()).open(&path).unwrap();
    (path, reader)
}

fn nonblocking() -> i32 {
    i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap()
}

/// Closes the reader. A child that another test has just forked may read a moment longer (fifo(7): who would write and not
/// wait is told when nobody does).
fn close(reader: fs::File, path: &Path) {
    drop(reader);
    eventually(|| match fs::OpenOptions::new().write(true).custom_flags(nonblocking()).open(path) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => Ok(()),
        opened => Err(opened),
    });
}

#[test]
fn a_pipe_that_nobody_reads_costs_lines_and_the_rest_arrives() {
    let fixture = Fixture::new();
    let (path, mut reader) = pipe(&fixture);
    let sink = fixture.sink(&path);
    let mut batches = Batches::new(0);
    let (mut dropped, mut added) = (0, 0);
    while dropped == 0 {
        dropped +=
            batches.add(&sink, |out| out.extend_from_slice(&[b"x".repeat(999), b"\n".to_vec()].concat()));
        added += 1;
        assert!(added < 100_000, "the queue has a bound");
    }
    dropped += batches.flush();
    let mut bytes = Vec::new();
    let mut deadline = monotonic_now() + LONG;
    let mut had = 0;
    while fixture.written.lines() < added - dropped {
        // As long as something comes: writer and reader take turns, and each may have to wait for a processor.
        if bytes.len() > had {
            (had, deadline) = (bytes.len(), monotonic_now() + LONG);
        }
        assert!(monotonic_now() < deadline);
        match reader.read_to_end(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            other => drop(other.unwrap()),
        }
    }
    let _ = reader.read_to_end(&mut bytes);
    assert_eq!(bytes.len() as u64, 1000 * (added - dropped));
    assert!(bytes.chunks(1000).all(|line| line.ends_with(b"x\n")));
}

#[test]
fn lines_for_a_reader_that_went_are_counted_as_lost() {
    let fixture = Fixture::new();
    let (path, reader) = pipe(&fixture);
    let sink = fixture.sink(&path);
    close(reader, &path);
    let mut batches = Batches::new(0);
    assert_eq!(batches.add(&sink, line(1)) + batches.add(&sink, line(2)) + batches.flush(), 0);
    flush(&[sink], LONG);
    assert_eq!((fixture.written.lines(), fixture.written.lost()), (0, 2));
}

#[test]
fn a_pipe_without_a_reader_is_refused_and_not_waited_for() {
    let fixture = Fixture::new();
    let (path, reader) = pipe(&fixture);
    close(reader, &path);
    assert!(Output::open(&LogDestination::File(path), None).is_err());
    assert!(Output::open(&LogDestination::File(fixture.folder.path().to_owned()), None).is_err(), "a folder");
}
