//! What all clients saw together, and whether one order explains it.

use bezant_api::Call;

use super::World;
use crate::{
    linear::{
        History,
        blackbox::{self, Verdict, Why},
        witness,
    },
    report::BlackBox,
};

/// Places the search for an order may visit in one run.
const PLACES: u64 = 1_000;

impl World {
    /// Checks the clients' history with the agreed order, and without it.
    pub(super) fn linearize(&mut self) {
        let seen = self.actors.iter().flat_map(|actor| &actor.seen);
        let history = History {
            makes_spaces: self.options.work.makes_spaces,
            operations: seen.cloned().collect(),
        };
        let model = self.common.oracle.service();
        match witness::check(&history, model.performed(), model.times()) {
            Ok(checked) => self.figures.answers_checked = checked.answers,
            Err(anomaly) => self.violate("linearizability", format!("{anomaly:?}")),
        }
        if self.has_unseen_work() {
            self.figures.black_box.unseen = 1;
            return;
        }
        let searched = blackbox::check(&history, PLACES);
        let figures = &mut self.figures.black_box;
        *figures = BlackBox {
            operations: searched.operations,
            windows: searched.windows,
            largest_window: searched.largest_window,
            places: searched.places,
            ..BlackBox::default()
        };
        match searched.verdict {
            Verdict::Linearizable => figures.decided = 1,
            Verdict::Undecided(Why::Budget) => figures.undecided = 1,
            Verdict::Undecided(Why::Unknown) => figures.unseen = 1,
            Verdict::NotLinearizable(stuck) => {
                self.violate("linearizability-without-order", format!("{stuck:?}"));
            }
        }
    }

    /// Whether somebody whose history is not here changed spaces: a faulty client.
    fn has_unseen_work(&self) -> bool {
        let known: Vec<_> = self.actors.iter().map(|actor| actor.session.id()).collect();
        let mut performed = self.common.oracle.service().performed().iter();
        performed.any(|performed| {
            !known.contains(&performed.session)
                && match Call::decode(&performed.op) {
                    Ok(Call::CreateSpace { .. }) => true,
                    Ok(Call::Space { operation, .. }) => {
                        !operation.is_read_only() || operation.waits()
                    }
                    _ => false,
                }
        })
    }
}
