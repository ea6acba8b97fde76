//! On whose behalf an operation is carried out: whose session it is, who pays, who looks.
//!
//! Every operation is told; spaces remember nobody between two operations. So an operation
//! that is nested in another one (an extension's, by its owner's rights) cannot leave its
//! authority behind for the next.

use crate::{ClientKey, Payer};

/// Who carries out an operation. The three may be different: an extension runs in the session
/// and at the expense of the client who called it, and sees with its owner's eyes.
///
/// There is no default: whoever applies an operation says for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor<'a> {
    /// The owner of the ephemeral tuples that it inserts; without one it can insert none.
    pub session: Option<u64>,
    /// Against whose account the tuples count that it inserts; without one against nobody's.
    pub payer: Option<&'a Payer>,
    /// With whose eyes tuples are looked for: what is not for this client is not there. Without
    /// one only what is for everybody is. A wait goes on with the eyes with which it began.
    pub viewer: Option<&'a ClientKey>,
}

impl<'a> Actor<'a> {
    /// The service itself, on nobody's behalf: it owns no ephemeral tuples, pays for nothing
    /// and sees what is for everybody.
    pub const SERVICE: Self = Self {
        session: None,
        payer: None,
        viewer: None,
    };

    /// A client in a session of its own, for itself.
    #[must_use]
    pub const fn client(session: u64, client: &'a ClientKey) -> Self {
        Self {
            session: Some(session),
            payer: Some(client),
            viewer: Some(client),
        }
    }

    /// The same session at the same expense, seen with the eyes of `viewer`.
    #[must_use]
    pub const fn seeing_as(self, viewer: &'a ClientKey) -> Self {
        Self {
            viewer: Some(viewer),
            ..self
        }
    }
}
