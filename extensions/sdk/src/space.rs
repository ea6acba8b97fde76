//! A tuple space as an extension uses it.
//!
//! No call here waits, and none can fail halfway: what the manifest does not allow or
//! the tuple space refuses ends the extension's call, with everything undone.

use alloc::vec::Vec;

use crate::{Answer, TemplateBytes, TupleBytes, raw};

/// A space the manifest gives access to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space(i32);

/// How long a tuple lives that nobody takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// As long as the session of the client whose operation it is.
    Session,
    /// So many milliseconds of agreed time, at least one.
    Ms(u64),
}

/// A page of tuples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The tuples, oldest first.
    pub tuples: Vec<TupleBytes>,
    /// Where the next page begins, if there is more.
    pub next: Option<u64>,
}

impl Space {
    /// The space the operation is on.
    pub const HERE: Self = Self(-1);

    /// The space of the manifest's capability with this index, counted from 0 in the
    /// manifest's order (ascending by name).
    #[must_use]
    pub const fn capability(index: u16) -> Self {
        Self(index as i32)
    }

    /// The handle by which the host knows it.
    #[cfg(all(feature = "native", not(target_arch = "wasm32")))]
    pub(crate) const fn handle(self) -> i32 {
        self.0
    }

    /// The oldest tuple that matches.
    #[must_use]
    pub fn rdp(self, template: &TemplateBytes) -> Option<TupleBytes> {
        found(|into| raw::rdp(self.0, template.as_bytes(), into))
    }

    /// The first `limit` (at most 256) tuples that match, after the cursor `after`.
    #[must_use]
    pub fn rd_all(self, template: &TemplateBytes, limit: u32, after: Option<u64>) -> Page {
        let after = after.and_then(|id| i64::try_from(id).ok()).unwrap_or(-1);
        let bytes = raw::fetch(|into| raw::rd_all(self.0, template.as_bytes(), limit, after, into));
        read_page(&bytes.unwrap_or_default()).unwrap_or_else(|| raw::stop())
    }

    /// How many tuples match.
    #[must_use]
    pub fn count(self, template: &TemplateBytes) -> u64 {
        let count = raw::count(self.0, template.as_bytes());
        u64::try_from(count).unwrap_or(0)
    }

    /// Of the tuples that match, the one with the smallest integer at `position`, the
    /// oldest among equals.
    #[must_use]
    pub fn rdp_min(self, template: &TemplateBytes, position: u32) -> Option<TupleBytes> {
        found(|into| raw::rdp_min(self.0, template.as_bytes(), position, into))
    }

    /// Inserts a tuple.
    pub fn out(self, tuple: &TupleBytes) {
        raw::out(self.0, tuple.as_bytes());
    }

    /// Inserts a tuple that does not live for ever.
    pub fn out_leased(self, tuple: &TupleBytes, lease: Lease) {
        let lease_ms = match lease {
            Lease::Session => 0,
            // 0 would mean a session.
            Lease::Ms(ms) => i64::try_from(ms.max(1)).unwrap_or(i64::MAX),
        };
        raw::out_leased(self.0, tuple.as_bytes(), lease_ms);
    }

    /// Removes and gives at most `limit` (at most 256) tuples that match, oldest first. If the
    /// page names a next one there are more.
    pub fn in_all(self, template: &TemplateBytes, limit: u32) -> Page {
        let bytes = raw::fetch(|into| raw::in_all(self.0, template.as_bytes(), limit, into));
        read_page(&bytes.unwrap_or_default()).unwrap_or_else(|| raw::stop())
    }

    /// Lets the oldest matching tuple that has a lease live for so long from now, and gives it.
    pub fn renew(self, template: &TemplateBytes, lease_ms: u64) -> Option<TupleBytes> {
        let lease_ms = i64::try_from(lease_ms).unwrap_or(i64::MAX);
        found(|into| raw::renew(self.0, template.as_bytes(), lease_ms, into))
    }

    /// Answers an `rd` or `in` with the oldest match, which it takes if it is to `take`, or
    /// lets its client wait for one.
    #[must_use]
    pub fn wait_for(self, template: &TemplateBytes, take: bool) -> Answer {
        raw::wait_for(self.0, template.as_bytes(), u32::from(take));
        Answer::Awaited
    }

    /// Hands a tuple to those who wait for one like it, and to nobody else; how many got it.
    pub fn wake(self, tuple: &TupleBytes) -> u32 {
        u32::try_from(raw::wake(self.0, tuple.as_bytes())).unwrap_or(0)
    }

    /// Removes and gives the oldest tuple that matches.
    pub fn inp(self, template: &TemplateBytes) -> Option<TupleBytes> {
        found(|into| raw::inp(self.0, template.as_bytes(), into))
    }

    /// Removes and gives the tuple that [`rdp_min`](Self::rdp_min) would read.
    pub fn inp_min(self, template: &TemplateBytes, position: u32) -> Option<TupleBytes> {
        found(|into| raw::inp_min(self.0, template.as_bytes(), position, into))
    }

    /// Inserts `tuple` unless something matches, which is then given.
    pub fn cas(self, template: &TemplateBytes, tuple: &TupleBytes) -> Option<TupleBytes> {
        found(|into| raw::cas(self.0, template.as_bytes(), tuple.as_bytes(), into))
    }

    /// Replaces the oldest tuple that matches by `tuple` and gives it; without a match
    /// changes nothing.
    pub fn replace(self, template: &TemplateBytes, tuple: &TupleBytes) -> Option<TupleBytes> {
        found(|into| raw::replace(self.0, template.as_bytes(), tuple.as_bytes(), into))
    }
}

/// The tuple the host answers with.
fn found(ask: impl FnOnce(&mut [u8]) -> i32) -> Option<TupleBytes> {
    raw::fetch(ask).map(TupleBytes::from_host)
}

/// Reads a page as the host writes it: the cursor, then each tuple behind its length.
fn read_page(bytes: &[u8]) -> Option<Page> {
    let (cursor, mut rest) = bytes.split_first_chunk::<8>()?;
    let mut tuples = Vec::new();
    while let Some((len, more)) = rest.split_first_chunk::<4>() {
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (tuple, more) = more.split_at_checked(len)?;
        tuples.push(TupleBytes::from_host(Vec::from(tuple)));
        rest = more;
    }
    Some(Page {
        tuples,
        next: u64::try_from(i64::from_le_bytes(*cursor)).ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_to_its_end() {
        let mut bytes = Vec::from(7i64.to_le_bytes());
        bytes.extend_from_slice(&[2, 0, 0, 0, 1, 0, 3, 0, 0, 0, 1, 2, 84]);
        let page = read_page(&bytes);
        let tuples = page.as_ref().map(|page| page.tuples.len());
        assert_eq!(
            (tuples, page.and_then(|page| page.next)),
            (Some(2), Some(7))
        );
        assert_eq!(read_page(&bytes[..20]), None, "cut short");
        let last = read_page(&(-1i64).to_le_bytes());
        assert_eq!(last.and_then(|page| page.next), None);
    }
}
