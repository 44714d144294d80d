//! The shop in its five forms, and what keeps its sessions. Must not know: balancers, clients.

use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result};

use crate::{
    bench::process::{Process, free_address},
    setup, shell,
};

/// Where sessions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Memory,
    PhpFiles,
    Redis,
    DynamoDb,
    Token,
}

impl Form {
    pub(super) const ALL: [Self; 5] =
        [Self::Memory, Self::PhpFiles, Self::Redis, Self::DynamoDb, Self::Token];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::PhpFiles => "php-files",
            Self::Redis => "redis",
            Self::DynamoDb => "dynamodb",
            Self::Token => "token",
        }
    }

    /// Whether they go with the process, or with its host.
    pub(super) fn is_stateful(self) -> bool {
        matches!(self, Self::Memory | Self::PhpFiles)
    }
}

/// What keeps sessions outside of the processes.
pub(super) enum Store {
    /// Nothing, or files that all have.
    Nothing,
    /// A server.
    Server { process: Process, url: String },
}

impl Store {
    /// Starts it, and makes what the processes share.
    pub(super) fn start(form: Form, folder: &Path) -> Result<Self> {
        let address = free_address()?;
        let port = address.port().to_string();
        match form {
            Form::Memory | Form::PhpFiles => Ok(Self::Nothing),
            Form::Token => {
                let mut secret = [0; 32];
                // SAFETY: the buffer is ours and as long as is said.
                if unsafe { libc::getrandom(secret.as_mut_ptr().cast(), secret.len(), 0) } != 32 {
                    return Err(std::io::Error::last_os_error()).context("getrandom");
                }
                fs::write(folder.join("secret"), secret).context("secret")?;
                Ok(Self::Nothing)
            }
            Form::Redis => {
                let mut command =
                    Command::new(shell::find_program("redis-server").context("redis-server is missing")?);
                command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
                command.current_dir(folder);
                let process = Process::start("redis", folder, command, address)?;
                Ok(Self::Server { process, url: format!("redis://{address}") })
            }
            Form::DynamoDb => {
                let mut command = Command::new(shell::find_program("node").context("node is missing")?);
                command.arg(shell::workspace_root().join("examples/sessions/dynalite/server.js")).arg(port);
                command.env("NODE_PATH", setup::applications_dir().join("dynalite/node_modules"));
                let process = Process::start("dynalite", folder, command, address)?;
                Ok(Self::Server { process, url: format!("http://{address}") })
            }
        }
    }

    /// Processor time that it took so far; none: there is no server.
    pub(super) fn cpu_time(&self) -> Result<Option<Duration>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Server { process, .. } => {
                let spent = process.cpu_time()?;
                Ok(Some(Duration::from_secs_f64(spent.user + spent.system)))
            }
        }
    }

    fn url(&self) -> &str {
        match self {
            Self::Nothing => "",
            Self::Server { url, .. } => url,
        }
    }
}

/// A process of the shop.
pub(super) struct Shop {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    process: Process,
}

impl Shop {
    pub(super) fn start(form: Form, number: usize, folder: &Path, store: &Store) -> Result<Self> {
        let address = free_address()?;
        let name = format!("shop{number}");
        let source = shell::workspace_root().join("examples/sessions");
        let command = if form == Form::PhpFiles {
            let files = folder.join(&name);
            fs::create_dir_all(&files)?;
            let mut command = Command::new(shell::find_program("php").context("php is missing")?);
            command.arg("-S").arg(address.to_string()).arg(source.join("shop.php"));
            // Threads of it are processes, which its end does not reach: one is enough.
            command.env("SHOP_NAME", &name).env("SHOP_SESSIONS", files);
            command
        } else {
            let mut command = Command::new(setup::applications_dir().join("sessions/bin/python"));
            command.arg(source.join("shop.py")).args([
                "--name",
                &name,
                "--port",
                &address.port().to_string(),
            ]);
            command.args(["--sessions", form.name(), "--url", store.url()]);
            command.arg("--secret").arg(folder.join("secret")).arg("--revoked").arg(folder.join("revoked"));
            // Its client of DynamoDB wants some, and the server here takes any.
            command.env("AWS_ACCESS_KEY_ID", "lab").env("AWS_SECRET_ACCESS_KEY", "lab");
            command.env("PYTHONDONTWRITEBYTECODE", "1");
            command
        };
        let process = Process::start_within(&name, folder, command, address, Duration::from_secs(30))?;
        Ok(Self { name, address, process })
    }

    /// Ends it without a word.
    pub(super) fn kill(self) {
        self.process.signal(libc::SIGKILL);
    }
}
