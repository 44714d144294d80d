//! Target groups at run time: which targets a group has, in which state, and which of them may get a
//! request. A [`GroupView`] is an immutable picture that workers read; the control side makes new ones.
//! Must not know: cookies' form, sockets, HTTP.

mod runtime;
mod state;
mod view;

pub use self::{
    runtime::{GroupRuntime, TargetRuntime},
    state::{Reason, TargetState},
    view::{GroupView, TargetView},
};
