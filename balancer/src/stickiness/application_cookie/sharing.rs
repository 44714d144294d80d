//! Sessions of the session table that are shared with other balancers: when those are asked, and what comes of it.
//! Must not know: how they are asked.

use std::{ops::Deref, sync::Arc, sync::atomic::AtomicU64};

use super::ApplicationCookie;
use crate::{
    clock::UnixSeconds,
    id::TargetId,
    model::RequestHead,
    session_store::{Keys, SessionWrite, StorePort, StoredSession},
    stickiness::{
        decision::{Decision, SessionVerdict, TargetLookup},
        session_start,
        session_table::{Class, SessionTable},
        shared_session::SharedSessions,
        token::Session,
    },
};

impl ApplicationCookie {
    /// The same, its sessions shared through `port`.
    pub(in crate::stickiness) fn shared_through(self, port: Arc<StorePort>) -> Self {
        let shared = SharedSessions::new(
            port,
            self.duration,
            self.window.accepted,
            self.window.max_lifetime.is_some(),
        );
        Self { shared: Some(shared), ..self }
    }

    /// The keys of what the request comes with, where nothing that is known here says where it is to go: not even by a
    /// session on a target that is gone, which another balancer may have moved already.
    pub(in crate::stickiness) fn question(
        &self,
        head: &RequestHead<'_>,
        decision: &Decision,
    ) -> Option<(&StorePort, Keys)> {
        let shared = self.shared.as_ref()?;
        if decision.target.is_some() || decision.preflight || !shared.port().is_on() {
            return None;
        }
        let mut keys = Keys::new();
        for value in self.candidates(head) {
            for hasher in &self.hashers {
                let _ = keys.try_push(hasher.key(value));
            }
        }
        (!keys.is_empty()).then_some((shared.port(), keys))
    }

    /// What comes of a session that another balancer knows, which is in the table by now.
    pub(in crate::stickiness) fn answered(
        &self,
        decision: &mut Decision,
        (keys, key): (&Keys, u128),
        stored: StoredSession,
        targets: &impl TargetLookup,
        now: UnixSeconds,
    ) -> bool {
        let started = match (self.window.max_lifetime, stored.started) {
            (Some(_), started @ 1..) => UnixSeconds(started),
            _ => now,
        };
        let session = Session { target: stored.target, issued: now, started };
        let verdict = SessionVerdict::on(session, &self.window, targets, now);
        let says_more = decision.session.is_none() && (verdict.session.is_some() || decision.ended.is_none());
        if verdict.target.is_none() && !says_more {
            return false;
        }
        // The keys of a value stand together, the one under the signing secret first.
        let at = keys.iter().position(|other| *other == key).unwrap_or(0);
        let first = at - at % self.hashers.len().max(1);
        (decision.target, decision.outcome) = (verdict.target, verdict.outcome);
        (decision.session, decision.ended) = (verdict.session, verdict.ended);
        let memo = &mut decision.application;
        memo.key = keys.get(first).copied();
        (memo.known, memo.class) = (Some(session), Class::Returned);
        (memo.own_cookie, memo.fresh_cookie) = (false, false);
        if let Some(shared) = self.shared.as_ref().filter(|_| decision.session.is_some()) {
            shared.renew(key, stored);
        }
        true
    }

    /// A session of the table as the store is told of it again; none: it is over.
    pub(in crate::stickiness) fn told_again<W: Deref<Target = [AtomicU64]>>(
        &self,
        key: u128,
        (target, issued): (TargetId, UnixSeconds),
        table: &SessionTable<W>,
        now: UnixSeconds,
    ) -> Option<SessionWrite> {
        let shared = self.shared.as_ref().filter(|_| self.window.admits(issued, now))?;
        let started = session_start::find(table, key, issued, now).unwrap_or(issued);
        Some(shared.again(key, Session { target, issued, started }, now))
    }
}
