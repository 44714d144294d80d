//! Who may ask, as the configuration in force says it: keys, region, account, TLS. Must not know: what is asked.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::ServerConfig;

use crate::{
    elbv2::{AccessKeys, AccessKeysFault},
    model::ControlApiSettings,
    tls::{ServerError, Servers},
};

/// Why nobody could ask.
#[derive(Debug, thiserror::Error)]
pub enum ApiAccessFault {
    /// The file of access keys.
    #[error("{} (access_keys_file of control_api) {fault}", path.display())]
    Keys {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        fault: AccessKeysFault,
    },
    /// TLS cannot be set up.
    #[error("TLS of control_api: {0}")]
    Tls(#[from] ServerError),
}

impl ApiAccessFault {
    /// Whether the user that the process runs as is denied what another one could read.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        use crate::regular_file::FileFault;
        let Self::Keys { fault: AccessKeysFault::File(FileFault::System(error)), .. } = self else {
            return false;
        };
        error.kind() == std::io::ErrorKind::PermissionDenied
    }
}

/// What was read.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) keys: AccessKeys,
    pub(super) region: String,
    pub(super) account_id: String,
    pub(super) tls: Option<Arc<ServerConfig>>,
}

/// Who may ask now: a reload puts others in their place.
#[derive(Debug)]
pub struct ApiAccess {
    admitted: Mutex<Arc<Admitted>>,
    servers: Servers,
}

/// Keys and TLS of a configuration that is not in force yet.
#[derive(Debug)]
pub struct NextApiAccess(Arc<Admitted>);

impl ApiAccess {
    /// Reads what `settings` name.
    ///
    /// # Errors
    /// [`ApiAccessFault`].
    pub fn read(settings: &ControlApiSettings) -> Result<Self, ApiAccessFault> {
        let servers = Servers::new(serde_json::Value::Null)?;
        Ok(Self { admitted: Mutex::new(admit(settings, &servers)?), servers })
    }

    /// Reads it again, for a configuration that may yet be refused.
    ///
    /// # Errors
    /// [`ApiAccessFault`].
    pub fn prepare(&self, settings: &ControlApiSettings) -> Result<NextApiAccess, ApiAccessFault> {
        Ok(NextApiAccess(admit(settings, &self.servers)?))
    }

    /// From the next request on these may ask, and nobody else.
    pub fn take_up(&self, next: NextApiAccess) {
        *self.admitted.lock().unwrap_or_else(PoisonError::into_inner) = next.0;
    }

    pub(super) fn now(&self) -> Arc<Admitted> {
        Arc::clone(&self.admitted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Looks whether what `settings` name can be read.
///
/// # Errors
/// [`ApiAccessFault`].
pub fn look_at_keys(settings: &ControlApiSettings) -> Result<AccessKeys, ApiAccessFault> {
    let path = &settings.access_keys_file;
    AccessKeys::read(path).map_err(|fault| ApiAccessFault::Keys { path: path.clone(), fault })
}

fn admit(settings: &ControlApiSettings, servers: &Servers) -> Result<Arc<Admitted>, ApiAccessFault> {
    let tls = settings.tls.as_ref().map(|tls| servers.build(tls, false)).transpose()?;
    Ok(Arc::new(Admitted {
        keys: look_at_keys(settings)?,
        region: settings.region.clone(),
        account_id: settings.account_id.clone(),
        tls,
    }))
}
