//! Length framing: a `u32` little-endian length, then that many bytes.
//!
//! [`Deframer`] turns the chunks of a stream into frames, wherever the chunks
//! are cut. A length is checked against the link's bound before anything is
//! allocated, and what is allocated grows with what has arrived, not with what
//! was announced.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::{error::Violation, limits::HEADER_BYTES};

/// What is allocated at most before the bytes that fill it are there.
const FIRST_ALLOCATION: usize = 16 << 10;

/// The prefix of a frame of `len` bytes.
pub(crate) fn header(len: usize) -> [u8; HEADER_BYTES] {
    // Lengths beyond u32 were refused by the caller's bound; saturating keeps this total.
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}

/// Cuts a stream of chunks into frames.
#[derive(Debug)]
pub(crate) struct Deframer {
    bound: usize,
    header: [u8; HEADER_BYTES],
    header_len: usize,
    body: BytesMut,
    missing: usize,
}

impl Deframer {
    /// Accepts frames of 1 to `bound` bytes.
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            bound,
            header: [0; HEADER_BYTES],
            header_len: 0,
            body: BytesMut::new(),
            missing: 0,
        }
    }

    /// Changes the bound for the frames to come.
    pub(crate) fn set_bound(&mut self, bound: usize) {
        self.bound = bound;
    }

    /// Whether the stream has been cut inside a frame.
    pub(crate) fn is_mid_frame(&self) -> bool {
        self.header_len > 0 || self.missing > 0
    }

    /// Consumes from `input` up to the end of one frame and returns it, or
    /// consumes all of `input` and returns `None`.
    ///
    /// Frames are copied out of the receive buffer, once and to exact size: a
    /// slice would keep a whole receive buffer of up to 64 KiB alive for as
    /// long as one small message is kept.
    pub(crate) fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, Violation> {
        if !self.is_mid_frame()
            && let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>()
        {
            let len = self.check(*header)?;
            if let Some(body) = rest.get(..len) {
                let frame = Bytes::copy_from_slice(body);
                input.advance(HEADER_BYTES + len);
                return Ok(Some(frame));
            }
        }
        self.next_in_pieces(input)
    }

    /// The general case: the frame, or even its prefix, arrives in pieces.
    fn next_in_pieces(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, Violation> {
        if self.missing == 0 {
            while self.header_len < HEADER_BYTES {
                if input.is_empty() {
                    return Ok(None);
                }
                let byte = input.get_u8();
                if let Some(place) = self.header.get_mut(self.header_len) {
                    *place = byte;
                }
                self.header_len += 1;
            }
            self.missing = self.check(self.header)?;
            self.header_len = 0;
            self.body = BytesMut::with_capacity(self.missing.min(FIRST_ALLOCATION));
        }
        let piece = input.split_to(self.missing.min(input.len()));
        self.body.extend_from_slice(&piece);
        self.missing -= piece.len();
        if self.missing > 0 {
            return Ok(None);
        }
        Ok(Some(core::mem::take(&mut self.body).freeze()))
    }

    fn check(&self, header: [u8; HEADER_BYTES]) -> Result<usize, Violation> {
        let bytes = u32::from_le_bytes(header);
        match usize::try_from(bytes) {
            Ok(0) => Err(Violation::EmptyFrame),
            Ok(len) if len <= self.bound => Ok(len),
            _ => Err(Violation::FrameTooLarge {
                bytes,
                limit: self.bound,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spell(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut stream = Vec::new();
        for frame in frames {
            stream.extend_from_slice(&header(frame.len()));
            stream.extend_from_slice(frame);
        }
        stream
    }

    proptest! {
        /// Wherever a stream is cut into chunks, the same frames come out.
        #[test]
        fn frames_survive_any_chunking(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..20),
            cuts in prop::collection::vec(1_usize..70, 1..40),
        ) {
            let stream = spell(&frames);
            let mut deframer = Deframer::new(300);
            let mut out = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                let (chunk, tail) = rest.split_at((*cut).min(rest.len()));
                rest = tail;
                let mut chunk = Bytes::copy_from_slice(chunk);
                while let Some(frame) = deframer.next(&mut chunk).unwrap() {
                    out.push(frame.to_vec());
                }
                prop_assert!(chunk.is_empty());
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert!(!deframer.is_mid_frame());
            prop_assert_eq!(out, frames);
        }

        /// No bytes make it panic, and it never holds more than was fed to it plus one allocation.
        #[test]
        fn garbage_is_frames_or_a_violation(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let mut deframer = Deframer::new(1 << 20);
            let mut fed = 0;
            for chunk in chunks {
                fed += chunk.len();
                let mut chunk = Bytes::from(chunk);
                loop {
                    match deframer.next(&mut chunk) {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    }
                }
                prop_assert!(deframer.body.capacity() <= 2 * fed + FIRST_ALLOCATION);
            }
        }
    }

    #[test]
    fn the_bound_is_checked_on_the_length_alone() {
        for split in [false, true] {
            let mut deframer = Deframer::new(100);
            let mut input = Bytes::from_static(&[101, 0, 0, 0]);
            let result = if split {
                let mut head = input.split_to(2);
                deframer.next(&mut head).unwrap();
                deframer.next(&mut input)
            } else {
                deframer.next(&mut input)
            };
            assert_eq!(
                result,
                Err(Violation::FrameTooLarge {
                    bytes: 101,
                    limit: 100
                })
            );
            assert_eq!(deframer.body.capacity(), 0);
        }
    }

    #[test]
    fn a_large_announcement_alone_allocates_little() {
        let mut deframer = Deframer::new(4 << 20);
        let mut input = Bytes::copy_from_slice(&header(4 << 20));
        assert_eq!(deframer.next(&mut input), Ok(None));
        assert!(deframer.body.capacity() <= 2 * FIRST_ALLOCATION);
        assert!(deframer.is_mid_frame());
    }

    #[test]
    fn empty_frames_are_refused() {
        let mut deframer = Deframer::new(100);
        assert_eq!(
            deframer.next(&mut Bytes::from_static(&[0; 4])),
            Err(Violation::EmptyFrame)
        );
    }
}
