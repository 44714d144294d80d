//! Configuration: HCL text → raw blocks with places → the validated [`Configuration`].
//!
//! Owns the language: block and attribute names, ranges, defaults, references, and every message about
//! what a user wrote. All faults of all files are found in one go, each with file, line and column.
//! Must not know: sockets, the kernel, what is running; it reads files and nothing else.

mod action;
mod attachment;
mod balancer;
mod blocks;
mod certificate;
mod condition;
mod exclusions;
mod fault;
mod fields;
mod health_check;
mod listener;
mod listener_rule;
mod listener_tls;
mod load_balancer;
mod manual;
mod mutual_authentication;
mod names;
mod raw;
mod redirect;
mod response_fields;
mod schema;
mod source;
mod stickiness;
mod suggest;
mod syntax;
mod target_address;
mod target_group;
mod target_tls;
mod transform;
mod trust_store;
mod value;
mod warnings;

use std::path::{Path, PathBuf};

use self::{
    blocks::Blocks,
    certificate::{CERTIFICATE, MAX_CERTIFICATES},
    fault::Faults,
    fields::Context,
    listener_tls::Certificates,
    load_balancer::{LOAD_BALANCER, MAX_LOAD_BALANCERS},
    mutual_authentication::TrustStores,
    names::Names,
    source::Source,
    target_group::{MAX_GROUPS, TARGET_GROUP},
    trust_store::{MAX_TRUST_STORES, TRUST_STORE},
    value::Scope,
};
pub use self::{
    fault::{ConfigError, ConfigErrors},
    manual::manual,
    warnings::warnings,
};
use crate::model::Configuration;

/// Reads and validates the configuration at `path`: a file, or a folder whose `*.hcl` and `*.tf` files, sorted
/// by name, make one configuration.
///
/// # Errors
/// Every fault found: a file that cannot be read, text that is no HCL, and whatever the model does not allow.
pub fn load(path: &Path) -> Result<Configuration, ConfigErrors> {
    let (files, unreadable) = source::read(path);
    if unreadable.is_empty() {
        return parse(&files);
    }
    // What could be read is still checked, but a reference may lead into what could not: those are not judged.
    let mut all = unreadable;
    all.extend(examine(&files, true).err().map(|errors| errors.0).unwrap_or_default());
    Err(ConfigErrors::sorted(all))
}

/// Validates the given files as one configuration. Reads nothing but the certificates they name, and the
/// number of cores that `workers` defaults to.
///
/// # Errors
/// Every fault found, sorted by file and line.
pub fn parse(files: &[(PathBuf, String)]) -> Result<Configuration, ConfigErrors> {
    examine(files, false)
}

/// `partial`: some files are missing from `files`, so that unresolved references are no faults.
fn examine(files: &[(PathBuf, String)], partial: bool) -> Result<Configuration, ConfigErrors> {
    let sources: Vec<Source> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
    let faults = Faults::new(&sources, partial);
    let bodies: Vec<raw::RawBody> = sources
        .iter()
        .enumerate()
        .map(|(file, source)| syntax::parse(file, source.text(), &faults))
        .collect();
    let scope = Scope::collect(&bodies);
    let context = Context { faults: &faults, scope: &scope };
    let blocks = Blocks::sort(&bodies, &faults);
    blocks.demand_something(&context);

    let groups = Names::collect(&context, &TARGET_GROUP, &blocks.target_groups, MAX_GROUPS);
    let balancers = Names::collect(&context, &LOAD_BALANCER, &blocks.load_balancers, MAX_LOAD_BALANCERS);

    let settings = balancer::build(&context, &blocks.balancer);
    let load_balancers = load_balancer::build_all(&context, &balancers);
    let mut drafts = target_group::build_all(&context, &groups);
    attachment::add_all(&context, &blocks.attachments, &groups, &mut drafts);
    let certificates = Names::collect(&context, &CERTIFICATE, &blocks.certificates, MAX_CERTIFICATES);
    let built = certificate::build_all(&context, &certificates);
    let trust_stores = Names::collect(&context, &TRUST_STORE, &blocks.trust_stores, MAX_TRUST_STORES);
    let trust_stores = TrustStores {
        built: trust_store::build_all(&context, &trust_stores, &blocks.trust_store_revocations),
        names: &trust_stores,
    };
    let certificates = Certificates::collect(
        &context,
        &certificates,
        built,
        trust_stores,
        &blocks.listener_certificates,
        &blocks.listeners,
    );
    let forwarded = action::Groups {
        names: &groups,
        sticky: drafts.iter().map(target_group::Draft::is_sticky).collect(),
    };
    let mut listeners =
        listener::build_all(&context, &blocks.listeners, &forwarded, &balancers, &certificates, &settings);
    listener_rule::build_all(&context, &blocks.rules, &forwarded, &blocks.listeners, &mut listeners);

    let configuration = Configuration {
        balancer: settings.settings,
        load_balancers,
        listeners,
        target_groups: drafts.into_iter().map(|draft| draft.into_group(&context)).collect(),
    };
    faults.into_result(configuration)
}
