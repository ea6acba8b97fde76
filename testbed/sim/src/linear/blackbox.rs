//! Linearizability by search: is there any order that explains what clients saw?
//!
//! Wing and Gong ("Testing and verifying concurrent objects", JPDC 1993) try
//! every operation that may come next; Lowe ("Testing for linearizability", CCPE
//! 2017) remembers places the search was at, so that no two ways to one place are
//! both followed. Here a place is how far each session has come and what the
//! spaces hold, since a session's operations take their turns in its order even
//! when they overlap. Two more things keep the search small:
//!
//! - An operation that changes nothing and whose answer fits takes its turn at
//!   once and for good: any order that has it later holds with it here, too.
//! - Those whose answer came first are tried first, and of those that put tuples the one
//!   whose tuple was taken first.
//!
//! An operation without an answer may have happened or not; if a later one of its
//! session was answered, it did happen. A waiting `rd` or `in` has two moments:
//! its turn, and when it gets a delivery or is cancelled, which must precede its answer.
//!
//! The history is searched as a whole and not space by space. Linearizability is
//! local to objects (Herlihy and Wing, TOPLAS 1990; Horn and Kroening,
//! "P-compositionality", FORTE 2015) as long as real time alone orders the
//! operations of a client. Here a session keeps its order over all spaces also
//! where operations overlap, a listing shows all spaces, and ids of tuples are
//! drawn from one counter: orders that explain each space need not join into one.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use bezant_api::{Answer, Call, Refused, Step};
use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{Lease, Operation, Outcome, Refusal, SpaceName};

use super::{History, Key, Seen, turn};
use crate::model::Spaces;

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Some order explains everything.
    Linearizable,
    /// No order does.
    NotLinearizable(Stuck),
    /// It is not known: the search took more places than it may, or a call is none that
    /// the model knows. This is no pass.
    Undecided(Why),
}

/// Where the search came farthest before it found that there is no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Operations that had taken their turns there.
    pub placed: usize,
    /// Operations that could come next, none of which fits.
    pub next: Vec<Key>,
}

/// Why a search ended without a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It visited as many places as it may.
    Budget,
    /// The history has a call that the model does not know.
    Unknown,
}

/// A search and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Searched {
    /// What it found.
    pub verdict: Verdict,
    /// Operations in the history.
    pub operations: u64,
    /// Stretches between two quiet moments, and operations in the largest.
    pub windows: u64,
    /// See there.
    pub largest_window: u64,
    /// Places visited.
    pub places: u64,
}

/// Searches for an order of `history`, visiting at most `budget` places.
#[must_use]
pub fn check(history: &History, budget: u64) -> Searched {
    let windows = history.windows();
    let mut searched = Searched {
        verdict: Verdict::Undecided(Why::Unknown),
        operations: history.operations.len() as u64,
        windows: windows.len() as u64,
        largest_window: windows.into_iter().max().unwrap_or(0),
        places: 0,
    };
    if let Some(search) = Search::new(history) {
        searched.verdict = search.run(budget, &mut searched.places);
    }
    searched
}

/// One operation and when its turn is over at the latest.
#[derive(Debug)]
struct Entry<'h> {
    seen: &'h Seen,
    /// No operation asked later than this may take its turn before this one.
    deadline: u64,
    /// When somebody first told that it took what is put here.
    taken: u64,
}

#[derive(Debug)]
struct Search<'h> {
    makes_spaces: bool,
    sessions: Vec<Vec<Entry<'h>>>,
    /// Answers by operation; waits are answered by the turns of others.
    answers: BTreeMap<Key, &'h Seen>,
}

/// A place in the search.
#[derive(Clone, Debug)]
struct Place {
    /// How many operations of each session have taken their turns.
    done: Vec<usize>,
    spaces: Spaces,
    /// Answered waits that had their turn and have not ended: when the answer came.
    waits: BTreeMap<Key, u64>,
    /// Sessions whose next operation is still to be tried, the best one last.
    choices: Vec<usize>,
}

impl<'h> Search<'h> {
    /// `None` if the history has a call that the model does not know.
    fn new(history: &'h History) -> Option<Self> {
        let taken = first_takes(history);
        let mut sessions = Vec::new();
        for session in history.sessions() {
            let mut deadline = u64::MAX;
            let mut entries = Vec::new();
            for seen in session.into_iter().rev().filter(|seen| !seen.never_began()) {
                if !is_modelled(&seen.call) {
                    return None;
                }
                deadline = deadline.min(seen.returned.unwrap_or(u64::MAX));
                let taken = put(&seen.call).and_then(|put| taken.get(&put)).copied();
                entries.push(Entry {
                    seen,
                    deadline,
                    taken: taken.unwrap_or(u64::MAX),
                });
            }
            entries.reverse();
            sessions.push(entries);
        }
        let answered = history.operations.iter();
        let answered = answered.filter(|seen| seen.returned.is_some());
        Some(Self {
            makes_spaces: history.makes_spaces,
            sessions,
            answers: answered.map(|seen| (seen.key(), seen)).collect(),
        })
    }

    fn run(&self, budget: u64, places: &mut u64) -> Verdict {
        let mut begin = Place {
            done: vec![0; self.sessions.len()],
            spaces: Spaces::default(),
            waits: BTreeMap::new(),
            choices: Vec::new(),
        };
        self.hurry(&mut begin);
        let mut visited = BTreeSet::from([self.name(&begin)]);
        let mut farthest = Stuck {
            placed: 0,
            next: Vec::new(),
        };
        self.look(&mut begin, &mut farthest);
        if self.is_end(&begin) {
            return Verdict::Linearizable;
        }
        let mut way = vec![begin];
        while let Some(place) = way.last_mut() {
            let Some(session) = place.choices.pop() else {
                way.pop();
                continue;
            };
            // The last choice of a place needs it no more.
            let next = if place.choices.is_empty() {
                let taken = std::mem::replace(
                    place,
                    Place {
                        done: Vec::new(),
                        spaces: Spaces::default(),
                        waits: BTreeMap::new(),
                        choices: Vec::new(),
                    },
                );
                way.pop();
                taken
            } else {
                place.clone()
            };
            let Some(mut next) = self.go(next, session) else {
                continue;
            };
            self.hurry(&mut next);
            if self.is_end(&next) {
                return Verdict::Linearizable;
            }
            if !visited.insert(self.name(&next)) {
                continue;
            }
            *places += 1;
            if *places > budget {
                return Verdict::Undecided(Why::Budget);
            }
            self.look(&mut next, &mut farthest);
            way.push(next);
        }
        Verdict::NotLinearizable(farthest)
    }

    /// A short name of a place, for telling places apart.
    fn name(&self, place: &Place) -> u128 {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(salt);
            place.done.hash(&mut hasher);
            place.spaces.essence(&mut hasher);
            u128::from(hasher.finish())
        };
        half(0) << 64 | half(1)
    }

    /// Whether everything that was answered is explained.
    fn is_end(&self, place: &Place) -> bool {
        let next = |session: usize| self.sessions[session].get(place.done[session]);
        let mut sessions = 0..self.sessions.len();
        place.waits.is_empty()
            && sessions.all(|session| next(session).is_none_or(|entry| entry.deadline == u64::MAX))
    }

    /// Nothing asked after this may take its turn yet.
    fn deadline(&self, place: &Place) -> u64 {
        let turns = self.sessions.iter().zip(&place.done);
        let turns = turns.filter_map(|(session, done)| Some(session.get(*done)?.deadline));
        let waits = place.waits.values().copied();
        turns.chain(waits).min().unwrap_or(u64::MAX)
    }

    /// Finds what may come next.
    fn look(&self, place: &mut Place, farthest: &mut Stuck) {
        let deadline = self.deadline(place);
        let mut choices: Vec<(Reverse<u64>, Reverse<u64>, usize)> = Vec::new();
        for (session, done) in place.done.iter().enumerate() {
            if let Some(entry) = self.sessions[session].get(*done)
                && entry.seen.invoked <= deadline
            {
                let answered = entry.seen.returned.unwrap_or(entry.deadline);
                choices.push((Reverse(answered), Reverse(entry.seen.invoked), session));
            }
        }
        choices.sort_unstable();
        place.choices = choices.into_iter().map(|(.., session)| session).collect();
        self.arrange_puts(place);
        let placed = place.done.iter().sum();
        if placed >= farthest.placed {
            let keys = place.choices.iter().rev().map(|session| {
                let entry = &self.sessions[*session][place.done[*session]];
                entry.seen.key()
            });
            *farthest = Stuck {
                placed,
                next: keys.collect(),
            };
        }
    }

    /// Tries first to put what was taken first: the oldest match is taken.
    fn arrange_puts(&self, place: &mut Place) {
        let next = |session: &usize| &self.sessions[*session][place.done[*session]];
        let choices = place.choices.iter().enumerate();
        let puts = choices.filter(|(_, session)| put(&next(session).seen.call).is_some());
        let (at, mut sessions): (Vec<usize>, Vec<usize>) = puts.unzip();
        sessions.sort_by_key(|session| Reverse(next(session).taken));
        for (at, session) in at.into_iter().zip(sessions) {
            place.choices[at] = session;
        }
    }

    /// The next operation of `session` takes its turn, if what follows was seen.
    fn go(&self, mut place: Place, session: usize) -> Option<Place> {
        let seen = self.sessions[session][place.done[session]].seen;
        let taken = turn::take(&mut place.spaces, self.makes_spaces, seen.key(), &seen.call);
        place.done[session] += 1;
        match (&taken.answer, &seen.answer, seen.returned) {
            (Some(answer), Some(told), Some(_)) if !is_same(answer, told) => return None,
            (Some(_), None, Some(_)) => return None,
            (None, _, Some(returned)) => {
                place.waits.insert(seen.key(), returned);
            }
            _ => {}
        }
        for (wait, answer) in taken.ended {
            place.waits.remove(&wait);
            if let Some(seen) = self.answers.get(&wait)
                && seen.answer.as_ref() != Some(&answer)
            {
                return None;
            }
        }
        Some(place)
    }

    /// Gives their turns to operations that change nothing here and fit.
    fn hurry(&self, place: &mut Place) {
        let mut moved = true;
        while moved {
            moved = false;
            let deadline = self.deadline(place);
            for session in 0..self.sessions.len() {
                while let Some(entry) = self.sessions[session].get(place.done[session])
                    && entry.seen.invoked <= deadline
                    && changes_nothing(entry.seen, &mut place.spaces)
                {
                    place.done[session] += 1;
                    moved = true;
                }
            }
        }
    }
}

/// What a call puts, if it always puts something, and where.
fn put(call: &Call) -> Option<(&SpaceName, &Tuple)> {
    match call {
        Call::Space {
            space,
            operation: Operation::Out { tuple, .. },
        } => Some((space, tuple)),
        _ => None,
    }
}

/// When each tuple was first told to be taken.
fn first_takes(history: &History) -> BTreeMap<(&SpaceName, &Tuple), u64> {
    let mut first = BTreeMap::new();
    for seen in &history.operations {
        if let (
            Call::Space {
                space,
                operation: Operation::In { .. } | Operation::Inp { .. } | Operation::Replace { .. },
            },
            Some(Answer::Outcome(Outcome::Match(Some(tuple)))),
            Some(returned),
        ) = (&seen.call, &seen.answer, seen.returned)
        {
            let entry = first.entry((space, tuple)).or_insert(returned);
            *entry = returned.min(*entry);
        }
    }
    first
}

/// Whether the model knows what this call does and answers. What an extension does it does
/// not know, nor which ids tuples have: they show in which order others were inserted; nor
/// when a lease or a wait ends: that is agreed, and no client sees the time.
fn is_modelled(call: &Call) -> bool {
    let knows = |operation: &Operation| match operation {
        Operation::RdAll { after, .. } => after.is_none(),
        // Their numbers tell in which order everything happened.
        Operation::Watch { .. } | Operation::Survey { .. } | Operation::OutTo { .. } => false,
        Operation::Out { lease, .. }
        | Operation::Cas { lease, .. }
        | Operation::Replace { lease, .. } => !matches!(lease, Lease::Ms(_)),
        Operation::Rd { within_ms, .. } | Operation::In { within_ms, .. } => within_ms.is_none(),
        _ => true,
    };
    match call {
        Call::Space { operation, .. } => knows(operation),
        Call::Group(group) => {
            let steps = group.steps.iter().filter_map(|step| match step {
                Step::Do(act) => Some(act),
                Step::Require(_) => None,
            });
            steps
                .chain(&group.otherwise)
                .all(|act| knows(&act.operation))
        }
        Call::CreateSpace { .. }
        | Call::ListSpaces
        | Call::Cancel { .. }
        | Call::KeepAlive
        | Call::CloseSession => true,
        _ => false,
    }
}

/// Whether two answers are the same but for ids of tuples.
fn is_same(one: &Answer, other: &Answer) -> bool {
    match (one, other) {
        (
            Answer::Outcome(Outcome::Page { tuples, next }),
            Answer::Outcome(Outcome::Page {
                tuples: others,
                next: after,
            }),
        ) => tuples == others && next.is_some() == after.is_some(),
        _ => one == other,
    }
}

/// Whether an operation that takes its turn now changes nothing and answers what was seen.
/// Its answer alone says that it changed nothing, wherever its turn was.
fn changes_nothing(seen: &Seen, spaces: &mut Spaces) -> bool {
    let (key, answer) = (seen.key(), seen.answer.as_ref());
    let mut probe = |space: &SpaceName, operation: Operation| {
        let outcome = spaces.apply((key.0.0, key.1.0), space, &operation);
        match outcome {
            Ok(outcome) => outcome.map(Answer::Outcome),
            Err(refused) => Some(Answer::Refused(refused)),
        }
    };
    let mut found = |space: &SpaceName, template: &Template, wanted: Option<&Tuple>| {
        let template = template.clone();
        let read = probe(space, Operation::Rdp { template });
        read == Some(Answer::Outcome(Outcome::Match(wanted.cloned())))
    };
    let no_space = Answer::Refused(Refused::Space(Refusal::NoSuchSpace));
    match (&seen.call, answer) {
        (Call::ListSpaces, None) | (Call::KeepAlive, _) => true,
        (Call::ListSpaces, Some(Answer::Spaces(told))) => {
            let mut names = spaces.names().to_vec();
            names.sort_unstable();
            names == *told
        }
        (Call::CreateSpace { space }, Some(Answer::Refused(_))) => spaces.names().contains(space),
        (Call::Space { space, .. }, Some(told)) if *told == no_space => {
            !spaces.names().contains(space)
        }
        (Call::Space { space, operation }, told) => match (operation, told) {
            (Operation::Rdp { .. }
                | Operation::Count { .. }
                | Operation::RdAll { .. }
                // Without leases there is none to renew.
                | Operation::Renew { .. }, told) => {
                let answer = probe(space, operation.clone());
                told.is_none_or(|told| answer.is_some_and(|answer| is_same(&answer, told)))
            }
            (
                Operation::Inp { template } | Operation::Replace { template, .. },
                Some(Answer::Outcome(Outcome::Match(None))),
            ) => found(space, template, None),
            (
                Operation::Rd { template, .. } | Operation::Cas { template, .. },
                Some(Answer::Outcome(Outcome::Match(Some(tuple)))),
            ) => found(space, template, Some(tuple)),
            (
                Operation::InAll { template, .. },
                Some(Answer::Outcome(Outcome::Page { tuples, .. })),
            ) => tuples.is_empty() && found(space, template, None),
            _ => false,
        },
        _ => false,
    }
}
