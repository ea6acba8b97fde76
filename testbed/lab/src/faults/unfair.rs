//! A primary that orders everything but one client's requests.

use std::time::Instant;

use bezant_bft::{
    codec,
    ids::{ClientId, ReplicaId},
    message::{PeerMessage, ReplicaMessage},
    verification::Unverified,
};
use bezant_node::strategy::{Frames, Strategy};
use bytes::Bytes;

/// Takes in no request of the client that it hears first, whoever brings it.
#[derive(Debug, Default)]
pub(crate) struct Unfair {
    victim: Option<ClientId>,
    hits: u64,
}

impl Strategy for Unfair {
    fn send_peer(&mut self, to: ReplicaId, message: &PeerMessage, frames: &mut Frames) -> bool {
        frames.push((to, Bytes::from(codec::encode(message))));
        true
    }

    fn send_client(&mut self, message: ReplicaMessage) -> Option<ReplicaMessage> {
        Some(message)
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn release(&mut self, _: Instant, _: &mut Frames) {}

    fn release_all(&mut self, _: &mut Frames) {}

    fn hear(&mut self, message: &Unverified) -> bool {
        let PeerMessage::Forward(signed) = message.peek() else {
            return true;
        };
        let client = signed.request.client;
        let taken = *self.victim.get_or_insert(client) != client;
        self.hits += u64::from(!taken);
        taken
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
