//! Why something has no value. Must not know: what was to be worked out.

use std::rc::Rc;

#[derive(Clone, Debug)]
pub(super) enum Fail {
    /// What is wrong; what is allowed. Terraform would not take it either.
    Wrong(String),
    /// What cannot be worked out here, whatever Terraform would make of it.
    NotHere(String),
    /// It goes by this, which is not known here.
    By(Rc<str>),
}
