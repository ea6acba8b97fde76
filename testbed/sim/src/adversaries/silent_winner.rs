//! Opens a view and then proposes nothing.

use bezant_bft::{
    ids::{ReplicaId, View},
    message::{PeerMessage, Vote},
};

use super::{Instead, Means, Strategy};

/// How much of its reign it keeps to itself.
#[derive(Clone, Copy, Debug)]
enum Keeps {
    /// That it has begun.
    Opening,
    /// What it proposes after it has begun.
    Proposals,
    /// Everything.
    All,
}

/// A primary that is silent from the moment it becomes one.
#[derive(Debug, Default)]
pub(super) struct SilentWinner {
    reign: Option<(View, Keeps)>,
    hits: u64,
}

impl Strategy for SilentWinner {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        match message {
            PeerMessage::NewView(new_view) if new_view.body.replica == means.me => {
                let view = new_view.body.view;
                if self.reign.is_none_or(|(reign, _)| reign < view) {
                    let keeps = *means
                        .rng
                        .pick(&[Keeps::Opening, Keeps::Proposals, Keeps::All]);
                    self.reign = Some((view, keeps));
                }
            }
            // A reign ends with the next.
            PeerMessage::ViewChange(change) if change.body.replica == means.me => {
                let next = change.body.view;
                self.reign = self.reign.filter(|(reign, _)| *reign >= next);
            }
            _ => {}
        }
        let of_reign = |vote: &Vote| self.reign.is_some_and(|(reign, _)| reign == vote.view);
        let kept = match (self.reign, message) {
            (None, _) => false,
            (Some((_, Keeps::All)), _) => true,
            (Some((_, Keeps::Opening)), PeerMessage::NewView(_)) => true,
            (Some((_, Keeps::Proposals)), PeerMessage::PrePrepare(first)) => {
                of_reign(&first.vote.body)
            }
            _ => false,
        };
        if kept {
            self.hits += 1;
        } else {
            out.say(message);
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
