//! What is done with a request: the rules of its listener in the order of their priorities, then the default
//! action. Made ready when a configuration is taken up. Must not know: targets' states.

mod condition;
mod forward;
mod host;
mod path;
mod pattern;
mod probe;
mod redirect;
mod rewrite;
mod table;

pub use self::{
    forward::{Forward, GroupKeys, Routed},
    host::{split_port, without_dot},
    redirect::{MAX_LOCATION, Redirect, RequestUri},
    rewrite::{RewriteError, Rewriter, Transforms},
    table::{Act, Chosen, Rule, RuleTable},
};
pub(crate) use self::{
    pattern::{check_regex, host_regex_matches},
    rewrite::check_replacement,
};
