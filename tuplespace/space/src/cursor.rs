//! Where a bulk read goes on.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{SpaceName, TupleId};

/// A place in the order of insertion of one space: where a page of it ended. Written
/// `SPACE:NUMBER`.
///
/// Tuples of all spaces are counted together, so that a bare number would be taken for a place
/// in any of them and pass by what is there unseen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// In which space.
    pub space: SpaceName,
    /// Behind which tuple.
    pub after: TupleId,
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is the name of a space, a colon and a number: jobs:1042")]
pub struct NoCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.space, self.after.0)
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (space, number) = text.rsplit_once(':').ok_or(NoCursor)?;
        Ok(Self {
            space: space.parse().map_err(|_| NoCursor)?,
            after: TupleId(number.parse().map_err(|_| NoCursor)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_they_are_written() {
        for text in ["jobs:1042", "$extensions:0", "a/b.c:18446744073709551615"] {
            let cursor: Cursor = text.parse().unwrap();
            assert_eq!(cursor.to_string(), text);
        }
        for text in [
            "", "1042", ":1", "jobs:", "jobs:-1", "jobs:x", "Jobs:1", "jobs:1:",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }
}
