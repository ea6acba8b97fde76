//! What the tuples of a shelf look like in a snapshot, remembered page by page.
//!
//! A replica takes a snapshot at every checkpoint, on the path of an operation,
//! and most of what it holds did not change since the one before. A page is a
//! fixed range of ids, so which tuples lie on it follows from the content alone;
//! a write forgets the bytes of its page and of no other. Ids only grow: what is
//! inserted between two snapshots lies on a few pages at the end.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use bezant_tuple::{Tuple, codec};

use crate::{Kept, Parts, TupleId};

/// Ids a page spans: few enough that one write does not cost many encodings, many
/// enough that the pages themselves weigh little.
const SPAN: u64 = 256;

/// The pages of one shelf; none is empty.
#[derive(Debug, Default)]
pub(crate) struct Pages(BTreeMap<u64, Page>);

#[derive(Debug, Default)]
struct Page {
    tuples: u32,
    /// Its tuples as they stand in a snapshot, once they were.
    encoded: OnceLock<Arc<Kept>>,
}

impl Pages {
    /// A tuple was put on the shelf.
    pub(crate) fn inserted(&mut self, id: TupleId) {
        let page = self.0.entry(id.0 / SPAN).or_default();
        page.tuples += 1;
        page.encoded.take();
    }

    /// A tuple was taken off the shelf.
    pub(crate) fn removed(&mut self, id: TupleId) {
        let number = id.0 / SPAN;
        if let Some(page) = self.0.get_mut(&number) {
            page.tuples -= 1;
            page.encoded.take();
            if page.tuples == 0 {
                self.0.remove(&number);
            }
        }
    }

    /// Appends every tuple behind its id, oldest first; says how many had to be encoded.
    pub(crate) fn encode_into(&self, tuples: &BTreeMap<TupleId, Tuple>, out: &mut Parts) -> u64 {
        let mut anew = 0;
        let mut bytes = Vec::new();
        for (number, page) in &self.0 {
            let kept = page.encoded.get_or_init(|| {
                let first = number * SPAN;
                bytes.clear();
                for (id, tuple) in tuples.range(TupleId(first)..=TupleId(first + (SPAN - 1))) {
                    codec::put_varint(&mut bytes, id.0);
                    codec::put_tuple(&mut bytes, tuple);
                }
                anew += u64::from(page.tuples);
                Kept::new(&bytes)
            });
            out.keep(kept);
        }
        anew
    }
}
