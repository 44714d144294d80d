//! Finding resources, whoever says what they are: those of files can be looked at, and are changed in their files.

use std::collections::BTreeMap;

use super::{
    arn::ArnKind,
    call::{OperationCall, of_kind, shown},
    failure::ApiFailure,
    records::{
        ListenerRecord, LoadBalancerRecord, RecordOwner, Records, RuleRecord, TargetGroupRecord,
        TrustStoreRecord,
    },
};

/// A kind of records.
pub(super) trait RecordKind: Sized {
    /// What its ARNs are of.
    const KIND: ArnKind;
    /// The code of "there is none".
    const NOT_FOUND: &'static str;

    /// All of them.
    fn all(records: &Records) -> &BTreeMap<String, Self>;
    /// All of them, to change.
    fn all_mut(records: &mut Records) -> &mut BTreeMap<String, Self>;
    /// Who says what it is.
    fn owner(&self) -> &RecordOwner;
    /// Its tags.
    fn tags(&self) -> &BTreeMap<String, String>;
    /// Its tags, to change.
    fn tags_mut(&mut self) -> &mut BTreeMap<String, String>;
}

macro_rules! resource {
    ($record:ident, $field:ident, $kind:ident, $not_found:literal) => {
        impl RecordKind for $record {
            const KIND: ArnKind = ArnKind::$kind;
            const NOT_FOUND: &'static str = $not_found;

            fn all(records: &Records) -> &BTreeMap<String, Self> {
                &records.$field
            }

            fn all_mut(records: &mut Records) -> &mut BTreeMap<String, Self> {
                &mut records.$field
            }

            fn owner(&self) -> &RecordOwner {
                &self.owner
            }

            fn tags(&self) -> &BTreeMap<String, String> {
                &self.tags
            }

            fn tags_mut(&mut self) -> &mut BTreeMap<String, String> {
                &mut self.tags
            }
        }
    };
}

resource!(LoadBalancerRecord, load_balancers, LoadBalancer, "LoadBalancerNotFound");
resource!(TargetGroupRecord, target_groups, TargetGroup, "TargetGroupNotFound");
resource!(ListenerRecord, listeners, Listener, "ListenerNotFound");
resource!(RuleRecord, rules, Rule, "RuleNotFound");
resource!(TrustStoreRecord, trust_stores, TrustStore, "TrustStoreNotFound");

/// All resources of a kind: those of files, then those of the API.
pub(super) fn all<'r, R: RecordKind + 'r>(
    call: &OperationCall<'r>,
    records: &'r Records,
) -> impl Iterator<Item = (&'r String, &'r R)> {
    R::all(&call.world.files).iter().chain(R::all(records))
}

/// The resource of an ARN, which was found to be of its kind.
///
/// # Errors
/// There is none.
pub(super) fn find<'r, R: RecordKind>(
    call: &OperationCall<'r>,
    records: &'r Records,
    arn: &str,
) -> Result<&'r R, ApiFailure> {
    of_kind(arn, R::KIND)?;
    let found = R::all(records).get(arn).or_else(|| R::all(&call.world.files).get(arn));
    found.ok_or_else(|| not_found::<R>(arn))
}

/// The resource of an ARN, to change.
///
/// # Errors
/// There is none, or it is one of a file.
pub(super) fn find_own<'r, R: RecordKind>(
    call: &OperationCall<'_>,
    records: &'r mut Records,
    arn: &str,
) -> Result<&'r mut R, ApiFailure> {
    of_kind(arn, R::KIND)?;
    if let Some(of_file) = R::all(&call.world.files).get(arn) {
        return Err(of_owner(of_file, arn));
    }
    R::all_mut(records).get_mut(arn).ok_or_else(|| not_found::<R>(arn))
}

fn of_owner<R: RecordKind>(resource: &R, arn: &str) -> ApiFailure {
    let file = match resource.owner() {
        RecordOwner::File(file) => shown(file),
        RecordOwner::Api => "a file".to_owned(),
    };
    let message = format!(
        "The {} '{}' is written in {file}: it is changed and deleted there, not through the API",
        R::KIND.name(),
        shown(arn)
    );
    ApiFailure::new("OperationNotPermitted", message)
}

fn not_found<R: RecordKind>(arn: &str) -> ApiFailure {
    let name = R::KIND.name();
    let mut letters = name.chars();
    let capital: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    ApiFailure::new(R::NOT_FOUND, format!("{capital} '{}' not found", shown(arn)))
}
