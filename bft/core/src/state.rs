//! A state as a list of parts: what replicas vote on, keep and send.
//!
//! A checkpoint comes every few hundred milliseconds, on the path of an operation, and most of
//! a large state did not change since the one before. So a service gives its state in parts
//! and keeps those that did not change, with their digests: the digest of the whole is that of
//! the parts' lengths and digests, and nothing is copied or hashed twice. How a state is
//! divided belongs to it: the same state has the same parts at every replica
//! (docs/decisions/020-states-in-parts.md).

use std::sync::Arc;

use bytes::Bytes;

use crate::{crypto::digest, ids::Digest};

/// Why bytes are no snapshot of this service. The text is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no state of this service: {0}")]
pub struct BadSnapshot(pub String);

/// Bytes that are hashed once. They are not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    bytes: Arc<[u8]>,
    digest: Digest,
}

impl Part {
    /// Takes bytes whose digest is not known yet; `None` if there are none.
    #[must_use]
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Option<Self> {
        let bytes = bytes.into();
        let digest = Self::digest_of(&bytes);
        Self::known(bytes, digest)
    }

    /// Takes bytes with the digest that [`Part::digest_of`] gave for them; `None` if there are
    /// none.
    #[must_use]
    pub fn known(bytes: Arc<[u8]>, digest: Digest) -> Option<Self> {
        (!bytes.is_empty()).then_some(Self { bytes, digest })
    }

    /// What stands for bytes in the digest of a state.
    #[must_use]
    pub fn digest_of(bytes: &[u8]) -> Digest {
        digest("bezant state part", &[bytes])
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A state, or what a service says of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    parts: Vec<Part>,
}

impl State {
    /// A state of these parts.
    #[must_use]
    pub const fn new(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    /// Its parts.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Its parts, for another state.
    #[must_use]
    pub fn into_parts(self) -> Vec<Part> {
        self.parts
    }

    /// What replicas vote on at a checkpoint: equal only if the states are.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut list = Vec::with_capacity(self.parts.len().saturating_mul(40));
        for part in &self.parts {
            list.extend_from_slice(&(part.bytes.len() as u64).to_le_bytes());
            list.extend_from_slice(&part.digest.0);
        }
        digest("bezant state", &[&list])
    }

    /// The bytes of all parts, one behind the other.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        self.parts
            .iter()
            .map(Part::bytes)
            .collect::<Vec<_>>()
            .concat()
    }

    /// How many parts there are and how long each is: what stands before the content where a
    /// state is sent or kept.
    fn head(&self) -> Vec<u8> {
        let lengths = self.parts.iter().map(|part| part.bytes.len());
        let numbers = std::iter::once(self.parts.len()).chain(lengths);
        numbers
            .flat_map(|seq_no| (seq_no as u64).to_le_bytes())
            .collect()
    }

    /// The whole as it is sent and kept, piece by piece.
    #[must_use]
    pub fn pieces(&self) -> Vec<Bytes> {
        let parts = self.parts.iter();
        let parts = parts.map(|part| Bytes::from_owner(Arc::clone(&part.bytes)));
        std::iter::once(Bytes::from(self.head()))
            .chain(parts)
            .collect()
    }

    /// How long that is.
    #[must_use]
    pub fn encoded_len(&self) -> u64 {
        let head = (self.parts.len() as u64)
            .saturating_add(1)
            .saturating_mul(8);
        let parts = self.parts.iter().map(|part| part.bytes.len() as u64);
        parts.fold(head, u64::saturating_add)
    }

    /// That as one string of bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.pieces().concat()
    }

    /// At most so many bytes of it from `offset` on; fewer only at its end.
    #[must_use]
    pub fn read(&self, offset: u64, most: usize) -> Bytes {
        let mut skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut read = Vec::new();
        for piece in self.pieces() {
            let from = skipped.min(piece.len());
            skipped -= from;
            let room = most.saturating_sub(read.len());
            let wanted = piece.get(from..).unwrap_or_default();
            read.extend_from_slice(wanted.get(..room).unwrap_or(wanted));
        }
        Bytes::from(read)
    }

    /// Reads what [`State::encode`] wrote.
    ///
    /// # Errors
    /// [`BadSnapshot`] for any other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadSnapshot> {
        let bad = || BadSnapshot("its parts are not what it says they are".to_owned());
        let seq_no = |bytes: &mut &[u8]| {
            let (seq_no, rest) = bytes.split_first_chunk()?;
            *bytes = rest;
            usize::try_from(u64::from_le_bytes(*seq_no)).ok()
        };
        let mut rest = bytes;
        let count = seq_no(&mut rest).ok_or_else(bad)?;
        let head = count.checked_mul(8).ok_or_else(bad)?;
        let (mut lengths, mut content) = rest.split_at_checked(head).ok_or_else(bad)?;
        let mut parts = Vec::with_capacity(count);
        while let Some(length) = seq_no(&mut lengths) {
            let (part, others) = content.split_at_checked(length).ok_or_else(bad)?;
            parts.push(Part::new(part).ok_or_else(bad)?);
            content = others;
        }
        if content.is_empty() {
            Ok(Self { parts })
        } else {
            Err(bad())
        }
    }
}

/// A state that is not divided.
impl From<Vec<u8>> for State {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            parts: Part::new(bytes).into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(parts: &[&[u8]]) -> State {
        State::new(parts.iter().filter_map(|part| Part::new(*part)).collect())
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let all: [&[&[u8]]; 3] = [&[], &[b"one"], &[b"one", b"t", b"three"]];
        for parts in all {
            let state = state(parts);
            let bytes = state.encode();
            assert_eq!(State::decode(&bytes), Ok(state.clone()));
            assert_eq!(state.encoded_len(), bytes.len() as u64);
            assert_eq!(state.content(), parts.concat());
            // Read bit by bit it is the same.
            for step in 1..bytes.len() + 2 {
                let offsets = (0..bytes.len() + 2).step_by(step);
                let read: Vec<Bytes> = offsets.map(|at| state.read(at as u64, step)).collect();
                assert_eq!(read.concat(), bytes, "{step}");
            }
            assert!(state.read(u64::MAX, 9).is_empty());
        }
    }

    #[test]
    fn bytes_that_are_no_state_are_refused() {
        let bytes = state(&[b"one", b"two"]).encode();
        for length in 0..bytes.len() {
            assert!(State::decode(&bytes[..length]).is_err(), "{length}");
        }
        let spoilt = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            State::decode(&bytes)
        };
        assert!(State::decode(&[&bytes[..], &[0]].concat()).is_err());
        assert!(spoilt(0, 3).is_err(), "a part that is not there");
        assert!(spoilt(0, 1).is_err(), "a part too few");
        assert!(spoilt(8, 2).is_err(), "one that is shorter");
        assert!(spoilt(7, 1).is_err(), "more parts than memory");
        assert!(spoilt(15, 0xff).is_err(), "one longer than memory");
        let mut empty = state(&[b"one"]).encode();
        empty[0] = 2;
        empty.splice(8..8, [0; 8]);
        assert!(State::decode(&empty).is_err(), "a part of nothing");
    }

    #[test]
    fn the_digest_is_of_the_parts_and_where_they_end() {
        let of = |parts: &[&[u8]]| state(parts).digest();
        let whole = of(&[b"onetwo"]);
        assert_eq!(whole, State::from(b"onetwo".to_vec()).digest());
        let all = [
            whole,
            of(&[b"one", b"two"]),
            of(&[b"two", b"one"]),
            of(&[b"onet", b"wo"]),
            of(&[b"one"]),
            of(&[]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
        }
        // One whose digest is known is the same.
        let bytes: Arc<[u8]> = b"onetwo"[..].into();
        let known = Part::known(Arc::clone(&bytes), Part::digest_of(&bytes));
        assert_eq!(State::new(known.into_iter().collect()).digest(), whole);
        assert_eq!(Part::new(&b""[..]), None);
    }
}
