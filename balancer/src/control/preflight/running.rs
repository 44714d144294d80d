//! An instance that runs already, to which the same configuration comes by a reload: what that would be refused for and a start
//! would not. Must not know: how the instance is spoken to.

use std::{fs, io, path::Path};

use crate::{
    control::{
        privileges::Account,
        upgrade::{StartedWith, ask_what_runs},
    },
    kernel::{owner_here, owners},
    model::BalancerSettings,
};

/// An instance that runs goes on with its folder: with another one nobody starts beside it.
pub(super) fn elsewhere(settings: &BalancerSettings) -> Option<String> {
    let BalancerSettings { instance, runtime_dir, .. } = settings;
    let pid = *owners(instance, runtime_dir).first()?;
    let folder = runtime_dir.display();
    match owner_here(instance, runtime_dir) {
        Ok(Some(_)) => None,
        Ok(None) => Some(format!(
            "instance {instance} runs already as process {pid}, with another runtime_dir than {folder}: a start beside it is \
             refused, and a reload goes on with the one that it has"
        )),
        Err(error) => Some(format!(
            "instance {instance} runs already as process {pid}, and a start beside it is refused; whether it has the \
             runtime_dir {folder} cannot be seen: {error}"
        )),
    }
}

/// A reload takes the key file of the folder that the instance was started with, or the one that is named, and makes none;
/// and it gives none to the user.
pub(super) fn without_keys(settings: &BalancerSettings, account: Option<&Account>) -> Option<String> {
    let instance = &settings.instance;
    if owners(instance, &settings.runtime_dir).is_empty() {
        return None;
    }
    let started_with = match ask(settings) {
        Ok(started_with) => started_with,
        Err(why) => return without_keys_perhaps(settings, account, &why),
    };
    let key = BalancerSettings { state_dir: started_with.state_dir, ..settings.clone() }.key_path();
    let account = started_with.user.as_deref().and_then(|name| Account::find(name).ok());
    let (wrong, way_out) = wrong_with(&key, account.as_ref())?;
    Some(format!(
        "key file {}: {wrong}; a reload of instance {instance}, which runs, would be refused: {way_out}",
        key.display()
    ))
}

/// The same where the instance has not said what it was started with.
fn without_keys_perhaps(settings: &BalancerSettings, account: Option<&Account>, why: &str) -> Option<String> {
    let key = settings.key_path();
    let (wrong, way_out) = wrong_with(&key, account)?;
    Some(format!(
        "key file {}: {wrong}; whether a reload of instance {}, which runs, would be refused is not known, since it cannot be \
         asked what it was started with ({why}): {way_out}",
        key.display(),
        settings.instance
    ))
}

fn ask(settings: &BalancerSettings) -> Result<StartedWith, String> {
    let (name, folder) = (&settings.instance, &settings.runtime_dir);
    let in_words = |error: io::Error| error.to_string();
    if owner_here(name, folder).map_err(in_words)?.is_none() {
        return Err(format!("its runtime_dir is not {}", folder.display()));
    }
    ask_what_runs(&folder.join(name)).map_err(in_words)
}

/// What is wrong with a key file for a process of this user, as far as that can be seen; and what to do.
fn wrong_with(key: &Path, account: Option<&Account>) -> Option<(&'static str, &'static str)> {
    let is_gone = fs::metadata(key).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    if is_gone {
        return Some(("is not there", "put it there, or restart to have a new one made"));
    }
    let is_shut = account.is_some_and(|account| account.may(key, 4) == Some(false));
    is_shut.then_some(("cannot be read by the user of the instance", "give it to the user, or restart"))
}
