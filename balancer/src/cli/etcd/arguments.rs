//! Arguments of `balancer etcd`. Must not know: what is done with them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::options::EtcdOptions;
use crate::cli::told::whole;

#[derive(Debug, Args)]
pub(in crate::cli) struct EtcdArguments {
    #[command(subcommand)]
    pub(super) command: EtcdCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum EtcdCommand {
    /// Validate files and write them in one transaction: they are what stands there then, and nothing else
    Push(PushArguments),
    /// Write what stands there, or stood there, into files
    Pull(PullArguments),
    /// Compare files with what stands there; exit code 0: they are the same, 1: they differ, 2: it cannot be said
    Diff(DiffArguments),
    /// Show what was pushed: number, when, by whom, why
    History(HistoryArguments),
    /// Show what each balancer has in force, and what it thinks of what stands there
    Nodes(NodesArguments),
    /// Keys of cookies that all balancers share: put them there sealed, change them without losing a session, show who has which
    Keys(KeysArguments),
}

#[derive(Debug, Args)]
pub(super) struct KeysArguments {
    #[command(subcommand)]
    pub(super) command: KeysCommand,
    /// Who says so; user and host by default
    #[arg(long, value_name = "NAME", global = true)]
    pub(super) author: Option<String>,
    /// Wait this many seconds for all nodes to have it
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = 30, value_parser = whole::<0, 3600>)]
    pub(super) wait: u64,
    #[command(flatten)]
    pub(super) etcd: EtcdOptions,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Show the names of the keys, what becomes of them, and which nodes have them
    Show,
    /// Seal the keys of a key file and put them there: its first key signs
    Put {
        /// The key file
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// Even if the key that signs now is not among them, which ends every session
        #[arg(long)]
        force: bool,
    },
    /// Have a new key sign: once every node accepts it, those that are away included. Run again, it goes on where it was
    Rotate,
    /// Accept a key no more: who has a cookie of it begins anew
    Drop {
        /// Its name, as `show` has it
        #[arg(value_name = "KEY")]
        name: String,
    },
    /// Wait for a node no more that does not come back
    Forget {
        /// Its name
        #[arg(value_name = "NODE", value_parser = super::node_name)]
        node: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct PushArguments {
    /// Files: one, or a folder of .hcl and .tf files
    #[arg(value_name = "FILE_OR_DIR")]
    pub(super) path: PathBuf,
    /// Files of a node's own, as `balancer run --etcd -c` reads them: they are validated together, and not written
    #[arg(short, long, value_name = "FILE_OR_DIR")]
    pub(super) config: Option<PathBuf>,
    /// Who says so; user and host by default
    #[arg(long, value_name = "NAME")]
    pub(super) author: Option<String>,
    /// Why, for the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) note: String,
    /// Wait this many seconds for all nodes to have it in force; exit code 1 when one has not
    #[arg(long, value_name = "SECONDS", value_parser = whole::<1, 3600>)]
    pub(super) wait: Option<u64>,
    #[command(flatten)]
    pub(super) etcd: EtcdOptions,
}

#[derive(Debug, Args)]
pub(super) struct PullArguments {
    /// Folder that the files are written into; made where it is missing
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// What was pushed under this number, instead of what stands there now
    #[arg(long, value_name = "NUMBER", value_parser = whole::<1, { u64::MAX }>)]
    pub(super) number: Option<u64>,
    /// Put them in the place of other files of their names
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) etcd: EtcdOptions,
}

#[derive(Debug, Args)]
pub(super) struct DiffArguments {
    /// Files: one, or a folder of .hcl and .tf files
    #[arg(value_name = "FILE_OR_DIR")]
    pub(super) path: PathBuf,
    #[command(flatten)]
    pub(super) etcd: EtcdOptions,
}

#[derive(Debug, Args)]
pub(super) struct HistoryArguments {
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) etcd: EtcdOptions,
}

#[derive(Debug, Args)]
pub(super) struct NodesArguments {
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) etcd: EtcdOptions,
}
