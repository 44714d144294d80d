//! The form of records, and how those of older forms become those of today. Must not know: where they are kept.

use serde_json::Value;

use crate::elbv2::records::Records;

/// The form of today: each step leads to another one.
pub(super) const SCHEMA: u64 = 1 + STEPS.len() as u64;

/// Makes of a record of one form that of the next; it is given its kind and itself.
type MigrationStep = fn(&str, &mut Value);

/// What leads from each form to the next: the first from 1 to 2.
const STEPS: &[MigrationStep] = &[];

/// Records of whatever form as those of today.
///
/// # Errors
/// Nothing: they are of a form that is not known yet. Otherwise what is wrong with them.
pub(super) fn migrated(records: Value, form: u64) -> Result<Records, Option<String>> {
    if form == 0 {
        return Err(Some("there is no form 0".to_owned()));
    }
    let records = through(records, form, STEPS).ok_or(None)?;
    serde_json::from_value(records).map_err(|error| Some(error.to_string()))
}

/// Through all steps from this form on; nothing where there is no such form.
fn through(mut records: Value, form: u64, steps: &[MigrationStep]) -> Option<Value> {
    let done = usize::try_from(form.checked_sub(1)?).ok()?;
    for step in steps.get(done..)? {
        for (kind, of_kind) in records.as_object_mut().into_iter().flatten() {
            of_kind.as_object_mut().into_iter().flatten().for_each(|(_, record)| step(kind, record));
        }
    }
    Some(records)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_go_through_each_step_behind_their_form() {
        let steps: [MigrationStep; 2] = [
            |kind, record| {
                if kind == "target_groups" {
                    record["a"] = json!(1);
                }
            },
            |_, record| record["b"] = json!(record["a"].as_u64().unwrap_or(0) + 1),
        ];
        let before = json!({ "target_groups": { "x": {} }, "rules": { "y": {} } });
        let of = |form| through(before.clone(), form, &steps);
        assert_eq!(
            of(1),
            Some(json!({ "target_groups": { "x": { "a": 1, "b": 2 } }, "rules": { "y": { "b": 1 } } }))
        );
        assert_eq!(
            of(2),
            Some(json!({ "target_groups": { "x": { "b": 1 } }, "rules": { "y": { "b": 1 } } }))
        );
        assert_eq!(of(3), Some(before.clone()));
        assert_eq!((of(4), of(0)), (None, None), "no such form");
    }
}
