//! A primary that leaves numbers out.

use std::collections::BTreeMap;

use bezant_bft::{
    ids::{ReplicaId, SeqNo},
    message::PeerMessage,
};

use super::{Instead, Means, Strategy};

/// What happens to a number.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Told,
    /// Nobody hears of it.
    Skipped,
    /// It is proposed far ahead instead.
    Moved,
}

/// Skips numbers, or proposes for numbers far ahead.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    fates: BTreeMap<SeqNo, Fate>,
    hits: u64,
}

impl Strategy for Gaps {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let PeerMessage::PrePrepare(first) = message else {
            out.say(message);
            return;
        };
        let seq_no = first.vote.body.seq_no;
        let fate = *self
            .fates
            .entry(seq_no)
            .or_insert_with(|| match means.rng.below(20) {
                0 => Fate::Skipped,
                1 => Fate::Moved,
                _ => Fate::Told,
            });
        match fate {
            Fate::Told => out.say(message),
            Fate::Skipped => self.hits += 1,
            Fate::Moved => {
                self.hits += 1;
                let ahead = SeqNo(seq_no.0 + means.rng.between(2, 200));
                out.say(&means.reproposed(first, |_, vote| vote.seq_no = ahead));
            }
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
