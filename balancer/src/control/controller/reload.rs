//! Taking a new configuration into use. Everything that can fail is tried before anything is changed; host names
//! are waited for while the rest of the control side goes on.
//! Must not know: how a configuration is read.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use super::{
    Controller, TargetNaming, changes,
    closing::Closing,
    pending::{Pending, api_place, server_configs, target_tls},
};
use crate::{
    clock::monotonic_now,
    config::{self, ConfigErrors},
    control::{
        cluster::{ConfigOrigin, Following},
        control_api::Beside,
        log_files::Outputs,
        notify,
    },
    listener, logs,
    model::{BalancerSettings, Configuration, Listener, addresses_meet},
    snapshot::{Heirs, ListenerId},
    stickiness::Keyring,
    wire::http2,
};

/// When a configuration that has to wait for that is read again.
pub(super) const AGAIN: Duration = Duration::from_millis(50);

/// Why a configuration cannot take effect.
pub(super) enum Obstacle {
    /// What is wrong with it.
    Faults(Vec<String>),
    /// It has a listener where another one is being closed.
    Closing {
        /// Its name.
        listener: String,
        /// Where.
        address: SocketAddr,
    },
}

/// The number of the listener that has gone to `address` from one of these that it has in common with that: its connections
/// go on.
fn moved(
    before: &Configuration,
    now: &Configuration,
    gone: &[(SocketAddr, ListenerId)],
    address: SocketAddr,
) -> Option<ListenerId> {
    let name_at = |configuration: &Configuration, address: SocketAddr| {
        let listener = configuration.listeners.iter().find(|listener| listener.address == address);
        listener.map(|listener| listener.name.clone())
    };
    let name = name_at(now, address)?;
    let is_it = |(old, _): &&(SocketAddr, ListenerId)| {
        addresses_meet(*old, address) && name_at(before, *old).is_some_and(|old| old == name)
    };
    gone.iter().find(is_it).map(|(_, id)| *id)
}

impl Controller {
    /// Reads the configuration again. Whatever is wrong with it, or with what it needs, leaves everything as
    /// it was, is logged and counted. One that is in order takes effect as soon as its host names have been
    /// asked for; see [`Self::go_on_with_reload`]. One that waits for that is overtaken by another one in order.
    pub(super) fn reload(&mut self) {
        if self.again_at.take().is_some() {
            tracing::info!(
                "a newer configuration takes the place of the one that waits for sockets to be closed"
            );
        }
        self.read_again(false);
    }

    /// What has waited for sockets to be closed may find them so.
    pub(super) fn reload_again(&mut self) {
        self.again_at = None;
        self.read_again(true);
    }

    /// `waited`: that it waits has been told.
    fn read_again(&mut self, waited: bool) {
        if self.crew.is_ending() {
            return self.refuse(vec!["the process is ending".to_owned()]);
        }
        if self.postpone_reload() {
            return;
        }
        // Nor may what was made through the API be half done.
        if self.api_work.is_writing() || self.pending.as_ref().is_some_and(|pending| pending.change.is_some())
        {
            return self.api_work.reload_after();
        }
        match self.prepare(&self.wanted_origin()) {
            Ok(mut pending) => {
                pending.candidate = self.candidate.take();
                if let Some(overtaken) = self.pending.take() {
                    tracing::info!(
                        "a newer configuration takes the place of the one that waits for host names"
                    );
                    pending.take_sockets(overtaken);
                }
                self.discovery.sync([&self.configuration, &pending.configuration]);
                let names = self.host_names([&pending.configuration, &self.configuration]);
                self.resolver.sync(names, monotonic_now());
                self.pending = Some(pending);
                if !self.discovery.is_settled() {
                    tracing::info!("the configuration is in order and waits for sources of targets");
                } else if !self.resolver.is_settled() {
                    let hosts = self.resolver.unsettled();
                    tracing::info!(hosts, "the configuration is in order and waits for host names");
                }
            }
            Err(Obstacle::Closing { listener, address }) => {
                self.again_at = Some(monotonic_now() + AGAIN);
                if !waited {
                    tracing::info!(
                        listener,
                        %address,
                        "the configuration waits until the sockets of a listener that was there before are closed"
                    );
                }
            }
            Err(Obstacle::Faults(faults)) => {
                if let Some(candidate) = self.candidate.take() {
                    candidate.tell(Err(faults.clone()));
                }
                self.refuse(faults);
            }
        }
    }

    /// What is to be read: what is to take effect if there is something, or else what is in force, again.
    fn wanted_origin(&self) -> ConfigOrigin {
        self.candidate.as_ref().map_or_else(|| self.origin.clone(), |next| self.origin.with(&next.documents))
    }

    /// Sees to documents that several nodes share. One that it cannot see to now is dropped, which tells that.
    pub(super) fn follow(&mut self, what: Following) {
        if self.crew.is_ending() || self.succession.is_frozen() || self.api_work.is_writing() {
            return;
        }
        match what {
            Following::Examine(candidate) => {
                let examined = self.prepare(&self.origin.with(&candidate.documents));
                candidate.tell(match examined {
                    Err(Obstacle::Faults(faults)) => Err(faults),
                    // It would wait for a moment.
                    Ok(_) | Err(Obstacle::Closing { .. }) => Ok(()),
                });
            }
            Following::TakeUp(candidate) => {
                self.candidate = Some(candidate);
                self.reload();
            }
        }
    }

    /// Sockets for a listener that is new.
    fn bind_new(&self, listener: &Listener) -> Result<Vec<TcpListener>, Obstacle> {
        let Listener { address, name, .. } = listener;
        let (in_use, now) = (|error: &io::Error| error.kind() == io::ErrorKind::AddrInUse, monotonic_now());
        let closing = || Obstacle::Closing { listener: name.clone(), address: *address };
        let bound = match (self.bind)(listener) {
            Err(error) if in_use(&error) => {
                // Beside these it would lose clients.
                if self.closing.iter().any(|closing| closing.turns_away_from(*address, now)) {
                    return Err(closing());
                }
                // It may be a listener of this process that has another address of the port until then.
                match listener::bind_beside_own(listener, self.crew.len()) {
                    Err(error)
                        if in_use(&error)
                            && self.closing.iter().any(|closing| closing.is_in_the_way_of(*address, now)) =>
                    {
                        return Err(closing());
                    }
                    bound => bound,
                }
            }
            bound => bound,
        };
        bound.map_err(|error| {
            Obstacle::Faults(vec![format!("cannot listen on {address} (listener {name:?}): {error}")])
        })
    }

    /// Puts a configuration that waits into force once nothing is left to wait for.
    pub(super) fn go_on_with_reload(&mut self) {
        let Some(pending) = &self.pending else { return };
        if !self.discovery.is_settled() {
            return;
        }
        // Sources may have told of more.
        let names = self.host_names([&pending.configuration, &self.configuration]);
        self.resolver.sync(names, monotonic_now());
        if !self.resolver.is_settled() {
            return;
        }
        let Some(mut pending) = self.pending.take() else { return };
        let (newer_refused, candidate) = (pending.newer_refused, pending.candidate.take());
        let (change, beside) = (pending.change.take(), pending.beside.take());
        let is_change = change.is_some();
        let outcome = self.put_into_force(pending, is_change);
        match &outcome {
            Ok(()) if is_change => {}
            Ok(()) => {
                if let Some((book, beside)) = self.book.as_mut().zip(beside) {
                    book.beside = Arc::new(beside);
                }
                if let Some(candidate) = &candidate {
                    self.origin = self.origin.with(&candidate.documents);
                }
                self.counters.reloads.inc();
                if !newer_refused {
                    self.counters.notes.reloaded();
                }
                tracing::info!(config = %self.origin, "configuration reloaded");
            }
            Err(_) if is_change => {}
            Err(fault) => self.refuse(vec![fault.clone()]),
        }
        if let Some(change) = change {
            self.finish_change(change, outcome.clone());
        }
        if let Some(candidate) = candidate {
            candidate.tell(outcome.map_err(|fault| vec![fault]));
        }
        self.discovery.sync([&self.configuration]);
        self.resolver.sync(self.host_names([&self.configuration]), monotonic_now());
        if is_change {
            self.reload_after_change();
        }
    }

    fn refuse(&mut self, faults: Vec<String>) {
        self.counters.reload_failures.inc();
        self.counters.notes.reload_refused(&faults.join("; "));
        for fault in faults {
            tracing::error!(fault, "reload refused, the running configuration stays");
        }
        if let Some(pending) = &mut self.pending {
            pending.newer_refused = true;
            tracing::warn!(
                "the configuration read before it, which waits for host names, takes effect all the same"
            );
        }
    }

    /// What files say, and what was made through the API beside it.
    fn read(&self, origin: &ConfigOrigin) -> Result<(Configuration, Option<Beside>), Obstacle> {
        let faults =
            |errors: ConfigErrors| Obstacle::Faults(errors.0.iter().map(ToString::to_string).collect());
        let Some(book) = &self.book else { return Ok((origin.load().map_err(faults)?, None)) };
        let beside = Beside::read(origin, &book.beside.settings).map_err(faults)?;
        let configuration = beside.around(&book.records).map_err(Obstacle::Faults)?;
        Ok((configuration, Some(beside)))
    }

    fn prepare(&self, origin: &ConfigOrigin) -> Result<Pending, Obstacle> {
        let one = |fault: String| Obstacle::Faults(vec![fault]);
        let (configuration, beside) = self.read(origin)?;
        // More likely a file that was cut short than what anybody means, but for who makes and deletes them through the API.
        let is_asked = configuration.control_api.is_some();
        if configuration.listeners.is_empty() && !self.listeners.is_empty() && !is_asked {
            return Err(one(format!(
                "{origin}: no listener is left, so that nobody would be served; to end that, end the process"
            )));
        }
        let keyring = match origin.keyring().map_err(|fault| one(fault.to_string()))? {
            Some(keyring) => keyring,
            None => self.own_keys(&configuration).map_err(one)?,
        };
        // What of it can change at all does with a start.
        let api_access = match (&self.api, &configuration.control_api) {
            (Some(api), Some(settings)) => {
                Some(api.access.prepare(settings).map_err(|error| one(error.to_string()))?)
            }
            _ => None,
        };
        let ready = self.ready(configuration, Some(keyring))?;
        Ok(Pending { api_access, beside, ..ready })
    }

    /// The secrets of this host's key file.
    fn own_keys(&self, configuration: &Configuration) -> Result<Keyring, String> {
        let state_dir = self.started_with.state_dir.clone();
        let settings = BalancerSettings { state_dir, ..configuration.balancer.clone() };
        let key_path = settings.key_path();
        // A new secret in place of a lost one would end every session.
        Keyring::load(&key_path).map_err(|error| error.to_string())?.ok_or_else(|| {
            let ran = self.configuration.balancer.key_file == configuration.balancer.key_file;
            let what = if ran {
                "the key file is gone; put it back"
            } else {
                "there is no such key file; put it there"
            };
            format!("{}: {what}, or restart to have a new one made", key_path.display())
        })
    }

    /// Gets what a configuration needs, the secrets of stickiness aside.
    pub(super) fn ready(
        &self,
        configuration: Configuration,
        keyring: Option<Keyring>,
    ) -> Result<Pending, Obstacle> {
        let one = |fault: String| Obstacle::Faults(vec![fault]);
        let tls = server_configs(&self.servers, &configuration).map_err(|error| one(error.to_string()))?;
        let target_tls = target_tls(&configuration).map_err(|error| one(error.to_string()))?;
        let logs =
            self.logs.open(&configuration, Outputs::default()).map_err(|error| one(error.to_string()))?;
        let mut bound = Vec::new();
        for listener in &configuration.listeners {
            let is_bound = self.listeners.iter().any(|(address, _)| *address == listener.address)
                || self.pending.as_ref().is_some_and(|waiting| waiting.has_bound(listener.address));
            if !is_bound {
                bound.push((listener.address, self.bind_new(listener)?));
            }
        }
        Ok(Pending {
            configuration,
            keyring,
            bound,
            tls,
            target_tls,
            logs,
            api_access: None,
            beside: None,
            change: None,
            newer_refused: false,
            candidate: None,
        })
    }

    /// `is_change`: of what was made through the API alone; what is said of files has been said.
    fn put_into_force(&mut self, pending: Pending, is_change: bool) -> Result<(), String> {
        let Pending { configuration, keyring, bound, tls, target_tls, logs, api_access, .. } = pending;
        let keyring = keyring.map_or_else(|| Arc::clone(&self.names.0), Arc::new);
        let ring = TargetNaming(keyring, Arc::clone(&self.names.1));
        let wanted = self.wanted(&configuration, &target_tls);
        self.registry
            .apply(wanted, &ring, &mut self.kernel, monotonic_now())
            .map_err(|error| error.to_string())?;
        let keys_differ = !ring.0.has_keys_of(&self.names.0);
        self.names = ring;
        self.counters.notes.set_keys(self.names.0.marks());
        self.tls = tls;
        self.logs.take_up(logs);
        if let (Some(api), Some(next)) = (&self.api, api_access) {
            api.access.take_up(next);
        }
        let asked = configuration.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        self.servers.forget_all_but(asked.filter_map(|tls| tls.mutual_authentication.as_ref()));
        let known = if is_change { config::warnings(&self.configuration) } else { Vec::new() };
        for warning in config::warnings(&configuration).iter().filter(|warning| !known.contains(warning)) {
            tracing::warn!("{warning}");
        }
        if !is_change {
            self.warn_of_restarts(&configuration);
        }
        logs::own::set_level(configuration.balancer.log_level);
        http2::BUDGET.limit_to(configuration.balancer.http2_buffer_limit);
        changes::tell(&self.configuration, &configuration, keys_differ);
        let before = std::mem::replace(&mut self.configuration, configuration);
        self.compile_rules();
        self.turn_to_listeners(&before, bound);
        self.sync_checks();
        self.note_certificates();
        self.configure_shield();
        self.share_sessions();
        Ok(())
    }

    /// Listens at the sockets that were bound for the configuration in force, and no more at those that it has not.
    fn turn_to_listeners(&mut self, before: &Configuration, mut bound: Vec<(SocketAddr, Vec<TcpListener>)>) {
        let is_kept =
            |address: SocketAddr| self.configuration.listeners.iter().any(|now| now.address == address);
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.listeners).into_iter().partition(|(address, _)| is_kept(*address));
        self.listeners = kept;
        for (address, _) in &bound {
            match moved(before, &self.configuration, &gone, *address) {
                Some(id) => self.listeners.push((*address, id)),
                None => self.number(*address),
            }
        }
        self.publish();
        // Before others step aside for them.
        bound.iter_mut().for_each(|(address, sockets)| Self::open(*address, sockets));
        gone.into_iter().for_each(|(address, id)| self.leave(address, id));
        for (address, sockets) in bound {
            self.listen(address, sockets);
            let id = self.listeners.iter().find(|(known, _)| *known == address).map(|(_, id)| *id);
            id.into_iter().for_each(|id| self.store_sockets(address, id));
        }
    }

    /// A listener is at this address no more.
    fn leave(&mut self, address: SocketAddr, id: ListenerId) {
        let steered = self.crew.bound(id);
        let meets = |(other, _): &&(SocketAddr, ListenerId)| addresses_meet(*other, address);
        let heirs = Heirs::new(self.listeners.iter().filter(meets).map(|(address, id)| (address.ip(), *id)));
        if heirs.is_empty() || !self.crew.step_aside(id, &heirs) {
            let (held, now) = (self.crew.unlisten(id), monotonic_now());
            self.closing.retain(|closing| closing.is_open(now));
            self.closing.push(Closing::here(address, held, now));
        }
        steered.into_iter().for_each(|bound| self.kernel.unsteer(bound));
        notify::forget(address);
    }

    /// Names the settings that need a restart and differ from those that run, which are those of the start however
    /// often another one was reloaded.
    fn warn_of_restarts(&mut self, new_configuration: &Configuration) {
        let needs_shield = self.kernel.shield().needs_restart(new_configuration.shield.as_ref());
        let (old, new) = (&self.started_with, &new_configuration.balancer);
        let changed = [
            ("instance", old.instance != new.instance),
            ("workers", old.workers != new.workers),
            ("state_dir", old.state_dir != new.state_dir),
            ("runtime_dir", old.runtime_dir != new.runtime_dir),
            ("kernel_assist", old.kernel_assist != new.kernel_assist),
            ("admin_address", old.admin_address != new.admin_address),
            ("admin_hosts", old.admin_hosts != new.admin_hosts),
            ("admin_token_file", old.admin_token_file != new.admin_token_file),
            ("user", old.user != new.user),
            ("seccomp", old.seccomp != new.seccomp),
            ("session_table_size", old.session_table_size != new.session_table_size),
            ("control_api", self.started_api != api_place(new_configuration)),
            ("log_format", old.log_format != new.log_format),
        ];
        for (setting, _) in changed.iter().filter(|(_, changed)| *changed) {
            tracing::warn!(setting, "a changed setting takes effect at the next start");
        }
        if needs_shield {
            tracing::warn!(
                "a shield where there was none takes effect at the next start, or with `balancer upgrade`"
            );
        }
    }
}
