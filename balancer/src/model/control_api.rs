//! Where the ELBv2 API is served, and what is taken on trust there (`control_api { … }`).

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use super::{Certificate, ListenerTls, TrustStore};

/// Settings of the ELBv2 API. Those of where it is served take effect at the next start.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlApiSettings {
    /// `address`: where it is served.
    pub address: SocketAddr,
    /// `access_keys_file`: who may ask.
    pub access_keys_file: PathBuf,
    /// `certificate_arn`, and `trust_store_arn` for who has to show a certificate; none: plain HTTP, on loopback addresses alone.
    pub tls: Option<ListenerTls>,
    /// `state_file`: the database of what was made through it.
    pub state_file: PathBuf,
    /// `region` of ARNs; default `us-east-1`.
    pub region: String,
    /// `account_id` of ARNs, twelve digits; default zeros.
    pub account_id: String,
    /// `dns_suffix`: what DNS names of load balancers end in; default `elb.localhost`.
    pub dns_suffix: String,
    /// `buckets_dir`: a folder whose folders stand for buckets that trust stores are read from; default none.
    pub buckets_dir: Option<PathBuf>,
    /// `instances`: addresses by ids of instances.
    pub instances: BTreeMap<String, IpAddr>,
}

/// What files say that no worker needs to know: in which of them a block stands, and what no listener uses. It is told of
/// through the API; what is there is no part of what a configuration does, and all are equal.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Files of load balancers, by [`super::Configuration::load_balancers`].
    pub load_balancers: Vec<PathBuf>,
    /// Files of target groups, by [`super::Configuration::target_groups`].
    pub target_groups: Vec<PathBuf>,
    /// Files of listeners, by their names.
    pub listeners: HashMap<String, PathBuf>,
    /// Files of rules, by their names.
    pub rules: HashMap<String, PathBuf>,
    /// All certificates.
    pub certificates: Vec<Arc<Certificate>>,
    /// All trust stores, and their files.
    pub trust_stores: Vec<(Arc<TrustStore>, PathBuf)>,
}

impl PartialEq for Inventory {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
