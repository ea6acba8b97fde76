//! The canonical encoding of calls, answers and the genesis.
//!
//! Postcard with every other spelling refused, as bezant-bft does it for its
//! messages. It stands here a second time because this crate must not depend
//! on the ordering protocol, nor the protocol on the service's words.

use postcard::{ser_flavors::Flavor, serialize_with_flavor};
use serde::{Serialize, de::DeserializeOwned};

/// Why bytes were not a call or an answer.
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
/// Encoding into memory has no failing path for the types of this workspace;
/// an empty vector, which no decoder accepts, would stand for one.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap_or_default()
}

/// Decodes the whole of `bytes`, refusing any spelling but [`encode`]'s own.
///
/// # Errors
/// [`DecodeError`] tells a malformed message from a non-canonical one.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) =
        postcard::take_from_bytes::<T>(bytes).map_err(|_| DecodeError::Malformed)?;
    if rest.is_empty() && serialize_with_flavor(&value, Expected(bytes)) == Ok(true) {
        Ok(value)
    } else {
        Err(DecodeError::NotCanonical)
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
