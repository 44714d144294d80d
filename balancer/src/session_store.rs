//! Sessions that several balancers share through Valkey or Redis. The request path looks at the session table of its host first;
//! what that does not know is asked for here, once and for a moment, and what begins or moves there is told behind the
//! request's back. One thread speaks to the store; workers and that thread meet at a [`StorePort`].
//! Must not know: HTTP, groups, how the table of a host is laid out.
//!
//! # What the store holds
//!
//! A key is `balancer:s:` and the key of the session table in hexadecimal digits, which is a keyed hash of group, name and value of
//! the application's cookie. A value is `1`, the target's id as cookies have it, and when the session started (0: not told). Neither tells
//! anything without the secrets of the key file; balancers that have it in common understand each other.
//!
//! # How balancers agree
//!
//! Every write is one script that compares and sets: it names what it expects, and gets what is there when that is something
//! else. Who comes second takes over what is there, so that of two balancers that begin one session at once both end up with the
//! first. A session that is moved is told to all in a channel, and who knows that session moves it as well.
//!
//! # What balancers know together
//!
//! In a second channel each tells how many sessions its targets have, and the one that leads what its checks have found: see `notice`.
//! Who leads is a lease under `balancer:lead:` and a keyed hash: see `lead`.

mod absent;
mod council;
mod fault;
mod lead;
mod link;
mod notice;
mod others;
mod pending;
mod port;
mod sharing;
mod thread;
mod wording;

pub use self::{
    council::{Council, CouncilNews, HeardVerdict},
    notice::{Ailment, HealthVerdict, NodeName, ToldVerdict},
    others::SessionsElsewhere,
    pending::{Expectation, SessionWrite, StoredSession},
    port::{Asked, Keys, MAX_KEYS, StorePort, StoreState},
    sharing::Sharing,
    thread::LocalSessions,
};
