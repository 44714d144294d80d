//! What operations know beside records: the time, who is asked, what files say, and how targets are. Must not know where
//! any of it comes from.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use super::records::{Records, TargetGroupRecord, TargetRecord};

/// The suffix of load balancers' DNS names where none is configured: names below `localhost` lead to the host itself.
pub const DEFAULT_DNS_SUFFIX: &str = "elb.localhost";

/// How a target is, in the words of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetHealth {
    /// `initial`, `healthy`, `unhealthy`, `unused`, `draining` or `unavailable`.
    pub state: &'static str,
    /// Why, where it is not healthy: `Target.Timeout` and the like.
    pub reason: Option<&'static str>,
    /// The same for people.
    pub description: Option<String>,
    /// The port that is checked.
    pub check_port: u16,
    /// Whether it fails more than others.
    pub is_anomalous: bool,
    /// Whether it gets less for that.
    pub is_mitigated: bool,
}

type HealthOf = dyn Fn(&TargetGroupRecord, &TargetRecord) -> TargetHealth + Send;
type TargetsOf = dyn Fn(&TargetGroupRecord) -> Vec<TargetRecord> + Send;
type ReadFile = dyn Fn(&str) -> Result<Vec<u8>, String> + Send;

/// What operations know beside records.
pub struct World {
    /// Seconds since 1970.
    pub now: u64,
    /// A random number, another one for each call: what is made gets its id from it.
    pub seed: u64,
    /// Region of ARNs.
    pub region: String,
    /// Account of ARNs, twelve digits.
    pub account: String,
    /// What DNS names of load balancers end in.
    pub dns_suffix: String,
    /// What files say, with the files as owners.
    pub files: Arc<Records>,
    /// ARNs that certificates of the configuration have.
    pub certificates: Arc<BTreeSet<String>>,
    /// Addresses of instances, by their ids.
    pub instances: Arc<BTreeMap<String, IpAddr>>,
    /// The folder in which buckets of trust stores are folders, where there is one.
    pub buckets: Option<String>,
    /// How a registered target is.
    pub health: Box<HealthOf>,
    /// The targets of a group that were taken out and still drain.
    pub draining: Box<TargetsOf>,
    /// Reads a file below `buckets`: bounded in size, and regular files alone.
    pub read_file: Box<ReadFile>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now).finish_non_exhaustive()
    }
}
