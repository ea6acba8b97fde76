//! Guests: whoever else lives in a world, with links and a clock of it.
//!
//! The world's own clients are sessions with drawn operations. A guest is a program: it may be
//! the whole client library with recipes on top, on a runtime whose clock the world turns. What
//! it does counts for all rules about replicas and for the dumb model; what it may see is for
//! itself to judge.

use bezant_bft::ids::ReplicaId;
use bytes::Bytes;

/// A frame that a guest sends.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Which of the guests sends it: the place of its key.
    pub guest: usize,
    /// To whom.
    pub to: ReplicaId,
    /// An encoded `ClientMessage`.
    pub frame: Bytes,
}

/// All guests of a world.
pub trait Guests {
    /// The links of all guests to this replica are up, perhaps anew: what was under way on the
    /// ones before is lost.
    fn linked(&mut self, replica: ReplicaId);

    /// A guest gets a frame.
    fn hear(&mut self, guest: usize, from: ReplicaId, frame: Bytes);

    /// They live up to `now_us`, microseconds since the world began, and say what they sent.
    /// Called every millisecond.
    fn live(&mut self, now_us: u64) -> Vec<Sent>;

    /// What is not done yet, for people; `None` when everything is.
    fn pending(&self) -> Option<String>;
}
