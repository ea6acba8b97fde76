//! The event queue, ordered by virtual time, then by when an event was planned.
//!
//! Most of what a run does is to plan and to take events, so the heap orders small
//! keys while the events lie still, and what is planned for the present needs no
//! heap: everything planned before it comes first.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

/// When an event happens, when it was planned, and where it lies.
type Key = Reverse<(u64, u64, usize)>;

/// Events to come.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Key>,
    order: u64,
    events: Vec<Option<E>>,
    /// Places in `events` with nothing in them.
    free: Vec<usize>,
    /// The time of the last event taken, and what was planned for it since.
    now: u64,
    present: VecDeque<E>,
}

impl<E> Queue<E> {
    pub(crate) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            order: 0,
            events: Vec::new(),
            free: Vec::new(),
            now: 0,
            present: VecDeque::new(),
        }
    }

    pub(crate) fn push(&mut self, at: u64, event: E) {
        if at == self.now {
            self.present.push_back(event);
            return;
        }
        self.order += 1;
        let place = if let Some(place) = self.free.pop() {
            self.events[place] = Some(event);
            place
        } else {
            self.events.push(Some(event));
            self.events.len() - 1
        };
        self.heap.push(Reverse((at, self.order, place)));
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, E)> {
        let is_due = |Reverse((at, ..)): &Key| *at <= self.now;
        if !self.heap.peek().is_some_and(is_due)
            && let Some(event) = self.present.pop_front()
        {
            return Some((self.now, event));
        }
        let Reverse((at, _, place)) = self.heap.pop()?;
        self.free.push(place);
        self.now = at.max(self.now);
        self.events[place].take().map(|event| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is planned when, events come as a list sorted by time and planning has them.
    #[test]
    fn events_come_by_time_and_then_as_planned() {
        let (mut queue, mut list, mut taken) = (Queue::new(), Vec::new(), Vec::new());
        for order in 0..2000_u64 {
            let now = taken.last().map_or(0, |(at, _)| *at);
            let at = now + order * 7919 % 4;
            queue.push(at, order);
            list.push((at, order));
            if order % 3 == 0 {
                taken.extend(queue.pop());
            }
        }
        taken.extend(std::iter::from_fn(|| queue.pop()));
        list.sort_unstable();
        assert_eq!(taken, list);
    }
}
