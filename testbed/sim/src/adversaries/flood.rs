//! A faulty client: floods, reused numbers, foreign sessions, nonsense.

use bezant_api::Call;
use bezant_bft::{
    crypto::SigningKey,
    ids::{ClientId, ClusterId, RequestNumber, SessionId},
    message::{ClientMessage, Request},
};
use bytes::Bytes;

use crate::rng::Rng;

/// A client that keeps to no rule but has a key.
pub(crate) struct Flood {
    key: SigningKey,
    pub(crate) client: usize,
    pub(crate) hits: u64,
}

impl Flood {
    pub(crate) const fn new(key: SigningKey, client: usize) -> Self {
        Self {
            key,
            client,
            hits: 0,
        }
    }

    /// Who it is.
    pub(crate) fn key(&self) -> ClientId {
        self.key.client()
    }

    /// The next message, and the replicas it goes to, as bits.
    pub(crate) fn next(&mut self, cluster: &ClusterId, rng: &mut Rng) -> (ClientMessage, u64) {
        self.hits += 1;
        let session = SessionId(rng.below(6));
        let number = RequestNumber(match rng.below(4) {
            0 => rng.number(),
            _ => rng.below(100),
        });
        let op = match rng.below(4) {
            0 => Bytes::from(rng.number().to_le_bytes().to_vec()),
            1 => Bytes::from(Call::OpenSession { nonce: number.0 }.encode()),
            2 => Bytes::from(Call::CloseSession.encode()),
            _ => Bytes::from(Call::ListSpaces.encode()),
        };
        let acked = (0..rng.below(4)).map(RequestNumber).collect();
        let request = Request {
            client: self.key.client(),
            session,
            number,
            acked,
            op,
        };
        let mut signed = request.sign(cluster, &self.key);
        if rng.chance(200) {
            signed.signature.0[0] ^= 1;
        }
        let message = if rng.chance(100) {
            ClientMessage::AskSigned { session, number }
        } else {
            ClientMessage::Request(signed)
        };
        // To all, or to a few only: what some know and the primary does not.
        let to = if rng.chance(500) {
            u64::MAX
        } else {
            rng.number()
        };
        (message, to)
    }
}
