//! Decodes and authenticates messages: the only way into the state machine.
//!
//! A frame is decoded into an [`Unverified`] message, which nobody may act on. A
//! [`Batch`] checks structure and signatures of many unverified messages at once
//! and hands out [`Input`]s, whose verified parts cannot be made anywhere
//! else. Batching is the driver's choice (any number, on any thread);
//! what is believed is decided here alone: in [`batch`] and, for what carries
//! proofs of others, in [`certificates`]; both collect what is to be checked in
//! [`claims`]. The types that come out are in [`verified`].
//!
//! [`Input`]: crate::effects::Input

mod batch;
mod certificates;
mod claims;
pub(crate) mod verified;

pub(crate) use batch::examine;
pub use batch::{Batch, check_commits};
pub(crate) use claims::well_formed;
pub use verified::{
    CheckedDecision, CheckedNewView, CheckedPrePrepare, CheckedProposal, CheckedRequest,
    CheckedViewChange, LinkAuthenticated, Unverified, Verified,
};
