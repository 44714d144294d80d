//! Modules of Terraform's whose folders are beside: read along with the folder that calls them, and put into it, so that all is one
//! configuration, each under the name that Terraform gives it. Must not know: what any block of ours means.

mod installed;
mod reading;
mod rewrite;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
};

pub(super) use self::reading::{files, read};
use self::{
    installed::{InstalledModules, cleaned},
    rewrite::Naming,
};
use super::{
    bindings::{Env, path_text},
    calls::{ARGUMENT, ModuleCall, ModuleCalls},
    eval,
    expand::unknown_number,
    fault::Faults,
    instances::{self, Instances},
    kinds::is_ours,
    overrides,
    raw::{RawAttribute, RawBlock, RawBody},
    scope::Scope,
    variables,
};

/// Deepest that modules may call each other.
const MAX_DEPTH: usize = 10;
/// Most modules that there may be, each as often as it is.
const MAX_MODULES: usize = 300;
/// Most blocks of all of them.
const MAX_BLOCKS: usize = 20_000;
/// What a call says beside the variables of the module.
const META: [&str; 6] = ["source", "version", "providers", "depends_on", "count", "for_each"];
/// Blocks of a module that are of the folder that calls it alone, or that say nothing here.
const LEFT_OUT: [&str; 7] = ["terraform", "provider", "moved", "import", "removed", "check", "ephemeral"];

/// The blocks of each module that was read, by its folder.
#[derive(Default)]
pub(super) struct ModuleFolders {
    bodies: HashMap<PathBuf, Vec<RawBody>>,
    installed: InstalledModules,
}

/// The blocks of modules by folder, of what stands in each of their files.
pub(super) fn by_folder(
    files: Vec<(PathBuf, bool, RawBody)>,
    root: Option<&Path>,
    faults: &Faults<'_>,
) -> ModuleFolders {
    if files.is_empty() {
        return ModuleFolders::default();
    }
    let mut folders: BTreeMap<PathBuf, (Vec<RawBody>, Vec<RawBody>)> = BTreeMap::new();
    for (file, is_override, body) in files {
        let folder = cleaned(file.parent().unwrap_or(Path::new("")));
        let (bodies, over) = folders.entry(folder).or_default();
        if is_override { over.push(body) } else { bodies.push(body) }
    }
    let whole = folders.into_iter().map(|(folder, (mut bodies, over))| {
        overrides::put_over(&mut bodies, over, faults);
        (folder, bodies)
    });
    ModuleFolders { bodies: whole.collect(), installed: root.map(InstalledModules::of).unwrap_or_default() }
}

impl ModuleFolders {
    /// The blocks of the module in a folder.
    fn get(&self, folder: &Path) -> Option<&Vec<RawBody>> {
        self.bodies.get(folder)
    }

    /// The folder of the module that a block of a file calls, where it was read.
    fn called(&self, block: &RawBlock, file: &Path) -> Option<PathBuf> {
        let is_call = block.kind == "module" && block.labels.len() == 1;
        let folder = is_call.then(|| self.installed.folder_of(block, file)).flatten();
        folder.filter(|folder| self.bodies.contains_key(folder))
    }
}

/// A call that is not carried out yet.
struct WaitingCall {
    block: RawBlock,
    folder: PathBuf,
    depth: usize,
}

/// How many a module is: the key of each, and what is bound where it is called.
type ModuleInstances = Vec<(String, Env)>;

/// All blocks, those of modules under their names. Calls of modules that were not read stay as they are.
pub(super) fn put_in(
    bodies: Vec<RawBody>,
    folders: &ModuleFolders,
    values: &[RawAttribute],
    faults: &Faults<'_>,
) -> (Vec<RawBody>, ModuleCalls) {
    if folders.bodies.is_empty() {
        return (bodies, HashMap::new());
    }
    let mut whole = Assembly {
        folders,
        faults,
        bodies: Vec::new(),
        calls: HashMap::new(),
        room: ModuleRoom { modules: MAX_MODULES, blocks: MAX_BLOCKS },
    };
    let mut waiting = whole.add(bodies, &Naming { prefix: "", folder: None }, 0);
    // How many a module is may go by what another one gives out.
    loop {
        let counted = whole.count(&waiting, values);
        let before = waiting.len();
        let mut next = Vec::new();
        for (call, instances) in std::mem::take(&mut waiting).into_iter().zip(counted) {
            match instances {
                Ok(instances) => match whole.carry_out(&call, instances) {
                    Some(more) => next.extend(more),
                    None => return (whole.bodies, whole.calls),
                },
                Err(_) => waiting.push(call),
            }
        }
        let is_stuck = waiting.len() == before;
        waiting.extend(next);
        if is_stuck || waiting.is_empty() {
            break;
        }
    }
    whole.leave(waiting, values);
    (whole.bodies, whole.calls)
}

/// What is put together.
struct Assembly<'w, 'a> {
    folders: &'w ModuleFolders,
    faults: &'w Faults<'a>,
    bodies: Vec<RawBody>,
    calls: ModuleCalls,
    room: ModuleRoom,
}

impl Assembly<'_, '_> {
    /// Adds what stands in a module, or in the folder itself, under its names; gives back the calls in it.
    fn add(&mut self, mut bodies: Vec<RawBody>, naming: &Naming<'_>, depth: usize) -> Vec<WaitingCall> {
        let mut calls = Vec::new();
        for body in &mut bodies {
            // While it is known in which file each stands.
            for block in std::mem::take(&mut body.blocks) {
                match self.folders.called(&block, &self.faults.file(block.position)) {
                    Some(folder) => {
                        let mut block = block;
                        rename(&mut block, naming);
                        calls.push(WaitingCall { block, folder, depth });
                    }
                    None => body.blocks.push(block),
                }
            }
            if !naming.prefix.is_empty() {
                body.blocks.retain(|block| !LEFT_OUT.contains(&block.kind.as_str()));
            }
            body.blocks.iter_mut().for_each(|block| rename(block, naming));
        }
        self.bodies.extend(bodies);
        calls
    }

    /// How many each is, as far as that is known by now, and if it is not, why.
    fn count(
        &self,
        waiting: &[WaitingCall],
        values: &[RawAttribute],
    ) -> Vec<Result<ModuleInstances, Option<String>>> {
        let one = || Ok(vec![(String::new(), Env::default())]);
        if waiting.iter().all(|call| instances::repeating(&call.block).is_none()) {
            return waiting.iter().map(|_| one()).collect();
        }
        // What is wrong with them is told when all is there.
        let quiet = self.faults.quiet();
        let mut scope = Scope::collect(&self.bodies, &self.calls, &quiet);
        variables::assign_all(&mut scope, values, &quiet);
        scope.fill_in();
        let count = |call: &WaitingCall| {
            let Some(by) = instances::repeating(&call.block) else { return one() };
            let value = eval::evaluate(&scope, &by.value, &Env::default());
            match value.and_then(|value| instances::of(&by.name, &value)) {
                Ok(Instances::One) => one(),
                Ok(Instances::By(source)) => Err(Some(format!("`{}` {}", by.name, unknown_number(&source)))),
                Ok(several) => Ok(several.all()),
                Err(unknown) => Err(unknown.message().map(|wrong| format!("`{}`: {wrong}", by.name))),
            }
        };
        waiting.iter().map(count).collect()
    }

    /// Puts a module in, as often as it is, and gives back what it calls; nothing where that is too much, which is told.
    fn carry_out(&mut self, call: &WaitingCall, instances: ModuleInstances) -> Option<Vec<WaitingCall>> {
        let WaitingCall { block, folder, depth } = call;
        let module = self.folders.get(folder)?;
        let name = name_of(block);
        // `module.app`, and within another one `module.app.module.inner`.
        let prefix = path_text(&["module".to_owned(), name.clone()]);
        let blocks = module.iter().flat_map(|body| &body.blocks);
        let made = ModuleCall {
            position: block.position,
            instances: instances.iter().map(|(key, _)| (key.clone(), format!("{prefix}{key}"))).collect(),
            is_keyed: instances::repeating(block).is_some_and(|by| by.name == "for_each"),
            outputs: blocks.filter(|block| block.kind == "output").map(name_of).collect(),
        };
        self.calls.insert(name, made);
        let told = makes_ours(folder, self.folders).then_some(self.faults);
        let path = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        let path = path.to_string_lossy().into_owned();
        let mut inner = Vec::new();
        for (key, env) in instances {
            let prefix = format!("{prefix}{key}");
            if *depth >= MAX_DEPTH || !self.room.takes(module) {
                let message = format!(
                    "{prefix}: modules are too many, or call each other too deep; allowed: {MAX_MODULES} of them with \
                     {MAX_BLOCKS} blocks, {MAX_DEPTH} levels"
                );
                self.faults.add(block.position, message);
                self.faults.note_unread_text();
                return None;
            }
            let bodies = given(module, (block, &env), &prefix, told);
            inner.extend(self.add(bodies, &Naming { prefix: &prefix, folder: Some(&path) }, depth + 1));
        }
        Some(inner)
    }

    /// Tells of calls of which it is not known how many they are. Those that make nothing that is done here stay as they are.
    fn leave(&mut self, waiting: Vec<WaitingCall>, values: &[RawAttribute]) {
        let why = self.count(&waiting, values);
        let mut left = RawBody::default();
        for (call, why) in waiting.into_iter().zip(why) {
            if makes_ours(&call.folder, self.folders) {
                let by =
                    instances::repeating(&call.block).map_or(call.block.position, |by| by.value.position);
                if let Err(Some(why)) = why {
                    self.faults.add(by, why);
                }
                self.faults.note_unread_text();
            } else {
                left.blocks.push(call.block);
            }
        }
        self.bodies.push(left);
    }
}

/// What there is still room for.
struct ModuleRoom {
    modules: usize,
    blocks: usize,
}

impl ModuleRoom {
    fn takes(&mut self, module: &[RawBody]) -> bool {
        let blocks: usize = module.iter().map(|body| body.blocks.len()).sum();
        let left = self.modules.checked_sub(1).zip(self.blocks.checked_sub(blocks));
        left.map(|(modules, blocks)| *self = Self { modules, blocks }).is_some()
    }
}

fn name_of(block: &RawBlock) -> String {
    block.labels.first().map(|(name, _)| name.clone()).unwrap_or_default()
}

/// Whether a module, or one that it calls, makes anything that is done here: what is wrong with others matters to nobody here.
fn makes_ours(folder: &Path, folders: &ModuleFolders) -> bool {
    let is_it = |block: &RawBlock| match block.labels.first() {
        Some((kind, _)) if block.kind == "resource" => is_ours(kind),
        _ => false,
    };
    // Each is looked at once, however often it is called.
    let mut seen = HashSet::from([folder.to_owned()]);
    let mut next = vec![folder.to_owned()];
    while let Some(folder) = next.pop() {
        let blocks = || folders.get(&folder).into_iter().flatten().flat_map(|body| &body.blocks);
        if blocks().any(is_it) {
            return true;
        }
        // Whatever the file is called.
        let called = blocks().filter_map(|block| folders.called(block, &folder.join("main.tf")));
        next.extend(called.filter(|inner| seen.insert(inner.clone())));
    }
    false
}

/// Gives a block its name, and what it refers to as well.
fn rename(block: &mut RawBlock, naming: &Naming<'_>) {
    match block.kind.as_str() {
        // Its value is its caller's, and named as that is.
        "variable" => {}
        "locals" => {
            naming.body(&mut block.body, &[]);
            for local in &mut block.body.attributes {
                local.name = naming.of(&local.name);
            }
        }
        _ => naming.body(&mut block.body, &[]),
    }
    let is_named = matches!(block.kind.as_str(), "variable" | "output" | "module" | "resource" | "data");
    if let Some((label, _)) = block.labels.last_mut().filter(|_| is_named) {
        *label = naming.of(label);
    }
}

/// The blocks of a module, its variables with the values that its caller gives them. Names are still those of the module.
fn given(
    module: &[RawBody],
    (call, env): (&RawBlock, &Env),
    prefix: &str,
    told: Option<&Faults<'_>>,
) -> Vec<RawBody> {
    let told = told.filter(|faults| !faults.is_partial());
    let mut bodies = module.to_vec();
    let mut known = HashSet::new();
    let blocks = bodies.iter_mut().flat_map(|body| &mut body.blocks);
    for variable in blocks.filter(|block| block.kind == "variable") {
        let name = name_of(variable);
        let attributes = &mut variable.body.attributes;
        attributes.retain(|attribute| attribute.name != ARGUMENT);
        let is_it = |argument: &&RawAttribute| argument.name == name && !META.contains(&name.as_str());
        if let Some(argument) = call.body.attributes.iter().find(is_it) {
            attributes.push(RawAttribute { name: ARGUMENT.to_owned(), ..argument.clone() });
            variable.env = env.clone();
        } else if let Some(faults) = told
            && !attributes.iter().any(|attribute| attribute.name == "default")
        {
            let message = format!(
                "{prefix} needs `{name}`, a variable of it without a default; allowed: a value for it"
            );
            faults.add(call.position, message);
        }
        known.insert(name);
    }
    for argument in &call.body.attributes {
        let is_known = META.contains(&argument.name.as_str()) || known.contains(&argument.name);
        if let Some(faults) = told.filter(|_| !is_known) {
            let message = format!("{prefix} has no variable `{}`; allowed: variables of it", argument.name);
            faults.add(argument.position, message);
        }
    }
    bodies
}
