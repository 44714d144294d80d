//! `balancer state`: what was made through the ELBv2 API, out of its database and into it, as JSON. Must not know: what is in it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{
    told::{CONFIG, CommandFailure, print},
    variables::VariableArguments,
};
use crate::{
    config,
    control::{cluster::ConfigOrigin, control_api::Beside, privileges::Account},
    elbv2::{StateCopy, Store, StoreError, copy_path},
    model::{Configuration, ControlApiSettings},
    safe_file::Owner,
};

/// Arguments of `balancer state`.
#[derive(Debug, clap::Args)]
pub(super) struct StateArguments {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Debug, clap::Subcommand)]
enum StateCommand {
    /// Print the state as JSON, be the balancer running or not
    Export(PlaceArguments),
    /// Put a state in the place of the one that is there, while no balancer runs
    ///
    /// It is validated together with the configuration first. A database that is damaged is kept beside it, under the same
    /// name with .damaged behind it.
    Import(ImportStateArguments),
}

#[derive(Debug, clap::Args)]
struct PlaceArguments {
    /// Configuration whose `control_api` block says where the database is: a file, or a folder
    #[arg(short, long, value_name = "FILE_OR_DIR", default_value = CONFIG)]
    config: PathBuf,
    #[command(flatten)]
    variables: VariableArguments,
}

#[derive(Debug, clap::Args)]
struct ImportStateArguments {
    /// The state: what `balancer state export` has printed, or the copy that is kept beside the database
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: PlaceArguments,
}

/// Where a database is.
struct StatePlace {
    origin: ConfigOrigin,
    configuration: Configuration,
    settings: ControlApiSettings,
}

/// Runs the command.
pub(super) fn run(arguments: StateArguments) -> Result<(), CommandFailure> {
    match arguments.command {
        StateCommand::Export(place) => export(&find(place)?.settings.state_file),
        StateCommand::Import(ImportStateArguments { file, place }) => import(&file, &find(place)?),
    }
}

fn find(arguments: PlaceArguments) -> Result<StatePlace, CommandFailure> {
    arguments.variables.give();
    let path = arguments.config;
    let configuration =
        config::load(&path).map_err(|errors| CommandFailure::BadConfiguration(errors.to_string()))?;
    let Some(settings) = configuration.control_api.clone() else {
        let path = path.display();
        let why = format!("balancer: {path}: there is no `control_api` block, and so there is no state");
        return Err(CommandFailure::BadConfiguration(why));
    };
    Ok(StatePlace { origin: ConfigOrigin::Files(path), configuration, settings })
}

fn failed(error: StoreError) -> CommandFailure {
    anyhow::Error::new(error).into()
}

fn export(path: &Path) -> Result<(), CommandFailure> {
    let state = Store::look(path).map_err(failed)?;
    let mut text = serde_json::to_string_pretty(&state).context("the state cannot be written as JSON")?;
    text.push('\n');
    Ok(print(&text)?)
}

fn import(file: &Path, place: &StatePlace) -> Result<(), CommandFailure> {
    let state = StateCopy::read(file)
        .map_err(|error| CommandFailure::BadConfiguration(format!("balancer: {error}")))?;
    let wrong = |faults: &[String]| {
        let lines: Vec<String> = faults.iter().map(|fault| format!("{}: {fault}", file.display())).collect();
        CommandFailure::BadConfiguration(lines.join("\n"))
    };
    let faults = state.records.faults();
    if !faults.is_empty() {
        return Err(wrong(&faults));
    }
    let beside = Beside::read(&place.origin, &place.settings)
        .map_err(|errors| CommandFailure::BadConfiguration(errors.to_string()))?;
    beside.with(&state.records).map_err(|faults| wrong(&faults))?;
    let user = place.configuration.balancer.user.as_deref();
    let account = user.map(Account::find).transpose().map_err(anyhow::Error::new)?;
    let owner = account.as_ref().and_then(Account::owner);
    put(&state, &place.settings.state_file, owner)
}

fn put(state: &StateCopy, path: &Path, owner: Option<Owner>) -> Result<(), CommandFailure> {
    let (mut store, _) = match Store::open(path, owner) {
        Err(StoreError::Damaged { .. } | StoreError::Gone { .. }) => {
            Store::begin_anew(path, owner).map_err(failed)?
        }
        opened => opened.map_err(failed)?,
    };
    store.commit(&state.records).map_err(failed)?;
    let copy = StateCopy::new(store.revision(), state.records.clone());
    let kept = copy_path(path);
    copy.keep(&kept, owner).with_context(|| format!("{}: the copy cannot be kept", kept.display()))?;
    Ok(())
}
