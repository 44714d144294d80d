//! What a start would ask of this system and not get, found without starting anything: the user, the key file, folders
//! and logs. And what it would get and a reload, as that user, would not.
//! Must not know: how any of it is opened or made.

use std::{collections::BTreeSet, fs, io, os::unix::fs::FileTypeExt as _, path::Path};

use rustix::{
    fs::{Access, access},
    process::geteuid,
};

use super::privileges::Account;
use crate::{
    model::{Authorities, Configuration, LogDestination, MutualAuthentication},
    safe_file::Owner,
    stickiness::Keyring,
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
    if configuration.listeners.is_empty() {
        // Parts of a configuration can be checked, too.
        findings.warnings.push("a start, or a reload, is refused without a listener".to_owned());
    }
    look_at_keys(&settings.key_path(), owner, &mut findings);
    look_at_folder("runtime_dir", &settings.runtime_dir, &mut findings);
    for destination in logs(configuration) {
        look_at_log(&destination, &mut findings);
    }
    if let (Some(account), Some(name)) = (account, settings.user.as_deref()) {
        look_as(&account, name, configuration, path, &mut findings);
    }
    findings
}

impl Findings {
    /// Notes what the system refuses. Another user than root is told as a warning: a service starts as root.
    fn note(&mut self, line: String) {
        if geteuid().is_root() {
            self.refused.push(line);
        } else {
            self.warnings.push(format!("{line} (as the user that checks)"));
        }
    }
}

fn look_at_keys(path: &Path, owner: Option<Owner>, findings: &mut Findings) {
    if !geteuid().is_root()
        && let Err(error) = access(path, Access::READ_OK)
        && error == rustix::io::Errno::ACCESS
    {
        findings.note(format!("key file {}: permission denied", path.display()));
        return;
    }
    match Keyring::load(path) {
        Ok(Some(_)) => {}
        Ok(None) => match Keyring::could_be_made(path, owner) {
            Err(error) => findings.note(error.to_string()),
            Ok(()) => look_at_folder("the folder of the key file", path.parent().unwrap_or(path), findings),
        },
        Err(error) => findings.refused.push(error.to_string()),
    }
}

/// A folder that is there can be written; one that is not can be made.
fn look_at_folder(what: &str, path: &Path, findings: &mut Findings) {
    // What does not exist, or lies beneath a file, has an ancestor that does.
    let Some(nearest) = path.ancestors().find(|folder| fs::symlink_metadata(folder).is_ok()) else { return };
    match fs::metadata(nearest) {
        Ok(found) if !found.is_dir() => {
            findings.refused.push(format!("{what} {}: {} is no folder", path.display(), nearest.display()));
        }
        Ok(_) => {
            if let Err(error) = access(nearest, Access::WRITE_OK | Access::EXEC_OK) {
                let error = io::Error::from(error);
                findings.note(format!(
                    "{what} {}: {} cannot be written: {error}",
                    path.display(),
                    nearest.display()
                ));
            }
        }
        Err(error) => findings.note(format!("{what} {}: {}: {error}", path.display(), nearest.display())),
    }
}

fn logs(configuration: &Configuration) -> BTreeSet<LogDestination> {
    let balancers = configuration.load_balancers.iter();
    let outputs =
        balancers.flat_map(|balancer| balancer.access_logs.iter().chain(&balancer.health_check_logs));
    outputs.map(|output| output.destination.clone()).collect()
}

fn look_at_log(destination: &LogDestination, findings: &mut Findings) {
    let LogDestination::File(path) = destination else { return };
    let wrong = |why: &dyn std::fmt::Display| format!("cannot write a log to {}: {why}", path.display());
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => findings.refused.push(wrong(&"it is a folder")),
        Ok(found) => {
            if let Err(error) = access(path, Access::WRITE_OK) {
                findings.note(wrong(&io::Error::from(error)));
            } else if found.file_type().is_fifo() {
                // To open and close it would tell its reader that the log has ended.
                let path = path.display();
                findings
                    .warnings
                    .push(format!("log {path}: a named pipe, which somebody has to read before the start"));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(path);
            if !folder.is_dir() {
                findings.refused.push(wrong(&format!("there is no folder {}", folder.display())));
            } else if let Err(error) = access(folder, Access::WRITE_OK | Access::EXEC_OK) {
                findings.note(wrong(&format!("{}: {}", folder.display(), io::Error::from(error))));
            }
        }
        Err(error) => findings.note(wrong(&error)),
    }
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
    for destination in logs(configuration) {
        let LogDestination::File(log) = destination else { continue };
        let folder = log.parent().unwrap_or(&log);
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
