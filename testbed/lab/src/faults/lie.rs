//! Makes false replies: well-formed, plausible, wrong.

use bezant_api::{Answer, Refused};
use bezant_bft::message::Reply;
use bezant_tuple::{Tuple, Value};
use bezant_tuplespace::Outcome;
use bytes::Bytes;

/// The reply a liar gives instead of `reply`: well-formed, plausible, wrong.
#[must_use]
pub(crate) fn lie(reply: &Reply) -> Reply {
    let result = Answer::decode(&reply.result).map_or_else(
        |_| Bytes::from_static(b"\0"),
        |answer| Bytes::from(falsify(answer).encode()),
    );
    Reply {
        result,
        ..reply.clone()
    }
}

fn falsify(answer: Answer) -> Answer {
    let outcome = match answer {
        Answer::Outcome(Outcome::Done) => return Answer::Refused(Refused::Cancelled),
        Answer::Outcome(Outcome::Match(Some(tuple))) => Outcome::Match(falsify_tuple(tuple)),
        Answer::Outcome(Outcome::Match(None)) => Outcome::Match(invented()),
        Answer::Outcome(Outcome::Page { mut tuples, next }) => {
            if tuples.pop().is_none() {
                tuples.extend(invented());
            }
            Outcome::Page { tuples, next }
        }
        Answer::Outcome(Outcome::Count(count)) => Outcome::Count(count.wrapping_add(1)),
        Answer::Opened { session, window } => {
            return Answer::Opened {
                session: session.wrapping_add(1_000_000),
                window,
            };
        }
        Answer::Refused(_) => Outcome::Done,
        _ => return Answer::Refused(Refused::NoSession),
    };
    Answer::Outcome(outcome)
}

/// The same tuple with one number changed, or no tuple at all if it has none.
fn falsify_tuple(tuple: Tuple) -> Option<Tuple> {
    let mut fields = tuple.into_fields();
    let number = fields.iter_mut().rev().find_map(|field| match field {
        Value::Int(number) => Some(number),
        _ => None,
    })?;
    *number = number.wrapping_add(1);
    Tuple::new(fields).ok()
}

fn invented() -> Option<Tuple> {
    Tuple::new(vec![Value::Text("lie".to_owned())]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bezant_bft::ids::{RequestNumber, SeqNo, SessionId};

    #[test]
    fn every_lie_differs_from_the_truth_and_can_be_read() {
        let tuple = Tuple::new(vec![Value::Text("n".into()), Value::Int(7)]).unwrap();
        let answers = [
            Answer::Outcome(Outcome::Done),
            Answer::Outcome(Outcome::Match(Some(tuple.clone()))),
            Answer::Outcome(Outcome::Match(None)),
            Answer::Outcome(Outcome::Page {
                tuples: vec![tuple],
                next: None,
            }),
            Answer::Outcome(Outcome::Page {
                tuples: vec![],
                next: None,
            }),
            Answer::Outcome(Outcome::Count(u64::MAX)),
            Answer::Opened {
                session: 1,
                window: 64,
            },
            Answer::Closed,
            Answer::Created,
            Answer::Cancelled(true),
            Answer::Refused(Refused::NoSession),
        ];
        for answer in answers {
            let reply = Reply {
                session: SessionId(1),
                number: RequestNumber(2),
                seq_no: SeqNo(3),
                result: Bytes::from(answer.encode()),
            };
            let lied = lie(&reply);
            assert_ne!(lied.result, reply.result, "{answer:?}");
            assert!(Answer::decode(&lied.result).is_ok(), "{answer:?}");
        }
    }
}
