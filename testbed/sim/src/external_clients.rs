//! External clients: programs in a simulated world, with links and a clock of it.
//!
//! The world's own clients are sessions with drawn operations. An external client is a program: it
//! may be the whole client library with recipes on top, on a runtime whose clock the world turns.
//! What it does counts for all rules about replicas and for the dumb model; what it may see is for
//! itself to judge.

use bezant_bft::ids::ReplicaId;
use bytes::Bytes;

/// A frame that an external client sends.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Which of the external clients sends it: the place of its key.
    pub external_client: usize,
    /// To whom.
    pub to: ReplicaId,
    /// An encoded `ClientMessage`.
    pub frame: Bytes,
}

/// All external clients of a world.
pub trait ExternalClients {
    /// The links of all external clients to this replica are up, perhaps anew: what was under way
    /// on the ones before is lost.
    fn linked(&mut self, replica: ReplicaId);

    /// An external client gets a frame.
    fn hear(&mut self, external_client: usize, from: ReplicaId, frame: Bytes);

    /// They live up to `now_us`, microseconds since the world began, and say what they sent.
    /// Called every millisecond.
    fn live(&mut self, now_us: u64) -> Vec<Sent>;

    /// What is not done yet, for people; `None` when everything is.
    fn pending(&self) -> Option<String>;
}
