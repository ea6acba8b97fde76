//! One space: its tuples, on shelves by their number of fields.

use std::{collections::BTreeMap, sync::Arc};

use bezant_tuple::{Template, Tuple};

use crate::{
    Audience, Parts, Payer, Quota, Refusal, TupleId,
    audience::{Viewer, weight},
    broken,
    key::Key,
    leases::Hold,
    shelf::{Shelf, Work},
};

/// What a tuple hangs together with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ties {
    /// What its life hangs on.
    pub(crate) hold: Option<Hold>,
    /// Against whom it counts.
    pub(crate) payer: Option<Payer>,
    /// For whom it is, unless it is for everybody.
    pub(crate) audience: Option<Arc<Audience>>,
}

impl Ties {
    /// What a tuple with these ties weighs in bounds of bytes.
    pub(crate) fn weigh(&self, tuple: &Tuple) -> u64 {
        weight(tuple, self.audience.as_deref())
    }
}

/// Where a tuple lies in its space: on the shelf for its number of fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Locator {
    pub(crate) arity: usize,
    pub(crate) id: TupleId,
}

/// A tuple on its way into a space, with what is known of it beforehand.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) tuple: Tuple,
    /// The index keys of its fields.
    pub(crate) keys: Vec<Key>,
    /// What it weighs with its ties.
    pub(crate) bytes: u64,
    pub(crate) ties: Ties,
}

impl Incoming {
    pub(crate) fn new(tuple: Tuple, ties: Ties) -> Self {
        Self {
            keys: keys_of(&tuple),
            bytes: ties.weigh(&tuple),
            tuple,
            ties,
        }
    }
}

/// A tuple that is out of its space, with what it hung together with.
#[derive(Clone, Debug)]
pub(crate) struct Removed {
    pub(crate) tuple: Tuple,
    pub(crate) ties: Ties,
}

/// One space as somebody sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    space: &'a Space,
    viewer: Viewer<'a>,
}

/// The tuples of one space.
#[derive(Debug, Default)]
pub(crate) struct Space {
    /// By arity, of which there are few; no shelf is empty.
    shelves: BTreeMap<usize, Shelf>,
    /// The tuples that do not live for ever.
    holds: BTreeMap<TupleId, Hold>,
    /// Who pays for those tuples that count against somebody.
    payers: BTreeMap<TupleId, Payer>,
    /// For whom those tuples are that are not for everybody.
    audiences: BTreeMap<TupleId, Arc<Audience>>,
    /// What all tuples weigh.
    bytes: u64,
    quota: Quota,
}

impl Space {
    pub(crate) fn len(&self) -> u64 {
        self.shelves.values().map(Shelf::len).sum()
    }

    /// What all tuples weigh, with their audiences.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How much it may hold.
    pub(crate) const fn quota(&self) -> Quota {
        self.quota
    }

    /// Lets it hold so much; how much it was before.
    pub(crate) const fn allow(&mut self, quota: Quota) -> Quota {
        std::mem::replace(&mut self.quota, quota)
    }

    /// Whether a tuple of `bytes` has room, after one of `freed` bytes was taken.
    pub(crate) fn has_room_for(&self, bytes: u64, freed: Option<u64>) -> bool {
        let tuples = self.len() - u64::from(freed.is_some());
        let bytes = self.bytes - freed.unwrap_or(0) + bytes;
        tuples < self.quota.tuples && bytes <= self.quota.bytes
    }

    /// Appends the tuples, by arity and then oldest first; says how many had to be encoded.
    pub(crate) fn encode_into(&self, out: &mut Parts) -> u64 {
        let shelves = self.shelves.values();
        shelves.map(|shelf| shelf.encode_into(out)).sum()
    }

    /// It, as somebody sees it.
    pub(crate) const fn seen_by<'a>(&'a self, viewer: Viewer<'a>) -> View<'a> {
        View {
            space: self,
            viewer,
        }
    }

    /// What a tuple's life hangs on.
    pub(crate) fn hold_of(&self, id: TupleId) -> Option<Hold> {
        self.holds.get(&id).copied()
    }

    /// What lives hang on, by age of the tuples.
    pub(crate) fn holds(&self) -> impl ExactSizeIterator<Item = (TupleId, Hold)> {
        self.holds.iter().map(|(id, hold)| (*id, *hold))
    }

    /// Lets the life of a tuple, which is there, hang on this.
    pub(crate) fn hold(&mut self, id: TupleId, hold: Hold) {
        self.holds.insert(id, hold);
    }

    /// Who pays for a tuple.
    pub(crate) fn payer_of(&self, id: TupleId) -> Option<Payer> {
        self.payers.get(&id).copied()
    }

    /// Who pays, by age of the tuples.
    pub(crate) fn payers(&self) -> impl ExactSizeIterator<Item = (TupleId, &Payer)> {
        self.payers.iter().map(|(id, payer)| (*id, payer))
    }

    /// Lets somebody pay for a tuple, which is there.
    pub(crate) fn charge(&mut self, id: TupleId, payer: Payer) {
        self.payers.insert(id, payer);
    }

    /// Nobody pays for what this one paid for.
    pub(crate) fn release(&mut self, payer: &Payer) {
        self.payers.retain(|_, other| other != payer);
    }

    /// For whom a tuple is, unless it is for everybody.
    pub(crate) fn audience_of(&self, id: TupleId) -> Option<&Arc<Audience>> {
        self.audiences.get(&id)
    }

    /// For whom tuples are that are not for everybody, by age.
    pub(crate) fn audiences(&self) -> impl ExactSizeIterator<Item = (TupleId, &Arc<Audience>)> {
        self.audiences.iter().map(|(id, audience)| (*id, audience))
    }

    /// Lets a tuple, which is there, be for these only.
    pub(crate) fn narrow(&mut self, id: TupleId, audience: Arc<Audience>) {
        self.audiences.insert(id, audience);
    }

    /// Where all tuples are: by arity and then oldest first.
    pub(crate) fn locators(&self) -> impl Iterator<Item = Locator> {
        let shelves = self.shelves.iter();
        shelves.flat_map(|(arity, shelf)| shelf.ids().map(|id| Locator { arity: *arity, id }))
    }

    /// What a tuple weighs, if it is here.
    pub(crate) fn weight_of(&self, id: TupleId) -> Option<u64> {
        let audience = self.audience_of(id).map(Arc::as_ref);
        Some(weight(self.get(id)?, audience))
    }

    /// The tuple, if it is here.
    pub(crate) fn get(&self, id: TupleId) -> Option<&Tuple> {
        self.shelves.values().find_map(|shelf| shelf.get(id))
    }

    /// The shelf on which all matches of `template` lie.
    fn shelf_of(&self, template: &Template) -> Option<&Shelf> {
        self.shelves.get(&template.arity())
    }

    /// Puts a tuple in its place, for whom it is meant. What its life hangs on and who pays is
    /// entered apart ([`Space::hold`], [`Space::charge`]).
    pub(crate) fn insert(&mut self, id: TupleId, incoming: Incoming) {
        let Incoming {
            tuple,
            keys,
            bytes,
            ties,
        } = incoming;
        let arity = tuple.arity();
        self.bytes += bytes;
        if let Some(audience) = ties.audience {
            self.narrow(id, audience);
        }
        self.shelves
            .entry(arity)
            .or_insert_with(|| Shelf::new(arity))
            .insert(id, tuple, keys);
    }

    /// Removes the tuple `id`, which has `arity` fields and is there, with its ties.
    pub(crate) fn remove(&mut self, arity: usize, id: TupleId) -> Removed {
        let Some(shelf) = self.shelves.get_mut(&arity) else {
            broken("a tuple to be removed has no shelf");
        };
        let Some(tuple) = shelf.remove(id) else {
            broken("a tuple to be removed is not there");
        };
        if shelf.is_empty() {
            self.shelves.remove(&arity);
        }
        let ties = Ties {
            hold: self.holds.remove(&id),
            payer: self.payers.remove(&id),
            audience: self.audiences.remove(&id),
        };
        self.bytes -= ties.weigh(&tuple);
        Removed { tuple, ties }
    }
}

impl<'a> View<'a> {
    /// Whether a tuple is there for whoever looks.
    fn sees(&self, id: TupleId) -> bool {
        let audience = self.space.audience_of(id);
        audience.is_none_or(|audience| self.viewer.meets(audience))
    }

    /// The matches with ids after `after`, oldest first.
    pub(crate) fn matches<'q>(
        self,
        template: &'q Template,
        after: Option<TupleId>,
        work: &'q mut Work,
    ) -> impl Iterator<Item = Result<(TupleId, &'a Tuple), Refusal>> + use<'a, 'q> {
        let shelf = self.space.shelf_of(template);
        let matches = shelf.map(|shelf| shelf.matches(template, after, work));
        let sees = move |found: &Result<(TupleId, _), _>| {
            let id = found.as_ref().map(|(id, _)| *id);
            id.map_or(true, |id| self.sees(id))
        };
        matches.into_iter().flatten().filter(sees)
    }

    /// The oldest match.
    pub(crate) fn oldest(
        self,
        template: &Template,
        work: &mut Work,
    ) -> Result<Option<(TupleId, &'a Tuple)>, Refusal> {
        self.matches(template, None, work).next().transpose()
    }

    /// The oldest match that lives until some time.
    pub(crate) fn oldest_leased(
        self,
        template: &Template,
        work: &mut Work,
    ) -> Result<Option<(TupleId, &'a Tuple)>, Refusal> {
        if self.space.holds.is_empty() {
            return Ok(None);
        }
        let leased = |found: &Result<(TupleId, _), _>| {
            let id = found.as_ref().map(|(id, _)| *id);
            let hold = id.map(|id| self.space.hold_of(id));
            hold.map_or(true, |hold| matches!(hold, Some(Hold::Until(_))))
        };
        let mut matches = self.matches(template, None, work);
        matches.find(leased).transpose()
    }

    /// How many match.
    pub(crate) fn count(self, template: &Template, work: &mut Work) -> Result<u64, Refusal> {
        let Some(shelf) = self.space.shelf_of(template) else {
            return Ok(0);
        };
        let mut count = shelf.count(template, work)?;
        // What an index counts are all; few are not for everybody.
        for (id, audience) in &self.space.audiences {
            work.spend()?;
            let matches = || shelf.get(*id).is_some_and(|tuple| template.matches(tuple));
            if !self.viewer.meets(audience) && matches() {
                count -= 1;
            }
        }
        Ok(count)
    }
}

/// The index keys of a tuple's fields.
pub(crate) fn keys_of(tuple: &Tuple) -> Vec<Key> {
    tuple.fields().iter().map(Key::of).collect()
}
