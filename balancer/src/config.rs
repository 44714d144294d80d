//! Configuration: HCL text → raw blocks with positions → the validated [`Configuration`].
//!
//! Owns the language: block and attribute names, ranges, defaults, references, and every message about
//! what a user wrote. All faults of all files are found in one go, each with file, line and column.
//! Must not know: sockets, the kernel, what is running; it reads files, and of the environment what Terraform takes from it.

mod action;
mod advice;
mod attachment;
mod balancer;
mod bindings;
mod blocks;
mod calls;
mod certificate;
mod condition;
mod control_api;
mod conversion;
mod decimal;
mod documents;
mod elsewhere;
mod error;
mod eval;
mod exclusions;
mod expand;
mod fault;
mod fields;
mod foreign;
mod given;
mod health_check;
mod import;
mod instances;
mod inventory;
mod json;
mod json_blocks;
mod kinds;
mod left_out;
mod listener;
mod listener_rule;
mod listener_table;
mod listener_tls;
mod load_balancer;
mod manual;
mod modules;
mod mutual_authentication;
mod names;
mod old_blocks;
mod optional;
mod overrides;
mod own_places;
mod raw;
mod redirect;
mod response_fields;
mod roles;
mod schema;
mod scope;
mod session_store;
mod shield;
mod source;
mod stickiness;
mod suggest;
mod syntax;
mod target_address;
mod target_group;
mod target_source;
mod target_tls;
mod texts;
mod transform;
mod trust_store;
mod value;
mod variables;
mod warnings;

use std::path::{Path, PathBuf};

pub use self::{
    advice::{Advice, advice},
    condition::{MAX_VALUES, MAX_WILDCARDS, condition_value},
    documents::{Document, MAX_DOCUMENTS, document_texts, is_document, load_documents, read_documents},
    error::{ConfigError, ConfigErrors},
    given::{GivenVariables, give_variables},
    import::{ImportFrom, Imported, import},
    manual::manual,
    mutual_authentication::is_tls_field_name,
    redirect::is_redirect_part,
    response_fields::is_response_field,
    source::API_DOCUMENT,
    target_address::parse as parse_target,
    texts::{ConfigTexts, load},
    warnings::warnings,
};
use self::{
    blocks::Blocks,
    certificate::{CERTIFICATE, MAX_CERTIFICATES},
    fault::Faults,
    fields::BlockContext,
    listener_tls::Certificates,
    load_balancer::{LOAD_BALANCER, MAX_LOAD_BALANCERS},
    mutual_authentication::TrustStores,
    names::Names,
    own_places::OwnPlaces,
    raw::RawBody,
    roles::{Role, Syntax},
    scope::Scope,
    source::SourceFile,
    target_group::{MAX_GROUPS, TARGET_GROUP},
    trust_store::{MAX_TRUST_STORES, TRUST_STORE},
};
use crate::model::Configuration;

/// Adds the values of variables that the command line and the environment give.
fn add_given(
    files: &mut Vec<(PathBuf, String)>,
    roles: &mut Vec<(Role, Syntax)>,
    errors: &mut Vec<ConfigError>,
) {
    for given in given::of_environment() {
        roles.push((Role::Given(given.giver), Syntax::Hcl));
        files.push((given.path(), given.text));
    }
    for said in given::of_command_line() {
        let file = match said {
            GivenVariables::Value(value) => {
                let given = given::Given::written(&value);
                roles.push((Role::Given(given.giver), Syntax::Hcl));
                files.push((given.path(), given.text));
                continue;
            }
            GivenVariables::File(file) => file,
        };
        match source::read_file(&file) {
            Ok(text) => {
                let is_json = file.extension().is_some_and(|extension| extension == "json");
                let syntax = if is_json { Syntax::Json } else { Syntax::Hcl };
                roles.push((Role::Variables { rank: given::RANK_OF_COMMAND_LINE }, syntax));
                files.push((file, text));
            }
            Err(error) => errors.push(error),
        }
    }
}

/// The files that [`load`] reads at `path`; none where it cannot be looked at.
#[must_use]
pub fn files(path: &Path) -> Vec<PathBuf> {
    let mut files = source::files(path);
    if path.is_dir() {
        files.extend(modules::files(&files));
    }
    files
}

/// Validates the given files as one configuration. Reads nothing but the certificates and lists they name, and the
/// number of cores that `workers` defaults to.
///
/// # Errors
/// Every fault found, sorted by file and line.
pub fn parse(files: &[(PathBuf, String)]) -> Result<Configuration, ConfigErrors> {
    examine(files, roles::given(files), false)
}

/// `partial`: some files are missing from `files`, so that unresolved references are no faults.
fn examine(
    files: &[(PathBuf, String)],
    roles: Vec<(Role, Syntax)>,
    partial: bool,
) -> Result<Configuration, ConfigErrors> {
    let is_module = |role: &(Role, Syntax)| matches!(role.0, Role::Module { .. });
    let root =
        files.iter().zip(&roles).find(|(_, role)| !is_module(role)).and_then(|((path, _), _)| path.parent());
    let sources: Vec<SourceFile> = files
        .iter()
        .zip(&roles)
        .map(|((path, text), role)| SourceFile::new(path, text).based_at(root.filter(|_| is_module(role))))
        .collect();
    let faults = Faults::new(&sources, partial);
    let mut bodies: Vec<RawBody> = Vec::new();
    let (mut overrides, mut values, mut given, mut modules) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (file, (source, (role, syntax))) in sources.iter().zip(roles).enumerate() {
        if let Role::Given(giver) = role {
            given.push((file, given::Given::of_file(giver, source.path(), source.text())));
            continue;
        }
        let body = match (syntax, role) {
            (Syntax::Hcl, _) => syntax::parse(file, source.text(), &faults),
            (Syntax::Json, Role::Variables { .. }) => json_blocks::parse_values(file, source.text(), &faults),
            (Syntax::Json, _) => json_blocks::parse(file, source.text(), &faults),
        };
        match role {
            Role::Variables { rank } => values.push((rank, file, body)),
            Role::Override => overrides.push(body),
            Role::Module { is_override } => modules.push((source.path().to_owned(), is_override, body)),
            _ => bodies.push(body),
        }
    }
    overrides::put_over(&mut bodies, overrides, &faults);
    values
        .extend(given.iter().map(|(file, given)| (given.rank(), *file, given.body(*file, &bodies, &faults))));
    let values = variables::sorted(values, &faults);
    let (bodies, calls) =
        modules::put_in(bodies, &modules::by_folder(modules, root, &faults), &values, &faults);
    let mut scope = Scope::collect(&bodies, &calls, &faults);
    variables::assign_all(&mut scope, &values, &faults);
    scope.fill_in();
    let context = BlockContext { faults: &faults, scope: &scope };
    foreign::note_all(&context, &bodies);
    let mut expanded = expand::expand(&bodies, &scope, &faults);
    left_out::leave_out(&context, &mut expanded);
    let blocks = Blocks::sort(&expanded, &faults);
    blocks.demand_something(&context, &bodies);

    let groups = Names::collect(&context, &TARGET_GROUP, &blocks.target_groups, MAX_GROUPS);
    let balancers = Names::collect(&context, &LOAD_BALANCER, &blocks.load_balancers, MAX_LOAD_BALANCERS);

    let settings = balancer::build(&context, &blocks.balancer);
    let own_places =
        OwnPlaces::of(&settings.settings).with_files(files.iter().map(|(path, _)| path.as_path()));
    let shield = shield::build(&context, &blocks.shield);
    let session_store = session_store::build(&context, &blocks.session_store);
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
    // Once all files that are named are known.
    let own_places = own_places.with_named_files(&faults.named_files());
    let mut load_balancers = load_balancer::build_all(&context, &balancers, &own_places);
    let forwarded = action::Groups {
        names: &groups,
        sticky: drafts.iter().map(target_group::GroupDraft::is_sticky).collect(),
    };
    let mut listeners =
        listener::build_all(&context, &blocks.listeners, &forwarded, &balancers, &certificates, &settings);
    load_balancer::add_elsewhere(&context, &own_places, &listeners, &mut load_balancers);
    listener_rule::build_all(&context, &blocks.rules, &forwarded, &blocks.listeners, &mut listeners);

    let known = control_api::ApiReferences {
        certificates: certificates.names,
        built: &certificates.built,
        trust_stores: &certificates.trust_stores,
        settings: &settings,
        own: &own_places,
        load_balancers: &load_balancers,
    };
    let control_api = control_api::build(&context, &blocks.control_api, &known, &listeners);
    let inventory = inventory::build(&context, &blocks, &balancers, &groups, &certificates);

    load_balancer::note_unguarded(&context, &balancers, &listeners);

    let configuration = Configuration {
        balancer: settings.settings,
        shield,
        session_store,
        control_api,
        load_balancers,
        listeners,
        target_groups: drafts.into_iter().map(|draft| draft.into_group(&context)).collect(),
        inventory,
        remarks: Vec::new(),
    };
    faults.into_result(configuration)
}
