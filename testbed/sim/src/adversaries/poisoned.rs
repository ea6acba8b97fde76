//! Sending states that are not what was asked for.

use bezant_bft::{
    ids::{ReplicaId, SeqNo},
    limits::MAX_STATE_BYTES,
    message::{PeerMessage, StatePart},
};
use bytes::Bytes;

use super::{Instead, Means, Strategy};

/// Spoils most parts of the states it sends.
#[derive(Debug, Default)]
pub(super) struct PoisonedState {
    hits: u64,
}

impl Strategy for PoisonedState {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        match message {
            PeerMessage::State(part) if means.rng.chance(800) => {
                self.hits += 1;
                let spoiled = spoiled(means, part.clone());
                out.say(&PeerMessage::State(spoiled));
                if means.rng.chance(200) {
                    out.say(message);
                }
            }
            _ => out.say(message),
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

fn spoiled(means: &mut Means<'_>, mut part: StatePart) -> StatePart {
    match means.rng.below(9) {
        0 => part.total = part.bytes.len() as u64,
        1 => part.total = *means.rng.pick(&[0, MAX_STATE_BYTES, u64::MAX]),
        2 => part.offset = part.offset.saturating_add(means.rng.between(1, 700)),
        3 => part.offset = means.rng.number(),
        4 => part.seq_no = SeqNo(part.seq_no.0.saturating_sub(means.rng.between(1, 32))),
        5 => part.bytes = Bytes::new(),
        6 => {
            // More than it said there was.
            part.total = part.offset;
        }
        _ => {
            let mut bytes = part.bytes.to_vec();
            let at = means.rng.index(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << means.rng.below(8);
            }
            part.bytes = Bytes::from(bytes);
        }
    }
    part
}
