//! PBFT §4.4: what a set of view changes decides for the view they ask for.
//!
//! The primary of a view computes the plan to open it, every backup computes it again before
//! it enters, and whoever judges evidence computes it to convict a primary whose new view does
//! not follow. So it is a pure function of the view changes and must know nothing of a
//! replica's own state.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    ids::{Digest, SeqNo},
    message::{NewView, Vote},
    verification::verified::{CheckedProposal, CheckedViewChange},
};

/// What the primary of a new view votes for at one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlannedVote {
    pub(crate) seq_no: SeqNo,
    pub(crate) digest: Digest,
}

impl PlannedVote {
    const fn of(vote: &Vote) -> Self {
        Self {
            seq_no: vote.seq_no,
            digest: vote.digest,
        }
    }
}

/// What a set of view changes decides for the next view.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NewViewPlan {
    /// Nothing up to it is voted on in the new view.
    pub(crate) stable: SeqNo,
    /// What its primary votes for at each number above, ascending.
    pub(crate) entries: Vec<PlannedVote>,
}

impl NewViewPlan {
    /// What a new view says that follows.
    pub(crate) fn said_by(new_view: &NewView) -> Self {
        let votes = new_view.pre_prepares.iter().map(|vote| &vote.body);
        Self {
            stable: new_view.stable,
            entries: votes.map(PlannedVote::of).collect(),
        }
    }

    /// PBFT §4.4: between the highest stable checkpoint and the highest prepared number
    /// each number gets what was prepared in the highest view, or the null request.
    pub(crate) fn from_changes(changes: &[Arc<CheckedViewChange>]) -> Self {
        let stable = changes.iter().map(|change| change.stable()).max();
        let stable = stable.unwrap_or_default();
        let mut best: BTreeMap<SeqNo, Vote> = BTreeMap::new();
        for certificate in changes.iter().flat_map(|change| change.prepared()) {
            let vote = certificate.pre_prepare.body;
            if vote.seq_no > stable {
                let entry = best.entry(vote.seq_no).or_insert(vote);
                if vote.view > entry.view {
                    *entry = vote;
                }
            }
        }
        let null = CheckedProposal::null().digest();
        let last = best.keys().next_back().copied().unwrap_or(stable);
        let numbers = (stable.0..last.0).map(|before| SeqNo(before).next());
        let entries = numbers.map(|seq_no| {
            let digest = best.get(&seq_no).map_or(null, |vote| vote.digest);
            PlannedVote { seq_no, digest }
        });
        Self {
            stable,
            entries: entries.collect(),
        }
    }
}
