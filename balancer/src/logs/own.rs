//! The log on standard error: form, level, and a writer that never makes a worker wait.
//!
//! Lines go through a bounded queue to a thread of their own. A reader that stops reading standard error
//! therefore costs lines, never requests: what does not fit is dropped and the number of dropped lines is
//! told with the next line that gets through. A closed standard error drops them all.
//! Must not know: what is logged.

use std::{
    env,
    io::{self, IsTerminal, Write},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities, set_no_new_privs,
};
use tracing::{Event, Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::ParseError,
    fmt::MakeWriter,
    layer::{Context, Filter, SubscriberExt},
    reload,
    util::SubscriberInitExt,
};

use super::quiet;
use crate::{
    model::{LogFormat, LogLevel},
    panics,
};

/// Overrides the configured level, in the language of `tracing_subscriber::EnvFilter`.
pub const FILTER_VARIABLE: &str = "BALANCER_LOG";

/// Lines that may wait for a slow reader of standard error.
const QUEUE: usize = 4096;
/// How long the end of the process waits for lines still queued.
const FLUSH: Duration = Duration::from_millis(500);

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
    /// Let go of all rights that are not needed to write.
    Renounce(SyncSender<()>),
}

/// A writer that queues whole lines and drops those that do not fit.
#[derive(Clone, Debug)]
struct Queue {
    lines: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

impl Queue {
    /// Starts the thread that writes to `out`.
    fn new(mut out: impl Write + Send + 'static, capacity: usize) -> io::Result<Self> {
        let (lines, queued) = mpsc::sync_channel(capacity);
        let dropped = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&dropped);
        thread::Builder::new().name("log".into()).spawn(move || drain(&queued, &mut out, &count))?;
        Ok(Self { lines, dropped })
    }

    /// Waits until everything queued is written, at most for `limit`.
    fn flush(&self, limit: Duration) {
        self.order(Message::Flush, limit);
    }

    fn order(&self, order: impl FnOnce(SyncSender<()>) -> Message, limit: Duration) {
        let (done, wait) = mpsc::sync_channel(1);
        if self.lines.try_send(order(done)).is_ok() {
            let _ = wait.recv_timeout(limit);
        }
    }
}

fn drain(queued: &Receiver<Message>, out: &mut impl Write, dropped: &AtomicU64) {
    for message in queued {
        match message {
            Message::Line(line) => {
                // A write that fails is a line lost; there is nowhere to say so.
                let _ = out.write_all(&line);
                let lost = dropped.swap(0, Relaxed);
                if lost > 0 {
                    let _ =
                        writeln!(out, "balancer: {lost} log lines were dropped: standard error was not read");
                }
            }
            Message::Flush(done) => {
                let _ = out.flush();
                let _ = done.try_send(());
            }
            Message::Renounce(done) => {
                renounce_rights();
                let _ = done.try_send(());
            }
        }
    }
}

/// Capabilities, and what could bring them back, belong to threads.
fn renounce_rights() {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    let renounced = set_no_new_privs(true)
        .and_then(|()| clear_ambient_capability_set())
        .and_then(|()| set_capabilities(None, sets));
    if let Err(error) = renounced {
        tracing::error!(%error, "the thread that writes the log keeps rights that it does not need");
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.lines.try_send(Message::Line(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

struct Installed {
    queue: Queue,
    filter: reload::Handle<EnvFilter, Registry>,
    /// The filter came from the environment and stays.
    fixed: bool,
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// What a level lets through. Of libraries warnings alone are let through, and nothing of those that tell what a client
/// did without telling which one: what is worth telling of that is told by who knows the client.
fn directives(level: LogLevel) -> String {
    const SILENT: &str = "rustls=off,tokio_rustls=off";
    let of = |least: &str| format!("{least},aya=warn,hickory=warn,hyper=warn,{SILENT}");
    match level {
        LogLevel::Error => format!("error,{SILENT}"),
        LogLevel::Warn => format!("warn,{SILENT}"),
        LogLevel::Info => of("info"),
        LogLevel::Debug => of("info,balancer=debug"),
    }
}

/// Has warnings and errors of libraries share one bounded number of lines; see [`quiet`].
struct LibraryShare;

impl<S: tracing::Subscriber> Filter<S> for LibraryShare {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let is_own = metadata.target().starts_with("balancer");
        is_own || *metadata.level() > Level::WARN || quiet::LineKind::Library.admits()
    }
}

/// The filter for `level`, unless the environment gives a valid one; and whether it did, or what is wrong with it.
fn filter(level: LogLevel, environment: Option<&str>) -> (EnvFilter, Result<bool, ParseError>) {
    match environment.filter(|text| !text.trim().is_empty()).map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, Ok(true)),
        Some(Err(fault)) => (EnvFilter::new(directives(level)), Err(fault)),
        None => (EnvFilter::new(directives(level)), Ok(false)),
    }
}

fn layer<S>(format: LogFormat, colour: bool, queue: Queue) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    // The default timer writes RFC 3339 in UTC with microseconds.
    let layer: Box<dyn Layer<S> + Send + Sync> = match format {
        LogFormat::Text => tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(queue).boxed(),
        LogFormat::Json => {
            tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(queue).boxed()
        }
    };
    layer.with_filter(LibraryShare).boxed()
}

/// Sends what is logged from now on, by `tracing` or `log`, to standard error. A second call changes the
/// level alone. Panics are logged from then on, too.
///
/// # Errors
/// When the thread that writes cannot be started.
pub fn init(format: LogFormat, level: LogLevel) -> io::Result<()> {
    if INSTALLED.get().is_some() {
        set_level(level);
        return Ok(());
    }
    let environment = env::var(FILTER_VARIABLE).ok();
    let (filter, is_given) = filter(level, environment.as_deref());
    let fixed = matches!(is_given, Ok(true));
    let queue = Queue::new(io::stderr(), QUEUE)?;
    let (filter, handle) = reload::Layer::new(filter);
    let colour = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
    let subscriber = tracing_subscriber::registry().with(filter).with(layer(format, colour, queue.clone()));
    if subscriber.try_init().is_ok() && INSTALLED.set(Installed { queue, filter: handle, fixed }).is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            panics::note();
            tracing::error!("internal error, please report it: {panic}");
        }));
    }
    if let Err(fault) = is_given {
        tracing::warn!(
            "{FILTER_VARIABLE} is ignored: {fault}. It is a level (off, error, warn, info, debug, trace), or several with what they \
             are for, as in `info,balancer::health=trace`"
        );
    }
    Ok(())
}

/// Changes the level, as a reload does; without effect where the environment gives the filter.
pub fn set_level(level: LogLevel) {
    if let Some(installed) = INSTALLED.get().filter(|installed| !installed.fixed)
        && installed.filter.reload(EnvFilter::new(directives(level))).is_ok()
    {
        log::set_max_level(match level {
            LogLevel::Error => log::LevelFilter::Error,
            LogLevel::Warn => log::LevelFilter::Warn,
            LogLevel::Info => log::LevelFilter::Info,
            LogLevel::Debug => log::LevelFilter::Debug,
        });
    }
}

/// The thread that writes, which is older than the end of root's rights, lets go of all of its own.
pub fn renounce() {
    if let Some(installed) = INSTALLED.get() {
        installed.queue.order(Message::Renounce, FLUSH);
    }
}

/// Gives queued lines a moment to get out; to be called before the process ends.
pub fn flush() {
    if let Some(installed) = INSTALLED.get() {
        installed.queue.flush(FLUSH);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Shared {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// Blocks every write until the gate's lock is free.
    struct Gate(Arc<Mutex<()>>, Shared);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _open = self.0.lock().unwrap();
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    fn log_through(queue: &Queue, format: LogFormat, level: LogLevel, events: impl FnOnce()) {
        let subscriber = tracing_subscriber::registry().with(filter(level, None).0).with(layer(
            format,
            false,
            queue.clone(),
        ));
        tracing::subscriber::with_default(subscriber, events);
        queue.flush(Duration::from_secs(10));
    }

    #[test]
    fn json_lines_are_objects_with_an_rfc_3339_time() {
        let out = Shared::default();
        let queue = Queue::new(out.clone(), 16).unwrap();
        log_through(&queue, LogFormat::Json, LogLevel::Info, || {
            tracing::info!(target_group = "app", "taken \"up\"");
            tracing::debug!("not at this level");
        });
        let text = out.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "taken \"up\"");
        assert_eq!(line["target_group"], "app");
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.len() >= 20 && time.as_bytes()[10] == b'T' && time.ends_with('Z'), "{time}");
    }

    #[test]
    fn text_lines_hold_level_and_message() {
        let out = Shared::default();
        let queue = Queue::new(out.clone(), 16).unwrap();
        log_through(&queue, LogFormat::Text, LogLevel::Warn, || {
            tracing::warn!("careful");
            tracing::info!("not at this level");
        });
        let text = out.text();
        assert!(text.contains(" WARN ") && text.contains("careful") && !text.contains("level"), "{text}");
    }

    #[test]
    fn libraries_share_a_bounded_number_of_lines_and_some_have_none() {
        let out = Shared::default();
        let queue = Queue::new(out.clone(), 256).unwrap();
        log_through(&queue, LogFormat::Text, LogLevel::Info, || {
            for _ in 0..50 {
                tracing::warn!(target: "hickory_proto", "library");
                tracing::warn!(target: "rustls::conn", "silent");
                tracing::warn!("own");
            }
        });
        let text = out.text();
        let lines = |word: &str| text.lines().filter(|line| line.ends_with(word)).count();
        assert_eq!((lines("own"), lines("silent")), (50, 0), "{text}");
        assert!((1..=20).contains(&lines("library")), "{text}");
        assert!(quiet::LineKind::Library.left_out() >= 30);
    }

    #[test]
    fn a_reader_that_stops_costs_lines_and_not_time() {
        let (gate, out) = (Arc::new(Mutex::new(())), Shared::default());
        let mut queue = Queue::new(Gate(Arc::clone(&gate), out.clone()), 4).unwrap();
        let closed = gate.lock().unwrap();
        for number in 0..100 {
            queue.write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        let lost = queue.dropped.load(Relaxed);
        assert!(lost >= 95, "at most one in the writer's hand and four queued, but {lost} were dropped");
        drop(closed);
        // The queue is full until the writer has taken a line off it, so the flush itself may find no place.
        let deadline = crate::clock::monotonic_now() + Duration::from_secs(10);
        while !out.text().contains("log lines were dropped") {
            assert!(crate::clock::monotonic_now() < deadline, "{}", out.text());
            queue.flush(Duration::from_millis(10));
        }
        assert!(out.text().starts_with("line 0\n"), "{}", out.text());
        assert!(out.text().contains(&format!("balancer: {lost} log lines were dropped")));
    }

    #[test]
    fn a_closed_standard_error_is_survived() {
        let mut queue = Queue::new(Broken, 4).unwrap();
        for _ in 0..100 {
            queue.write_all(b"x\n").unwrap();
            queue.flush(Duration::from_secs(10));
        }
        assert_eq!(queue.dropped.load(Relaxed), 0, "the writing thread still takes lines");
    }

    #[test]
    fn the_environment_overrides_the_level_when_it_makes_sense() {
        assert_eq!(filter(LogLevel::Info, Some("balancer=trace")).0.to_string(), "balancer=trace");
        assert!(filter(LogLevel::Info, Some("balancer=trace")).1.unwrap());
        for wrong in ["=/=", "balancer=loud", "info,balancer=debug=trace"] {
            assert!(!filter(LogLevel::Info, Some(wrong)).1.unwrap_err().to_string().is_empty(), "{wrong}");
        }
        assert!(!filter(LogLevel::Info, Some(" ")).1.unwrap());
        assert!(filter(LogLevel::Error, None).0.to_string().contains("error"));
    }
}
