//! Encodes keys, digests and signatures as byte strings.
//!
//! serde's own way with `[u8; N]` is a tuple of N numbers, read and written one by
//! one; messages are mostly digests and signatures. A byte string is copied as a
//! whole, for a byte in front that says how long it is. Another length is no value.

use core::fmt;

use serde::{Deserializer, Serializer, de};

/// Writes `bytes` as a byte string.
pub(crate) fn serialize<S: Serializer, const N: usize>(
    bytes: &[u8; N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Reads a byte string of exactly `N` bytes.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    deserializer.deserialize_bytes(Exactly::<N>)
}

struct Exactly<const N: usize>;

impl<const N: usize> de::Visitor<'_> for Exactly<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
        bytes
            .try_into()
            .map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        codec::{DecodeError, decode, encode},
        crypto::Signature,
        ids::Digest,
    };

    #[test]
    fn a_digest_is_its_length_and_its_bytes() {
        let bytes = encode(&Digest([7; 32]));
        assert_eq!(bytes[0], 32);
        assert_eq!(bytes[1..], [7; 32]);
        assert_eq!(decode(&bytes), Ok(Digest([7; 32])));
        let bytes = encode(&Signature([9; 64]));
        assert_eq!(bytes[0], 64);
        assert_eq!(bytes[1..], [9; 64]);
        assert_eq!(decode(&bytes), Ok(Signature([9; 64])));
    }

    #[test]
    fn no_other_length_and_no_other_spelling_of_it_is_read() {
        for len in [0, 31, 33, 64] {
            let mut bytes = vec![7; len + 1];
            bytes[0] = u8::try_from(len).unwrap();
            assert_eq!(
                decode::<Digest>(&bytes),
                Err(DecodeError::Malformed),
                "{len}"
            );
        }
        let mut overlong = vec![7; 34];
        (overlong[0], overlong[1]) = (0x80 | 32, 0);
        assert_eq!(decode::<Digest>(&overlong), Err(DecodeError::NotCanonical));
    }
}
