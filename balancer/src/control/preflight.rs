//! What a start would ask of this system and not get, found without starting anything: the user, ports, the key file, folders,
//! logs and the kernel side. And what it would get and a reload, as that user, would not.
//! Must not know: how any of it is opened or made.

mod running;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

use super::{
    admin::AdminToken,
    control_api::{self, ApiBook},
    discovery, key_file, log_files,
    privileges::Account,
};
use crate::{
    config,
    kernel::{InstanceFolder, Kernel, Shield, owners},
    listener,
    model::{
        Authorities, BalancerSettings, Configuration, ControlApiSettings, LogDestination,
        MutualAuthentication,
    },
    safe_file::{Outlook, Owner, Sight},
};

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What a start would be refused for, a line each.
    pub refused: Vec<String>,
    /// What only later, or only others, would run into.
    pub warnings: Vec<String>,
}

/// Looks at what `configuration`, read from `path`, needs of this system. Changes nothing.
#[must_use]
pub fn look(configuration: &Configuration, path: &Path) -> Findings {
    let mut findings = Findings::default();
    let settings = &configuration.balancer;
    let account = settings
        .user
        .as_deref()
        .and_then(|name| Account::find(name).map_err(|error| findings.refused.push(error.to_string())).ok());
    let owner = account.as_ref().and_then(Account::owner);
    look_at_addresses(configuration, &mut findings);
    findings.warnings.extend(running::elsewhere(settings));
    // In the order of a start, which has made some folders when it comes to the logs.
    let mut made = Vec::new();
    match InstanceFolder::look(&settings.instance, &settings.runtime_dir) {
        Ok(folder) => made.push(folder.path()),
        Err(error) => findings.note(error.to_string(), error.is_denial()),
    }
    match key_file::look(settings, owner) {
        Ok(folder) => {
            findings.warnings.extend(running::without_keys(settings, account.as_ref()));
            made.extend(folder.map(|folder| folder.path()));
        }
        Err(error) => findings.note(error.to_string(), error.is_denial()),
    }
    if let (Some(path), Some(_)) = (&settings.admin_token_file, settings.admin_address)
        && let Err(error) = AdminToken::load(path, owner)
    {
        findings.note(error.to_string(), error.is_denial());
    }
    if let Some(Err(error)) = configuration.control_api.as_ref().map(control_api::look_at_keys) {
        findings.note(error.to_string(), error.is_denial());
    }
    if let Some(api) = &configuration.control_api {
        look_at_state(api, owner, &made, &mut findings);
    }
    findings.warnings.extend(discovery::look(configuration));
    for destination in log_files::destinations(configuration) {
        look_at_log(destination, owner, &made, &mut findings);
    }
    if let Err(error) = Kernel::look(&settings.instance, settings.kernel_assist) {
        findings.note(error.to_string(), true);
    }
    findings.warnings.extend(configuration.shield.iter().flat_map(Shield::look));
    if let (Some(account), Some(name)) = (account, settings.user.as_deref()) {
        look_as(&account, name, configuration, path, &mut findings);
    }
    findings
}

impl Findings {
    /// Notes what a start would be refused for. Where it `is_denial`, the rights of who checks are wrong, and who is not
    /// root is told as a warning: a service starts as root.
    fn note(&mut self, line: String, is_denial: bool) {
        if geteuid().is_root() || !is_denial {
            self.refused.push(line);
        } else {
            self.warnings.push(format!("{line} (as the user that checks)"));
        }
    }
}

/// Addresses are this host's, and their ports are free, or have the instance, which may run already and is to be reloaded.
fn look_at_addresses(configuration: &Configuration, findings: &mut Findings) {
    let of_listeners = configuration.listeners.iter();
    let of_listeners =
        of_listeners.map(|listener| (format!("listener {:?}", listener.name), listener.address));
    let of_admin = configuration.balancer.admin_address.map(|address| ("admin_address".to_owned(), address));
    let of_api = configuration.control_api.as_ref().map(|api| ("control_api".to_owned(), api.address));
    for (what, address) in of_listeners.chain(of_admin).chain(of_api) {
        if let Err(error) = listener::look_at(address) {
            let is_in_use = error.kind() == io::ErrorKind::AddrInUse;
            let owners = || owners(&configuration.balancer.instance, &configuration.balancer.runtime_dir);
            if is_in_use && listener::may_listen(&owners(), address) {
                continue;
            }
            let is_denial = error.kind() == io::ErrorKind::PermissionDenied;
            findings.note(format!("cannot listen on {address} ({what}): {error}"), is_denial);
        }
    }
}

/// `made`: folders that a start has made by then.
fn look_at_log(
    destination: &LogDestination,
    owner: Option<Owner>,
    made: &[PathBuf],
    findings: &mut Findings,
) {
    match log_files::look_at(destination, owner) {
        // To open and close it would tell its reader that the log has ended.
        Ok(Some(Sight::Pipe)) => findings
            .warnings
            .push(format!("log {destination}: a named pipe, which somebody has to read before the start")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_in(error.destination(), made) => {}
        Err(error) => findings.note(error.to_string(), error.kind() == io::ErrorKind::PermissionDenied),
    }
}

/// What was made through the API.
fn look_at_state(api: &ControlApiSettings, owner: Option<Owner>, made: &[PathBuf], findings: &mut Findings) {
    match ApiBook::look(api, owner) {
        Err(error) if error.kind() == Some(io::ErrorKind::NotFound) && is_under(&api.state_file, made) => {}
        Err(error) => {
            let is_denial = error.kind() == Some(io::ErrorKind::PermissionDenied);
            findings.note(error.to_string(), is_denial);
        }
        Ok(()) => {}
    }
}

/// Whether the folder of a log is missing and one of these, or above it.
fn is_in(destination: &LogDestination, made: &[PathBuf]) -> bool {
    let LogDestination::File(path) = destination else { return false };
    is_under(path, made)
}

/// The same of any file.
fn is_under(path: &Path, made: &[PathBuf]) -> bool {
    let folder = path.parent().and_then(|folder| Outlook::of(folder).ok());
    let missing = folder.filter(|folder| folder.found().is_none()).map(|folder| folder.path());
    missing.is_some_and(|missing| made.iter().any(|made| made.starts_with(&missing)))
}

/// What is read again by a reload and opened anew by a rotation, when root has been given up.
fn look_as(
    account: &Account,
    name: &str,
    configuration: &Configuration,
    path: &Path,
    findings: &mut Findings,
) {
    let mut unreadable = |what: &str, file: &Path| {
        if account.may(file, 4) == Some(false) {
            let file = file.display();
            findings.warnings.push(format!(
                "{what}: user {name:?} cannot read {file}, so that every reload would be refused"
            ));
        }
    };
    unreadable("configuration", path);
    for file in config::files(path).iter().filter(|file| *file != path) {
        unreadable("configuration", file);
    }
    for file in configuration.shield.iter().flat_map(|shield| &shield.files) {
        unreadable("shield", file);
    }
    if let Some(api) = &configuration.control_api {
        unreadable("control_api", &api.access_keys_file);
    }
    let mut authorities: Vec<&Authorities> = Vec::new();
    for tls in configuration.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        for certificate in tls.certificates.iter().chain([&tls.default_certificate]) {
            for file in [&certificate.certificate_file, &certificate.private_key_file] {
                unreadable(&format!("certificate {}", certificate.name), file);
            }
        }
        if let Some(MutualAuthentication::Verify { trust_store, .. }) = &tls.mutual_authentication {
            authorities.push(&trust_store.authorities);
            for list in &trust_store.revocations {
                unreadable(&format!("trust store {}", trust_store.name), &list.file);
            }
        }
    }
    authorities.extend(
        configuration.target_groups.iter().filter_map(|group| group.tls.as_ref()?.authorities.as_ref()),
    );
    for authority in authorities {
        unreadable("authorities", &authority.file);
    }
    for (group, file) in discovery::files(configuration) {
        if account.may(file, 4) == Some(false) {
            let file = file.display();
            findings.warnings.push(format!(
                "target group {group:?}: user {name:?} cannot read {file}, so that its source would fail"
            ));
        }
    }
    for folder in shut_folders(account, &configuration.balancer) {
        let (key, folder) = (configuration.balancer.key_path(), folder.display());
        findings.warnings.push(format!(
            "key file {}: user {name:?} cannot enter {folder}, so that every reload would be refused",
            key.display()
        ));
    }
    for destination in log_files::destinations(configuration) {
        let LogDestination::File(log) = destination else { continue };
        // What is no file is not moved away.
        if fs::metadata(log).is_ok_and(|found| !found.is_file()) {
            continue;
        }
        let folder = log.parent().unwrap_or(log);
        if account.may(folder, 3) == Some(false) {
            let folder = folder.display();
            findings.warnings.push(format!(
                "log {}: user {name:?} cannot make a file in {folder}, so that it could not be opened anew once it is moved away",
                log.display()
            ));
        }
    }
    findings.warnings.dedup();
}

/// Folders on the way to the key file that the user cannot enter. The file is given to the user at a start, and so are the
/// balancer's own folder and one that is made; those above these are not.
fn shut_folders(account: &Account, settings: &BalancerSettings) -> Vec<PathBuf> {
    let key = settings.key_path();
    // A link of root's leads elsewhere.
    let file = fs::canonicalize(&key).ok();
    let own = fs::canonicalize(&settings.state_dir).ok();
    let is_given = |folder: &Path| {
        key.parent() == Some(&settings.state_dir) && fs::canonicalize(folder).is_ok_and(|it| Some(it) == own)
    };
    let is_there = |folder: &&Path| folder.is_dir() && !is_given(folder);
    let nearest = |path: &Path| path.ancestors().skip(1).find(is_there).map(Path::to_owned);
    let mut folders: Vec<PathBuf> =
        [Some(key.as_path()), file.as_deref()].into_iter().flatten().filter_map(nearest).collect();
    folders.dedup();
    folders.retain(|folder| account.may(folder, 1) == Some(false));
    folders
}
