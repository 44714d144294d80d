//! Where configurations come from, and the one that a process starts with. Must not know: what becomes of it.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{runtime::Runtime, time::timeout};

use super::{
    ClusterSettings, Documents, Follower, NodeNote, SealedKeys, last_good,
    node::{Judgment, judge},
};
use crate::{
    config::{self, ConfigError, ConfigErrors, ConfigTexts},
    etcd::{Access, Etcd, EtcdError},
    model::Configuration,
    stickiness::Keyring,
};

/// How long etcd may take to say what is there, before what was kept of it is taken.
const PATIENCE: Duration = Duration::from_secs(6);

/// Where a process is to get configurations from.
#[derive(Clone, Debug)]
pub enum ConfigSource {
    /// From a file or a folder.
    Files(PathBuf),
    /// From etcd.
    Cluster(Box<ClusterSettings>),
}

/// What the configuration in force was read from.
#[derive(Clone, Debug)]
pub enum ConfigOrigin {
    /// A file or a folder.
    Files(PathBuf),
    /// Documents, and files of this host.
    Cluster {
        /// The documents.
        documents: Arc<Documents>,
        /// The files.
        own: Option<PathBuf>,
        /// What opens the secrets beside the documents.
        seal: Option<Arc<SealedKeys>>,
    },
}

impl ConfigOrigin {
    /// Reads it, again.
    ///
    /// # Errors
    /// Every fault found.
    pub fn load(&self) -> Result<Configuration, ConfigErrors> {
        match self {
            Self::Files(path) => config::load(path),
            Self::Cluster { documents, own, .. } => documents.load(own.as_deref()),
        }
    }

    /// Reads its texts, again.
    #[must_use]
    pub fn texts(&self) -> ConfigTexts {
        match self {
            Self::Files(path) => ConfigTexts::of_files(path),
            Self::Cluster { documents, own, .. } => documents.texts(own.as_deref()),
        }
    }

    /// The same with other documents, if it has any.
    #[must_use]
    pub fn with(&self, documents: &Arc<Documents>) -> Self {
        match self {
            Self::Files(_) => self.clone(),
            Self::Cluster { own, seal, .. } => {
                Self::Cluster { documents: Arc::clone(documents), own: own.clone(), seal: seal.clone() }
            }
        }
    }

    /// The secrets of cookies that come with it; none where they are this host's own.
    ///
    /// # Errors
    /// They cannot be opened.
    pub fn keyring(&self) -> Result<Option<Keyring>, ConfigError> {
        match self {
            Self::Files(_) => Ok(None),
            Self::Cluster { documents, seal, .. } => documents.keyring(seal.as_deref()),
        }
    }
}

impl fmt::Display for ConfigOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(path) => path.display().fmt(f),
            Self::Cluster { documents, .. } => {
                write!(f, "{} at revision {} by {}", documents.place, documents.revision, documents.author)
            }
        }
    }
}

/// What a process starts with.
#[derive(Debug)]
pub struct First {
    /// The configuration.
    pub configuration: Configuration,
    /// What it was read from.
    pub origin: ConfigOrigin,
    /// Who goes on looking for others, where they come from etcd.
    pub follower: Option<Follower>,
    /// What is to be told once there is a log.
    pub warnings: Vec<String>,
}

/// The configuration to start with: what stands in etcd, unless it is wrong here, or a node refuses it, or etcd is away; what was
/// in force last otherwise.
///
/// # Errors
/// [`ConfigErrors`] where neither will do; what is wrong with how to get into etcd.
pub fn first(source: &ConfigSource, runtime: &Runtime) -> anyhow::Result<First> {
    let settings = match source {
        ConfigSource::Files(path) => {
            let (origin, configuration) = (ConfigOrigin::Files(path.clone()), config::load(path)?);
            return Ok(First { configuration, origin, follower: None, warnings: Vec::new() });
        }
        ConfigSource::Cluster(settings) => settings,
    };
    let mut etcd = Etcd::new(Access::read(&settings.access)?);
    let seal = settings.seal.as_ref().map(|path| SealedKeys::load(path, &settings.layout)).transpose()?;
    let reader = DocumentReader { own: settings.own.as_deref(), seal: seal.as_ref() };
    let looked = runtime.block_on(async { timeout(PATIENCE, look(&mut etcd, settings)).await });
    let looked = looked.unwrap_or_else(|_| {
        let (endpoint, why) = (etcd.endpoint().to_string(), format!("no answer within {PATIENCE:?}"));
        Err(EtcdError::Away { endpoint, why })
    });
    let mut warnings = Vec::new();
    let mut kept = || {
        last_good::read(&settings.cache, &settings.layout).unwrap_or_else(|fault| {
            warnings.push(format!("what was kept of the last configuration cannot be used: {fault}"));
            None
        })
    };
    let (documents, configuration, why) = match looked {
        Ok((documents, None)) => match reader.load(&documents) {
            Ok(configuration) => (documents, configuration, None),
            Err(errors) => {
                let Some((kept, configuration)) = reader.usable(kept())? else { return Err(errors.into()) };
                (kept, configuration, Some(format!("what stands in etcd is refused: {errors}")))
            }
        },
        Ok((documents, Some(held))) => match reader.usable(kept())? {
            Some((kept, configuration)) => (kept, configuration, Some(held)),
            // There is no other one, and it would be the first here.
            None => {
                let configuration = reader.load(&documents)?;
                (documents, configuration, None)
            }
        },
        Err(error) => {
            let Some((kept, configuration)) = reader.usable(kept())? else {
                let cache = settings.cache.display();
                return Err(error)
                    .with_context(|| format!("there is no configuration, and none kept in {cache}"));
            };
            (kept, configuration, Some(error.to_string()))
        }
    };
    let is_kept = why.is_some();
    warnings.extend(why.map(|why| {
        let revision = documents.revision;
        format!("starting with the configuration of revision {revision}, which was in force last and kept on disk: {why}")
    }));
    let documents = Arc::new(documents);
    let follower = Follower::new(ClusterSettings::clone(settings), etcd, Arc::clone(&documents), is_kept);
    let origin = ConfigOrigin::Cluster { documents, own: settings.own.clone(), seal: seal.map(Arc::new) };
    Ok(First { configuration, origin, follower: Some(follower), warnings })
}

/// Reads documents with what is this host's.
struct DocumentReader<'r> {
    own: Option<&'r Path>,
    seal: Option<&'r SealedKeys>,
}

impl DocumentReader<'_> {
    /// What the documents say, if the secrets beside them can be opened, too.
    fn load(&self, documents: &Documents) -> Result<Configuration, ConfigErrors> {
        let configuration = documents.load(self.own)?;
        documents.keyring(self.seal).map_err(|fault| ConfigErrors(vec![fault]))?;
        Ok(configuration)
    }

    fn usable(&self, kept: Option<Documents>) -> Result<Option<(Documents, Configuration)>, ConfigErrors> {
        let Some(kept) = kept else { return Ok(None) };
        let configuration = self.load(&kept)?;
        Ok(Some((kept, configuration)))
    }
}

/// What stands in etcd, and why it is not to be taken though it may be in order.
async fn look(etcd: &mut Etcd, settings: &ClusterSettings) -> Result<(Documents, Option<String>), EtcdError> {
    let ClusterSettings { layout, node, .. } = settings;
    let reading = etcd.read(layout.config().as_bytes(), 0, config::MAX_DOCUMENTS).await?;
    let documents = Documents::of(layout, &reading);
    let nodes = etcd.read(layout.nodes().as_bytes(), 0, config::MAX_DOCUMENTS).await?;
    let notes = NodeNote::read_all(layout, &nodes);
    let others = notes.iter().filter(|(name, _)| *name != node);
    let held = match judge(&documents.digest, others, true) {
        Judgment::Leave(name, why) => Some(format!(
            "what stands in etcd (revision {}) is refused by node {name}: {why}",
            documents.revision
        )),
        Judgment::Wait(_) | Judgment::TakeUp => None,
    };
    Ok((documents, held))
}
