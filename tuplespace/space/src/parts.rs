//! The content of spaces as bytes, in parts of which most are shared with earlier ones.

use std::sync::{Arc, OnceLock};

/// Bytes of fewer than so many are no part of their own: naming them would cost more than
/// copying them.
const LEAST: usize = 2_048;

/// Bytes that stay as they are, and a mark that their keeper makes of them once.
#[derive(Debug)]
pub struct Kept {
    bytes: Arc<[u8]>,
    mark: OnceLock<[u8; 32]>,
}

impl Kept {
    pub(crate) fn new(bytes: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            bytes: bytes.into(),
            mark: OnceLock::new(),
        })
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// What `make` makes of the bytes. It is always the same `make` that asks.
    pub fn mark(&self, make: impl FnOnce(&[u8]) -> [u8; 32]) -> [u8; 32] {
        *self.mark.get_or_init(|| make(&self.bytes))
    }
}

/// One part.
#[derive(Debug)]
pub enum Part {
    /// Made for this once.
    Fresh(Vec<u8>),
    /// Kept by the spaces until it changes.
    Kept(Arc<Kept>),
}

impl Part {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Fresh(bytes) => bytes,
            Self::Kept(kept) => kept.bytes(),
        }
    }
}

/// Parts in the making. Where one ends follows from the content alone; none is empty.
#[derive(Debug, Default)]
pub struct Parts {
    done: Vec<Part>,
    open: Vec<u8>,
}

impl Parts {
    /// Where to append what is made anew each time.
    pub const fn open(&mut self) -> &mut Vec<u8> {
        &mut self.open
    }

    /// Appends what may be kept: as a part of its own, if it is worth one.
    pub(crate) fn keep(&mut self, kept: &Arc<Kept>) {
        if kept.bytes.len() < LEAST {
            self.open.extend_from_slice(&kept.bytes);
            return;
        }
        self.close();
        self.done.push(Part::Kept(Arc::clone(kept)));
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(Part::Fresh(std::mem::take(&mut self.open)));
        }
    }

    /// All parts, in order.
    #[must_use]
    pub fn into_parts(mut self) -> Vec<Part> {
        self.close();
        self.done
    }

    /// All bytes, one behind the other.
    #[must_use]
    pub fn content(self) -> Vec<u8> {
        let parts = self.into_parts();
        parts.iter().map(Part::bytes).collect::<Vec<_>>().concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worth_it_is_a_part_of_its_own() {
        let kept = |length: usize| Kept::new(&vec![7; length]);
        let mut parts = Parts::default();
        parts.keep(&kept(LEAST));
        parts.open().push(1);
        parts.keep(&kept(LEAST - 1));
        parts.open().push(2);
        parts.keep(&kept(LEAST + 1));
        let parts = parts.into_parts();
        let lengths: Vec<usize> = parts.iter().map(|part| part.bytes().len()).collect();
        assert_eq!(lengths, [LEAST, LEAST + 1, LEAST + 1]);
        let is_kept = |part: &Part| matches!(part, Part::Kept(_));
        let all: Vec<bool> = parts.iter().map(is_kept).collect();
        assert_eq!(all, [true, false, true]);
        assert!(Parts::default().into_parts().is_empty());
    }

    #[test]
    fn a_mark_is_made_once_of_the_bytes() {
        let kept = Kept::new(&[9; 3]);
        let mark = |bytes: &[u8]| [u8::try_from(bytes.len()).unwrap(); 32];
        assert_eq!(kept.mark(mark), [3; 32]);
        assert_eq!(kept.mark(|_| unreachable!("it is known")), [3; 32]);
    }
}
