//! Redis or Valkey, etcd, three shops, three balancers, each a process on loopback. Must not know: clients.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    bench::process::{Process, free_address},
    lab::bed::Bed,
    setup, shell,
};

/// How long a part may take to start.
const START: Duration = Duration::from_secs(30);
const PREFIX: &str = "/shop";

/// A balancer.
struct Node {
    name: String,
    address: SocketAddr,
    admin: SocketAddr,
    process: Option<Process>,
}

/// One process of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Node(usize),
    Store,
    Etcd,
    Shop(usize),
}

/// All of it; ended when dropped.
pub(super) struct Cluster {
    folder: PathBuf,
    balancer: PathBuf,
    store: Option<Process>,
    store_at: SocketAddr,
    etcd: Option<Process>,
    etcd_at: SocketAddr,
    peer_at: SocketAddr,
    shops: Vec<(SocketAddr, Option<Process>)>,
    nodes: Vec<Node>,
}

impl Cluster {
    pub(super) fn start(bed: &Bed) -> Result<Self> {
        let folder = bed.folder("cluster")?;
        let mut cluster = Self {
            balancer: bed.balancer.clone(),
            store: None,
            store_at: free_address()?,
            etcd: None,
            etcd_at: free_address()?,
            peer_at: free_address()?,
            shops: (0..3).map(|_| Ok((free_address()?, None))).collect::<Result<_>>()?,
            nodes: Vec::new(),
            folder,
        };
        cluster.start_store()?;
        cluster.start_etcd()?;
        for number in 0..3 {
            cluster.start_shop(number)?;
        }
        fs::create_dir_all(cluster.folder.join("pushed"))?;
        cluster.write_pushed("first")?;
        cluster.push()?;
        for number in 0..3 {
            let name = format!("node{number}");
            cluster.nodes.push(Node {
                name,
                address: free_address()?,
                admin: free_address()?,
                process: None,
            });
            cluster.start_node(number)?;
        }
        Ok(cluster)
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    /// What runs where, and what to do with it.
    pub(super) fn described(&self) -> String {
        let mut text = String::from("Three balancers that are one, and what they share:\n\n");
        self.parts().for_each(|part| text.push_str(&self.line(part)));
        let balancer = self.balancer.display();
        let admins: Vec<String> = self.nodes.iter().map(|node| node.admin.to_string()).collect();
        text.push_str(&format!(
            "\n  {balancer} status --all {}\n  {balancer} etcd nodes --etcd http://{} --prefix {PREFIX}\n\n\
             Kill what you like, it starts again five seconds later: clients come to any balancer with the shop's own cookie\nalone. Who is at a shop that is killed is logged out, and nobody else, but for who logs in while redis is away and\ncomes to another balancer before it is back. Ctrl-C ends all of it.\n",
            admins.join(","),
            self.etcd_at
        ));
        text
    }

    fn parts(&self) -> impl Iterator<Item = Part> {
        let nodes = (0..self.nodes.len()).map(Part::Node);
        nodes.chain([Part::Store, Part::Etcd]).chain((0..self.shops.len()).map(Part::Shop))
    }

    /// Where a part is, and what kills it.
    pub(super) fn line(&self, part: Part) -> String {
        let none = || ("nobody".to_owned(), self.store_at, None);
        let (name, at, process) = match part {
            Part::Node(number) => self
                .nodes
                .get(number)
                .map_or_else(none, |node| (node.name.clone(), node.address, node.process.as_ref())),
            Part::Store => ("redis".to_owned(), self.store_at, self.store.as_ref()),
            Part::Etcd => ("etcd".to_owned(), self.etcd_at, self.etcd.as_ref()),
            Part::Shop(number) => self
                .shops
                .get(number)
                .map_or_else(none, |(at, process)| (format!("shop{number}"), *at, process.as_ref())),
        };
        format!("  {name:<10} {at:<22} kill -9 {}\n", process.map_or(0, Process::pid))
    }

    fn process_of(&mut self, part: Part) -> Option<&mut Option<Process>> {
        match part {
            Part::Node(number) => self.nodes.get_mut(number).map(|node| &mut node.process),
            Part::Store => Some(&mut self.store),
            Part::Etcd => Some(&mut self.etcd),
            Part::Shop(number) => self.shops.get_mut(number).map(|(_, process)| process),
        }
    }

    /// Parts that somebody has killed.
    pub(super) fn dead(&mut self) -> Vec<Part> {
        let parts: Vec<Part> = self.parts().collect();
        let is_dead = |part: &Part| {
            self.process_of(*part).is_some_and(|process| process.as_mut().is_none_or(Process::has_ended))
        };
        parts.into_iter().filter(is_dead).collect()
    }

    /// Starts a part where it was.
    pub(super) fn start_again(&mut self, part: Part) -> Result<()> {
        if let Some(process) = self.process_of(part) {
            *process = None;
        }
        match part {
            Part::Node(number) => self.start_node(number),
            Part::Store => self.start_store(),
            Part::Etcd => self.start_etcd(),
            Part::Shop(number) => self.start_shop(number),
        }
    }

    fn start_store(&mut self) -> Result<()> {
        let program = ["valkey-server", "redis-server"].into_iter().find_map(shell::find_program);
        let mut command = Command::new(program.context("neither valkey-server nor redis-server is there")?);
        command.args(["--port", &self.store_at.port().to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no"]).current_dir(&self.folder);
        self.store = Some(Process::start_within("store", &self.folder, command, self.store_at, START)?);
        Ok(())
    }

    fn start_etcd(&mut self) -> Result<()> {
        let mut command = Command::new(shell::find_program("etcd").context("etcd is missing")?);
        let (client, peer) = (format!("http://{}", self.etcd_at), format!("http://{}", self.peer_at));
        command.arg("--data-dir").arg(self.folder.join("etcd-data"));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("default={peer}")]);
        self.etcd = Some(Process::start_within("etcd", &self.folder, command, self.etcd_at, START)?);
        Ok(())
    }

    fn start_shop(&mut self, number: usize) -> Result<()> {
        let (at, process) = self.shops.get_mut(number).context("a shop")?;
        let mut command = Command::new(setup::applications_dir().join("sessions/bin/python"));
        command.arg(shell::workspace_root().join("examples/sessions/shop.py"));
        command.args([
            "--sessions",
            "memory",
            "--name",
            &format!("shop{number}"),
            "--port",
            &at.port().to_string(),
        ]);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        *process = Some(Process::start_within(&format!("shop{number}"), &self.folder, command, *at, START)?);
        Ok(())
    }

    /// What all balancers have: it is pushed to etcd.
    fn write_pushed(&self, tag: &str) -> Result<()> {
        let targets: Vec<String> = self.shops.iter().map(|(at, _)| format!("\"{at}\"")).collect();
        let text = format!(
            r#"# {tag}
session_store {{
  url = "redis://{store}"
}}
listener "web" {{
  address = "127.0.0.1"
  port    = var.port
  default_action {{
    type             = "forward"
    target_group_arn = target_group.shop.arn
  }}
}}
target_group "shop" {{
  stickiness {{
    type            = "app_cookie"
    cookie_name     = "shop"
    cookie_duration = 3600
  }}
  health_check {{
    path     = "/health"
    interval = 5
    timeout  = 2
  }}
  targets = [{targets}]
}}
"#,
            store = self.store_at,
            targets = targets.join(", ")
        );
        fs::write(self.folder.join("pushed/shop.hcl"), text).context("shop.hcl")
    }

    fn push(&self) -> Result<()> {
        let own = self.folder.join("any");
        fs::create_dir_all(&own)?;
        fs::write(own.join("node.hcl"), self.own(&own, "any", 1, free_address()?))?;
        let mut command = Command::new(&self.balancer);
        command.args(["etcd", "push"]).arg(self.folder.join("pushed")).arg("-c").arg(own.join("node.hcl"));
        command.args(["--etcd", &format!("http://{}", self.etcd_at), "--prefix", PREFIX, "--author", "lab"]);
        shell::run(&mut command)
    }

    /// What a balancer has of its own. The file of keys is that of all.
    fn own(&self, folder: &Path, name: &str, port: u16, admin: SocketAddr) -> String {
        format!(
            r#"balancer {{
  instance      = "lab-{pid}-{name}"
  workers       = 1
  kernel_assist = "off"
  state_dir     = "{folder}/state"
  runtime_dir   = "{folder}/run"
  key_file      = "{all}/stickiness.key"
  admin_address = "{admin}"
}}
variable "port" {{
  default = {port}
}}
"#,
            pid = std::process::id(),
            folder = folder.display(),
            all = self.folder.display(),
        )
    }

    pub(super) fn start_node(&mut self, number: usize) -> Result<()> {
        let node = self.nodes.get(number).context("a node")?;
        let folder = self.folder.join(&node.name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("node.hcl"), self.own(&folder, &node.name, node.address.port(), node.admin))?;
        let mut command = Command::new(&self.balancer);
        command.arg("run").arg("-c").arg(folder.join("node.hcl"));
        command.args([
            "--etcd",
            &format!("http://{}", self.etcd_at),
            "--prefix",
            PREFIX,
            "--node",
            &node.name,
        ]);
        command.arg("--etcd-cache").arg(folder.join("etcd.json")).env("NO_COLOR", "1");
        let process = Process::start_within(&node.name, &folder, command, node.address, START)?;
        self.nodes.get_mut(number).context("a node")?.process = Some(process);
        Ok(())
    }

    /// Ends a balancer without a word.
    pub(super) fn kill_node(&mut self, number: usize) -> Result<()> {
        let process = self.nodes.get_mut(number).context("a node")?.process.take().context("it runs")?;
        process.signal(libc::SIGKILL);
        Ok(())
    }

    /// What it had is gone.
    pub(super) fn restart_store(&mut self) -> Result<()> {
        self.store = None;
        self.start_store()
    }

    /// As a network does that drops everything.
    pub(super) fn hold_store(&mut self, span: Duration) -> Result<()> {
        let store = self.store.as_ref().context("it runs")?;
        store.signal(libc::SIGSTOP);
        thread::sleep(span);
        store.signal(libc::SIGCONT);
        Ok(())
    }

    pub(super) fn restart_node_without_etcd(&mut self, number: usize) -> Result<()> {
        self.etcd = None;
        self.nodes.get_mut(number).context("a node")?.process = None;
        self.start_node(number)?;
        self.start_etcd()
    }

    pub(super) fn push_again(&mut self) -> Result<()> {
        self.write_pushed("second")?;
        self.push()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.process = None;
        }
    }
}
