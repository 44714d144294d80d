//! Templates that are filled in with names of their own: `templatefile`, `templatestring`, and `rendered` of the data source
//! `template_file`, which old folders have in their place. Must not know: where a text comes from.

use std::{collections::BTreeMap, rc::Rc};

use super::{Evaluated, Evaluator, convert};
use crate::config::{
    bindings::{Env, Members, Val},
    raw::{self, RawBlock, RawExpression},
    scope::Unknown,
    value::shown,
};

/// The names that templates are given are names.
const MAX_NAMES: usize = 1000;
/// The data source of Terraform's provider `template`.
pub(super) const OLD_TEMPLATE: &str = "template_file";

impl Evaluator<'_, '_> {
    /// `templatefile`: a file, and what the names in it stand for.
    pub(super) fn template_file(&self, arguments: &[RawExpression], env: &Env) -> Evaluated {
        const NAME: &str = "templatefile";
        let [path, names] = arguments else {
            let wrong = format!("`{NAME}` has {} arguments; allowed: 2 of them", arguments.len());
            return Err(Unknown::Wrong(wrong));
        };
        let path = match self.path_of(NAME, path, env)? {
            Ok(path) => path,
            Err(unknown) => return Ok(unknown),
        };
        let names = match self.template_names(NAME, names, env)? {
            Ok(names) => names,
            Err(unknown) => return Ok(unknown),
        };
        let text = self.text_of(NAME, &path, self.read(NAME, &path)?)?;
        self.filled(&shown(&path.to_string_lossy()), &text, &names)
    }

    /// `templatestring`: the same of a text, which has to stand elsewhere.
    pub(super) fn template_string(&self, arguments: &[RawExpression], env: &Env) -> Evaluated {
        const NAME: &str = "templatestring";
        let [template, names] = arguments else {
            let wrong = format!("`{NAME}` has {} arguments; allowed: 2 of them", arguments.len());
            return Err(Unknown::Wrong(wrong));
        };
        let RawExpression::Path(..) = template else {
            let wrong = format!(
                "`{NAME}` is given a template as it stands; allowed: a reference to one, such as local.x"
            );
            return Err(Unknown::Wrong(wrong));
        };
        let text = self.value(template, env)?;
        let names = match self.template_names(NAME, names, env)? {
            Ok(names) => names,
            Err(unknown) => return Ok(unknown),
        };
        match &text {
            Val::Text(text) => self.filled(&format!("what `{NAME}` is given"), text, &names),
            unknown if unknown.unknown().is_some() => Ok(Val::Unknown(unknown.unknown().unwrap_or_default())),
            other => Err(Unknown::Wrong(format!("`{NAME}` is given {}; allowed: a text", other.kind()))),
        }
    }

    /// `data.template_file.NAME.rendered`: its `template`, in which its `vars` stand. Nothing where the block has none.
    pub(super) fn rendered(&self, block: &RawBlock, env: &Env) -> Option<Evaluated> {
        let attribute = |name: &str| block.body.attributes.iter().find(|attribute| attribute.name == name);
        let template = attribute("template")?;
        // As a block it was written before Terraform 0.12.
        let old = block.body.blocks.iter().find(|inner| inner.kind == "vars");
        let pairs: Vec<_> = old.map(|vars| vars.body.attributes.iter()).into_iter().flatten().collect();
        let made = || {
            let text = match self.value(&template.value.expression, env)? {
                Val::Text(text) => text,
                other => return Ok(Val::Unknown(other.unknown().unwrap_or_else(|| OLD_TEMPLATE.into()))),
            };
            let mut names = match attribute("vars") {
                Some(vars) => match self.template_names("vars", &vars.value.expression, env)? {
                    Ok(names) => BTreeMap::clone(&names),
                    Err(unknown) => return Ok(unknown),
                },
                None => BTreeMap::new(),
            };
            for pair in pairs {
                names.insert(pair.name.clone(), self.value(&pair.value.expression, env)?);
            }
            // They are texts.
            for value in names.values_mut() {
                *value = super::said(convert::to_text(value))?;
            }
            self.filled(&format!("`template` of {OLD_TEMPLATE}"), &text, &names)
        };
        Some(made())
    }

    fn template_names(
        &self,
        name: &str,
        names: &RawExpression,
        env: &Env,
    ) -> Result<Result<Rc<Members>, Val>, Unknown> {
        match self.value(names, env)? {
            Val::Object(members) if members.len() <= MAX_NAMES => Ok(Ok(members)),
            unknown if unknown.unknown().is_some() => {
                Ok(Err(Val::Unknown(unknown.unknown().unwrap_or_default())))
            }
            other => {
                Err(Unknown::Wrong(format!("`{name}` is given {}; allowed: a map of names", other.kind())))
            }
        }
    }

    /// A template with its names in it; nothing but these is known there.
    fn filled(&self, what: &str, text: &str, names: &BTreeMap<String, Val>) -> Evaluated {
        let template = raw::convert::file_template(text, self.position).map_err(|wrong| {
            Unknown::Wrong(format!(
                "{what} is no template: {}; allowed: text with ${{…}} and %{{…}}",
                shown(wrong.lines().next().unwrap_or_default())
            ))
        })?;
        let inner = names.iter().fold(Env::closed(), |inner, (name, value)| inner.with(name, value.clone()));
        self.value(&template, &inner)
    }
}
