//! What a replica answers is what the dumb model answers to the same log.

use super::{Common, Fact, Invariant};

/// Compares every answer.
#[derive(Debug, Default)]
pub(super) struct ReplyEqualsModel;

impl Invariant for ReplyEqualsModel {
    fn name(&self) -> &'static str {
        "reply-equals-model"
    }

    fn observe(&mut self, fact: &Fact<'_>, common: &mut Common) -> Result<(), String> {
        if let Fact::Accepted { reply } = fact {
            let expected = common.oracle.at(reply.position);
            let given = expected.is_some_and(|e| e.replies.iter().any(|(_, said)| said == *reply));
            return if given {
                Ok(())
            } else {
                Err(format!(
                    "a client accepted what the model does not answer: {reply:?}"
                ))
            };
        }
        let Fact::Executed {
            by,
            number,
            replies,
            ..
        } = fact
        else {
            return Ok(());
        };
        let Some(expected) = common.oracle.at(*number) else {
            return Err(format!(
                "replica {by} executed number {number}, but nobody executed the numbers before"
            ));
        };
        if expected.replies == *replies {
            return Ok(());
        }
        let differs = expected.replies.iter().zip(*replies).find(|(a, b)| a != b);
        Err(format!(
            "replica {by} at number {number} gives {} answers, the model {}; first difference (model, replica): {differs:?}",
            replies.len(),
            expected.replies.len()
        ))
    }
}
