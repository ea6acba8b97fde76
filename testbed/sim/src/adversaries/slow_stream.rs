//! Sending states so slowly that they never arrive.

use bezant_bft::{
    ids::ReplicaId,
    limits::MAX_STATE_BYTES,
    message::{PeerMessage, StatePart},
};
use bytes::Bytes;

use super::{Instead, Means, Strategy};

/// How it keeps those who ask waiting.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// A byte a part.
    Crumbs,
    /// A state without end.
    Endless,
    /// The beginning and nothing more.
    Broken,
    /// Each part just before it would be asked for elsewhere.
    Late,
}

/// Keeps to one way of being slow.
#[derive(Debug, Default)]
pub(super) struct SlowStream {
    pace: Option<Pace>,
    hits: u64,
}

impl Strategy for SlowStream {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let PeerMessage::State(part) = message else {
            out.say(message);
            return;
        };
        let paces = [Pace::Crumbs, Pace::Endless, Pace::Broken, Pace::Late];
        let pace = *self.pace.get_or_insert_with(|| *means.rng.pick(&paces));
        self.hits += 1;
        match pace {
            Pace::Crumbs => out.say(&PeerMessage::State(StatePart {
                bytes: part.bytes.slice(..part.bytes.len().min(1)),
                ..part.clone()
            })),
            Pace::Endless => out.say(&PeerMessage::State(endless(part))),
            Pace::Broken if part.offset > 0 => {}
            Pace::Broken => out.say(message),
            Pace::Late => out.say_later(means.resend_us * 9 / 10, message),
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

/// A part of the longest state there may be: the true one first, then filling.
fn endless(part: &StatePart) -> StatePart {
    let bytes = if part.bytes.is_empty() {
        Bytes::from_static(&[0x5a; 64])
    } else {
        part.bytes.clone()
    };
    StatePart {
        total: MAX_STATE_BYTES,
        bytes,
        ..part.clone()
    }
}
