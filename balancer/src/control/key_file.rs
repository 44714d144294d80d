//! The keys at a start: the file, and the folder of the balancer's own that it lies in, both of which are then the user's.
//! Must not know: what is in the file.

use crate::{
    control::privileges::{Belonging, PrivilegeError},
    model::BalancerSettings,
    safe_file::{Outlook, Owner},
    stickiness::{Keyring, KeyringError},
};

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The folder is not one to be given away.
    #[error(transparent)]
    Folder(#[from] PrivilegeError),
    /// The file is not one to be trusted, or cannot be made.
    #[error(transparent)]
    File(#[from] KeyringError),
}

impl KeysError {
    /// Whether it is the rights of this process that are wrong, and another user could do without it.
    pub(super) fn is_denial(&self) -> bool {
        match self {
            Self::Folder(error) => error.is_denial(),
            Self::File(error) => error.is_denial(),
        }
    }
}

/// The keys, made where there are none. They belong to `owner` from here on, and so does the state folder that they lie in.
///
/// # Errors
/// [`KeysError`].
pub fn load(settings: &BalancerSettings, owner: Option<Owner>) -> Result<Keyring, KeysError> {
    let path = settings.key_path();
    let belonging = own_folder(settings, owner)?;
    let keyring = Keyring::load_or_create(&path, owner)?;
    // Last: from here on its owner can change what is in it.
    if let (Some(folder), Some(owner)) = (belonging, owner) {
        folder.give(owner)?;
    }
    Ok(keyring)
}

/// Looks whether [`load`] would be refused; makes nothing and gives nothing away. The folder that a key file would be made
/// in, where there is none.
///
/// # Errors
/// As for [`load`].
pub(super) fn look(settings: &BalancerSettings, owner: Option<Owner>) -> Result<Option<Outlook>, KeysError> {
    own_folder(settings, owner)?;
    Ok(Keyring::look(&settings.key_path(), owner)?)
}

/// The folder that changes hands along with the file: the balancer's own, and none that an operator points to.
fn own_folder(
    settings: &BalancerSettings,
    owner: Option<Owner>,
) -> Result<Option<Belonging>, PrivilegeError> {
    match (settings.key_path().parent(), owner) {
        (Some(parent), Some(owner)) if parent == settings.state_dir => Belonging::find(parent, owner),
        _ => Ok(None),
    }
}
