//! Where a client belongs: reads a request's cookies, says which target it is bound to, and has the cookies of
//! the response written. Sticky sessions as ALB has them (ALB: sticky sessions for your Application Load
//! Balancer), and beyond them the session table for clients that return the application's cookie alone.
//! Must not know: sockets, how targets are watched, how a target is picked for a client without a session.

mod application_cookie;
mod application_memo;
mod base64url;
mod cookie_date;
mod cookie_scan;
mod decision;
mod duration_cookie;
mod group_cookie;
mod issued_cookie;
mod keyed_hash;
mod keyring;
mod ledger;
mod mix;
mod session_id;
mod session_start;
mod session_table;
mod shared_session;
mod token;

use std::{fmt, ops::Deref, sync::Arc, sync::atomic::AtomicU64};

use self::{application_cookie::ApplicationCookie, duration_cookie::DurationCookie, session_id::SessionId};
pub use self::{
    decision::{Answered, Decision, Renewal, Standing, TargetLookup},
    group_cookie::{GroupCookie, GroupDecision},
    keyed_hash::KeyedHash,
    keyring::{
        KeyFileFault, KeySeal, KeySheet, Keyring, KeyringError, MAX_SECRETS, RotationFault, SECRET_LEN,
        SealFault, SheetKey,
    },
    ledger::{Before, Done, Mark, Marks, SessionLedger},
    session_table::{Occupancy, SessionTable},
    shared_session::{adopt, follow, page},
};
pub use crate::counters::{GroupOutcome, Outcome};
use crate::{
    clock::UnixSeconds,
    id::TargetId,
    model::{HeaderEdits, RequestHead, ResponseHead, StickinessSettings},
    response::cookies::keep_private,
    session_store::{Keys, SessionWrite, StorePort, StoredSession},
};

/// The stickiness of one group, made ready for requests.
pub struct GroupStickiness(CookieKind);

enum CookieKind {
    Duration(Box<DurationCookie>),
    Application(Box<ApplicationCookie>),
}

impl fmt::Debug for GroupStickiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            CookieKind::Duration(_) => "GroupStickiness(lb_cookie)",
            CookieKind::Application(_) => "GroupStickiness(application)",
        })
    }
}

impl GroupStickiness {
    /// The stickiness of the group of this name under `settings`; values are made and read with `ring`.
    #[must_use]
    pub fn compile(group_name: &str, settings: &StickinessSettings, ring: Arc<Keyring>) -> Self {
        Self(match SessionId::of(&settings.kind) {
            None => CookieKind::Duration(Box::new(DurationCookie::new(settings, ring))),
            Some(id) => {
                CookieKind::Application(Box::new(ApplicationCookie::new(group_name, id, settings, ring)))
            }
        })
    }

    /// The same, its sessions shared with other balancers through `port`, where they are in the session table.
    #[must_use]
    pub fn shared_through(self, port: &Arc<StorePort>) -> Self {
        Self(match self.0 {
            CookieKind::Duration(cookie) => CookieKind::Duration(cookie),
            CookieKind::Application(cookie) => {
                CookieKind::Application(Box::new(cookie.shared_through(Arc::clone(port))))
            }
        })
    }

    /// What other balancers are to be asked for before a request is balanced; nothing: there is no need.
    #[must_use]
    pub fn question(&self, head: &RequestHead<'_>, decision: &Decision) -> Option<(&StorePort, Keys)> {
        match &self.0 {
            CookieKind::Duration(_) => None,
            CookieKind::Application(cookie) => cookie.question(head, decision),
        }
    }

    /// Other balancers know the session that `key` names: what comes of that. False: they know no better.
    pub fn answered(
        &self,
        decision: &mut Decision,
        (keys, key): (&Keys, u128),
        session: StoredSession,
        targets: &impl TargetLookup,
        now: UnixSeconds,
    ) -> bool {
        match &self.0 {
            CookieKind::Duration(_) => false,
            CookieKind::Application(cookie) => cookie.answered(decision, (keys, key), session, targets, now),
        }
    }

    /// A session of the table as the store is told of it again.
    #[must_use]
    pub fn told_again<W: Deref<Target = [AtomicU64]>>(
        &self,
        key: u128,
        (target, issued): (TargetId, UnixSeconds),
        table: &SessionTable<W>,
        now: UnixSeconds,
    ) -> Option<SessionWrite> {
        match &self.0 {
            CookieKind::Duration(_) => None,
            CookieKind::Application(cookie) => cookie.told_again(key, (target, issued), table, now),
        }
    }

    /// For how many seconds a session counts after a response that renewed it.
    #[must_use]
    pub fn remembers_for(&self) -> u32 {
        match &self.0 {
            CookieKind::Duration(cookie) => cookie.accepted(),
            CookieKind::Application(cookie) => cookie.accepted(),
        }
    }

    /// For how many seconds after its renewal a session in the session table counts; none: it is kept in cookies alone.
    #[must_use]
    pub fn table_remembers_for(&self) -> Option<u32> {
        match &self.0 {
            CookieKind::Duration(_) => None,
            CookieKind::Application(cookie) => Some(cookie.accepted()),
        }
    }

    /// Decides for one request, in this order: decode → group → duration → lifetime → target registered → not
    /// draining → healthy (or the group is failing open) → that target; else balance, and say why.
    #[must_use]
    pub fn decide<W: Deref<Target = [AtomicU64]>>(
        &self,
        head: &RequestHead<'_>,
        targets: &impl TargetLookup,
        table: &SessionTable<W>,
        now: UnixSeconds,
    ) -> Decision {
        match &self.0 {
            CookieKind::Duration(cookie) => cookie.decide(head, targets, now),
            CookieKind::Application(cookie) => cookie.decide(head, targets, table, now),
        }
    }

    /// Whether the session table knows the application's name of a session that a request comes with.
    #[must_use]
    pub fn knows<W: Deref<Target = [AtomicU64]>>(
        &self,
        head: &RequestHead<'_>,
        table: &SessionTable<W>,
        now: UnixSeconds,
    ) -> bool {
        match &self.0 {
            CookieKind::Duration(_) => false,
            CookieKind::Application(cookie) => cookie.knows(head, table, now),
        }
    }

    /// Adds what a response of a target has to carry: cookies, and a guard against shared caches where there are
    /// any. Not to be called for responses that the balancer makes itself.
    #[allow(clippy::too_many_arguments, reason = "each is a fact of its own about one response")]
    pub fn respond<W: Deref<Target = [AtomicU64]>>(
        &self,
        decision: &Decision,
        answered: Answered,
        response: &ResponseHead<'_>,
        secure_transport: bool,
        table: &SessionTable<W>,
        now: UnixSeconds,
        edits: &mut HeaderEdits,
    ) -> Renewal {
        let renewal = match &self.0 {
            CookieKind::Duration(cookie) => cookie.respond(decision, answered, secure_transport, now, edits),
            CookieKind::Application(cookie) => {
                cookie.respond(decision, answered, response, secure_transport, table, now, edits)
            }
        };
        if renewal != Renewal::Untouched {
            keep_private(response, edits);
        }
        renewal
    }
}

#[cfg(test)]
mod linear_tests;
