//! One space: its tuples, on shelves by their number of fields.

use std::collections::BTreeMap;

use bezant_tuple::{Template, Tuple};

use crate::{
    Payer, Quota, Refusal, TupleId, broken,
    key::Key,
    leases::Hold,
    shelf::{Shelf, Work},
};

/// What a tuple hangs together with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ties {
    /// What its life hangs on.
    pub(crate) hold: Option<Hold>,
    /// Against whom it counts.
    pub(crate) payer: Option<Payer>,
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
    /// How many bytes all tuples have.
    bytes: u64,
    quota: Quota,
}

impl Space {
    pub(crate) fn len(&self) -> u64 {
        self.shelves.values().map(Shelf::len).sum()
    }

    /// Bytes of all tuples in canonical encoding.
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

    /// Whether a tuple has room, after one of `freed` bytes was taken.
    pub(crate) fn has_room_for(&self, tuple: &Tuple, freed: Option<u64>) -> bool {
        let tuples = self.len() - u64::from(freed.is_some());
        let bytes = self.bytes - freed.unwrap_or(0) + tuple.encoded_len() as u64;
        tuples < self.quota.tuples && bytes <= self.quota.bytes
    }

    /// Appends the tuples, by arity and then oldest first; says how many had to be encoded.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) -> u64 {
        let shelves = self.shelves.values();
        shelves.map(|shelf| shelf.encode_into(out)).sum()
    }

    /// The oldest match.
    pub(crate) fn oldest(
        &self,
        template: &Template,
        work: &mut Work,
    ) -> Result<Option<(TupleId, &Tuple)>, Refusal> {
        match self.shelf_of(template) {
            Some(shelf) => shelf.matches(template, None, work).next().transpose(),
            None => Ok(None),
        }
    }

    /// The oldest match that lives until some time.
    pub(crate) fn oldest_leased(
        &self,
        template: &Template,
        work: &mut Work,
    ) -> Result<Option<(TupleId, &Tuple)>, Refusal> {
        let Some(shelf) = self.shelf_of(template).filter(|_| !self.holds.is_empty()) else {
            return Ok(None);
        };
        let leased = |found: &Result<(TupleId, _), _>| {
            let id = found.as_ref().map(|(id, _)| id);
            id.map_or(true, |id| matches!(self.hold_of(*id), Some(Hold::Until(_))))
        };
        let mut matches = shelf.matches(template, None, work);
        matches.find(leased).transpose()
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

    /// The tuple, if it is here.
    pub(crate) fn get(&self, id: TupleId) -> Option<&Tuple> {
        self.shelves.values().find_map(|shelf| shelf.get(id))
    }

    pub(crate) fn count(&self, template: &Template, work: &mut Work) -> Result<u64, Refusal> {
        match self.shelf_of(template) {
            Some(shelf) => shelf.count(template, work),
            None => Ok(0),
        }
    }

    /// The shelf on which all matches of `template` lie.
    pub(crate) fn shelf_of(&self, template: &Template) -> Option<&Shelf> {
        self.shelves.get(&template.arity())
    }

    /// Puts a tuple in its place; `keys` are those of its fields.
    pub(crate) fn insert(&mut self, id: TupleId, tuple: Tuple, keys: Vec<Key>) {
        let arity = tuple.arity();
        self.bytes += tuple.encoded_len() as u64;
        self.shelves
            .entry(arity)
            .or_insert_with(|| Shelf::new(arity))
            .insert(id, tuple, keys);
    }

    /// Removes the tuple `id`, which has `arity` fields and is there, with its ties.
    pub(crate) fn remove(&mut self, arity: usize, id: TupleId) -> (Tuple, Ties) {
        let Some(shelf) = self.shelves.get_mut(&arity) else {
            broken("a tuple to be removed has no shelf");
        };
        let Some(tuple) = shelf.remove(id) else {
            broken("a tuple to be removed is not there");
        };
        if shelf.is_empty() {
            self.shelves.remove(&arity);
        }
        self.bytes -= tuple.encoded_len() as u64;
        let ties = Ties {
            hold: self.holds.remove(&id),
            payer: self.payers.remove(&id),
        };
        (tuple, ties)
    }
}

/// The index keys of a tuple's fields.
pub(crate) fn keys_of(tuple: &Tuple) -> Vec<Key> {
    tuple.fields().iter().map(Key::of).collect()
}
