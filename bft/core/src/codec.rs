//! The one canonical encoding: postcard, with every other spelling refused.
//!
//! Digests and signatures cover encoded bytes, so two byte strings must never
//! mean the same message: a decoded value is encoded again and compared
//! (docs/wire-format.md). Decoding never allocates more than its input is long
//! times a constant, because postcard reads lengths against what is left.

use serde::{Serialize, de::DeserializeOwned};

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
/// (no maps, no unsized sequences); an empty vector, which no decoder accepts,
/// would stand for one.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap_or_default()
}

/// Decodes the whole of `bytes`, refusing any spelling but [`encode`]'s own.
///
/// # Errors
/// [`DecodeError`] tells a malformed message from a non-canonical one.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let value = postcard::from_bytes::<T>(bytes).map_err(|_| DecodeError::Malformed)?;
    if encode(&value) == bytes {
        Ok(value)
    } else {
        Err(DecodeError::NotCanonical)
    }
}
