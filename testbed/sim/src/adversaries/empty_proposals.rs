//! A primary that decides numbers and serves nobody.
//!
//! Its proposals are sound and in time, and every one is decided: but there is nothing in
//! them. Progress, were decisions progress.

use bezant_bft::{
    ids::{OrderedTime, ReplicaId, SeqNo, View},
    message::PeerMessage,
};

use super::{Instead, Means, Strategy};

/// Proposals made in one view, each two fifths of a timeout after the one before.
const PROPOSALS: u64 = 100;

/// Proposes empty numbers instead of requests.
#[derive(Debug, Default)]
pub(super) struct EmptyProposals {
    /// In which view it began, and at which number.
    began: Option<(View, SeqNo)>,
    hits: u64,
}

impl Strategy for EmptyProposals {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        let Some(own) = means.own_pre_prepare(message, out) else {
            return;
        };
        let place = (own.vote.body.view, own.vote.body.seq_no);
        let is_another_view = self.began.is_none_or(|(view, _)| view != place.0);
        let began = if is_another_view {
            place
        } else {
            self.began.unwrap_or(place)
        };
        self.began = Some(began);
        if began != place {
            return;
        }
        self.hits += 1;
        let after_us = means.view_change_timeout_us * 2 / 5;
        for i in 0..PROPOSALS {
            let empty = means.reproposed(own, |proposal, vote| {
                proposal.requests.clear();
                proposal.rejoins.clear();
                let ms = i * after_us / 1000;
                proposal.time = OrderedTime(proposal.time.0.saturating_add(ms));
                vote.seq_no = SeqNo(vote.seq_no.0 + i);
            });
            out.say_later(i * after_us, &empty);
        }
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
