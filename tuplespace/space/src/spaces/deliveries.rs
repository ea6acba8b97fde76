//! Deliveries to waiters, until the answers are handed out: in order, and each can be revoked.

use bezant_tuple::Tuple;

use super::{Happening, Spaces};
use crate::{
    Delivery, OperationKind, TupleId, WaiterId, Wants,
    space::{Incoming, Ties},
    undo::Undo,
    waiting::{Arrival, Delivering},
};

impl Spaces {
    /// A wait ends with a tuple; what that hung together with, if it was taken.
    pub(super) fn deliver(
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
        self.deliveries.push(Delivery {
            waiter: waiter.id,
            space: waiter.space.clone(),
            kind,
            id,
            tuple,
        });
        self.delivering.push(Delivering {
            arrival,
            waiter,
            took,
            held: false,
        });
        self.undo.record(|| Undo::Delivery);
    }

    /// Takes the list of waiters served since the last call, in order: for each
    /// tuple the `rd`s by arrival, then the `in`. For after the commit: a
    /// rollback to before this call puts the list back.
    pub fn take_deliveries(&mut self) -> Vec<Delivery> {
        if self.deliveries.is_empty() {
            return Vec::new();
        }
        let deliveries = std::mem::take(&mut self.deliveries);
        let delivering = std::mem::take(&mut self.delivering);
        self.undo
            .record(|| Undo::HandedOut(deliveries.clone(), delivering.clone()));
        let pairs = deliveries.into_iter().zip(delivering);
        pairs
            .filter(|(_, delivering)| !delivering.held)
            .map(|(deliveries, _)| deliveries)
            .collect()
    }

    /// The deliveries made and not yet taken by [`Spaces::take_deliveries`].
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// Revokes the answer of one who got a delivery and was not [handed
    /// out](Spaces::take_deliveries) yet: it waits as before, and the tuple that it took is in the
    /// space again, though it may match. Whether that could be: not once it is handed out, nor
    /// where there is no room for the tuple.
    pub fn revoke_delivery(&mut self, waiter: WaiterId) -> bool {
        let at = self
            .deliveries
            .iter()
            .position(|deliveries| deliveries.waiter == waiter);
        let pair = at.and_then(|at| Some((at, self.deliveries.get(at)?, self.delivering.get(at)?)));
        let Some((at, deliveries, delivering)) = pair.filter(|(_, _, delivering)| !delivering.held)
        else {
            return false;
        };
        let (deliveries, delivering) = (deliveries.clone(), delivering.clone());
        if let Some(ties) = &delivering.took {
            let weight = ties.weigh(&deliveries.tuple);
            let payer = ties.payer;
            let has_room = self.tuples < self.limits.tuples
                && self.bytes + weight <= self.limits.bytes
                && self.space(&deliveries.space).has_room_for(weight, None)
                && payer.is_none_or(|payer| self.can_pay(&payer, weight, None));
            if !has_room {
                return false;
            }
        }
        if let Some(delivering) = self.delivering.get_mut(at) {
            delivering.held = true;
        }
        self.waiting.restore(delivering.arrival, delivering.waiter);
        self.undo.record(|| Undo::Revoked(at, delivering.arrival));
        if let Some(ties) = delivering.took {
            let Delivery {
                space, id, tuple, ..
            } = deliveries;
            let arity = tuple.arity();
            self.note(&space, Happening::Inserted, id, &tuple, &ties);
            self.put(&space, id, Incoming::new(tuple, ties));
            self.undo.record(|| Undo::Inserted { space, arity, id });
        }
        true
    }
}
