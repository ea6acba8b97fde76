//! The inbox without a network: order, fairness, bounds, wake-ups.

use std::sync::Arc;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    task::Wake,
};

use bezant_bft::ids::{ClientId, ReplicaId};

use super::*;
use crate::limits::Limits;

const REPLICA: LinkId = LinkId(1);
const FLOOD: LinkId = LinkId(2);
const CALM: LinkId = LinkId(3);

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counter {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.replica.inbox_frames = 100;
    limits.client.inbox_frames = 40;
    limits.client.inbox_bytes = 1000;
    limits.client_inbox_total_bytes = 1500;
    limits
}

fn arrivals() -> Arrivals {
    let limits = limits();
    let arrivals = Arrivals::new(&limits, 4);
    arrivals.open(REPLICA, Peer::Replica(ReplicaId(1)), &limits.replica);
    arrivals.open(FLOOD, Peer::Client(ClientId([2; 32])), &limits.client);
    arrivals.open(CALM, Peer::Client(ClientId([3; 32])), &limits.client);
    let mut buf = Vec::new();
    assert_eq!(arrivals.take(&mut buf, 10, None), Some(3));
    arrivals
}

/// Delivers `count` frames of `len` bytes and returns how many found room.
fn deliver(arrivals: &Arrivals, link: LinkId, count: usize, len: usize, waker: &Waker) -> usize {
    let mut frames: VecDeque<_> = (0..count)
        .map(|index| {
            let mut frame = vec![0; len];
            frame[0] = u8::try_from(index % 256).unwrap();
            Bytes::from(frame)
        })
        .collect();
    let mut cx = Context::from_waker(waker);
    let result = arrivals.poll_deliver(&mut cx, link, &mut frames);
    assert_eq!(result.is_pending(), !frames.is_empty());
    count - frames.len()
}

fn links(events: &[Event]) -> Vec<LinkId> {
    events
        .iter()
        .map(|event| match event {
            Event::Frame { link, .. } | Event::Up { link, .. } | Event::Down { link, .. } => *link,
            Event::Refused { .. } | Event::DialFailed { .. } => LinkId(0),
        })
        .collect()
}

#[test]
fn a_links_queue_is_bounded_in_frames_and_bytes() {
    let arrivals = arrivals();
    let noop = Waker::noop();
    assert_eq!(deliver(&arrivals, FLOOD, 1000, 1, noop), 40);
    assert_eq!(deliver(&arrivals, CALM, 1000, 300, noop), 3);
    assert_eq!(arrivals.depth().frames, 43);
    assert_eq!(arrivals.depth().bytes, 940);
}

#[test]
fn one_frame_larger_than_the_queue_still_gets_through() {
    let arrivals = arrivals();
    assert_eq!(deliver(&arrivals, CALM, 2, 5000, Waker::noop()), 1);
    // The budget of all clients is exceeded by it, and others still have a place each.
    assert_eq!(deliver(&arrivals, FLOOD, 5, 10, Waker::noop()), 1);
}

#[test]
fn a_reader_is_woken_when_there_is_room_again() {
    let arrivals = arrivals();
    let reader = Arc::new(Counter::default());
    assert_eq!(
        deliver(&arrivals, FLOOD, 50, 1, &Waker::from(reader.clone())),
        40
    );
    let mut buf = Vec::new();
    arrivals.take(&mut buf, 16, None);
    assert_eq!(reader.count(), 0, "not for every place");
    arrivals.take(&mut buf, 16, None);
    assert_eq!(reader.count(), 1);
}

#[test]
fn the_owner_is_woken_once_and_takes_everything() {
    let arrivals = arrivals();
    let owner = Arc::new(Counter::default());
    let waker = Waker::from(owner.clone());
    let mut buf = Vec::new();
    assert_eq!(arrivals.take(&mut buf, 100, Some(&waker)), None);
    for link in [FLOOD, CALM, REPLICA] {
        deliver(&arrivals, link, 10, 1, Waker::noop());
    }
    assert_eq!(owner.count(), 1);
    assert_eq!(arrivals.take(&mut buf, 100, Some(&waker)), Some(30));
    assert!(links(&buf[..10]).iter().all(|link| *link == REPLICA));
}

#[test]
fn clients_take_turns_and_a_share_is_kept_for_them() {
    let arrivals = arrivals();
    deliver(&arrivals, FLOOD, 40, 1, Waker::noop());
    deliver(&arrivals, CALM, 2, 1, Waker::noop());
    deliver(&arrivals, REPLICA, 100, 1, Waker::noop());
    let mut buf = Vec::new();
    assert_eq!(arrivals.take(&mut buf, 64, None), Some(64));
    let taken = links(&buf);
    assert_eq!(taken.iter().filter(|link| **link == REPLICA).count(), 56);
    assert_eq!(taken.iter().filter(|link| **link == FLOOD).count(), 8);
    // The flood had its turn; the calm client is next whatever the flood still has.
    buf.clear();
    arrivals.take(&mut buf, 64, None);
    let position = links(&buf).iter().position(|link| *link == CALM).unwrap();
    assert!(position <= 44 + TURN_FRAMES, "at {position}");
}

#[test]
fn down_comes_after_the_links_frames_and_ends_it() {
    let arrivals = arrivals();
    deliver(&arrivals, CALM, 3, 1, Waker::noop());
    arrivals.end(CALM, LinkError::TimedOut);
    let mut frames = VecDeque::from([Bytes::from_static(b"late")]);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(
        arrivals.poll_deliver(&mut cx, CALM, &mut frames),
        Poll::Ready(Err(Gone))
    ));
    let mut buf = Vec::new();
    arrivals.take(&mut buf, 100, None);
    assert_eq!(buf.len(), 4);
    for (index, event) in buf.iter().take(3).enumerate() {
        assert!(
            matches!(event, Event::Frame { frame, .. } if usize::from(frame[0]) == index),
            "{event:?}"
        );
    }
    assert!(matches!(
        buf[3],
        Event::Down {
            link: CALM,
            reason: LinkError::TimedOut,
            ..
        }
    ));
    assert!(!lock(&arrivals.state).seats.contains_key(&CALM));
}

#[test]
fn shutting_a_link_stops_a_reader_that_waits_for_room() {
    let arrivals = arrivals();
    let reader = Arc::new(Counter::default());
    deliver(&arrivals, FLOOD, 50, 1, &Waker::from(reader.clone()));
    arrivals.shut(FLOOD);
    assert_eq!(reader.count(), 1);
}

#[test]
fn notices_give_way_to_newer_ones() {
    let arrivals = arrivals();
    for port in 0..u16::try_from(MAX_NOTICES).unwrap() + 10 {
        arrivals.notice(Event::Refused {
            remote: ([127, 0, 0, 1], port).into(),
            reason: crate::Refusal::TimedOut,
        });
    }
    let mut buf = Vec::new();
    assert_eq!(arrivals.take(&mut buf, 10_000, None), Some(MAX_NOTICES));
    assert_eq!(arrivals.depth().notices_lost, 10);
    assert!(matches!(buf[0], Event::Refused { remote, .. } if remote.port() == 10));
}

#[test]
fn a_closed_inbox_ends_after_what_is_in_it() {
    let arrivals = arrivals();
    deliver(&arrivals, CALM, 1, 1, Waker::noop());
    arrivals.close();
    let mut buf = Vec::new();
    assert_eq!(arrivals.take(&mut buf, 10, None), Some(1));
    assert_eq!(arrivals.take(&mut buf, 10, None), Some(0));
}
