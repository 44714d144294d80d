//! Where etcd is, as every command is told it. Must not know: commands.

use std::path::PathBuf;

use clap::Args;

use crate::{
    cli::told::CommandFailure,
    control::cluster::Layout,
    etcd::{AccessFiles, Url},
};

/// Options.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct EtcdOptions {
    /// Endpoints of one etcd, with commas between them: http://HOST:PORT or https://HOST:PORT
    #[arg(long, global = true, value_name = "URL", value_delimiter = ',', value_parser = Url::parse)]
    etcd: Vec<Url>,
    /// What all keys begin with
    #[arg(long, global = true, value_name = "PREFIX", default_value = "/balancer", value_parser = Layout::parse)]
    prefix: Layout,
    /// User of etcd
    #[arg(long, global = true, value_name = "NAME")]
    etcd_user: Option<String>,
    /// File with that user's password
    #[arg(long, global = true, value_name = "FILE")]
    etcd_password_file: Option<PathBuf>,
    /// File with certificates of the authorities that have signed those of https:// endpoints
    #[arg(long, global = true, value_name = "FILE")]
    etcd_ca: Option<PathBuf>,
    /// File with the certificate to show to https:// endpoints
    #[arg(long, global = true, value_name = "FILE", requires = "etcd_key")]
    etcd_cert: Option<PathBuf>,
    /// File with its private key
    #[arg(long, global = true, value_name = "FILE", requires = "etcd_cert")]
    etcd_key: Option<PathBuf>,
    /// File with 32 random bytes that open and seal keys of cookies that are kept in etcd: the same on all hosts, and never in etcd
    #[arg(long, global = true, value_name = "FILE")]
    etcd_seal_file: Option<PathBuf>,
}

impl EtcdOptions {
    /// How to get in; nothing, where no endpoint is given.
    pub(in crate::cli) fn access(&self) -> Option<AccessFiles> {
        let certificate = self.etcd_cert.clone().zip(self.etcd_key.clone());
        (!self.etcd.is_empty()).then(|| AccessFiles {
            endpoints: self.etcd.clone(),
            user: self.etcd_user.clone(),
            password: self.etcd_password_file.clone(),
            authorities: self.etcd_ca.clone(),
            certificate,
        })
    }

    pub(in crate::cli) fn seal(&self) -> Option<PathBuf> {
        self.etcd_seal_file.clone()
    }

    pub(in crate::cli) fn layout(&self) -> Layout {
        self.prefix.clone()
    }
}

/// What a node may be called.
pub(in crate::cli) fn node_name(text: &str) -> Result<String, String> {
    Layout::parse_node(text)
}

/// What this host is called.
pub(in crate::cli) fn host_name() -> Result<String, CommandFailure> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Layout::parse_node(&name).map_err(|why| {
        CommandFailure::BadConfiguration(format!(
            "balancer: the host's name cannot be a node's (--node): {why}"
        ))
    })
}
