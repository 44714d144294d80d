//! The operations of the API: which there are, and what each does to records and answers. Must not know: sockets, files,
//! the time, and how a change takes effect.

mod load_balancers;

use super::{call::OperationCall, failure::ApiFailure, records::Records, xml::Element};

type Operate = fn(&OperationCall<'_>, &mut Records) -> Result<Element, ApiFailure>;

/// An operation of the API.
struct Operation {
    name: &'static str,
    is_change: bool,
    operate: Operate,
}

const fn reads(name: &'static str, operate: Operate) -> Operation {
    Operation { name, is_change: false, operate }
}

const fn changes(name: &'static str, operate: Operate) -> Operation {
    Operation { name, is_change: true, operate }
}

/// All operations, sorted by name.
static OPERATIONS: &[Operation] = &[
    changes("CreateLoadBalancer", load_balancers::create),
    changes("DeleteLoadBalancer", load_balancers::delete),
    reads("DescribeLoadBalancers", load_balancers::describe),
];

fn find(action: &str) -> Option<&'static Operation> {
    let index = OPERATIONS.binary_search_by(|operation| operation.name.cmp(action)).ok()?;
    OPERATIONS.get(index)
}

/// Whether there is an operation of this name.
#[must_use]
pub fn is_known(action: &str) -> bool {
    find(action).is_some()
}

/// Whether it changes anything: what only reads is all that a read-only key may do.
#[must_use]
pub fn is_change(action: &str) -> bool {
    find(action).is_some_and(|operation| operation.is_change)
}

/// What an operation answers: the inside of its result. Records are as they were when it fails, or may be half changed: a
/// caller gives a copy.
///
/// # Errors
/// It cannot be done, in ALB's code and words.
pub fn answer(call: &OperationCall<'_>, records: &mut Records) -> Result<Element, ApiFailure> {
    let Some(operation) = find(call.action) else {
        let message =
            "The action or operation requested is invalid. Verify that the action is typed correctly.";
        return Err(ApiFailure::new("InvalidAction", message));
    };
    (operation.operate)(call, records)
}
