//! Visits every state that a model can reach, the nearest first.

use std::collections::{BTreeMap, VecDeque};

use crate::{Model, State};

/// What was found.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How many states were visited.
    pub(crate) states: usize,
    /// The shortest way into a stuck one, if there is any.
    pub(crate) stuck: Option<Vec<State>>,
}

/// Breadth first, so that the way found is the shortest.
pub(crate) fn explore(model: Model) -> Outcome {
    let first = Model::begin();
    let mut from: BTreeMap<State, Option<State>> = BTreeMap::from([(first, None)]);
    let mut queue = VecDeque::from([first]);
    while let Some(state) = queue.pop_front() {
        if model.is_stuck(&state) {
            let way = std::iter::successors(Some(state), |state| from[state]);
            let mut way: Vec<_> = way.collect();
            way.reverse();
            return Outcome {
                states: from.len(),
                stuck: Some(way),
            };
        }
        for next in model.follow(&state) {
            from.entry(next).or_insert_with(|| {
                queue.push_back(next);
                Some(state)
            });
        }
    }
    Outcome {
        states: from.len(),
        stuck: None,
    }
}
