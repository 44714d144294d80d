//! ModuleCalls of modules that are read: what stands in the place of `module.NAME` and the steps behind it. Must not know: how modules
//! are read, or how many one is.

use std::collections::HashMap;

use super::{
    bindings::OUTPUT,
    raw::{Computed, PathStep, RawExpression, RawValue},
    source::Position,
};

/// What the value of a variable is called that who calls the module gives.
pub(super) const ARGUMENT: &str = " argument";

/// The calls of modules that are read, by name, within a module by the name that it has there.
pub(super) type ModuleCalls = HashMap<String, ModuleCall>;

/// What a call makes, and under which names.
#[derive(Debug)]
pub(super) struct ModuleCall {
    pub(super) position: Position,
    /// The key of each, empty where it is one, and what its names begin with.
    pub(super) instances: Vec<(String, String)>,
    pub(super) is_keyed: bool,
    pub(super) outputs: Vec<String>,
}

impl ModuleCall {
    /// What stands in the place of `module.NAME` and the steps behind it.
    pub(super) fn outputs(&self, steps: &[PathStep]) -> RawExpression {
        let rest = |base: RawExpression, steps: &[PathStep]| match steps {
            [] => base,
            steps => RawExpression::Computed(Box::new(Computed::Steps(base, steps.to_vec()))),
        };
        match (self.instances.as_slice(), steps) {
            ([(key, prefix)], [PathStep::Attribute(name), after @ ..]) if key.is_empty() => {
                output(prefix, name, after)
            }
            ([(key, prefix)], after) if key.is_empty() => rest(self.all_of(prefix), after),
            (_, [PathStep::Index(index), PathStep::Attribute(name), after @ ..]) => {
                match self.instances.iter().find(|(key, _)| is_index(index, key)) {
                    Some((_, prefix)) => output(prefix, name, after),
                    None => {
                        let each = self.each(|prefix| output(prefix, name, &[]));
                        rest(
                            each,
                            &[PathStep::Index(index.clone())]
                                .into_iter()
                                .chain(after.iter().cloned())
                                .collect::<Vec<_>>(),
                        )
                    }
                }
            }
            (_, [splat, PathStep::Attribute(name), after @ ..]) if is_splat(splat) => {
                let each = self.each(|prefix| output(prefix, name, &[]));
                match after {
                    [] => each,
                    after => rest(
                        each,
                        &std::iter::once(splat.clone()).chain(after.iter().cloned()).collect::<Vec<_>>(),
                    ),
                }
            }
            (_, after) => rest(self.each(|prefix| self.all_of(prefix)), after),
        }
    }

    /// A list of what there is of each, or a map.
    fn each(&self, of: impl Fn(&str) -> RawExpression) -> RawExpression {
        let value = |prefix: &str| RawValue { position: self.position, expression: of(prefix) };
        if self.is_keyed {
            let plain = |key: &str| key.trim_start_matches("[\"").trim_end_matches("\"]").to_owned();
            let members = self.instances.iter();
            RawExpression::Object(
                members.map(|(key, prefix)| (RawExpression::Text(plain(key)), value(prefix))).collect(),
            )
        } else {
            RawExpression::List(self.instances.iter().map(|(_, prefix)| value(prefix)).collect())
        }
    }

    fn all_of(&self, prefix: &str) -> RawExpression {
        let member = |name: &String| {
            let value = RawValue { position: self.position, expression: output(prefix, name, &[]) };
            (RawExpression::Text(name.clone()), value)
        };
        RawExpression::Object(self.outputs.iter().map(member).collect())
    }
}

fn output(prefix: &str, name: &str, after: &[PathStep]) -> RawExpression {
    let name = format!("{prefix}.{name}");
    let steps = std::iter::once(PathStep::Attribute(name.clone())).chain(after.iter().cloned());
    RawExpression::Path(vec![OUTPUT.to_owned(), name], steps.collect())
}

fn is_splat(step: &PathStep) -> bool {
    matches!(step, PathStep::AttributeSplat | PathStep::FullSplat)
}

/// Whether an index as it is written is that of an instance: `[0]`, `["blue"]`.
fn is_index(index: &RawExpression, key: &str) -> bool {
    match index {
        RawExpression::Text(text) => key == format!("[\"{text}\"]"),
        RawExpression::Number(number) => key == format!("[{number}]"),
        _ => false,
    }
}
