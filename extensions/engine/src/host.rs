//! The world as a running extension meets it.
//!
//! The engine checks what a guest passes (pointers, encodings, capabilities) and
//! charges for it; what then happens to tuples is the [`Host`]'s, which the service
//! implements over its spaces. The engine never undoes anything: the service takes
//! a savepoint before the call and rolls back to it when the call fails.

use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{Operation, Outcome, Refusal, SpaceName};

use crate::smallest;

/// The operation an extension runs instead of, and the circumstances.
///
/// All of it comes from the agreed log, so it is the same on every replica.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// The space the operation is on.
    pub space: &'a SpaceName,
    /// The operation.
    pub operation: &'a Operation,
    /// The invoking client's public key.
    pub invoker: [u8; 32],
    /// The agreed time, in milliseconds since 1970.
    pub now_ms: u64,
    /// The sequence number of the proposal.
    pub sequence: u64,
}

/// What an extension can do to tuples.
pub trait Host {
    /// Applies one operation that never waits: any but `rd` and `in`.
    ///
    /// The engine has checked the capability in the manifest; the rights of the
    /// invoking client are the host's to check.
    ///
    /// # Errors
    /// As the tuple space refuses. A refusal ends the call.
    fn apply(&mut self, space: &SpaceName, operation: Operation) -> Result<Outcome, Refusal>;

    /// How many tuples the host has looked at, so far and in all: what
    /// [`apply`](Self::apply) and [`smallest`](Self::smallest) add to it is charged to the
    /// guest. It must grow by the same on every replica.
    ///
    /// This default counts nothing; then calls are charged by number and bytes alone.
    fn examined(&self) -> u64 {
        0
    }

    /// The matching tuple with the smallest integer at `position`, the oldest among
    /// equals; removes it if `take`.
    ///
    /// This default asks for ranges until it has found it. A host with a more direct way
    /// overrides it.
    ///
    /// # Errors
    /// As the tuple space refuses.
    fn smallest(
        &mut self,
        space: &SpaceName,
        template: &Template,
        position: usize,
        take: bool,
    ) -> Result<Option<Tuple>, Refusal> {
        smallest::search(
            |operation| self.apply(space, operation),
            template,
            position,
            take,
        )
    }

    /// Takes a line for the replica's log. Must not affect the agreed state.
    fn log(&mut self, text: &str);
}
