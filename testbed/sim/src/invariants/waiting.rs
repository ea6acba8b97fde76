//! After every number the same sessions, tuples and waiting operations are there
//! as in the model, at every replica: the same requests wait in the same order, each
//! in the same space, for the same template, to read or to take.

use bezant_kernel::Kernel;
use bezant_model::Wait;

use super::{Common, Fact, Invariant};

/// Compares the service's figures and its waiting list.
#[derive(Debug, Default)]
pub(super) struct WaitingListEquality;

impl Invariant for WaitingListEquality {
    fn name(&self) -> &'static str {
        "waiting-list-equality"
    }

    fn observe(&mut self, fact: &Fact<'_>, common: &mut Common) -> Result<(), String> {
        let Fact::Executed {
            by,
            seq_no,
            service,
            ..
        } = fact
        else {
            return Ok(());
        };
        let Some(expected) = common.oracle.at(*seq_no) else {
            return Ok(());
        };
        let figures = service.figures();
        let tuples = usize::try_from(figures.tuples).unwrap_or(usize::MAX);
        let here = (figures.waiters, tuples, figures.sessions);
        let model = (expected.waits.len(), expected.tuples, expected.sessions);
        if here != model {
            return Err(format!(
                "after number {seq_no} replica {by} has (waiting, tuples, sessions) {here:?}, the model {model:?}"
            ));
        }
        same_waits(service, &expected.waits)
            .map_err(|what| format!("after number {seq_no} at replica {by} {what}"))
    }
}

/// Compares the contents of two lists of the same length.
fn same_waits(service: &Kernel, model: &[Wait]) -> Result<(), String> {
    for (here, expected) in service.waiting().zip(model) {
        let there = bezant_tuplespace::Wait {
            id: expected.id,
            space: &expected.space,
            template: &expected.template,
            wants: expected.wants,
            due_ms: expected.due_ms,
        };
        if here != there {
            return Err(format!("waits {here:?}, in the model {expected:?}"));
        }
    }
    Ok(())
}
