//! Names of spaces.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The name of a space: 1 to 64 characters of `a-z 0-9 . _ / -`. A name that
/// begins with `$` belongs to the service itself (`$extensions`).
///
/// Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceName(Arc<str>);

/// Why a text is no space name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or nothing after the `$`.
    #[error("a space name cannot be empty; write something like jobs")]
    Empty,
    /// Longer than [`SpaceName::MAX_LEN`].
    #[error("a space name has at most {max} characters; shorten it", max = SpaceName::MAX_LEN)]
    TooLong,
    /// A character that is not allowed.
    #[error("a space name cannot contain {0:?}; use a-z 0-9 . _ / -")]
    Character(char),
    /// A `$` in front where a client's own name is asked for.
    #[error("names that begin with $ belong to the service; choose another name")]
    Reserved,
    /// No `$` in front where a reserved name is asked for.
    #[error("a name of the service begins with $")]
    NotReserved,
}

impl SpaceName {
    /// Most characters of a name, the `$` of a reserved one included.
    pub const MAX_LEN: usize = 64;

    /// A client's space.
    ///
    /// # Errors
    /// [`NameError`]; a reserved name is [`NameError::Reserved`].
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.starts_with('$') {
            return Err(NameError::Reserved);
        }
        name.parse()
    }

    /// A space of the service, such as `$extensions`.
    ///
    /// # Errors
    /// [`NameError`]; an ordinary name is [`NameError::NotReserved`].
    pub fn reserved(name: &str) -> Result<Self, NameError> {
        if !name.starts_with('$') {
            return Err(NameError::NotReserved);
        }
        name.parse()
    }

    /// Whether the name belongs to the service.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Takes ordinary and reserved names alike, as the wire does.
impl FromStr for SpaceName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let body = name.strip_prefix('$').unwrap_or(name);
        if body.is_empty() {
            return Err(NameError::Empty);
        }
        let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '/' | '-');
        if let Some(stranger) = body.chars().find(|c| !allowed(*c)) {
            return Err(NameError::Character(stranger));
        }
        if name.len() > Self::MAX_LEN {
            return Err(NameError::TooLong);
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for SpaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for SpaceName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for SpaceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for SpaceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SpaceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl de::Visitor<'_> for Name {
            type Value = SpaceName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a space name")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<SpaceName, E> {
                name.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        assert_eq!(
            SpaceName::new("jobs/eu-1.a_b").unwrap().as_str(),
            "jobs/eu-1.a_b"
        );
        assert_eq!(SpaceName::new(""), Err(NameError::Empty));
        assert_eq!(SpaceName::new("Jobs"), Err(NameError::Character('J')));
        assert_eq!(SpaceName::new("a b"), Err(NameError::Character(' ')));
        assert_eq!(SpaceName::new("ü"), Err(NameError::Character('ü')));
        assert!(SpaceName::new(&"a".repeat(64)).is_ok());
        assert_eq!(SpaceName::new(&"a".repeat(65)), Err(NameError::TooLong));
    }

    #[test]
    fn the_dollar_sign_is_the_service_s() {
        assert_eq!(SpaceName::new("$extensions"), Err(NameError::Reserved));
        assert_eq!(SpaceName::reserved("jobs"), Err(NameError::NotReserved));
        assert_eq!(SpaceName::reserved("$"), Err(NameError::Empty));
        assert_eq!(SpaceName::reserved("$a$"), Err(NameError::Character('$')));
        assert!(SpaceName::reserved("$extensions").unwrap().is_reserved());
        assert!(!SpaceName::new("jobs").unwrap().is_reserved());
    }

    #[test]
    fn the_wire_holds_names_only() {
        let name = SpaceName::reserved("$extensions").unwrap();
        let bytes = postcard::to_allocvec(&name).unwrap();
        assert_eq!(bytes, postcard::to_allocvec("$extensions").unwrap());
        assert_eq!(postcard::from_bytes::<SpaceName>(&bytes), Ok(name));
        let wrong = postcard::to_allocvec("Not A Name").unwrap();
        assert!(postcard::from_bytes::<SpaceName>(&wrong).is_err());
    }
}
