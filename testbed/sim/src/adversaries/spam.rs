//! Sends view changes for ever higher views that nobody else wants.

use bezant_bft::{
    ids::{Epoch, Incarnation, ReplicaId, SeqNo, View},
    message::{PeerMessage, ViewChange},
};

use super::{Instead, Means, Strategy};

/// Says a view change now and then, each for a higher view.
#[derive(Debug, Default)]
pub(super) struct ViewChangeSpam {
    view: View,
    /// Whether it goes up by leaps, to where numbers end.
    leaps: Option<bool>,
    hits: u64,
}

impl Strategy for ViewChangeSpam {
    fn send(
        &mut self,
        means: &mut Means<'_>,
        _: ReplicaId,
        message: &PeerMessage,
        out: &mut Instead,
    ) {
        out.say(message);
        if !means.rng.chance(20) {
            return;
        }
        let leaps = *self.leaps.get_or_insert_with(|| means.rng.chance(300));
        let step = if leaps {
            means.rng.number() / 4
        } else {
            means.rng.between(1, 5)
        };
        self.view = View(self.view.0.saturating_add(step));
        self.hits += 1;
        let body = ViewChange {
            epoch: Epoch(0),
            replica: means.me,
            incarnation: Incarnation::default(),
            view: self.view,
            stable: SeqNo(0),
            checkpoint: Vec::new(),
            prepared: Vec::new(),
        };
        out.say(&means.view_change(body));
    }

    fn hits(&self) -> u64 {
        self.hits
    }
}
