//! The store's thread, as who reads configurations has it. Must not know: how it speaks to the store.

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{runtime::Builder, sync::watch, time::timeout};

use super::{
    pending::PendingWrites,
    port::{Orders, StorePort},
    thread::{LocalSessions, StoreThread},
};
use crate::model::{SessionStoreSettings, StoreMode};

/// Sessions are shared with other balancers, or not.
pub struct Sharing {
    port: Arc<StorePort>,
    /// What the thread needs, until there is one.
    parts: Option<(Orders, Box<dyn LocalSessions>)>,
    settings: watch::Sender<Option<SessionStoreSettings>>,
    thread: Option<JoinHandle<()>>,
}

impl Sharing {
    /// Nothing is shared.
    #[must_use]
    pub fn off(local: Box<dyn LocalSessions>) -> Self {
        let (port, orders) = StorePort::open();
        Self { port, parts: Some((orders, local)), settings: watch::Sender::new(None), thread: None }
    }

    /// Where workers leave and find what is shared.
    #[must_use]
    pub fn port(&self) -> &Arc<StorePort> {
        &self.port
    }

    /// Shares by these settings from now on. The same ones change nothing.
    ///
    /// # Errors
    /// The system's, when there is no thread to be had.
    pub fn apply(&mut self, settings: Option<&SessionStoreSettings>) -> io::Result<()> {
        let before = self.settings.borrow().clone();
        if before.as_ref() == settings {
            return Ok(());
        }
        if let (Some(before), Some(now)) = (&before, settings)
            && before.is_same_store(now)
        {
            // The connection stays: whoever asks meanwhile is answered.
            self.port.adjust(now);
            self.settings.send_if_modified(|held| {
                *held = Some(now.clone());
                false
            });
            return Ok(());
        }
        self.port.configure(settings.map(|settings| (settings, place(settings))));
        self.settings.send_replace(settings.cloned());
        let Some((orders, local)) = self.parts.take() else { return Ok(()) };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = StoreThread {
            port: Arc::clone(&self.port),
            orders,
            settings: self.settings.subscribe(),
            local,
            pending: PendingWrites::default(),
        };
        let named = thread::Builder::new().name("session-store".to_owned());
        self.thread = Some(named.spawn(move || runtime.block_on(thread.run()))?);
        Ok(())
    }

    /// Waits until it was tried to connect to the store, but for `most`.
    pub async fn tried(&self, most: Duration) {
        if self.port.is_on() {
            let _ = timeout(most, self.port.tried()).await;
        }
    }

    /// Tells the store what is left to be told, for a moment, and lets go of it.
    pub fn end(self) {
        let Self { settings, thread, .. } = self;
        drop(settings);
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread of the session store ended by a bug of its own");
        }
    }
}

/// Where the store is, for people.
fn place(settings: &SessionStoreSettings) -> String {
    let hosts: Vec<String> = settings.hosts.iter().map(ToString::to_string).collect();
    let scheme = if settings.tls.is_some() { "rediss" } else { "redis" };
    let hosts = hosts.join(",");
    match &settings.mode {
        StoreMode::Server => format!("{scheme}://{hosts}"),
        StoreMode::Sentinel { service, .. } => format!("{service} of the sentinels {scheme}://{hosts}"),
        StoreMode::Cluster => format!("the cluster of {scheme}://{hosts}"),
    }
}
