//! Linearizability by witness: the agreed order explains what clients saw.
//!
//! Replicas say in which order operations took effect. The check does not
//! believe them: it replays the clients' own calls in that order through the
//! dumb spaces and compares every answer, then looks whether the order respects
//! sessions and real time. An operation without an answer may have happened or
//! not: it counts if it is in the order. (Herlihy and Wing, "Linearizability",
//! TOPLAS 1990; with a witness the check needs one pass and no search.)

use std::collections::{BTreeMap, BTreeSet};

use bezant_api::{Answer, Call};
use bezant_bft::ids::{RequestNumber, SessionId};

use super::{History, Key, Seen, turn};
use crate::model::{Passed, Performed, Spaces, without_fuel};

/// Why a history is not linearizable in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// It was answered and never took effect.
    NeverHappened(SessionId, RequestNumber),
    /// It took effect more than once.
    Twice(SessionId, RequestNumber),
    /// It took effect before an earlier request of its session.
    SessionOrder(SessionId, RequestNumber),
    /// Something else took effect than what the client asked.
    OtherCall(SessionId, RequestNumber),
    /// The answer is not the one of its place in the order.
    WrongAnswer(
        SessionId,
        RequestNumber,
        Box<(Option<Answer>, Option<Answer>)>,
    ),
    /// It was answered before another was asked that comes before it in the order.
    RealTime {
        /// The one answered early and placed late.
        earlier: (SessionId, RequestNumber),
        /// The one asked later and placed before.
        later: (SessionId, RequestNumber),
    },
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Operations in the order.
    pub operations: u64,
    /// Answers compared.
    pub answers: u64,
}

/// Where an operation took effect: its own turn, that of what served its wait, or the time
/// after it that ended the wait.
type Place = (u64, u8);

/// Checks `history` against the order in which operations took effect, and what passed with
/// the times at which the numbers of the log did.
///
/// # Errors
/// The first [`Anomaly`] found.
pub fn check(history: &History, order: &[Performed], times: &[Passed]) -> Result<Checked, Anomaly> {
    let operations = history.operations.iter();
    let by_key: BTreeMap<Key, &Seen> = operations.map(|seen| (seen.key(), seen)).collect();
    let mut replay = Replay {
        makes_spaces: history.makes_spaces,
        ..Replay::default()
    };
    let mut done = BTreeSet::new();
    let mut last: BTreeMap<SessionId, RequestNumber> = BTreeMap::new();
    let mut times = times.iter().peekable();
    for performed in order {
        let key = (performed.session, performed.number);
        let (session, number) = key;
        if !done.insert(key) {
            return Err(Anomaly::Twice(session, number));
        }
        if last
            .insert(session, number)
            .is_some_and(|before| before > number)
        {
            return Err(Anomaly::SessionOrder(session, number));
        }
        while let Some(passed) = times.next_if(|passed| passed.seq_no <= performed.seq_no) {
            replay.pass(passed);
        }
        let decoded = Call::decode(&performed.op).ok();
        let call = match (by_key.get(&key), decoded) {
            (Some(seen), Some(call)) if seen.call == call => call,
            (Some(_), _) => return Err(Anomaly::OtherCall(session, number)),
            (None, Some(call)) => call,
            (None, None) => continue,
        };
        replay.spaces.introduce(session.0, performed.client.0);
        replay.perform(key, &call);
    }
    for passed in times {
        replay.pass(passed);
    }
    let mut checked = Checked {
        operations: order.len() as u64,
        answers: 0,
    };
    let mut placed = Vec::new();
    for (key, seen) in &by_key {
        let result = replay.results.get(key);
        if seen.returned.is_some() {
            let Some((_, expected)) = result else {
                return Err(Anomaly::NeverHappened(key.0, key.1));
            };
            if seen.answer.as_ref().map(without_fuel) != Some(without_fuel(expected)) {
                let answers = (seen.answer.clone(), Some(expected.clone()));
                return Err(Anomaly::WrongAnswer(key.0, key.1, Box::new(answers)));
            }
            checked.answers += 1;
        }
        if let Some((place, _)) = result {
            placed.push((*place, *key, *seen));
        }
    }
    placed.sort_by_key(|(place, key, _)| (*place, *key));
    real_time(&placed)?;
    Ok(checked)
}

/// One scan from the end: nothing may be asked after something later in the order was answered.
fn real_time(placed: &[(Place, Key, &Seen)]) -> Result<(), Anomaly> {
    let mut first_return: Option<(u64, Key, Place)> = None;
    for (place, key, seen) in placed.iter().rev() {
        if let Some((returned, earlier, at)) = first_return
            && at > *place
            && returned < seen.invoked
        {
            return Err(Anomaly::RealTime {
                earlier,
                later: *key,
            });
        }
        if let Some(returned) = seen.returned
            && first_return.is_none_or(|(first, ..)| returned < first)
        {
            first_return = Some((returned, *key, *place));
        }
    }
    Ok(())
}

/// The dumb spaces and the answers they give.
#[derive(Debug, Default)]
struct Replay {
    makes_spaces: bool,
    spaces: Spaces,
    turn: u64,
    results: BTreeMap<Key, (Place, Answer)>,
}

impl Replay {
    /// Waits end with their time, after all that was done before.
    fn pass(&mut self, passed: &Passed) {
        for (wait, nothing) in self.spaces.pass_time(passed.time, passed.granted) {
            let result = ((self.turn, 2), nothing);
            self.results.insert(turn::key_of(wait), result);
        }
        for session in &passed.ended {
            self.spaces.end_owner(*session);
            self.spaces.publish();
        }
        for (wait, answer) in self.spaces.take_answers() {
            let result = ((self.turn, 2), answer);
            self.results.insert(turn::key_of(wait), result);
        }
    }

    fn perform(&mut self, key: Key, call: &Call) {
        self.turn += 1;
        let taken = turn::take(&mut self.spaces, self.makes_spaces, key, call);
        if let Some(answer) = taken.answer {
            self.results.insert(key, ((self.turn, 0), answer));
        }
        for (wait, answer) in taken.ended {
            self.results.insert(wait, ((self.turn, 1), answer));
        }
    }
}
