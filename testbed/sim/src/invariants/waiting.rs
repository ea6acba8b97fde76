//! After every number the same sessions, tuples and waiting operations are there
//! as in the model, at every replica.

use super::{Common, Fact, Invariant};

/// Compares the service's figures.
#[derive(Debug, Default)]
pub(super) struct WaitingListEquality;

impl Invariant for WaitingListEquality {
    fn name(&self) -> &'static str {
        "waiting-list-equality"
    }

    fn observe(&mut self, fact: &Fact<'_>, common: &mut Common) -> Result<(), String> {
        let Fact::Executed {
            by,
            number,
            figures,
            ..
        } = fact
        else {
            return Ok(());
        };
        let Some(expected) = common.oracle.at(*number) else {
            return Ok(());
        };
        let tuples = usize::try_from(figures.tuples).unwrap_or(usize::MAX);
        let here = (figures.waiters, tuples, figures.sessions);
        let model = (expected.waits, expected.tuples, expected.sessions);
        if here == model {
            return Ok(());
        }
        Err(format!(
            "after number {number} replica {by} has (waiting, tuples, sessions) {here:?}, the model {model:?}"
        ))
    }
}
