//! What was made through the API, as it is in force, and what files say beside it. Must not know: how calls come, and how a
//! configuration takes effect.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    config::{self, API_DOCUMENT, ConfigErrors, ConfigTexts},
    control::cluster::ConfigOrigin,
    elbv2::{
        ArnMaker, FileFacts, FileRecords, MadeRecords, Records, StateCopy, Store, StoreError, copy_path,
        document,
    },
    model::{Configuration, ControlApiSettings},
    safe_file::Owner,
};

/// Why what was made through the API cannot be in force at a start.
#[derive(Debug, thiserror::Error)]
pub enum ApiBookError {
    /// The database cannot be opened.
    #[error("state_file of control_api: {0}")]
    Store(#[from] StoreError),
    /// It does not go with the files.
    #[error(
        "what was made through the API ({path}) does not go with the files: {faults}; allowed: files that leave it room, or \
         a state that was mended (`balancer state export` and `import`)",
        path = .path.display()
    )]
    Conflict {
        /// The database.
        path: PathBuf,
        /// Every fault.
        faults: String,
    },
}

impl ApiBookError {
    /// What the system said, where it was the system.
    #[must_use]
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Store(StoreError::System { source, .. }) => Some(source.kind()),
            _ => None,
        }
    }
}

/// What files say.
#[derive(Debug)]
pub struct Beside {
    /// The texts, as they were read last.
    texts: ConfigTexts,
    /// The API's settings in them.
    pub settings: ControlApiSettings,
    /// What they say, as records.
    pub files: FileRecords,
    /// ARNs of certificates.
    pub certificates: Arc<BTreeSet<String>>,
    /// Addresses of instances.
    pub instances: Arc<BTreeMap<String, IpAddr>>,
}

impl Beside {
    /// Reads the files again. `settings`: those of the API where files have none any more.
    ///
    /// # Errors
    /// Every fault found.
    pub fn read(origin: &ConfigOrigin, settings: &ControlApiSettings) -> Result<Self, ConfigErrors> {
        let texts = origin.texts();
        let configuration = texts.load(None)?;
        let settings = configuration.control_api.clone().unwrap_or_else(|| settings.clone());
        let place = origin.to_string();
        let arns = ArnMaker { region: &settings.region, account: &settings.account_id };
        let facts = FileFacts {
            configuration: &configuration,
            place: &place,
            document: Path::new(API_DOCUMENT),
            arns,
        };
        let files = FileRecords::of(facts);
        let certificates = configuration.inventory.certificates.iter();
        let certificates = Arc::new(certificates.filter_map(|one| one.arn.clone()).collect());
        let instances = Arc::new(settings.instances.clone());
        Ok(Self { texts, settings, files, certificates, instances })
    }

    /// The configuration that files and records make together.
    ///
    /// # Errors
    /// Every fault found, in words for who has asked for the last change.
    pub fn with(&self, records: &Records) -> Result<Configuration, Vec<String>> {
        self.together(records, "")
    }

    /// The configuration that files make with records that were there before them.
    ///
    /// # Errors
    /// Every fault found, in words for who has written the files.
    pub fn around(&self, records: &Records) -> Result<Configuration, Vec<String>> {
        self.together(records, "with what was made through the ELBv2 API: ")
    }

    fn together(&self, records: &Records, lead: &str) -> Result<Configuration, Vec<String>> {
        let made = MadeRecords { records, files: &self.files, instances: &self.settings.instances };
        let text = document(made).map_err(|failure| vec![failure.message])?;
        let own = Path::new(API_DOCUMENT);
        // Nobody can look at the document: where in it something stands says nothing.
        let told = |error: &config::ConfigError| match error.file == own {
            true => format!("{lead}{}", error.message),
            false => error.to_string(),
        };
        self.texts.load(Some(&text)).map_err(|errors| errors.0.iter().map(told).collect())
    }
}

/// What was made, and the database that it is kept in.
#[derive(Debug)]
pub struct ApiBook {
    path: PathBuf,
    /// Nothing while another thread writes to it.
    pub store: Option<Store>,
    /// What is in force.
    pub records: Records,
    /// What files say.
    pub beside: Arc<Beside>,
    /// The number of the last change in the database.
    pub revision: u64,
}

impl ApiBook {
    /// Looks whether the database could be opened.
    ///
    /// # Errors
    /// [`ApiBookError::Store`].
    pub fn look(settings: &ControlApiSettings, owner: Option<Owner>) -> Result<(), ApiBookError> {
        Ok(Store::could_open(&settings.state_file, owner)?)
    }

    /// Opens the database, and gives the configuration that files and what is in it make together.
    ///
    /// # Errors
    /// [`ApiBookError`].
    pub fn open(
        settings: &ControlApiSettings,
        origin: &ConfigOrigin,
        owner: Option<Owner>,
    ) -> anyhow::Result<(Self, Configuration)> {
        let beside = Beside::read(origin, settings)?;
        let path = settings.state_file.clone();
        let (store, records) = Store::open(&path, owner).map_err(ApiBookError::from)?;
        let configuration = beside
            .with(&records)
            .map_err(|faults| ApiBookError::Conflict { path: path.clone(), faults: faults.join("; ") })?;
        let revision = store.revision();
        let beside = Arc::new(beside);
        Ok((Self { path, store: Some(store), records, beside, revision }, configuration))
    }

    /// What is written into the copy of the state, and where that is.
    #[must_use]
    pub fn copy(&self) -> (StateCopy, PathBuf) {
        (StateCopy::new(self.revision, self.records.clone()), copy_path(&self.path))
    }

    /// Keeps the copy.
    ///
    /// # Errors
    /// The system's.
    pub fn keep_copy(&self) -> io::Result<()> {
        let (copy, path) = self.copy();
        copy.keep(&path, None)
    }
}
