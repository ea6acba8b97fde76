//! What the tuples of a shelf look like in a snapshot, remembered page by page.
//!
//! A replica takes a snapshot at every checkpoint, on the path of an operation,
//! and most of what it holds did not change since the one before. A page is a
//! fixed range of ids, so which tuples lie on it follows from the content alone;
//! a write forgets the bytes of its page and of no other. Ids only grow: what is
//! inserted between two snapshots lies on a few pages at the end.

use std::{cell::OnceCell, collections::BTreeMap};

use bezant_tuple::{Tuple, codec};

use crate::TupleId;

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
    encoded: OnceCell<Box<[u8]>>,
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
    pub(crate) fn encode_into(&self, tuples: &BTreeMap<TupleId, Tuple>, out: &mut Vec<u8>) -> u64 {
        let mut anew = 0;
        for (number, page) in &self.0 {
            if let Some(encoded) = page.encoded.get() {
                out.extend_from_slice(encoded);
                continue;
            }
            let start = out.len();
            let first = number * SPAN;
            for (id, tuple) in tuples.range(TupleId(first)..=TupleId(first + (SPAN - 1))) {
                codec::put_varint(out, id.0);
                codec::put_tuple(out, tuple);
            }
            anew += u64::from(page.tuples);
            let encoded = out.get(start..).unwrap_or_default();
            page.encoded.get_or_init(|| encoded.into());
        }
        anew
    }
}
