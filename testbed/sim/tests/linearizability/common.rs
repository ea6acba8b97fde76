//! What tests of both checks share: two clients, their calls, and histories.

use bezant_api::{Answer, Call};
use bezant_bft::ids::{ClientId, RequestNumber, SeqNo, SessionId};
use bezant_sim::{
    linear::{History, Seen},
    model::Performed,
};
use bezant_tuplespace::{Lease, Operation, Outcome, SpaceName};
use bytes::Bytes;

pub(crate) const ANN: SessionId = SessionId(1);
pub(crate) const BEN: SessionId = SessionId(2);

pub(crate) fn call(operation: Operation) -> Call {
    let space = SpaceName::new("a").unwrap();
    Call::Space { space, operation }
}

pub(crate) fn out(payload: i64) -> Call {
    let tuple = format!("(\"k\", {payload})").parse().unwrap();
    call(Operation::Out {
        tuple,
        lease: Lease::Forever,
    })
}

pub(crate) fn inp() -> Call {
    let template = "(\"k\", _)".parse().unwrap();
    call(Operation::Inp { template })
}

pub(crate) fn rdp() -> Call {
    let template = "(\"k\", _)".parse().unwrap();
    call(Operation::Rdp { template })
}

pub(crate) fn take() -> Call {
    let template = "(\"k\", _)".parse().unwrap();
    call(Operation::In {
        template,
        within_ms: None,
    })
}

pub(crate) const DONE: Answer = Answer::Outcome(Outcome::Done);

pub(crate) fn found(payload: i64) -> Answer {
    let tuple = format!("(\"k\", {payload})").parse().unwrap();
    Answer::Outcome(Outcome::Match(Some(tuple)))
}

pub(crate) const NOTHING: Answer = Answer::Outcome(Outcome::Match(None));

/// A history told in the order in which it took effect: session, number, call, answer,
/// asked and answered when.
pub(crate) fn history(
    told: &[(SessionId, u64, Call, Answer, u64, u64)],
) -> (Vec<Seen>, Vec<Performed>) {
    let seen = told
        .iter()
        .map(|(session, number, call, answer, invoked, returned)| Seen {
            session: *session,
            number: RequestNumber(*number),
            call: call.clone(),
            invoked: *invoked,
            returned: Some(*returned),
            answer: Some(answer.clone()),
        });
    let order = told.iter().map(|(session, number, call, ..)| Performed {
        session: *session,
        number: RequestNumber(*number),
        client: ClientId([0; 32]),
        seq_no: SeqNo(1),
        op: Bytes::from(call.encode()),
    });
    (seen.collect(), order.collect())
}

pub(crate) fn told(seen: &[Seen]) -> History {
    History {
        makes_spaces: true,
        operations: seen.to_vec(),
    }
}

pub(crate) fn good() -> (Vec<Seen>, Vec<Performed>) {
    history(&[
        (ANN, 1, out(1), DONE, 0, 10),
        (BEN, 1, rdp(), found(1), 5, 20),
        (ANN, 2, out(2), DONE, 11, 25),
        (BEN, 2, inp(), found(1), 21, 30),
        (ANN, 3, inp(), found(2), 26, 40),
        (BEN, 3, inp(), NOTHING, 31, 50),
    ])
}

/// The same, told after somebody made the space.
pub(crate) fn history_in_space(
    told: &[(SessionId, u64, Call, Answer, u64, u64)],
) -> (Vec<Seen>, Vec<Performed>) {
    let space = SpaceName::new("a").unwrap();
    let made = (
        SessionId(9),
        1,
        Call::CreateSpace { space },
        Answer::Created,
        0,
        1000,
    );
    let told: Vec<_> = [made].into_iter().chain(told.iter().cloned()).collect();
    history(&told)
}
