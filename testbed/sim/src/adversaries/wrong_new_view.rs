//! Opens a view with a plan that does not follow from its view changes.

use bezant_bft::{
    crypto::Domain,
    ids::{ReplicaId, SeqNo},
    message::{NewView, PeerMessage, Vote},
    verification::Unverified,
};

use super::{Instead, Means, Strategy, archive::Archive};

/// Swaps, drops or invents a number in its new views, or names other view changes.
#[derive(Debug, Default)]
pub(super) struct WrongNewView {
    archive: Archive,
    hits: u64,
}

impl WrongNewView {
    fn wrong(&self, means: &mut Means<'_>, body: &mut NewView) {
        let count = body.pre_prepares.len();
        let at = means.rng.index(count);
        match means.rng.below(8) {
            0 if count > 1 => {
                let other = (at + 1) % count;
                let digests = (digest_at(body, at), digest_at(body, other));
                revote(means, body, at, |vote| vote.digest = digests.1);
                revote(means, body, other, |vote| vote.digest = digests.0);
            }
            1 if count > 0 => {
                body.pre_prepares.remove(at);
            }
            2 if count > 0 => {
                let digest = means.nonsense();
                revote(means, body, at, |vote| vote.digest = digest);
            }
            3 if count > 0 => {
                for at in 0..count {
                    revote(means, body, at, |vote| vote.seq_no = vote.seq_no.next());
                }
            }
            4 => {
                let changes = self.archive.other_changes(body.view);
                let digests: Vec<_> = changes.map(|change| change.digest()).collect();
                let at = means.rng.index(body.view_changes.len());
                let digest = if digests.is_empty() {
                    means.nonsense()
                } else {
                    *means.rng.pick(&digests)
                };
                if let Some(named) = body.view_changes.get_mut(at) {
                    named.1 = digest;
                }
            }
            5 if count > 0 => body.pre_prepares.clear(),
            6 => body.stable = SeqNo(means.rng.below(body.stable.0 + 40)),
            _ => {
                let last = body.pre_prepares.last().map(|vote| vote.body.seq_no);
                let vote = Vote {
                    epoch: body.epoch,
                    replica: body.replica,
                    incarnation: body.incarnation,
                    view: body.view,
                    seq_no: last.unwrap_or(SeqNo(means.rng.below(40))).next(),
                    digest: means.nonsense(),
                };
                body.pre_prepares.push(means.vote(vote, Domain::PrePrepare));
            }
        }
    }
}

fn digest_at(body: &NewView, at: usize) -> bezant_bft::ids::Digest {
    let vote = body.pre_prepares.get(at);
    vote.map_or(bezant_bft::ids::Digest([0; 32]), |vote| vote.body.digest)
}

fn revote(means: &Means<'_>, body: &mut NewView, at: usize, change: impl FnOnce(&mut Vote)) {
    if let Some(vote) = body.pre_prepares.get_mut(at) {
        let mut other = vote.body;
        change(&mut other);
        *vote = means.vote(other, Domain::PrePrepare);
    }
}

impl Strategy for WrongNewView {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let new_view = match message {
            PeerMessage::NewView(new_view) if new_view.body.replica == means.me => new_view,
            _ => {
                out.say(message);
                return;
            }
        };
        // Some hear the right one, before or after, or not at all.
        let (before, after) = (means.rng.chance(150), means.rng.chance(150));
        if before {
            out.say(message);
        }
        let mut body = new_view.body.clone();
        self.wrong(means, &mut body);
        self.hits += 1;
        out.say(&means.new_view(body));
        if after {
            out.say(message);
        }
    }

    fn hear(&mut self, _: &mut Means<'_>, message: &Unverified) -> bool {
        self.archive.note(message.peek());
        true
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
