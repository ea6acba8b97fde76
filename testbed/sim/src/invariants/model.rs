//! What a replica answers is what the dumb model answers to the same log.

use bezant_api::Answer;
use bezant_bft::{ids::ClientId, message::Reply};

use super::{Common, Fact, Invariant};
use crate::model::{fuel_is_possible, without_fuel};

/// Whether a reply is the model's, but for the fuel that a failed extension burnt, which is only
/// seen to be possible. That all replicas say the same of it is seen in their states.
fn alike(expected: &Reply, given: &Reply) -> bool {
    if expected == given {
        return true;
    }
    let place = |reply: &Reply| (reply.session, reply.number, reply.seq_no);
    let told = |reply: &Reply| Answer::decode(&reply.result).ok();
    let (Some(expects), Some(gives)) = (told(expected), told(given)) else {
        return false;
    };
    place(expected) == place(given)
        && without_fuel(&expects) == without_fuel(&gives)
        && fuel_is_possible(&gives)
}

/// Compares every answer.
#[derive(Debug, Default)]
pub(super) struct ReplyEqualsModel;

impl Invariant for ReplyEqualsModel {
    fn name(&self) -> &'static str {
        "reply-equals-model"
    }

    fn observe(&mut self, fact: &Fact<'_>, common: &mut Common) -> Result<(), String> {
        if let Fact::Accepted { reply } = fact {
            let expected = common.oracle.at(reply.seq_no);
            let given =
                expected.is_some_and(|e| e.replies.iter().any(|(_, said)| alike(said, reply)));
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
            seq_no,
            replies,
            ..
        } = fact
        else {
            return Ok(());
        };
        let Some(expected) = common.oracle.at(*seq_no) else {
            return Err(format!(
                "replica {by} executed number {seq_no}, but nobody executed the numbers before"
            ));
        };
        let same = |((to, said), (client, reply)): (&(ClientId, Reply), &(ClientId, Reply))| {
            to == client && alike(said, reply)
        };
        let mut pairs = expected.replies.iter().zip(*replies);
        if expected.replies.len() == replies.len() && pairs.all(same) {
            return Ok(());
        }
        let mut pairs = expected.replies.iter().zip(*replies);
        let differs = pairs.find(|pair| !same(*pair));
        Err(format!(
            "replica {by} at number {seq_no} gives {} answers, the model {}; first difference (model, replica): {differs:?}",
            replies.len(),
            expected.replies.len()
        ))
    }
}
