//! The log files that the configuration asks for: opened when it is taken up, opened anew at a signal, one writer
//! each however many load balancers name it. Must not know: what is written into them.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    sync::Arc,
    time::Duration,
};

use crate::{
    health::check_log::HealthCheckLog,
    logs::{
        access_log::AccessLog,
        sink::{self, LogSink, Output, WrittenLines},
    },
    model::{Action, Configuration, Listener, LogDestination, LogOutput},
    safe_file::{Owner, Sight},
};

/// How long the end of the process waits for lines still queued.
const FLUSH: Duration = Duration::from_secs(2);

/// A log cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write a log to {destination}: {source}")]
pub struct LogFileError {
    destination: LogDestination,
    source: io::Error,
}

impl LogFileError {
    /// Where it would be written to.
    pub(super) fn destination(&self) -> &LogDestination {
        &self.destination
    }

    /// What the system, or the state of its folders, says.
    pub(super) fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// The logs of a configuration.
#[derive(Debug, Default)]
struct Logs {
    sinks: HashMap<LogDestination, Arc<LogSink>>,
    /// By the name of the load balancer.
    access: HashMap<String, Arc<AccessLog>>,
    /// By the name of the target group, for each load balancer that it serves.
    checks: HashMap<String, Vec<HealthCheckLog>>,
}

/// The logs in use.
#[derive(Debug)]
pub struct LogFiles {
    instance: String,
    lanes: usize,
    written: Arc<WrittenLines>,
    current: Logs,
}

/// The logs of a configuration that is not in use yet.
#[derive(Debug)]
pub struct OpenedLogs(Logs);

/// Files that are open and have no writer yet: writers are threads, and come when the process is who it is to be.
#[derive(Debug, Default)]
pub struct Outputs(HashMap<LogDestination, Output>);

impl Outputs {
    /// Opens what `configuration` asks for. Files that are made are for `owner`, if there is one.
    ///
    /// # Errors
    /// A file that cannot be opened for appending.
    pub fn open(configuration: &Configuration, owner: Option<Owner>) -> Result<Self, LogFileError> {
        let opened = destinations(configuration).into_iter().map(|destination| {
            let output = open_output(destination, owner)?;
            Ok((destination.clone(), output))
        });
        Ok(Self(opened.collect::<Result<_, LogFileError>>()?))
    }
}

/// Where the logs of a configuration go.
pub(super) fn destinations(configuration: &Configuration) -> BTreeSet<&LogDestination> {
    let balancers = configuration.load_balancers.iter();
    let outputs =
        balancers.flat_map(|balancer| balancer.access_logs.iter().chain(&balancer.health_check_logs));
    outputs.map(|output| &output.destination).collect()
}

/// What is where a log would be written to; nothing is opened, and what [`Outputs::open`] would refuse is refused.
pub(super) fn look_at(
    destination: &LogDestination,
    owner: Option<Owner>,
) -> Result<Option<Sight>, LogFileError> {
    sink::look_at(destination, owner)
        .map_err(|source| LogFileError { destination: destination.clone(), source })
}

fn open_output(destination: &LogDestination, owner: Option<Owner>) -> Result<Output, LogFileError> {
    Output::open(destination, owner)
        .map_err(|source| LogFileError { destination: destination.clone(), source })
}

impl LogFiles {
    /// None yet. Every sink gets a queue for each of `workers` workers, and one more for the control side; `instance` stands in lines behind the load balancer's name.
    #[must_use]
    pub fn new(instance: &str, workers: usize) -> Self {
        Self {
            instance: instance.to_owned(),
            lanes: workers + 1,
            written: Arc::default(),
            current: Logs::default(),
        }
    }

    /// What came of all lines that got as far as a writer.
    #[must_use]
    pub fn written(&self) -> Arc<WrittenLines> {
        Arc::clone(&self.written)
    }

    /// Opens what `configuration` asks for and is neither open nor among `outputs`. Nothing changes for what is in use.
    ///
    /// # Errors
    /// A file that cannot be opened for appending.
    pub fn open(
        &self,
        configuration: &Configuration,
        mut outputs: Outputs,
    ) -> Result<OpenedLogs, LogFileError> {
        let mut logs = Logs::default();
        for (index, balancer) in configuration.load_balancers.iter().enumerate() {
            let load_balancer = format!("app/{}/{}", balancer.name, self.instance);
            if let Some(LogOutput { destination, format }) = &balancer.access_logs {
                let sink = self.sink(destination, &mut logs.sinks, &mut outputs)?;
                let log = AccessLog::new(sink, *format, &load_balancer);
                logs.access.insert(balancer.name.clone(), Arc::new(log));
            }
            if let Some(LogOutput { destination, format }) = &balancer.health_check_logs {
                let sink = self.sink(destination, &mut logs.sinks, &mut outputs)?;
                let log = HealthCheckLog { sink, format: *format, load_balancer };
                for group in groups_of(configuration, index) {
                    logs.checks.entry(group.to_owned()).or_default().push(log.clone());
                }
            }
        }
        Ok(OpenedLogs(logs))
    }

    fn sink(
        &self,
        destination: &LogDestination,
        opened: &mut HashMap<LogDestination, Arc<LogSink>>,
        outputs: &mut Outputs,
    ) -> Result<Arc<LogSink>, LogFileError> {
        if let Some(sink) = opened.get(destination).or_else(|| self.current.sinks.get(destination)) {
            let sink = Arc::clone(sink);
            opened.insert(destination.clone(), Arc::clone(&sink));
            return Ok(sink);
        }
        let output = match outputs.0.remove(destination) {
            Some(output) => output,
            None => open_output(destination, None)?,
        };
        let sink = LogSink::start(output, self.lanes, Arc::clone(&self.written))
            .map_err(|source| LogFileError { destination: destination.clone(), source })?;
        opened.insert(destination.clone(), Arc::clone(&sink));
        Ok(sink)
    }

    /// Takes what was opened into use. What is not in it is closed as soon as no request is logged to it.
    pub fn take_up(&mut self, opened: OpenedLogs) {
        self.current = opened.0;
    }

    /// Where requests to the load balancer of this name are logged.
    #[must_use]
    pub fn access(&self, load_balancer: &str) -> Option<Arc<AccessLog>> {
        self.current.access.get(load_balancer).cloned()
    }

    /// Where checks of targets of this group are logged.
    #[must_use]
    pub fn checks(&self, group: &str) -> Option<&[HealthCheckLog]> {
        self.current.checks.get(group).map(Vec::as_slice)
    }

    /// Has every file opened anew.
    pub fn reopen(&self) {
        self.current.sinks.values().for_each(|sink| sink.reopen());
    }

    /// Waits for a moment until what was handed over is written.
    pub fn flush(&self) {
        let sinks: Vec<_> = self.current.sinks.values().cloned().collect();
        sink::flush(&sinks, FLUSH);
    }
}

/// The groups that listeners of a load balancer forward to.
fn groups_of(configuration: &Configuration, load_balancer: usize) -> BTreeSet<&str> {
    let listeners = configuration.listeners.iter().filter(|listener| listener.load_balancer == load_balancer);
    listeners
        .flat_map(Listener::actions)
        .flat_map(Action::groups)
        .filter_map(|group| configuration.target_groups.get(group))
        .map(|group| group.name.as_str())
        .collect()
}
