//! A primary that orders everything but one client's requests.

use bezant_bft::{ids::ClientId, message::PeerMessage, verification::Unverified};

use super::{Means, Strategy};

/// Never takes in the requests of the client it hears first.
#[derive(Debug, Default)]
pub(super) struct Unfair {
    victim: Option<ClientId>,
    hits: u64,
}

impl Strategy for Unfair {
    fn hear(&mut self, _: &mut Means<'_>, message: &Unverified) -> bool {
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
