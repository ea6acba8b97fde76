//! The content hash that names an extension, and how people see it.

use core::{fmt, str::FromStr};

use bezant_codec::hex::{Hex, from_hex};
use serde::{Deserialize, Serialize};

/// An extension's name for machines: SHA-256 over its manifest and module.
///
/// Two registrations have the same hash exactly when they have the same
/// manifest and the same module, so acknowledging a hash acknowledges one
/// program and one set of rights.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExtensionHash(pub [u8; 32]);

impl From<[u8; 32]> for ExtensionHash {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl fmt::Display for ExtensionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for ExtensionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtensionHash({self})")
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an extension's hash is 64 hexadecimal digits; copy it from the answer to its registration"
)]
pub struct NotAHash;

impl FromStr for ExtensionHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        from_hex(text).map(Self).ok_or(NotAHash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_hash_are_inverse() {
        let hash = ExtensionHash(core::array::from_fn(|i| u8::try_from(i * 7 % 256).unwrap()));
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "00",
            &"+0".repeat(32),
            &"0g".repeat(32),
            &"0".repeat(65),
        ] {
            assert_eq!(text.parse::<ExtensionHash>(), Err(NotAHash), "{text}");
        }
    }
}
