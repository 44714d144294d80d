//! Connections to the store: where it is, TLS, user and password, and commands in a row. The crate `redis` speaks to it; that is
//! left to nobody else. Must not know: what is asked for, and when.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    StoredSession,
    fault::{StoreFault, of_answer},
    notice::{self, NODES, NodeName, Notice},
    wording::{MOVED, SCRIPT, ask_probe, probes, read_moved, text},
};
use crate::{
    counters::StoreCause,
    dial,
    model::{SessionStoreSettings, StoreAccount, StoreHost, StoreMode, StoreTlsSettings},
    tls,
};

/// How long connecting may take, with all that belongs to it.
pub(super) const CONNECT: Duration = Duration::from_secs(2);

/// How long one host may take of that.
const HOST: Duration = Duration::from_secs(1);

/// Most messages of other balancers that wait; those beyond are found out when their sessions are renewed.
const NEWS: usize = 8192;

/// What the store says without being asked.
#[derive(Debug)]
pub(super) enum News {
    /// A session was moved.
    Moved(u128, StoredSession),
    /// Another balancer tells something; nothing: what cannot be read.
    Told(Option<(NodeName, Notice)>),
    /// The connection is gone.
    Gone,
}

/// A way to the store.
#[derive(Clone)]
pub(super) struct Link {
    way: Way,
    /// Another one, for questions: they are not kept waiting by writes that were sent before. None: nodes of a cluster have the same for
    /// both.
    questions: Option<Way>,
    /// The hash of the script.
    script: Option<Arc<str>>,
    /// Why other balancers are not heard.
    deaf: Option<StoreFault>,
}

#[derive(Clone)]
enum Way {
    Direct {
        connection: MultiplexedConnection,
        _driver: Arc<LinkDriver>,
    },
    /// Two clients, each of which hears one channel: when the cluster changes, a client subscribes anew to all that it hears in one command,
    /// and takes the second of the replies to that for one to whatever was asked next, and so on from there.
    Cluster {
        connection: ClusterConnection,
        notices: ClusterConnection,
    },
}

/// The task that moves the bytes of a connection, which ends with it.
struct LinkDriver(AbortHandle);

impl Drop for LinkDriver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    /// Connects, and makes sure that everything that is needed can be done.
    pub(super) async fn open(
        settings: &SessionStoreSettings,
    ) -> Result<(Self, mpsc::Receiver<News>), StoreFault> {
        let (sender, news) = mpsc::channel(NEWS);
        let host = match &settings.mode {
            StoreMode::Server => settings.hosts.first().cloned(),
            StoreMode::Sentinel { service, account } => {
                Some(primary(settings, service, account.as_ref()).await?)
            }
            StoreMode::Cluster => None,
        };
        let (way, questions) = match (&settings.mode, host) {
            (StoreMode::Cluster, _) => (cluster(settings, &sender).await?, None),
            (_, Some(host)) => {
                let account = account(settings);
                let way = direct(settings, &host, &account, Some(sender)).await?;
                (way, Some(direct(settings, &host, &account, None).await?))
            }
            (_, None) => return Err(unreachable_host("no host")),
        };
        let mut link = Self { way, questions, script: None, deaf: None };
        link.prepare().await?;
        Ok((link, news))
    }

    /// The script, the channel, and a look at whether they may be used.
    async fn prepare(&mut self) -> Result<(), StoreFault> {
        self.load().await?;
        self.subscribe(MOVED).await?;
        // Sessions are shared all the same.
        match self.subscribe(NODES).await {
            Err(fault) if fault.is_of_connection() => return Err(fault),
            heard => self.deaf = heard.err(),
        }
        let asked = self.for_questions().run(&[ask_probe()]).await?;
        for answer in asked.into_iter().chain(self.run(&probes(self.script())).await?) {
            match answer {
                Err(fault) if fault.cause != StoreCause::Full => return Err(fault),
                // What it has can be asked for all the same.
                _ => {}
            }
        }
        Ok(())
    }

    /// The way for what somebody waits for.
    pub(super) fn for_questions(&self) -> Self {
        let way = self.questions.as_ref().unwrap_or(&self.way).clone();
        Self { way, ..self.clone() }
    }

    async fn subscribe(&mut self, channel: &str) -> Result<(), StoreFault> {
        match &mut self.way {
            Way::Direct { connection, .. } => connection.subscribe(channel).await,
            Way::Cluster { notices, .. } if channel == NODES => notices.subscribe(channel).await,
            Way::Cluster { connection, .. } => connection.subscribe(channel).await,
        }
        .map_err(|error| StoreFault::from(&error))
    }

    /// Why other balancers are not heard; none: they are.
    pub(super) fn deaf(&self) -> Option<&StoreFault> {
        self.deaf.as_ref()
    }

    /// Has the store know the script.
    pub(super) async fn load(&mut self) -> Result<(), StoreFault> {
        let mut load = Cmd::new();
        load.arg("SCRIPT").arg("LOAD").arg(SCRIPT);
        let loaded = self.run(&[load]).await?.pop();
        let answer = loaded.unwrap_or_else(|| Err(StoreFault::garbage()))?;
        let hash = text(&answer).and_then(|hash| str::from_utf8(hash).ok());
        let is_hash = |hash: &&str| hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.script = Some(hash.filter(is_hash).ok_or_else(StoreFault::garbage)?.into());
        Ok(())
    }

    /// The hash of the script.
    pub(super) fn script(&self) -> Option<&str> {
        self.script.as_deref()
    }

    /// Sends the commands one behind the other; each has an answer of its own.
    pub(super) async fn run(&mut self, cmds: &[Cmd]) -> Result<Vec<Result<Value, StoreFault>>, StoreFault> {
        let answers = match &mut self.way {
            Way::Direct { connection, .. } => {
                let mut pipeline = Pipeline::with_capacity(cmds.len());
                for cmd in cmds {
                    pipeline.add_command(cmd.clone());
                }
                let sent = connection.send_packed_commands(&pipeline, 0, cmds.len()).await;
                let answers = sent.map_err(|error| StoreFault::from(&error))?;
                answers.into_iter().map(checked).collect()
            }
            Way::Cluster { connection, .. } => each(connection, cmds).await,
        };
        if answers.len() == cmds.len() { Ok(answers) } else { Err(StoreFault::garbage()) }
    }
}

/// An answer, unless it is a refusal.
fn checked(answer: Value) -> Result<Value, StoreFault> {
    match answer {
        Value::ServerError(error) => Err(of_answer(error.code(), error.details())),
        answer => Ok(answer),
    }
}

/// Each to the node that has its key, all at once.
async fn each(connection: &ClusterConnection, cmds: &[Cmd]) -> Vec<Result<Value, StoreFault>> {
    let mut running = JoinSet::new();
    for (index, cmd) in cmds.iter().enumerate() {
        let (mut connection, cmd) = (connection.clone(), cmd.clone());
        running.spawn(async move { (index, connection.req_packed_command(&cmd).await) });
    }
    let mut answers: Vec<_> = cmds.iter().map(|_| Err(StoreFault::garbage())).collect();
    while let Some(done) = running.join_next().await {
        if let Ok((index, answer)) = done
            && let Some(place) = answers.get_mut(index)
        {
            *place = answer.map_err(|error| StoreFault::from(&error)).and_then(checked);
        }
    }
    answers
}

fn unreachable_host(text: impl Into<String>) -> StoreFault {
    StoreFault::new(StoreCause::Unreachable, text)
}

/// User, password and database.
fn account(settings: &SessionStoreSettings) -> RedisConnectionInfo {
    RedisConnectionInfo {
        db: settings.database.into(),
        username: settings.username.clone(),
        password: settings.password.as_ref().map(|password| password.reveal().to_owned()),
        protocol: ProtocolVersion::RESP3,
    }
}

/// A connection to one host.
async fn direct(
    settings: &SessionStoreSettings,
    host: &StoreHost,
    account: &RedisConnectionInfo,
    news: Option<mpsc::Sender<News>>,
) -> Result<Way, StoreFault> {
    let stream = connect(host).await?;
    let mut config = AsyncConnectionConfig::new();
    if let Some(news) = news {
        config = config.set_push_sender(move |push: PushInfo| tell(&news, &push));
    }
    match &settings.tls {
        None => log_in(stream, account, config).await,
        Some(tls) => {
            let name = server_name(tls, host)?;
            let client = tls::store_client(&tls.authorities)
                .map_err(|error| StoreFault::new(StoreCause::Tls, error.to_string()))?;
            let encrypted = TlsConnector::from(client).connect(name, stream).await.map_err(|error| {
                let is_of_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
                let text = format!("TLS with {host} fails: {error}");
                StoreFault::new(if is_of_tls { StoreCause::Tls } else { StoreCause::Closed }, text)
            })?;
            log_in(encrypted, account, config).await
        }
    }
}

async fn connect(host: &StoreHost) -> Result<TcpStream, StoreFault> {
    let resolved = timeout(HOST, lookup_host((host.host.as_str(), host.port))).await;
    let Ok(Ok(addresses)) = resolved else {
        let text = format!("the name of {host} does not resolve");
        return Err(StoreFault::new(StoreCause::NameNotResolved, text));
    };
    let stream = dial::stream(addresses)
        .await
        .map_err(|why| unreachable_host(format!("{host} cannot be connected to: {why}")))?;
    // Whoever asks waits.
    stream.set_nodelay(true).map_err(|error| StoreFault::of_io(&error))?;
    Ok(stream)
}

fn server_name(tls: &StoreTlsSettings, host: &StoreHost) -> Result<ServerName<'static>, StoreFault> {
    let name = tls.server_name.clone().unwrap_or_else(|| host.host.clone());
    ServerName::try_from(name).map_err(|_| StoreFault::new(StoreCause::Tls, format!("{host} is no name")))
}

async fn log_in<S>(
    stream: S,
    account: &RedisConnectionInfo,
    config: AsyncConnectionConfig,
) -> Result<Way, StoreFault>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (connection, driver) = MultiplexedConnection::new_with_config(account, stream, config)
        .await
        .map_err(|error| StoreFault::from(&error))?;
    let driver = Arc::new(LinkDriver(tokio::spawn(driver).abort_handle()));
    Ok(Way::Direct { connection, _driver: driver })
}

/// Passes on what the store says without being asked. What there is no room for is dropped.
fn tell(news: &mpsc::Sender<News>, push: &PushInfo) -> Result<(), &'static str> {
    match push.kind {
        PushKind::Disconnection => news.try_send(News::Gone).map_err(|_| "full"),
        PushKind::Message => {
            let (channel, said) = (push.data.first().and_then(text), push.data.last().and_then(text));
            let told = if channel == Some(NODES.as_bytes()) {
                News::Told(said.and_then(notice::read))
            } else {
                let Some((key, session)) = said.and_then(read_moved) else { return Ok(()) };
                News::Moved(key, session)
            };
            news.try_send(told).map_err(|_| "full")
        }
        _ => Ok(()),
    }
}

/// Where the primary is, by the first sentinel that knows.
async fn primary(
    settings: &SessionStoreSettings,
    service: &str,
    account: Option<&StoreAccount>,
) -> Result<StoreHost, StoreFault> {
    // They have no databases, and users of their own.
    let account = RedisConnectionInfo {
        username: account.and_then(|account| account.username.clone()),
        password: account.map(|account| account.password.reveal().to_owned()),
        ..RedisConnectionInfo::default()
    };
    let asked = settings.hosts.iter().map(|host| {
        let (settings, host, service) = (settings.clone(), host.clone(), service.to_owned());
        let account = account.clone();
        async move {
            let answered = timeout(HOST, ask_sentinel(&settings, &host, &service, &account)).await;
            answered.unwrap_or_else(|_| Err(unreachable_host(format!("{host} does not answer"))))
        }
    });
    let answered = dial::first_of(asked).await;
    answered.map_err(|mut faults| {
        // What one says that is there tells more than that another is not.
        let said = faults.iter().position(|fault| fault.cause != StoreCause::Unreachable);
        match said {
            Some(said) => faults.swap_remove(said),
            None => faults.pop().unwrap_or_else(|| unreachable_host("no sentinel")),
        }
    })
}

async fn ask_sentinel(
    settings: &SessionStoreSettings,
    host: &StoreHost,
    service: &str,
    account: &RedisConnectionInfo,
) -> Result<StoreHost, StoreFault> {
    let asked = async {
        let way = direct(settings, host, account, None).await?;
        let mut cmd = Cmd::new();
        cmd.arg("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service);
        let answer = Link { way, questions: None, script: None, deaf: None }.run(&[cmd]).await?.pop();
        answer.unwrap_or_else(|| Err(StoreFault::garbage()))
    };
    let answer = asked.await.map_err(|fault| match fault.cause {
        StoreCause::WrongPassword => {
            let text = format!("the sentinel {host} does not take the user and the password");
            StoreFault::new(fault.cause, text)
        }
        _ => fault,
    });
    let Value::Array(words) = answer? else {
        let text = format!("{host} knows no primary of {service:?}");
        return Err(StoreFault::new(StoreCause::NoPrimary, text));
    };
    let mut words = words.iter().map(|word| text(word).and_then(|word| str::from_utf8(word).ok()));
    let (address, port) = (words.next().flatten(), words.next().flatten());
    let found = address.zip(port.and_then(|port| port.parse().ok()));
    let (host, port) = found.ok_or_else(StoreFault::garbage)?;
    Ok(StoreHost { host: host.to_owned(), port })
}

async fn cluster(settings: &SessionStoreSettings, news: &mpsc::Sender<News>) -> Result<Way, StoreFault> {
    let connection = cluster_client(settings, news.clone()).await?;
    Ok(Way::Cluster { connection, notices: cluster_client(settings, news.clone()).await? })
}

async fn cluster_client(
    settings: &SessionStoreSettings,
    news: mpsc::Sender<News>,
) -> Result<ClusterConnection, StoreFault> {
    let scheme = if settings.tls.is_some() { "rediss" } else { "redis" };
    let nodes = settings.hosts.iter().map(|host| format!("{scheme}://{host}"));
    let mut builder: ClusterClientBuilder = ClusterClient::builder(nodes)
        .use_protocol(ProtocolVersion::RESP3)
        .push_sender(move |push: PushInfo| tell(&news, &push))
        .connection_timeout(HOST)
        .response_timeout(CONNECT)
        .retries(2);
    if let Some(username) = &settings.username {
        builder = builder.username(username.clone());
    }
    if let Some(password) = &settings.password {
        builder = builder.password(password.reveal().to_owned());
    }
    if let Some(tls) = &settings.tls {
        builder = builder.certs(redis::TlsCertificates { client_tls: None, root_cert: Some(pem(tls)) });
    }
    let client = builder.build().map_err(|error| StoreFault::from(&error))?;
    let connection = client.get_async_connection().await;
    connection.map_err(|error| {
        let fault = StoreFault::from(&error);
        let is_vague = fault.cause == StoreCause::Closed;
        if is_vague { unreachable_host("no node of the cluster can be connected to") } else { fault }
    })
}

/// Certificates of authorities as the client of clusters takes them.
fn pem(tls: &StoreTlsSettings) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut pem = Vec::new();
    for certificate in &tls.authorities.certificates {
        pem.extend_from_slice(b"-----BEGIN CERTIFICATE-----\n");
        for line in STANDARD.encode(certificate).as_bytes().chunks(64) {
            pem.extend_from_slice(line);
            pem.push(b'\n');
        }
        pem.extend_from_slice(b"-----END CERTIFICATE-----\n");
    }
    pem
}
