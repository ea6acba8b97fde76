//! Who is served, until the answers are handed out: in order, and each with the way back.

use bezant_tuple::Tuple;

use super::{Happening, Spaces};
use crate::{
    OperationKind, Served, TupleId, WaiterId, Wants,
    space::{Incoming, Ties},
    undo::Undo,
    waiting::{Arrival, Serving},
};

impl Spaces {
    /// A wait ends with a tuple; what that hung together with, if it was taken.
    pub(super) fn serve(
        &mut self,
        arrival: Arrival,
        id: TupleId,
        tuple: Tuple,
        took: Option<Ties>,
    ) {
        let waiter = self.leave(arrival);
        let kind = if waiter.wants == Wants::Take {
            OperationKind::In
        } else {
            OperationKind::Rd
        };
        self.served.push(Served {
            waiter: waiter.id,
            space: waiter.space.clone(),
            kind,
            id,
            tuple,
        });
        self.serving.push(Serving {
            arrival,
            waiter,
            took,
            held: false,
        });
        self.undo.record(|| Undo::Served);
    }

    /// Takes the list of waiters served since the last call, in order: for each
    /// tuple the `rd`s by arrival, then the `in`. For after the commit: a
    /// rollback to before this call puts the list back.
    pub fn take_served(&mut self) -> Vec<Served> {
        if self.served.is_empty() {
            return Vec::new();
        }
        let served = std::mem::take(&mut self.served);
        let serving = std::mem::take(&mut self.serving);
        self.undo
            .record(|| Undo::HandedOut(served.clone(), serving.clone()));
        let pairs = served.into_iter().zip(serving);
        pairs
            .filter(|(_, serving)| !serving.held)
            .map(|(served, _)| served)
            .collect()
    }

    /// The waiters served and not yet taken by [`Spaces::take_served`].
    #[must_use]
    pub fn served(&self) -> &[Served] {
        &self.served
    }

    /// Holds back the answer of one who was served and was not [handed
    /// out](Spaces::take_served) yet: it waits as before, and the tuple that it took is in the
    /// space again, though it may match. Whether that could be: not once it is handed out, nor
    /// where there is no room for the tuple.
    pub fn hold_back(&mut self, waiter: WaiterId) -> bool {
        let at = self
            .served
            .iter()
            .position(|served| served.waiter == waiter);
        let pair = at.and_then(|at| Some((at, self.served.get(at)?, self.serving.get(at)?)));
        let Some((at, served, serving)) = pair.filter(|(_, _, serving)| !serving.held) else {
            return false;
        };
        let (served, serving) = (served.clone(), serving.clone());
        if let Some(ties) = &serving.took {
            let weight = ties.weigh(&served.tuple);
            let payer = ties.payer;
            let has_room = self.tuples < self.limits.tuples
                && self.bytes + weight <= self.limits.bytes
                && self.space(&served.space).has_room_for(weight, None)
                && payer.is_none_or(|payer| self.can_pay(&payer, weight, None));
            if !has_room {
                return false;
            }
        }
        if let Some(serving) = self.serving.get_mut(at) {
            serving.held = true;
        }
        self.waiting.restore(serving.arrival, serving.waiter);
        self.undo.record(|| Undo::HeldBack(at, serving.arrival));
        if let Some(ties) = serving.took {
            let Served {
                space, id, tuple, ..
            } = served;
            let arity = tuple.arity();
            self.note(&space, Happening::Inserted, id, &tuple, &ties);
            self.put(&space, id, Incoming::new(tuple, ties));
            self.undo.record(|| Undo::Inserted { space, arity, id });
        }
        true
    }
}
