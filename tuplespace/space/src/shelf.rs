//! The tuples of one space that have the same number of fields, with an index
//! over every field. Only they can match a template of as many fields.

use std::{
    collections::{BTreeMap, btree_map},
    iter,
    ops::Bound::{Excluded, Unbounded},
};

use bezant_tuple::{Template, Tuple};

use crate::{
    Parts, Refusal, TupleId, broken,
    index::{Index, OldestFirst},
    key::{Key, Run, Sought},
    pages::Pages,
    posting::Posting,
};

/// With so few candidates, looking at them costs less than choosing better ones.
const FEW: u64 = 8;

/// How much dearer a tuple of an interval is than one of a posting when ids up
/// to a cursor are skipped: postings skip them in one search.
const SKIPPING: u64 = 4;

/// What one operation may look at, and has looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) examined: u64,
    pub(crate) allowed: u64,
}

impl Work {
    /// Counts one more candidate, or refuses it.
    pub(crate) fn spend(&mut self) -> Result<(), Refusal> {
        if self.examined == self.allowed {
            return Err(Refusal::TooBroad);
        }
        self.examined += 1;
        Ok(())
    }
}

/// Tuples of one arity.
#[derive(Debug)]
pub(crate) struct Shelf {
    tuples: BTreeMap<TupleId, Tuple>,
    /// One a field.
    indices: Vec<Index>,
    pages: Pages,
}

impl Shelf {
    pub(crate) fn new(arity: usize) -> Self {
        Self {
            tuples: BTreeMap::new(),
            indices: iter::repeat_with(Index::new).take(arity).collect(),
            pages: Pages::default(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.tuples.len() as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tuples.is_empty()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = TupleId> {
        self.tuples.keys().copied()
    }

    pub(crate) fn get(&self, id: TupleId) -> Option<&Tuple> {
        self.tuples.get(&id)
    }

    /// Appends the tuples, oldest first; says how many had to be encoded.
    pub(crate) fn encode_into(&self, out: &mut Parts) -> u64 {
        self.pages.encode_into(&self.tuples, out)
    }

    /// Puts a tuple in its place; `keys` are those of its fields.
    pub(crate) fn insert(&mut self, id: TupleId, tuple: Tuple, keys: Vec<Key>) {
        for (index, key) in self.indices.iter_mut().zip(keys) {
            index.insert(key, id);
        }
        self.pages.inserted(id);
        self.tuples.insert(id, tuple);
    }

    pub(crate) fn remove(&mut self, id: TupleId) -> Option<Tuple> {
        let tuple = self.tuples.remove(&id)?;
        self.pages.removed(id);
        for (index, value) in self.indices.iter_mut().zip(tuple.fields()) {
            if !index.remove(&Key::of(value), id) {
                broken("a tuple was not indexed");
            }
        }
        Some(tuple)
    }

    /// The matches with ids after `after`, oldest first.
    pub(crate) fn matches<'a, 'q>(
        &'a self,
        template: &'q Template,
        after: Option<TupleId>,
        work: &'q mut Work,
    ) -> Matches<'a, 'q> {
        Matches {
            shelf: self,
            template,
            candidates: self.candidates(template, after),
            work,
        }
    }

    /// How many tuples match; where the index alone can tell, none is looked at.
    pub(crate) fn count(&self, template: &Template, work: &mut Work) -> Result<u64, Refusal> {
        let mut asking = self
            .indices
            .iter()
            .zip(template.fields())
            .filter_map(|(index, field)| Some((index, Sought::by(field)?)));
        match (asking.next(), asking.next()) {
            (None, _) => Ok(self.len()),
            (Some((index, sought)), None) if sought.whole => Ok(index.count(&sought.run)),
            _ => self
                .matches(template, None, work)
                .try_fold(0, |count, found| found.map(|_| count + 1)),
        }
    }

    /// The shortest list, by id, that holds every match.
    fn candidates(&self, template: &Template, after: Option<TupleId>) -> Candidates<'_> {
        let all = Candidates::All(match after {
            Some(after) => self.tuples.range((Excluded(after), Unbounded)),
            None => self.tuples.range(..),
        });
        let mut best = all;
        let mut length = self.len();
        let mut spans = Vec::new();
        // Tags stand first by custom, what tells tuples apart behind them.
        for (index, field) in self.indices.iter().zip(template.fields()).rev() {
            match Sought::by(field).map(|sought| sought.run) {
                None => {}
                Some(Run::One(key)) => {
                    let Some(posting) = index.get(&key) else {
                        return Candidates::None;
                    };
                    if posting.len() < length {
                        length = posting.len();
                        best = Candidates::Posting(posting, after);
                    }
                    if length <= FEW {
                        return best;
                    }
                }
                Some(run) => spans.push((index, run)),
            }
        }
        for (index, run) in spans {
            let count = index.count(&run);
            if count == 0 {
                return Candidates::None;
            }
            let cost = if after.is_some() {
                count.saturating_mul(SKIPPING)
            } else {
                count
            };
            if let Run::Span(from, to) = run
                && cost < length
            {
                length = cost;
                best = Candidates::Span(index.oldest_first(&from, &to, after));
            }
        }
        best
    }
}

/// Ids that may match, oldest first.
enum Candidates<'a> {
    None,
    All(btree_map::Range<'a, TupleId, Tuple>),
    /// Those of a posting after an id.
    Posting(&'a Posting, Option<TupleId>),
    Span(OldestFirst<'a>),
}

impl Iterator for Candidates<'_> {
    type Item = TupleId;

    fn next(&mut self) -> Option<TupleId> {
        match self {
            Self::None => None,
            Self::All(range) => range.next().map(|(id, _)| *id),
            Self::Posting(posting, after) => {
                *after = Some(posting.next(*after)?);
                *after
            }
            Self::Span(ids) => ids.next(),
        }
    }
}

/// Matches of a template, oldest first; an error ends them.
pub(crate) struct Matches<'a, 'q> {
    shelf: &'a Shelf,
    template: &'q Template,
    candidates: Candidates<'a>,
    work: &'q mut Work,
}

impl<'a> Iterator for Matches<'a, '_> {
    type Item = Result<(TupleId, &'a Tuple), Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let id = self.candidates.next()?;
            if let Err(refusal) = self.work.spend() {
                self.candidates = Candidates::None;
                return Some(Err(refusal));
            }
            let Some(tuple) = self.shelf.get(id) else {
                broken("an index names a tuple that is not there");
            };
            if self.template.matches(tuple) {
                return Some(Ok((id, tuple)));
            }
        }
    }
}
