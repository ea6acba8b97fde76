//! What has arrived and was not taken yet: bounded, fair, drained in batches.
//!
//! Each link has a short queue of its own; its reader waits when that is full,
//! and QUIC's receive window then holds the peer back. So memory is bounded by
//! the number of links, and a flood on one link fills nothing but that link's
//! queue. Taking is fair as well: replicas' links come before clients', with a
//! small share of every batch kept for clients, and within each class the links
//! take turns.
//!
//! The owner is woken once and takes all there is.

use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use crate::{
    config::{Event, LinkId, Peer},
    error::LinkError,
    limits::{Limits, LinkLimits, MAX_NOTICES, MAX_SEATS_PER_REPLICA},
    sync::lock,
};

/// How many frames one link gives before the next has its turn.
const TURN_FRAMES: usize = 16;

/// One in this many places of a batch is kept for clients while replicas have more than the rest.
const CLIENT_SHARE: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Replica,
    Client,
}

#[derive(Debug)]
enum Item {
    Up,
    Frame(Bytes),
    Down(LinkError),
}

/// One link's part of the inbox; exists until its `Down` was taken.
#[derive(Debug)]
struct Seat {
    peer: Peer,
    class: Class,
    max_frames: usize,
    max_bytes: usize,
    items: VecDeque<Item>,
    frames: usize,
    bytes: usize,
    /// In the queue of links that have something.
    in_turn: bool,
    /// Takes no more frames.
    shut: bool,
    /// The reader that waits for room.
    reader: Option<Waker>,
}

#[derive(Debug, Default)]
struct State {
    seats: BTreeMap<LinkId, Seat>,
    replicas: VecDeque<LinkId>,
    clients: VecDeque<LinkId>,
    notices: VecDeque<Event>,
    client_bytes: usize,
    depth: InboxDepth,
    owner: Option<Waker>,
    closed: bool,
}

/// What waits in the inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboxDepth {
    /// Frames received and not taken yet.
    pub frames: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Refusals and failed dials that gave way to newer ones since the start.
    pub notices_lost: u64,
}

/// The part of an inbox that links write to.
#[derive(Debug)]
pub(crate) struct Arrivals {
    client_total_bytes: usize,
    max_seats: usize,
    state: Mutex<State>,
}

/// The link is gone or nobody reads the inbox any more.
#[derive(Debug)]
pub(crate) struct Gone;

impl Arrivals {
    pub(crate) fn new(limits: &Limits, replicas: usize) -> Self {
        Self {
            client_total_bytes: limits.client_inbox_total_bytes,
            // Twice the live links: the ends of as many may wait to be taken.
            max_seats: limits
                .client_links
                .saturating_add(replicas.saturating_mul(MAX_SEATS_PER_REPLICA))
                .saturating_mul(2),
            state: Mutex::default(),
        }
    }

    /// Whether so many ended links wait to be taken that no new one may begin.
    pub(crate) fn is_crowded(&self) -> bool {
        lock(&self.state).seats.len() >= self.max_seats
    }

    /// Reports a link as up and gives it its queue.
    pub(crate) fn open(&self, link: LinkId, peer: Peer, limits: &LinkLimits) {
        self.change(|state| {
            let seat = Seat {
                peer,
                class: match peer {
                    Peer::Replica(_) => Class::Replica,
                    Peer::Client(_) => Class::Client,
                },
                max_frames: limits.inbox_frames,
                max_bytes: limits.inbox_bytes,
                items: VecDeque::from([Item::Up]),
                frames: 0,
                bytes: 0,
                in_turn: false,
                shut: false,
                reader: None,
            };
            state.seats.insert(link, seat);
            state.enqueue(link);
        });
    }

    /// Moves `frames` into the link's queue, waiting for room as often as needed.
    pub(crate) async fn deliver(
        &self,
        link: LinkId,
        frames: &mut VecDeque<Bytes>,
    ) -> Result<(), Gone> {
        poll_fn(|cx| self.poll_deliver(cx, link, frames)).await
    }

    fn poll_deliver(
        &self,
        cx: &mut Context<'_>,
        link: LinkId,
        frames: &mut VecDeque<Bytes>,
    ) -> Poll<Result<(), Gone>> {
        let (result, owner) = {
            let mut state = lock(&self.state);
            let result = state.take_in(link, frames, self.client_total_bytes, cx);
            (result, state.owner_if_any())
        };
        if let Some(owner) = owner {
            owner.wake();
        }
        result
    }

    /// Makes the link's reader stop, even while it waits for room.
    pub(crate) fn shut(&self, link: LinkId) {
        let reader = {
            let mut state = lock(&self.state);
            state.seats.get_mut(&link).and_then(|seat| {
                seat.shut = true;
                seat.reader.take()
            })
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Reports a link as down, after the frames of it that wait.
    pub(crate) fn end(&self, link: LinkId, reason: LinkError) {
        self.change(|state| {
            if let Some(seat) = state.seats.get_mut(&link) {
                seat.shut = true;
                seat.items.push_back(Item::Down(reason));
                state.enqueue(link);
            }
        });
    }

    /// Reports something that belongs to no link.
    pub(crate) fn notice(&self, event: Event) {
        self.change(|state| {
            if state.notices.len() >= MAX_NOTICES {
                state.notices.pop_front();
                state.depth.notices_lost = state.depth.notices_lost.saturating_add(1);
            }
            state.notices.push_back(event);
        });
    }

    /// Lets the owner see the end once everything is taken, and readers stop.
    pub(crate) fn close(&self) {
        let readers = {
            let mut state = lock(&self.state);
            state.closed = true;
            state
                .seats
                .values_mut()
                .filter_map(|seat| seat.reader.take())
                .collect::<Vec<_>>()
        };
        readers.into_iter().for_each(Waker::wake);
        self.change(|_| {});
    }

    pub(crate) fn depth(&self) -> InboxDepth {
        lock(&self.state).depth
    }

    /// Changes the state and wakes the owner.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let owner = {
            let mut state = lock(&self.state);
            change(&mut state);
            state.owner.take()
        };
        if let Some(owner) = owner {
            owner.wake();
        }
    }

    /// Takes up to `max` events; `None` while there is none but may be some later.
    pub(crate) fn take(
        &self,
        buf: &mut Vec<Event>,
        max: usize,
        owner: Option<&Waker>,
    ) -> Option<usize> {
        let mut readers = Vec::new();
        let taken = {
            let mut state = lock(&self.state);
            let before = buf.len();
            state.take_out(buf, max, &mut readers);
            let taken = buf.len() - before;
            if taken == 0 && max > 0 && !state.closed {
                state.owner = owner.cloned();
                None
            } else {
                Some(taken)
            }
        };
        readers.into_iter().for_each(Waker::wake);
        taken
    }
}

impl State {
    fn enqueue(&mut self, link: LinkId) {
        if let Some(seat) = self.seats.get_mut(&link)
            && !seat.in_turn
        {
            seat.in_turn = true;
            match seat.class {
                Class::Replica => self.replicas.push_back(link),
                Class::Client => self.clients.push_back(link),
            }
        }
    }

    /// The owner's waker, if there is something for it.
    fn owner_if_any(&mut self) -> Option<Waker> {
        let something = !(self.replicas.is_empty() && self.clients.is_empty());
        if something { self.owner.take() } else { None }
    }

    fn take_in(
        &mut self,
        link: LinkId,
        frames: &mut VecDeque<Bytes>,
        client_total_bytes: usize,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Gone>> {
        if self.closed {
            return Poll::Ready(Err(Gone));
        }
        let Some(seat) = self.seats.get_mut(&link) else {
            return Poll::Ready(Err(Gone));
        };
        if seat.shut {
            return Poll::Ready(Err(Gone));
        }
        let mut result = Poll::Ready(Ok(()));
        while let Some(frame) = frames.front() {
            let bytes = frame.len();
            let room = seat.frames < seat.max_frames
                && seat.bytes + bytes <= seat.max_bytes
                && (seat.class == Class::Replica
                    || self.client_bytes + bytes <= client_total_bytes);
            // One frame always has a place, or a large one would wait for ever.
            if !room && seat.frames > 0 {
                seat.reader = Some(cx.waker().clone());
                result = Poll::Pending;
                break;
            }
            if let Some(frame) = frames.pop_front() {
                seat.items.push_back(Item::Frame(frame));
                seat.frames += 1;
                seat.bytes += bytes;
                self.depth.frames += 1;
                self.depth.bytes += bytes;
                if seat.class == Class::Client {
                    self.client_bytes += bytes;
                }
            }
        }
        if !seat.items.is_empty() {
            self.enqueue(link);
        }
        result
    }

    fn take_out(&mut self, buf: &mut Vec<Event>, max: usize, readers: &mut Vec<Waker>) {
        let end = buf.len().saturating_add(max);
        while buf.len() < end
            && let Some(notice) = self.notices.pop_front()
        {
            buf.push(notice);
        }
        let kept = if self.clients.is_empty() {
            0
        } else {
            (end - buf.len()) / CLIENT_SHARE
        };
        self.take_class(Class::Replica, buf, end - kept, readers);
        self.take_class(Class::Client, buf, end, readers);
        self.take_class(Class::Replica, buf, end, readers);
    }

    /// Takes from the links of `class` in turn until `buf` has `end` events or they have no more.
    fn take_class(
        &mut self,
        class: Class,
        buf: &mut Vec<Event>,
        end: usize,
        readers: &mut Vec<Waker>,
    ) {
        while buf.len() < end {
            let queue = match class {
                Class::Replica => &mut self.replicas,
                Class::Client => &mut self.clients,
            };
            let Some(link) = queue.pop_front() else {
                return;
            };
            let turn = end.min(buf.len() + TURN_FRAMES);
            let ended = self.take_link(link, buf, turn, readers);
            if ended {
                self.seats.remove(&link);
            } else if self
                .seats
                .get(&link)
                .is_some_and(|seat| !seat.items.is_empty())
            {
                self.enqueue(link);
            }
        }
    }

    /// Takes from one link until `buf` has `end` events; says whether the link's `Down` was taken.
    fn take_link(
        &mut self,
        link: LinkId,
        buf: &mut Vec<Event>,
        end: usize,
        readers: &mut Vec<Waker>,
    ) -> bool {
        let Some(seat) = self.seats.get_mut(&link) else {
            return false;
        };
        seat.in_turn = false;
        let peer = seat.peer;
        let mut ended = false;
        while buf.len() < end
            && let Some(item) = seat.items.pop_front()
        {
            buf.push(match item {
                Item::Up => Event::Up { link, peer },
                Item::Down(reason) => {
                    ended = true;
                    Event::Down { link, peer, reason }
                }
                Item::Frame(frame) => {
                    let bytes = frame.len();
                    seat.frames = seat.frames.saturating_sub(1);
                    seat.bytes = seat.bytes.saturating_sub(bytes);
                    self.depth.frames = self.depth.frames.saturating_sub(1);
                    self.depth.bytes = self.depth.bytes.saturating_sub(bytes);
                    if seat.class == Class::Client {
                        self.client_bytes = self.client_bytes.saturating_sub(bytes);
                    }
                    Event::Frame { link, peer, frame }
                }
            });
        }
        // Half empty is soon enough: a reader that is woken for one place at a time is woken often.
        if seat.frames <= seat.max_frames / 2
            && let Some(reader) = seat.reader.take()
        {
            readers.push(reader);
        }
        ended
    }
}

#[cfg(test)]
mod tests;
