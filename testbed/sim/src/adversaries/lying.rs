//! Wrong answers to clients, well-formed and the same ones at all liars.

use bezant_api::{Answer, Refused};
use bezant_bft::message::{ReplicaMessage, Reply};
use bezant_tuplespace::Outcome;
use bytes::Bytes;

use super::{Means, Strategy};

/// Lies in most of its replies; colluding liars tell the same lie.
#[derive(Debug, Default)]
pub(super) struct LyingReplies {
    hits: u64,
}

impl Strategy for LyingReplies {
    fn tell(
        &mut self,
        means: &mut Means<'_>,
        message: ReplicaMessage,
        out: &mut Vec<(u64, ReplicaMessage)>,
    ) {
        let said = match message {
            ReplicaMessage::Reply { view, reply } if means.rng.chance(700) => {
                self.hits += 1;
                let reply = lie(reply);
                ReplicaMessage::Reply { view, reply }
            }
            other => other,
        };
        out.push((0, said));
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

/// A lie that depends on the truth alone, so that liars agree.
fn lie(reply: Reply) -> Reply {
    let answer = match Answer::decode(&reply.result) {
        Ok(Answer::Outcome(Outcome::Match(Some(_)))) => Answer::Outcome(Outcome::Match(None)),
        Ok(Answer::Outcome(Outcome::Count(count))) => Answer::Outcome(Outcome::Count(count + 1)),
        Ok(Answer::Opened { session, window }) => Answer::Opened {
            session: session + 1,
            window,
        },
        Ok(Answer::Outcome(Outcome::Done)) => Answer::Refused(Refused::WindowExceeded),
        _ => Answer::Outcome(Outcome::Done),
    };
    Reply {
        result: Bytes::from(answer.encode()),
        ..reply
    }
}
