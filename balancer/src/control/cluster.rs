//! A configuration that several nodes share, kept in etcd: what stands there is validated by each node, and takes effect when none
//! of them refuses it. Each node says under the same prefix what it has in force and what it thinks of what is there. What is in
//! force is kept on disk, too, so that a node starts with etcd away.
//!
//! Under the prefix P: `P/config/NAME` documents, `P/config/.push` who has written them, `P/nodes/NAME` what nodes say, under leases,
//! `P/config/.keys` the sealed secrets of cookies, `P/keyholders/NAME` which of them a node has, `P/history/NUMBER` and `P/texts/NUMBER` what was pushed before.
//! Must not know: how a configuration takes effect.

mod documents;
mod first;
mod follow;
mod last_good;
mod layout;
mod node;
mod proposal;
mod sealed_keys;

pub use self::{
    documents::{Documents, PushRecord},
    first::{ConfigOrigin, ConfigSource, First, first},
    follow::{Follower, Following},
    layout::Layout,
    node::{NodeNote, Opinion},
    proposal::{Proposal, ProposalFaults},
    sealed_keys::{KeyHolder, SealedKeys, SealedText},
};

/// How to take part.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// Where etcd is, and how to get in.
    pub access: crate::etcd::AccessFiles,
    /// Where everything is kept in it.
    pub layout: Layout,
    /// What this node is called.
    pub node: String,
    /// The file that what is in force is kept in.
    pub cache: std::path::PathBuf,
    /// Files of this host that are read with the documents.
    pub own: Option<std::path::PathBuf>,
    /// The file with what opens secrets that are kept in etcd.
    pub seal: Option<std::path::PathBuf>,
}
