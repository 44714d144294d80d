//! How far another process is in taking the place of this one. Must not know: what is lent to it.

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Succession {
    pub(super) step: Step,
    /// Whether a reload was asked for meanwhile.
    pub(super) reload: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    /// This process runs the instance.
    #[default]
    Alone,
    /// Another one reads what there is: nothing of it may change.
    Lent,
    /// Another one runs it.
    Over,
}

impl Succession {
    /// Whether targets and listeners stay as they are.
    pub(super) fn is_frozen(&self) -> bool {
        self.step != Step::Alone
    }

    /// Whether another process runs the instance.
    pub(super) fn is_over(&self) -> bool {
        self.step == Step::Over
    }

    /// Whether slots stay as they are.
    pub(super) fn holds_slots(&self) -> bool {
        self.step == Step::Lent
    }
}
