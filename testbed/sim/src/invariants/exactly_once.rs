//! A request of a session has one effect, and so one answer, for ever.

use std::collections::BTreeMap;

use bezant_api::{Answer, Refused};
use bezant_bft::{
    ids::{RequestNumber, SessionId},
    message::Reply,
};

use super::{Common, Fact, Invariant};

/// The first answer seen to each request.
#[derive(Debug, Default)]
pub(super) struct ExactlyOnce {
    answers: BTreeMap<(SessionId, RequestNumber), Reply>,
}

/// Says that nothing was executed; the same request may be answered otherwise later.
fn is_no_execution(reply: &Reply) -> bool {
    matches!(
        Answer::decode(&reply.result),
        Ok(Answer::Refused(
            Refused::WindowExceeded | Refused::NoSession
        ))
    )
}

impl Invariant for ExactlyOnce {
    fn name(&self) -> &'static str {
        "exactly-once"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: &mut Common) -> Result<(), String> {
        let Fact::Executed { by, replies, .. } = fact else {
            return Ok(());
        };
        for (_, reply) in *replies {
            // Opening again with the same nonce is answered again.
            if reply.session == SessionId::NONE {
                continue;
            }
            let key = (reply.session, reply.number);
            match self.answers.get(&key) {
                Some(first) if first == reply => {}
                Some(_) if is_no_execution(reply) => {}
                Some(first) => {
                    return Err(format!(
                        "replica {by} answers request {} of session {} at number {} although it was answered at number {}",
                        reply.number, reply.session, reply.seq_no, first.seq_no
                    ));
                }
                None if is_no_execution(reply) => {}
                None => {
                    self.answers.insert(key, reply.clone());
                }
            }
        }
        Ok(())
    }
}
