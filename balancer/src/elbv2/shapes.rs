//! What parameters may be, whatever they mean: which are needed, how long, within what, one of which. ShapeFaults are told in
//! the words of AWS' own checks: `1 validation error detected: Value '…' at '…' failed to satisfy constraint: …`.

pub(super) mod inputs;
mod member;
mod pattern;
mod structures;

use super::{
    call::shown,
    failure::ApiFailure,
    params::{self, Params},
};

use self::pattern::ParameterPattern;

/// Most faults that are told of one call.
const TOLD: usize = 10;
/// Choices that a value is one of.
type Choices = &'static [&'static str];

/// What the value of a parameter may be.
#[derive(Clone, Copy)]
pub(super) enum ParameterShape {
    /// Text without control characters.
    Text { least: usize, most: usize, pattern: Option<ParameterPattern> },
    /// Text of lines.
    Lines { most: usize },
    /// One of these.
    Choice(Choices),
    /// A whole number.
    Whole { least: i64, most: i64 },
    /// `true` or `false`.
    Truth,
    /// A list.
    List { of: &'static Self, most: usize },
    /// Names and values, which nothing here looks at.
    Map,
    /// A structure.
    Structure(&'static [InputParameter]),
}

/// A member of a structure.
#[derive(Clone, Copy)]
pub(super) struct InputParameter {
    name: &'static str,
    is_needed: bool,
    shape: ParameterShape,
}

impl InputParameter {
    /// Whether it has to be there.
    #[cfg(test)]
    pub(super) const fn is_needed(&self) -> bool {
        self.is_needed
    }
}

/// Whether parameters are what an operation takes. What it does not know it passes over, as AWS does.
///
/// # Errors
/// A parameter is missing or may not be what it is.
pub(super) fn check(input: &[InputParameter], params: &Params) -> Result<(), ApiFailure> {
    let mut faults = ShapeFaults::default();
    check_members(input, params, "", &mut faults);
    if let Some(message) = faults.malformed {
        return Err(ApiFailure::new("MalformedInput", message));
    }
    if faults.count == 0 {
        return Ok(());
    }
    let errors = if faults.count == 1 { "validation error" } else { "validation errors" };
    let message = format!("{} {errors} detected: {}", faults.count, faults.told.join("; "));
    Err(ApiFailure::validation(message))
}

#[derive(Default)]
struct ShapeFaults {
    /// The first thing that cannot be read at all.
    malformed: Option<String>,
    count: usize,
    told: Vec<String>,
}

impl ShapeFaults {
    fn add(&mut self, value: &str, path: &str, constraint: impl FnOnce() -> String) {
        self.count += 1;
        if self.told.len() < TOLD {
            let constraint = constraint();
            let value = shown(value);
            self.told.push(format!(
                "Value '{value}' at '{path}' failed to satisfy constraint: Member must {constraint}"
            ));
        }
    }

    fn add_missing(&mut self, path: &str) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(format!(
                "Value null at '{path}' failed to satisfy constraint: Member must not be null"
            ));
        }
    }

    fn malformed(&mut self, message: impl FnOnce() -> String) {
        if self.malformed.is_none() {
            self.malformed = Some(message());
        }
    }
}

fn check_members(members: &[InputParameter], params: &Params, path: &str, faults: &mut ShapeFaults) {
    for member in members {
        let path = format!("{path}{}", camel(member.name));
        if params.has(member.name) {
            check_value(member, params, &path, faults);
        } else if member.is_needed {
            faults.add_missing(&path);
        }
    }
}

fn check_value(member: &InputParameter, params: &Params, path: &str, faults: &mut ShapeFaults) {
    let name = member.name;
    match member.shape {
        ParameterShape::List { of, most } => {
            if params.text(name).is_some() {
                return faults.malformed(|| format!("{path} is a list; a value was found in its place"));
            }
            let Ok(list) = params.strict_list(name) else {
                return faults.malformed(|| {
                    format!("{path} is a list; its members are {name}.member.1, {name}.member.2, …")
                });
            };
            if list.is_empty() && member.is_needed {
                return faults.add_missing(path);
            }
            if list.len() > most {
                faults.add("[…]", path, || format!("have length less than or equal to {most}"));
            }
            for (number, item) in &list {
                let item_member = InputParameter { name: "", is_needed: true, shape: *of };
                check_item(&item_member, item, &format!("{path}.{number}.member"), faults);
            }
        }
        ParameterShape::Structure(members) => {
            if params.text(name).is_some() {
                return faults.malformed(|| format!("{path} is a structure; a value was found in its place"));
            }
            check_members(members, &params.part(name), &format!("{path}."), faults);
        }
        ParameterShape::Map => {}
        shape => {
            if !params.part(name).is_empty() {
                return faults.malformed(|| {
                    format!("Start of structure or map found where not expected: {path} is a single value")
                });
            }
            check_plain(shape, params.given(name).unwrap_or_default(), member.is_needed, path, faults);
        }
    }
}

/// A member of a list: a plain one is under the empty name.
fn check_item(member: &InputParameter, item: &Params, path: &str, faults: &mut ShapeFaults) {
    match member.shape {
        ParameterShape::Structure(members) => {
            if item.text("").is_some() {
                return faults.malformed(|| format!("{path} is a structure; a value was found in its place"));
            }
            check_members(members, item, &format!("{path}."), faults);
        }
        shape => match item.given("").filter(|_| item.names().count() == 1) {
            Some(value) => check_plain(shape, value, !is_any_text(shape), path, faults),
            None => faults.malformed(|| {
                format!("Start of structure or map found where not expected: {path} is a single value")
            }),
        },
    }
}

/// Whether an empty text is for the operation to judge.
fn is_any_text(shape: ParameterShape) -> bool {
    matches!(shape, ParameterShape::Text { least: 0, .. })
}

fn check_plain(shape: ParameterShape, value: &str, is_needed: bool, path: &str, faults: &mut ShapeFaults) {
    match shape {
        ParameterShape::Text { least, most, pattern } => {
            let length = value.chars().count();
            // What is left out comes empty, too.
            if value.is_empty() && !is_needed {
            } else if length < least.max(usize::from(is_needed)) {
                let least = least.max(1);
                faults.add(value, path, || format!("have length greater than or equal to {least}"));
            } else if length > most {
                faults.add(value, path, || format!("have length less than or equal to {most}"));
            } else if value.chars().any(char::is_control) {
                faults.add(value, path, || "have no control characters".to_owned());
            } else if let Some(pattern) = pattern.filter(|pattern| !pattern.fits(value)) {
                faults.add(value, path, || format!("satisfy regular expression pattern: {}", pattern.text()));
            }
        }
        ParameterShape::Lines { most } => {
            let is_control =
                |character: char| character.is_control() && !matches!(character, '\t' | '\r' | '\n');
            if value.chars().count() > most {
                faults.add(value, path, || format!("have length less than or equal to {most}"));
            } else if value.chars().any(is_control) {
                faults
                    .add(value, path, || "have no control characters but tabs and ends of lines".to_owned());
            }
        }
        _ if value.is_empty() && !is_needed => {}
        _ if value.is_empty() => faults.add_missing(path),
        ParameterShape::Choice(words) => {
            if !words.contains(&value) {
                faults.add(value, path, || format!("satisfy enum value set: [{}]", words.join(", ")));
            }
        }
        ParameterShape::Whole { least, most } => match params::whole(value) {
            None => faults.malformed(|| format!("'{}' at {path} is not a whole number", shown(value))),
            Some(number) if number < least => {
                faults.add(value, path, || format!("have value greater than or equal to {least}"));
            }
            Some(number) if number > most => {
                faults.add(value, path, || format!("have value less than or equal to {most}"));
            }
            Some(_) => {}
        },
        ParameterShape::Truth => {
            if params::truth(value).is_none() {
                faults.malformed(|| format!("'{}' at {path} is neither 'true' nor 'false'", shown(value)));
            }
        }
        ParameterShape::List { .. } | ParameterShape::Map | ParameterShape::Structure(_) => {}
    }
}

/// `LoadBalancerArn` as AWS' checks have it: `loadBalancerArn`.
fn camel(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}
