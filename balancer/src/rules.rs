//! What is done with a request: the rules of its listener in the order of their priorities, then the default
//! action. Made ready when a configuration is taken up. Must not know: targets' states, cookies.

mod condition;
mod path;
mod pattern;
mod probe;
mod table;

pub(crate) use self::pattern::check_regex;
pub use self::table::{Chosen, Rule, RuleTable};
