//! The one canonical encoding: postcard, with every other spelling refused.
//!
//! Digests and signatures cover encoded bytes, so two byte strings must never
//! mean the same message: a decoded value is encoded again and compared
//! (docs/wire-format.md). Decoding never allocates more than its input is long
//! times a constant, because postcard reads lengths against what is left. The
//! second encoding is written nowhere: it is held against the input byte by byte.
//!
//! Ordering messages (bezant-bft), calls and answers (bezant-api) and manifests
//! (bezant-manifest) are all encoded here. Those crates must not know one another for it,
//! so this one stands below them and knows none: no tuple, no replica. Guests, which have
//! no serde, use the hand-written codec of bezant-tuple instead.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test may stop"
    )
)]

pub mod hex;

use postcard::{ser_flavors::Flavor, serialize_with_flavor};
use serde::{Serialize, de::DeserializeOwned};

/// Room for a vote and its signature: most messages need to be given room once.
const USUAL_BYTES: usize = 128;

/// Why bytes were not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not a value of the expected type, or cut short.
    #[error("the bytes are not a message of the expected kind")]
    Malformed,
    /// A value, but spelled otherwise than the encoder spells it, or followed by more bytes.
    #[error("the bytes are not the canonical spelling of their message")]
    NotCanonical,
}

/// Encodes `value`.
///
/// Encoding into memory has no failing path for the types of this workspace
/// (no unsized sequences); an empty vector, which no decoder accepts,
/// would stand for one.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    encode_after(Vec::with_capacity(USUAL_BYTES), value)
}

/// Encodes `value` behind what is in `bytes`.
#[must_use]
pub fn encode_after<T: Serialize + ?Sized>(bytes: Vec<u8>, value: &T) -> Vec<u8> {
    serialize_with_flavor(value, Appended(bytes)).unwrap_or_default()
}

/// Decodes the whole of `bytes`, refusing any spelling but [`encode`]'s own.
///
/// # Errors
/// [`DecodeError`] tells a malformed message from a non-canonical one.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let value = postcard::from_bytes::<T>(bytes).map_err(|_| DecodeError::Malformed)?;
    if serialize_with_flavor(&value, Expected(bytes)) == Ok(true) {
        Ok(value)
    } else {
        Err(DecodeError::NotCanonical)
    }
}

/// Takes what is encoded in behind what is there.
struct Appended(Vec<u8>);

impl Flavor for Appended {
    type Output = Vec<u8>;

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        match bytes {
            // Most numbers.
            [byte] => self.0.push(*byte),
            _ => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// What is still to be encoded if these are to be the same bytes; true if nothing is left.
struct Expected<'a>(&'a [u8]);

impl Flavor for Expected<'_> {
    type Output = bool;

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                Ok(())
            }
            _ => Err(postcard::Error::SerializeBufferFull),
        }
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if let [byte] = bytes {
            return self.try_push(*byte);
        }
        let rest = self.0.strip_prefix(bytes);
        self.0 = rest.ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.0.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_spelling_is_read() {
        let bytes = encode(&(300_u32, "a"));
        assert_eq!(decode::<(u32, String)>(&bytes), Ok((300, "a".to_owned())));
        let mut more = bytes.clone();
        more.push(0);
        assert_eq!(
            decode::<(u32, String)>(&more),
            Err(DecodeError::NotCanonical)
        );
        let cut = &bytes[..bytes.len() - 1];
        assert_eq!(decode::<(u32, String)>(cut), Err(DecodeError::Malformed));
        // 5 in two bytes.
        assert_eq!(decode::<u32>(&[0x85, 0]), Err(DecodeError::NotCanonical));
    }

    #[test]
    fn encoding_goes_on_behind_what_is_there() {
        assert_eq!(encode_after(vec![9], &1_u8), [9, 1]);
    }
}
