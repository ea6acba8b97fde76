//! A small model of view changes, explored exhaustively: what must be kept so that a new view
//! never names a proposal that no correct replica has (docs/protocol.md, "Keep what you voted
//! for").
//!
//! Four replicas, one of them faulty, and one sequence number. Every message that was ever signed
//! may reach anybody, at any time or never: losses, delays and reordering are the freedom of a
//! replica to act on what was signed, or not. Timeouts may come at any time. The faulty replica
//! signs whatever helps it: it proposes two things where it leads, adds its prepare to any
//! certificate, shows each certificate that can be made in any of its view changes, or none,
//! opens a view with any view changes it likes, differently to each. It cannot forge others'
//! votes.
//!
//! The model ends where something is decided: then the number is settled for everybody, since
//! whoever decided it can prove it. So what it looks for are histories without a decision, in
//! which every replica may go on to the next view for ever.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may stop"
)]

mod explore;

use explore::explore;

/// Replicas, and how many are a strong quorum.
const N: usize = 4;
const STRONG: usize = 3;

/// Most views: enough for every history that the tests name.
const VIEWS: usize = 5;

/// What a proposal is told from others by: the view in which it was first proposed, and which of
/// a faulty primary's two it is.
type Digest = u8;

const NONE: u8 = 0xff;
const UNSENT: u8 = 0xfe;

/// A prepared certificate: the view and the digest, or [`NONE`].
type Certificate = u8;

const fn certificate(view: usize, digest: Digest) -> Certificate {
    (view as u8) << 4 | digest
}

/// When a replica lets a proposal go that it voted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// As it enters the next view, unless it is prepared.
    NextView,
    /// When a prepared certificate of a higher view is here.
    HigherCertificate,
    /// When the number is decided here.
    Decided,
}

/// One replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Replica {
    /// The view it entered, and the highest it left for: between views while that is higher.
    view: u8,
    left: u8,
    /// What was accepted in this view, and whether the new view named it.
    slot: u8,
    is_named: bool,
    /// The certificate of the highest view that it made.
    prepared: Certificate,
    /// A bit for each proposal that it has.
    holds: u16,
}

impl Replica {
    const fn is_active(&self) -> bool {
        self.view == self.left
    }

    const fn has(&self, digest: Digest) -> bool {
        self.holds & (1 << digest) != 0
    }
}

/// Everything that was signed, and where the replicas stand. The faulty one has no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    replicas: [Replica; N],
    /// For each view and replica what it prepared or, as the primary, proposed.
    votes: [[u8; N]; VIEWS],
    /// For each view and replica the certificate in its view change.
    changes: [[u8; N]; VIEWS],
    /// For each view what the new view of its correct primary names.
    opened: [u8; VIEWS],
}

/// A protocol to explore.
#[derive(Clone, Copy, Debug)]
struct Model {
    faulty: usize,
    views: usize,
    rule: Rule,
}

impl Model {
    fn begin() -> State {
        let replica = Replica {
            view: 0,
            left: 0,
            slot: NONE,
            is_named: false,
            prepared: NONE,
            holds: 0,
        };
        State {
            replicas: [replica; N],
            votes: [[NONE; N]; VIEWS],
            changes: [[UNSENT; N]; VIEWS],
            opened: [UNSENT; VIEWS],
        }
    }

    fn correct(self) -> impl Iterator<Item = usize> {
        (0..N).filter(move |i| *i != self.faulty)
    }

    const fn primary(view: usize) -> usize {
        view % N
    }

    /// The digests that may be proposed afresh in a view: two if its primary is faulty.
    fn fresh(self, view: usize) -> impl Iterator<Item = Digest> {
        let of = if Self::primary(view) == self.faulty {
            2
        } else {
            1
        };
        (0..of).map(move |which| 2 * view as u8 + which)
    }

    /// Whether a certificate of this digest can be made, the faulty replica's vote included.
    fn can_be_proven(self, state: &State, view: usize, digest: Digest) -> bool {
        let votes = state.votes[view];
        let primary = Self::primary(view);
        let signers = self.correct().filter(|i| votes[*i] == digest).count() + 1;
        signers >= STRONG && (primary == self.faulty || votes[primary] == digest)
    }

    /// What the faulty replica may show when it leaves for `view`.
    fn shown_for(self, state: &State, view: usize) -> Vec<Certificate> {
        let mut shown = vec![NONE];
        for lower in 0..view {
            let digests = self.correct().map(|i| state.votes[lower][i]);
            for digest in digests.filter(|digest| *digest != NONE) {
                let proof = certificate(lower, digest);
                if self.can_be_proven(state, lower, digest) && !shown.contains(&proof) {
                    shown.push(proof);
                }
            }
        }
        shown
    }

    /// What a new view may name: the digest of the highest certificate among view changes of a
    /// strong quorum, `with` one of them if it is given, or nothing.
    fn may_name(self, state: &State, view: usize, with: Option<usize>) -> Vec<u8> {
        let sent = |i: &usize| state.changes[view][*i] != UNSENT;
        let senders: Vec<usize> = self.correct().filter(sent).collect();
        let mut named = Vec::new();
        // All that sent, or all but one of them, with the faulty one or without.
        for left_out in senders.iter().map(|i| Some(*i)).chain([None]) {
            let quorum = senders.iter().filter(|i| Some(**i) != left_out);
            let quorum: Vec<usize> = quorum.copied().collect();
            if with.is_some_and(|with| !quorum.contains(&with)) {
                continue;
            }
            let highest = |shown: Option<Certificate>| {
                let said = quorum.iter().map(|i| state.changes[view][*i]);
                let all = said.chain(shown).filter(|proof| *proof != NONE);
                all.max().map_or(NONE, |proof| proof & 0xf)
            };
            if quorum.len() == STRONG {
                named.push(highest(None));
            } else if quorum.len() == STRONG - 1 {
                let shown = self.shown_for(state, view);
                named.extend(shown.into_iter().map(|shown| highest(Some(shown))));
            }
        }
        named.sort_unstable();
        named.dedup();
        named
    }

    /// Replica `i` enters `view`, which names `digest` or nothing.
    fn enter(self, state: &State, i: usize, view: usize, digest: u8) -> State {
        let mut next = *state;
        let replica = &mut next.replicas[i];
        if self.rule == Rule::NextView {
            let carried = replica.prepared;
            replica.holds &= if carried == NONE {
                0
            } else {
                1 << (carried & 0xf)
            };
        }
        replica.view = view as u8;
        replica.left = view as u8;
        replica.slot = digest;
        replica.is_named = digest != NONE;
        // A primary signs what its new view names, whether or not it has it.
        if digest != NONE && (replica.has(digest) || Self::primary(view) == i) {
            next.votes[view][i] = digest;
        }
        next
    }

    /// Every state that may follow.
    fn follow(self, state: &State) -> Vec<State> {
        let mut all = Vec::new();
        for i in self.correct() {
            self.vote(state, i, &mut all);
            self.prepare(state, i, &mut all);
            self.change_view(state, i, &mut all);
        }
        for next in &mut all {
            self.forget(next);
        }
        all
    }

    fn vote(self, state: &State, i: usize, all: &mut Vec<State>) {
        let replica = state.replicas[i];
        let view = usize::from(replica.view);
        let primary = Self::primary(view);
        if replica.slot == NONE && replica.is_active() {
            // A primary proposes; a backup accepts what its primary proposed, and votes for it.
            let of_primary = |digest: &Digest| {
                primary == i || primary == self.faulty || state.votes[view][primary] == *digest
            };
            for digest in self.fresh(view).filter(of_primary) {
                let mut next = *state;
                let replica = &mut next.replicas[i];
                replica.slot = digest;
                replica.holds |= 1 << digest;
                next.votes[view][i] = digest;
                all.push(next);
            }
        }
        // It is sent what the new view names and it did not have, by whoever has it.
        if replica.is_named && !replica.has(replica.slot) {
            let mut next = *state;
            next.replicas[i].holds |= 1 << replica.slot;
            if replica.is_active() {
                next.votes[view][i] = replica.slot;
            }
            all.push(next);
        }
    }

    /// Replica `i` hears enough prepares of its view, before it leaves or after.
    fn prepare(self, state: &State, i: usize, all: &mut Vec<State>) {
        let replica = state.replicas[i];
        let view = usize::from(replica.view);
        if replica.slot == NONE || !replica.has(replica.slot) {
            return;
        }
        let proof = certificate(view, replica.slot);
        if replica.prepared != proof && self.can_be_proven(state, view, replica.slot) {
            let mut next = *state;
            let replica = &mut next.replicas[i];
            replica.prepared = proof;
            if self.rule == Rule::HigherCertificate {
                replica.holds = 1 << replica.slot;
            }
            all.push(next);
        }
    }

    fn change_view(self, state: &State, i: usize, all: &mut Vec<State>) {
        let replica = state.replicas[i];
        let left = usize::from(replica.left);
        if left + 1 < self.views {
            let mut next = *state;
            next.replicas[i].left += 1;
            next.changes[left + 1][i] = replica.prepared;
            all.push(next);
        }
        for view in (usize::from(replica.view) + 1).max(left)..self.views {
            let primary = Self::primary(view);
            if primary == i && state.opened[view] == UNSENT && left == view {
                for named in self.may_name(state, view, Some(i)) {
                    let mut next = self.enter(state, i, view, named);
                    next.opened[view] = named;
                    all.push(next);
                }
            } else if primary == self.faulty {
                for named in self.may_name(state, view, None) {
                    all.push(self.enter(state, i, view, named));
                }
            } else if primary != i && state.opened[view] != UNSENT {
                all.push(self.enter(state, i, view, state.opened[view]));
            }
        }
    }

    /// Makes states alike that differ only in what nobody can use any more.
    fn forget(self, state: &mut State) {
        for view in 0..VIEWS {
            let replicas = state.replicas;
            let mut correct = self.correct().map(|i| replicas[i]);
            let at = view as u8;
            let may_enter = |r: &Replica| r.view < at && r.left <= at;
            let may_vote = |r: Replica| may_enter(&r) || (r.view == at && r.left == at);
            if !correct.any(may_vote) {
                // Of its votes only what they prove is of use.
                let votes = state.votes[view];
                let proven = self.correct().map(|i| votes[i]);
                let mut proven = proven.filter(|digest| *digest != NONE);
                let proven = proven.find(|digest| self.can_be_proven(state, view, *digest));
                state.votes[view] = [proven.unwrap_or(NONE); N];
            }
            if !self.correct().any(|i| may_enter(&replicas[i])) {
                state.changes[view] = [UNSENT; N];
                state.opened[view] = UNSENT;
            }
        }
        state
            .votes
            .iter_mut()
            .for_each(|votes| votes[self.faulty] = NONE);
    }

    /// A correct replica is in a view that names what no correct replica has: only the faulty
    /// one could help, and it does not.
    fn is_stuck(self, state: &State) -> bool {
        self.correct().any(|i| {
            let Replica { slot, is_named, .. } = state.replicas[i];
            is_named && !self.correct().any(|other| state.replicas[other].has(slot))
        })
    }
}

/// Each replica is the faulty one once: the first primary, the next ones, a backup all along.
fn every_history(views: usize, rule: Rule) -> Vec<(usize, explore::Outcome)> {
    let faulty = 0..N;
    let models = faulty.map(|faulty| Model {
        faulty,
        views,
        rule,
    });
    models.map(|model| (model.faulty, explore(model))).collect()
}

#[test]
fn a_new_view_names_nothing_that_correct_replicas_let_go() {
    for (faulty, outcome) in every_history(3, Rule::Decided) {
        println!("{faulty} is faulty: {} states", outcome.states);
        assert_eq!(outcome.stuck, None, "{faulty} is faulty");
        assert!(outcome.states > 1_000, "{}", outcome.states);
    }
}

/// What the model is for: it finds the fault, whoever is faulty, and soon.
#[test]
fn what_is_let_go_on_the_way_into_a_view_is_named_by_it() {
    for (faulty, outcome) in every_history(3, Rule::NextView) {
        let stuck = outcome.stuck.expect("the fault is there");
        println!("{faulty} is faulty: stuck after {} steps", stuck.len() - 1);
    }
}

/// One of the steps that may follow: the one after which `is` holds.
fn step(model: Model, state: &mut State, is: impl Fn(&State) -> bool) {
    let next = model
        .follow(state)
        .into_iter()
        .find(|next| next != state && is(next));
    *state = next.expect("such a step may follow");
}

/// Replica 3 is faulty. A certificate of a higher view may belong to a replica whose view changes
/// come too late for every quorum, while others prepared the older proposal once more.
fn overtaken_by_a_higher_certificate(rule: Rule) -> (Model, State) {
    let model = Model {
        faulty: 3,
        views: 5,
        rule,
    };
    let mut state = Model::begin();
    let state = &mut state;
    let (first, second) = (0, 2);
    // 0 proposes the first, and 1 votes for it: with its own vote the faulty one can prove it.
    step(model, state, |next| next.replicas[0].slot == first);
    step(model, state, |next| next.replicas[1].slot == first);
    let leave = |state: &mut State, who: &[usize], view: u8| {
        for i in who {
            step(model, state, |next| {
                next.replicas[*i].left == view && next.replicas[*i].view < view
            });
        }
    };
    let enter = |state: &mut State, i: usize, view: u8, named: u8| {
        step(model, state, |next| {
            let Replica { view: at, slot, .. } = next.replicas[i];
            (at, slot) == (view, named)
        });
    };
    // View 1 names nothing. Its primary, 1, proposes the second; 0 prepares it and lets the
    // first go.
    leave(state, &[0, 1, 2], 1);
    enter(state, 1, 1, NONE);
    enter(state, 0, 1, NONE);
    step(model, state, |next| next.replicas[1].slot == second);
    step(model, state, |next| next.replicas[0].slot == second);
    step(model, state, |next| {
        next.replicas[0].prepared == certificate(1, second)
    });
    // View 2 opens without 0's view change and names the first, which 2, its primary, does not
    // have. 1 votes for it: it can be proven in view 2.
    leave(state, &[0, 1, 2], 2);
    enter(state, 2, 2, first);
    enter(state, 1, 2, first);
    // View 3 opens with 0's, and names the second. 1 prepares it and lets the first go.
    leave(state, &[0, 1, 2], 3);
    enter(state, 1, 3, second);
    enter(state, 0, 3, second);
    step(model, state, |next| {
        next.replicas[1].prepared == certificate(3, second)
    });
    // View 4 opens without 1's.
    leave(state, &[0, 2], 4);
    enter(state, 0, 4, first);
    (model, *state)
}

#[test]
fn a_certificate_of_a_higher_view_is_no_leave_to_let_go() {
    let (model, state) = overtaken_by_a_higher_certificate(Rule::HigherCertificate);
    assert!(model.is_stuck(&state));
    let (model, state) = overtaken_by_a_higher_certificate(Rule::Decided);
    assert!(!model.is_stuck(&state));
}
