//! What is to be seen of a configuration that nodes share. Must not know: how they do.

use serde::{Deserialize, Serialize};

/// The state of it at this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterNote {
    /// The prefix of its keys in etcd.
    pub prefix: String,
    /// What this node is called.
    pub node: String,
    /// The endpoint that was asked last.
    pub endpoint: String,
    /// Whether etcd says what stands there.
    pub connected: bool,
    /// Why it does not; none where it does.
    pub error: Option<String>,
    /// The revision of etcd that wrote what is in force.
    pub revision: i64,
    /// Who that was.
    pub author: String,
    /// Of the documents in force: equal where they are equal.
    pub digest: String,
    /// Whether the process has started with what was kept on disk, and has that still.
    pub from_disk: bool,
    /// The revision that stands in etcd.
    pub seen_revision: i64,
    /// Who wrote that.
    pub seen_author: String,
    /// `in_force`, `accepted` (waits for the other nodes), `held` (another node refuses it) or `refused`.
    pub state: String,
    /// Why, or for whom.
    pub reason: Option<String>,
    /// Why what is in force is not kept on disk; none where it is.
    pub not_kept: Option<String>,
    /// Which nodes sign cookies with keys that this one does not have; none where none does.
    pub foreign_keys: Option<String>,
    /// That another balancer uses this node's name; none where none does.
    pub rival: Option<String>,
}
