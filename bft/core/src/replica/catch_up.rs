//! What a replica knows of its own lag, and whom it has asked for what it lacks.
//!
//! Timers that ask for lost messages and timers that suspect the primary count from the last
//! progress. Progress has four meanings, and each has a moment of its own here ([`Progress`]),
//! so that a reader sees which one a caller notes. This is bookkeeping only: [`super::recover`]
//! decides what to ask and what to answer, [`super::transfer`] fetches and serves states.

use std::collections::BTreeMap;

use crate::{
    ids::{Instant, ReplicaId, SeqNo},
    quorum::Quorum,
};

/// When this replica last came forward, by what happened.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// A number was decided and handed to the service.
    decided: Instant,
    /// A checkpoint became stable.
    stable: Instant,
    /// A view was entered.
    view_entered: Instant,
    /// Something began to lack: it is missed from the moment its absence shows.
    began_to_lack: Instant,
}

impl Progress {
    /// The latest of all: what timers count from.
    pub(super) fn latest(&self) -> Instant {
        let Self {
            decided,
            stable,
            view_entered,
            began_to_lack,
        } = *self;
        decided.max(stable).max(view_entered).max(began_to_lack)
    }
}

/// One question to one peer.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// How far delivery had come.
    delivered: SeqNo,
    at: Instant,
}

/// A state that a peer is fetching from here.
#[derive(Clone, Copy, Debug)]
struct Served {
    checkpoint: SeqNo,
    /// When it last asked.
    at: Instant,
}

/// Everything about catching up.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    /// Both timers count from here.
    pub(super) progress: Progress,
    /// When what lacks was last asked for, how far delivery had come, and up to what was
    /// known to lack.
    pub(super) asked: Instant,
    pub(super) asked_at: SeqNo,
    pub(super) asked_up_to: SeqNo,
    /// How often since there was progress; the next time is put off further.
    pub(super) asks: u32,
    /// The same, whatever views came and went meanwhile: a new view is no progress for one
    /// who lacks what nobody keeps any more.
    pub(super) fruitless: u32,
    /// How far each peer reports it has come, and what more than f of them report.
    reports: BTreeMap<ReplicaId, SeqNo>,
    reported: SeqNo,
    /// Peers asked one by one.
    asked_peers: BTreeMap<ReplicaId, Asked>,
    /// When something was last delivered, a view entered or a heartbeat sent, and the
    /// heartbeats since.
    pub(super) quiet_since: Instant,
    pub(super) heartbeats: u32,
    /// The state that each peer is fetching from here.
    serving: BTreeMap<ReplicaId, Served>,
}

impl CatchUp {
    /// A number was decided and handed to the service.
    pub(super) const fn decided(&mut self, now: Instant) {
        self.progress.decided = now;
        self.forget_asks();
    }

    /// A checkpoint became stable.
    pub(super) const fn became_stable(&mut self, now: Instant) {
        self.progress.stable = now;
        self.forget_asks();
    }

    /// A view was entered.
    pub(super) const fn entered_view(&mut self, now: Instant) {
        self.progress.view_entered = now;
        self.asks = 0;
    }

    /// Something began to lack.
    pub(super) const fn began_to_lack(&mut self, now: Instant) {
        self.progress.began_to_lack = now;
        self.forget_asks();
    }

    /// What was asked in vain before may be answered now.
    pub(super) const fn forget_asks(&mut self) {
        self.asks = 0;
        self.fruitless = 0;
    }

    /// Something happened: heartbeats begin anew when nothing more does.
    pub(super) const fn break_silence(&mut self, now: Instant) {
        self.quiet_since = now;
        self.heartbeats = 0;
    }

    /// How far more than f peers report to have come.
    pub(super) const fn reported(&self) -> SeqNo {
        self.reported
    }

    /// What more than f peers say they passed, somebody correct has passed.
    pub(super) fn note_report(&mut self, from: ReplicaId, executed: SeqNo, quorum: Quorum) {
        self.reports.insert(from, executed);
        let mut reports: Vec<SeqNo> = self.reports.values().copied().collect();
        reports.sort_unstable_by(|a, b| b.cmp(a));
        self.reported = reports.get(quorum.weak() - 1).copied().unwrap_or_default();
    }

    /// Whether `peer` was asked alone less than `resend_after_us` ago, and nothing was
    /// delivered since.
    pub(super) fn was_asked(
        &self,
        peer: ReplicaId,
        delivered: SeqNo,
        now: Instant,
        resend_after_us: u64,
    ) -> bool {
        let asked = self.asked_peers.get(&peer);
        asked.is_some_and(|asked| {
            asked.delivered == delivered && now.since_us(asked.at) < resend_after_us
        })
    }

    /// Notes that `peer` is asked alone.
    pub(super) fn note_asked(&mut self, peer: ReplicaId, delivered: SeqNo, now: Instant) {
        self.asked_peers.insert(peer, Asked { delivered, at: now });
    }

    /// Notes that `peer` fetches the state at `checkpoint` from here.
    pub(super) fn note_served(&mut self, peer: ReplicaId, checkpoint: SeqNo, now: Instant) {
        let at = now;
        self.serving.insert(peer, Served { checkpoint, at });
    }

    /// The checkpoints whose states were asked for less than `within_us` ago.
    pub(super) fn served(&self, now: Instant, within_us: u64) -> Vec<SeqNo> {
        let served = self.serving.values();
        let fresh = served.filter(|served| now.since_us(served.at) < within_us);
        fresh.map(|served| served.checkpoint).collect()
    }
}
