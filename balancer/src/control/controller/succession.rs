//! One process after another at the same listeners: what this one begins with, what it lends to the next, and letting go.
//! Must not know: how processes speak to each other.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Controller,
    closing::Closing,
    succession_step::{Step, Succession},
};
use crate::{
    clock::{monotonic_now, until},
    control::{
        notify,
        upgrade::{Estate, Handover, HandoverFacts, Label, Memory, StartedWith},
    },
    kernel::{Assist, Events, GENERATIONS},
    listener,
    model::{BalancerSettings, FoundTarget, addresses_meet},
    snapshot::ListenerId,
    target_group::{TargetMemory, TargetState, WantedGroup},
};

/// How long the first checks of targets are waited for before a process takes over.
const FIRST_CHECKS: Duration = Duration::from_secs(10);

impl Controller {
    /// Lets clients connect everywhere. Who does waits until this process serves.
    pub fn open_sockets(&mut self) {
        self.sockets.iter_mut().for_each(|(address, sockets)| Self::open(*address, sockets));
    }

    /// Has the workers accept. From here on the process serves.
    pub fn begin(&mut self) {
        self.kernel.release_unclaimed();
        self.kernel.shield().begin_alone();
        for (address, mut sockets) in std::mem::take(&mut self.sockets) {
            Self::open(address, &mut sockets);
            // The process before may have been asked to end, too.
            sockets.iter().for_each(listener::admit_again);
            let fewer = self.crew.len().saturating_sub(sockets.len());
            if let Some(first) = sockets.first()
                && fewer > 0
            {
                match first.local_addr().and_then(|bound| (self.bind_more)(bound, fewer)) {
                    Ok(more) => sockets.extend(more),
                    // Sockets of another user are shared with nobody.
                    Err(error) => tracing::info!(%address, %error, "some workers share a socket"),
                }
            }
            self.listen(address, sockets);
        }
        self.kernel.unsteer_others();
        self.listeners.iter().for_each(|(address, id)| self.store_sockets(*address, *id));
    }

    /// Has a service manager keep the sockets of a listener for the next process, should this one end before it is there.
    pub(super) fn store_sockets(&self, address: SocketAddr, id: ListenerId) {
        match self.crew.lend(id) {
            Ok(sockets) => notify::store(address, &sockets),
            Err(error) => tracing::debug!(%error, %address, "the service manager is given no sockets"),
        }
    }

    /// Finds out where targets are: what sources tell of, and what host names come to. `before`: what the process before knew of
    /// targets, with which sources that are away begin.
    pub(super) async fn find_targets(&mut self, before: &serde_json::Value) {
        self.discovery.sync([&self.configuration]);
        self.discovery.settle().await;
        let memory = TargetMemory::read(before.clone());
        for group in self.configuration.target_groups.iter().filter(|group| group.source.is_some()) {
            self.discovery.seed(group, memory.registered(&group.name).map(FoundTarget::from));
        }
        let names = self.host_names([&self.configuration]);
        self.resolver.sync(names, monotonic_now());
        self.resolver.settle().await;
    }

    /// Begins with what the process before knew.
    pub(super) fn recall(&mut self, targets: serde_json::Value, wanted: &[WantedGroup]) {
        let memory = TargetMemory::read(targets);
        let (names, slots) = (&self.names, &mut self.kernel);
        if let Err(error) = self.registry.recall(&memory, wanted, names, slots, monotonic_now()) {
            tracing::warn!(%error, "targets are checked as if they were new");
        }
    }

    /// Waits for a while until no target awaits its first check.
    pub async fn await_first_checks(&mut self) {
        let limit: Instant = monotonic_now() + FIRST_CHECKS;
        while self.awaits_checks() {
            tokio::select! {
                finished = self.checks.next() => self.take_check(&finished),
                () = until(Some(limit)) => {
                    tracing::warn!("some targets have not been checked yet");
                    break;
                }
            }
        }
        self.publish();
    }

    fn awaits_checks(&self) -> bool {
        let mut checked = self.registry.checked_targets();
        checked.any(|target| {
            self.registry.state(target.registration).is_some_and(|(state, _)| state == TargetState::Initial)
        })
    }

    /// The addresses of listeners, as configured.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|(address, _)| *address).collect()
    }

    /// The process before has listened at these addresses, too, and has closed its sockets after `most`.
    pub fn expect_closing(&mut self, addresses: &[SocketAddr], most: Duration) {
        let until = monotonic_now() + most;
        self.closing.extend(addresses.iter().map(|address| Closing::elsewhere(*address, until)));
    }

    /// This process, which has inherited the instance, has it from here on. `reload`: the configuration may have changed
    /// since it was read.
    pub fn take_up(&mut self, reload: bool) {
        self.kernel.take_up();
        if reload {
            self.reload();
        }
    }

    pub(super) fn succeed(&mut self, step: Handover) {
        match step {
            Handover::Lend(answer) => {
                let estate = self.lend();
                if estate.is_ok() {
                    self.close_book();
                    self.succession = Succession { step: Step::Lent, reload: false };
                }
                let _ = answer.send(estate);
            }
            Handover::Deny(request, answer) => {
                let _ = answer.send(self.deny(&request));
            }
            Handover::Tell(answer) => {
                let BalancerSettings { state_dir, user, .. } = self.started_with.clone();
                let _ = answer.send(StartedWith { state_dir, user });
            }
            // It is for who takes signals.
            Handover::MayEnd => {}
            Handover::Resume => {
                let reload = std::mem::take(&mut self.succession).reload;
                if reload && !self.crew.is_ending() {
                    self.reload();
                }
            }
            Handover::Release { listeners, done } => {
                self.release(&listeners);
                let _ = done.send(self.succession.reload);
            }
        }
    }

    /// Whether a reload has to wait, since another process reads what there is.
    pub(super) fn postpone_reload(&mut self) -> bool {
        let waits = self.succession.is_frozen();
        if waits {
            self.succession.reload = true;
            tracing::info!("the reload waits for the upgrade that is under way");
        }
        waits
    }

    fn lend(&mut self) -> Result<Estate, String> {
        if self.crew.is_ending() {
            return Err("the process is ending".to_owned());
        }
        if self.pending.is_some() || self.again_at.is_some() || self.api_work.is_writing() {
            return Err("a configuration is about to be taken up: try again".to_owned());
        }
        if self.kernel.live_generations() >= GENERATIONS as usize {
            return Err(format!(
                "{GENERATIONS} processes of the instance run already, and there can be no more: wait until one of those that \
                 finish what they have has ended (`balancer status` shows them), or end one"
            ));
        }
        let failed = |error: std::io::Error| format!("cannot hand over: {error}");
        let locks = self.kernel.lend().map_err(failed)?;
        let optional =
            [(Label::HostLock, locks.host), (Label::HostName, locks.name), (Label::TablesLock, locks.tables)];
        let mut held = vec![(Label::FolderLock, locks.folder)];
        held.extend(optional.into_iter().filter_map(|(label, lock)| Some((label, lock?))));
        for (address, id) in &self.listeners {
            let sockets = self.crew.lend(*id).map_err(failed)?;
            held.extend(sockets.into_iter().map(|socket| (Label::Listener(*address), socket)));
        }
        let links = self.kernel.shield().lend().map_err(failed)?;
        let labelled = links
            .into_iter()
            .map(|link| (Label::Shield { index: link.index, native: link.native }, link.link));
        held.extend(labelled);
        let settings = &self.started_with;
        let facts = HandoverFacts {
            instance: settings.instance.clone(),
            runtime_dir: settings.runtime_dir.clone(),
            without_kernel_side: match self.kernel.assist() {
                Assist::Active => None,
                Assist::Off { reason } => Some(reason.clone()),
            },
            memory: Memory {
                targets: self.registry.remember(monotonic_now()).write(),
                tickets: self.servers.remember(),
            },
        };
        Ok(Estate { held, facts })
    }

    /// Another process runs the instance, and goes on with the listeners of these addresses.
    fn release(&mut self, listeners: &[SocketAddr]) {
        self.succession.step = Step::Over;
        self.names.1.council().retire();
        // Two that read would take events from each other.
        self.events.iter_mut().for_each(Events::leave_to_another);
        self.samples = None;
        self.kernel.give_up();
        let taken = self.listeners.iter().filter(|(address, _)| listeners.contains(address));
        let taken: Arc<[ListenerId]> = taken.map(|(_, id)| *id).collect();
        let most = self.configuration.balancer.upgrade_drain;
        self.counters.succeeded(monotonic_now() + most);
        let is_aside = |address: SocketAddr| {
            !listeners.contains(&address) && listeners.iter().any(|other| addresses_meet(*other, address))
        };
        let aside: Vec<_> =
            self.listeners.iter().filter(|(address, _)| is_aside(*address)).map(|(_, id)| *id).collect();
        self.crew.hand_over(&taken, &aside, most);
    }

    /// Where another process runs the instance, targets are checked for as long as a client may ask something of this one, which a
    /// target that has failed since is not to get. Those that are left with WebSockets ask for nothing.
    pub(super) fn end_checks(&mut self) {
        if !self.succession.is_over() {
            return;
        }
        let runtimes = self.runtimes.all();
        let shards = || runtimes.iter().flat_map(|runtime| runtime.shards());
        let open: u64 = shards().map(|shard| shard.connections_active.get()).sum();
        let tunnels: u64 = shards().map(|shard| shard.tunnels_active.get()).sum();
        if open <= tunnels {
            self.checks.sync(std::iter::empty(), monotonic_now());
        }
    }
}
