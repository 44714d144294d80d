//! One call, and what every operation asks of it. Must not know what an operation does.

use super::{
    arn::{ArnKind, ArnMaker, id_of},
    failure::ApiFailure,
    params::Params,
    world::World,
};

/// One call of an operation.
#[derive(Clone, Copy, Debug)]
pub struct OperationCall<'a> {
    /// The operation's name.
    pub action: &'a str,
    /// What was given.
    pub params: &'a Params,
    /// What is known beside records.
    pub world: &'a World,
}

impl<'a> OperationCall<'a> {
    /// A parameter that is an ARN of this kind.
    ///
    /// # Errors
    /// It is missing or something else.
    pub(super) fn arn(&self, name: &str, kind: ArnKind) -> Result<&'a str, ApiFailure> {
        let arn = self
            .params
            .text(name)
            .ok_or_else(|| ApiFailure::validation(format!("A {} ARN must be specified", kind.name())))?;
        of_kind(arn, kind)?;
        Ok(arn)
    }

    /// What makes ARNs.
    pub(super) fn arns(&self) -> ArnMaker<'a> {
        ArnMaker { region: &self.world.region, account: &self.world.account }
    }

    /// An id for something of this kind and name.
    pub(super) fn new_id(&self, kind: &str, name: &str) -> u64 {
        id_of(self.world.seed, kind, name)
    }
}

/// Whether a text is an ARN of this kind.
///
/// # Errors
/// It is something else.
pub(super) fn of_kind(arn: &str, kind: ArnKind) -> Result<(), ApiFailure> {
    if ArnKind::of(arn) == Some(kind) {
        return Ok(());
    }
    Err(ApiFailure::validation(format!("'{}' is not a valid {} ARN", shown(arn), kind.name())))
}

/// Most characters of a value in a message.
const SHOWN: usize = 256;

/// A value in a message: bounded, without control characters.
pub(super) fn shown(value: &str) -> String {
    let clean = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    let mut shown: String = value.chars().take(SHOWN).map(clean).collect();
    if value.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
