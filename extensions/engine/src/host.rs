//! The interface between a running extension and the service.
//!
//! The engine checks what a guest passes (pointers, encodings, capabilities) and
//! charges for it; what then happens to tuples is the [`Host`]'s, which the service
//! implements over its spaces. The engine never undoes anything: the service takes
//! a savepoint before the call and rolls back to it when the call fails.

use bezant_manifest::EventKind;
use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{Operation, Outcome, Refusal, SpaceName};

use crate::{smallest, version::EngineVersion};

/// What an extension is called for, and the circumstances.
///
/// All of it comes from the agreed log, so it is the same on every replica.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// The space it happens in.
    pub space: &'a SpaceName,
    /// What it is called for.
    pub cause: Cause<'a>,
    /// The public key of the client whose operation it is; of an event, that of whoever was
    /// served, and else that of the extension's owner.
    pub invoker: [u8; 32],
    /// The agreed time, in milliseconds since 1970.
    pub now_ms: u64,
    /// The sequence number of the proposal.
    pub sequence: u64,
    /// The version of the engine that is in force.
    pub engine: EngineVersion,
}

/// What an extension is called for.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'a> {
    /// To run instead of an operation, and to answer it.
    Operation(&'a Operation),
    /// To say whether an operation may be: it can read, and refuse.
    Judged(&'a Operation),
    /// Because something happened to a tuple: nobody awaits an answer.
    Event(EventKind, &'a Tuple),
}

impl<'a> Cause<'a> {
    /// The operation, if it is called for one.
    #[must_use]
    pub const fn operation(self) -> Option<&'a Operation> {
        match self {
            Self::Operation(operation) | Self::Judged(operation) => Some(operation),
            Self::Event(..) => None,
        }
    }
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

    /// Hears how much fuel is left when something is asked of it that touches tuples, before
    /// that is charged. For people only: nothing may depend on it.
    fn note_fuel(&mut self, _left: u64) {}

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

    /// Lets the client whose operation it is wait for a match, as its `rd` or, if it is to
    /// `take`, its `in` would; or gives what matches already. Asked at most once in a call,
    /// for an operation that waits.
    ///
    /// # Errors
    /// As the tuple space refuses.
    fn wait(
        &mut self,
        space: &SpaceName,
        template: Template,
        take: bool,
    ) -> Result<Option<Tuple>, Refusal>;

    /// Hands a tuple to those who wait for one like it and to nobody else; how many got it.
    ///
    /// # Errors
    /// As the tuple space refuses.
    fn wake(&mut self, space: &SpaceName, tuple: &Tuple) -> Result<u64, Refusal>;

    /// Holds back the answer of the client that was served, for the event that it was; whether
    /// that could be.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] if the extension does not apply to that client.
    fn hold_back(&mut self) -> Result<bool, Refusal> {
        Ok(false)
    }

    /// Takes a line for the replica's log. Must not affect the agreed state.
    fn log(&mut self, text: &str);
}
