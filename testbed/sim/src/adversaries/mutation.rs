//! Small changes to messages: any field one more or less, or as in an older message; a
//! list an element shorter or longer; a bit flipped on the way; an old message once more.

use std::{collections::VecDeque, mem::discriminant};

use bezant_bft::{codec, crypto::Domain, ids::ReplicaId, message::PeerMessage};

use super::{
    Instead, Means, Strategy,
    fields::{Leaf, leaves, lists},
    means::digest_of,
};

/// Messages remembered, to be repeated.
const MEMORY: usize = 64;

/// Mutates one message in five.
#[derive(Debug, Default)]
pub(super) struct Mutation {
    old: VecDeque<PeerMessage>,
    hits: u64,
}

impl Strategy for Mutation {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        if self.old.len() >= MEMORY {
            self.old.pop_front();
        }
        self.old.push_back(message.clone());
        if !means.rng.chance(200) {
            out.say(message);
            return;
        }
        self.hits += 1;
        match means.rng.below(8) {
            0 => {
                let mut bytes = codec::encode(message);
                let bit = means.rng.index(bytes.len() * 8);
                if let Some(byte) = bytes.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                out.raw(bytes);
            }
            1 => {
                let old = means.rng.index(self.old.len());
                if let Some(old) = self.old.get(old) {
                    out.say(old);
                }
                out.say(message);
            }
            2 => out.say(&resized(means, message)),
            _ => out.say(&self.changed(means, message)),
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}

impl Mutation {
    /// The message with one field changed, by one or to what it was in an older message.
    fn changed(&self, means: &mut Means<'_>, message: &PeerMessage) -> PeerMessage {
        let mut mutant = message.clone();
        let kind = discriminant(message);
        let alike = self.old.iter().filter(|old| discriminant(*old) == kind);
        let mut older = alike.clone().nth(means.rng.index(alike.count())).cloned();
        let mut fields = leaves(&mut mutant);
        let at = means.rng.index(fields.len());
        let older = older.as_mut().and_then(|older| {
            let mut fields = leaves(older);
            (at < fields.len()).then(|| fields.swap_remove(at))
        });
        if at < fields.len() {
            change(means, fields.swap_remove(at), older);
        }
        resigned(means, mutant)
    }
}

/// One more, one less, or what it was.
fn change(means: &mut Means<'_>, field: Leaf<'_>, older: Option<Leaf<'_>>) {
    let replays = means.rng.chance(330);
    let up = means.rng.chance(500);
    match (field, older) {
        (Leaf::Number(now), Some(Leaf::Number(then))) if replays => *now = *then,
        (Leaf::Replica(now), Some(Leaf::Replica(then))) if replays => *now = *then,
        (Leaf::Digest(now), Some(Leaf::Digest(then))) if replays => *now = *then,
        (Leaf::Signature(now), Some(Leaf::Signature(then))) if replays => *now = *then,
        (Leaf::Bytes(now), Some(Leaf::Bytes(then))) if replays => *now = then.clone(),
        (Leaf::Number(now), _) if up => *now = now.saturating_add(1),
        (Leaf::Number(now), _) => *now = now.saturating_sub(1),
        (Leaf::Replica(now), _) if up => now.0 = now.0.saturating_add(1),
        (Leaf::Replica(now), _) => now.0 = now.0.saturating_sub(1),
        (Leaf::Flag(now), _) => *now = !*now,
        (Leaf::Digest(now), _) => *now = means.nonsense().0,
        (Leaf::Signature(now), _) => now.0[0] ^= 1,
        (Leaf::Bytes(now), _) => {
            let mut bytes = now.to_vec();
            if up {
                bytes.push(0x5a);
            } else {
                bytes.pop();
            }
            *now = bytes.into();
        }
    }
}

/// The message with an element of a list dropped or repeated.
fn resized(means: &mut Means<'_>, message: &PeerMessage) -> PeerMessage {
    let mut mutant = message.clone();
    let mut lists = lists(&mut mutant);
    let at = means.rng.index(lists.len());
    if let Some(list) = lists.get_mut(at) {
        let element = means.rng.index(list.len());
        if means.rng.chance(500) {
            list.drop_at(element);
        } else {
            list.double_at(element);
        }
    }
    resigned(means, mutant)
}

/// Signs what was changed, mostly, so that the change itself is judged.
fn resigned(means: &mut Means<'_>, mutant: PeerMessage) -> PeerMessage {
    if means.rng.chance(250) {
        return mutant;
    }
    match mutant {
        PeerMessage::PrePrepare(mut first) => {
            if means.rng.chance(500) {
                first.vote.body.digest = digest_of(&first.proposal);
            }
            first.vote = means.vote(first.vote.body, Domain::PrePrepare);
            PeerMessage::PrePrepare(first)
        }
        PeerMessage::Prepare(vote) => PeerMessage::Prepare(means.vote(vote.body, Domain::Prepare)),
        PeerMessage::Commit(vote) => {
            // Sometimes one that does not prove what its link says.
            let domain = if means.rng.chance(300) {
                Domain::Prepare
            } else {
                Domain::Commit
            };
            PeerMessage::Commit(means.vote(vote.body, domain))
        }
        PeerMessage::Checkpoint(vote) => PeerMessage::Checkpoint(means.checkpoint(vote.body)),
        PeerMessage::ViewChange(change) => means.view_change(change.body),
        PeerMessage::NewView(new_view) => means.new_view(new_view.body),
        other => other,
    }
}
