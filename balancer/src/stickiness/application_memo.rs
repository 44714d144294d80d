//! What a decision over application cookies keeps until the response comes. Must not know: how either is come to.

use super::{
    issued_cookie::PathMark,
    session_table::Class,
    token::{MapEntry, Session},
};

/// What a decision over application cookies has to remember for the response.
#[derive(Clone, Debug, Default)]
pub(super) struct ApplicationMemo {
    /// The session table key of the application cookie that came, under the signing key.
    pub(super) key: Option<u128>,
    /// Whether the session was proved by the balancer's own cookie.
    pub(super) own_cookie: bool,
    /// Whether a cookie of the balancer beside it names the same target and need not be set anew.
    pub(super) fresh_cookie: bool,
    /// What the table knew of it.
    pub(super) known: Option<Session>,
    /// Whether the table knew that its client comes back.
    pub(super) class: Class,
    /// The path of cookies that a response sets without one.
    pub(super) path: PathMark,
    /// Whether the client came with cookies of the balancer that hold a session of this group, or nothing that can be read.
    pub(super) removable: bool,
    /// Sessions in other groups that the client's map holds.
    pub(super) others: Vec<MapEntry>,
}
