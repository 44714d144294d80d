//! Short words for the tables of parameters.

use super::{InputParameter, ParameterShape, pattern::ParameterPattern};

/// Most characters of a text that nothing else bounds.
pub(super) const LONGEST: usize = 2048;
/// Most members of a list that nothing else bounds.
const MOST_MEMBERS: usize = 10_000;
/// A text.
pub(super) const TEXT: ParameterShape = text(0, LONGEST);
/// A whole number, whose range is the operation's to judge.
pub(super) const NUMBER: ParameterShape = whole(i64::MIN, i64::MAX);

/// A member that has to be there.
pub(super) const fn needed(name: &'static str, shape: ParameterShape) -> InputParameter {
    InputParameter { name, is_needed: true, shape }
}

/// One that may be left out.
pub(super) const fn optional(name: &'static str, shape: ParameterShape) -> InputParameter {
    InputParameter { name, is_needed: false, shape }
}

/// A text of so many characters.
pub(super) const fn text(least: usize, most: usize) -> ParameterShape {
    ParameterShape::Text { least, most, pattern: None }
}

/// A text of so many characters that looks so.
pub(super) const fn pattern(least: usize, most: usize, pattern: ParameterPattern) -> ParameterShape {
    ParameterShape::Text { least, most, pattern: Some(pattern) }
}

/// A whole number within these.
pub(super) const fn whole(least: i64, most: i64) -> ParameterShape {
    ParameterShape::Whole { least, most }
}

/// A list.
pub(super) const fn list(of: &'static ParameterShape) -> ParameterShape {
    list_of(of, MOST_MEMBERS)
}

/// A list of so many members at most.
pub(super) const fn list_of(of: &'static ParameterShape, most: usize) -> ParameterShape {
    ParameterShape::List { of, most }
}
