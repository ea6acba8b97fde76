//! An archive of messages sent and received, for a faulty replica to reuse.

use std::collections::BTreeMap;

use bezant_bft::{
    ids::{Digest, ReplicaId, SeqNo, View},
    message::{CheckpointVote, PeerMessage, PreparedCertificate, Signed, ViewChange, Vote},
};

/// Entries of each kind that are kept; the lowest ones go first.
const MEMORY: usize = 512;

/// What a vote is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    seq_no: SeqNo,
    view: View,
    digest: Digest,
}

/// True votes and certificates of others, by what they are about.
#[derive(Debug, Default)]
pub(super) struct Archive {
    checkpoints: BTreeMap<(SeqNo, Digest), BTreeMap<ReplicaId, Signed<CheckpointVote>>>,
    proposed: BTreeMap<Place, Signed<Vote>>,
    prepares: BTreeMap<Place, BTreeMap<ReplicaId, Signed<Vote>>>,
    changes: BTreeMap<(View, ReplicaId), Signed<ViewChange>>,
}

const fn place(vote: &Vote) -> Place {
    Place {
        seq_no: vote.seq_no,
        view: vote.view,
        digest: vote.digest,
    }
}

fn trim<K: Ord, V>(map: &mut BTreeMap<K, V>) {
    while map.len() > MEMORY {
        map.pop_first();
    }
}

impl Archive {
    /// Takes in a message that was said or heard.
    pub(super) fn note(&mut self, message: &PeerMessage) {
        match message {
            PeerMessage::PrePrepare(first) => self.note_proposed(first.vote),
            PeerMessage::NewView(new_view) => {
                for vote in &new_view.body.pre_prepares {
                    self.note_proposed(*vote);
                }
            }
            PeerMessage::Prepare(vote) => self.note_prepare(*vote),
            PeerMessage::Checkpoint(vote) => self.note_checkpoint(*vote),
            PeerMessage::Stable(votes) => {
                for vote in votes {
                    self.note_checkpoint(*vote);
                }
            }
            PeerMessage::ViewChange(change) => {
                let body = &change.body;
                for vote in &body.checkpoint {
                    self.note_checkpoint(*vote);
                }
                for certificate in &body.prepared {
                    self.note_proposed(certificate.pre_prepare);
                    for vote in &certificate.prepares {
                        self.note_prepare(*vote);
                    }
                }
                self.changes
                    .insert((body.view, body.replica), change.clone());
                trim(&mut self.changes);
            }
            _ => {}
        }
    }

    fn note_proposed(&mut self, vote: Signed<Vote>) {
        self.proposed.insert(place(&vote.body), vote);
        trim(&mut self.proposed);
    }

    fn note_prepare(&mut self, vote: Signed<Vote>) {
        let votes = self.prepares.entry(place(&vote.body)).or_default();
        votes.insert(vote.body.replica, vote);
        trim(&mut self.prepares);
    }

    fn note_checkpoint(&mut self, vote: Signed<CheckpointVote>) {
        let key = (vote.body.seq_no, vote.body.digest);
        let votes = self.checkpoints.entry(key).or_default();
        votes.insert(vote.body.replica, vote);
        trim(&mut self.checkpoints);
    }

    /// The highest checkpoint below `below` that `strong` votes prove.
    pub(super) fn proof(
        &self,
        below: SeqNo,
        strong: usize,
    ) -> Option<(SeqNo, Vec<Signed<CheckpointVote>>)> {
        let older = self.checkpoints.range(..(below, Digest([0; 32])));
        let mut proven = older.rev().filter(|(_, votes)| votes.len() >= strong);
        let ((seq_no, _), votes) = proven.next()?;
        Some((*seq_no, votes.values().take(strong).copied().collect()))
    }

    /// Sound certificates for numbers in `above..=upto` of views below `below`, that of the
    /// lowest view for each number.
    pub(super) fn certificates(
        &self,
        above: SeqNo,
        upto: SeqNo,
        below: View,
        strong: usize,
    ) -> BTreeMap<SeqNo, PreparedCertificate> {
        let mut found = BTreeMap::new();
        for (seq_no, certificate) in self.sound(above, upto, below, strong) {
            found.entry(seq_no).or_insert(certificate);
        }
        found
    }

    /// The same, but that of the highest view for each number.
    pub(super) fn newest_certificates(
        &self,
        above: SeqNo,
        below: View,
        strong: usize,
    ) -> BTreeMap<SeqNo, PreparedCertificate> {
        self.sound(above, SeqNo(u64::MAX), below, strong).collect()
    }

    /// Sound certificates, ascending by number and view.
    fn sound(
        &self,
        above: SeqNo,
        upto: SeqNo,
        below: View,
        strong: usize,
    ) -> impl Iterator<Item = (SeqNo, PreparedCertificate)> {
        self.proposed
            .iter()
            .filter_map(move |(place, pre_prepare)| {
                let Place { seq_no, view, .. } = *place;
                let backups = self.prepares.get(place);
                let votes = backups.into_iter().flat_map(BTreeMap::values);
                let votes = votes.filter(|vote| vote.body.replica != pre_prepare.body.replica);
                let prepares: Vec<_> = votes.take(strong - 1).copied().collect();
                let wanted = seq_no > above && seq_no <= upto && view < below;
                let certificate = PreparedCertificate {
                    pre_prepare: *pre_prepare,
                    prepares,
                };
                let sound = certificate.prepares.len() + 1 == strong;
                (wanted && sound).then_some((seq_no, certificate))
            })
    }

    /// View changes that were said or heard, but those for `view`.
    pub(super) fn other_changes(&self, view: View) -> impl Iterator<Item = &Signed<ViewChange>> {
        let changes = self.changes.iter();
        changes
            .filter(move |((of, _), _)| *of != view)
            .map(|(_, change)| change)
    }
}
