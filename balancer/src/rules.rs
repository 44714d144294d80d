//! What is done with a request: the rules of its listener in the order of their priorities, then the default
//! action. Made ready when a configuration is taken up. Must not know: targets' states.

mod condition;
mod forward;
mod host;
mod index;
mod keys;
mod path;
mod pattern;
mod probe;
mod redirect;
mod rewrite;
mod table;

pub use self::{
    forward::{CompiledForward, GroupKeys, Routed},
    host::{split_port, without_dot},
    redirect::{CompiledRedirect, MAX_LOCATION, RequestUri},
    rewrite::{CompiledTransforms, RewriteError, Rewriter},
    table::{Act, Chosen, Rule, RuleTable},
};
pub(crate) use self::{
    pattern::{check_regex, host_regex_matches},
    rewrite::check_replacement,
};
