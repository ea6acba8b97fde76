//! Changes the view when the primary does not order requests (PBFT §4.4).
//!
//! A replica that suspects the primary says what it had prepared and takes no
//! further part in the view. The next primary gathers a strong quorum of such
//! messages and opens its view with what follows from them; every backup
//! computes that again before it believes it. What was decided anywhere was
//! prepared by a correct replica of that quorum, so it is proposed again at its
//! number; the rest is given to null requests.
//!
//! Certificates are proofs to anyone, so a replica that missed the change is led
//! into the view by the messages that opened it, whoever passes them on.

use std::{collections::BTreeMap, sync::Arc};

use super::{Replica, answers::Answer, early::Early};
use crate::{
    codec,
    crypto::Domain,
    effects::{Effect, Effects, Record, To},
    evidence::Charge,
    ids::{Digest, Instant, ReplicaId, SeqNo, View},
    limits,
    message::{AskProposals, Content, NewView, PeerMessage, Signed, Status, ViewChange, Vote},
    misbehaviour::Offence,
    new_view::NewViewPlan,
    slot::Slot,
    verification::verified::{CheckedNewView, CheckedProposal, CheckedViewChange},
};

/// What it takes to lead another replica into the current view.
#[derive(Debug)]
pub(super) struct NewViewProof {
    pub(super) new_view: CheckedNewView,
    /// All that the new view names; none after a restart if they were too long for a record.
    view_changes: Vec<Signed<ViewChange>>,
}

impl NewViewProof {
    /// Without the view changes that it names.
    pub(super) const fn new(new_view: CheckedNewView) -> Self {
        Self {
            new_view,
            view_changes: Vec::new(),
        }
    }

    /// Adds them, if these are the ones.
    pub(super) fn complete(&mut self, view_changes: Vec<Signed<ViewChange>>) {
        let named = self.new_view.signed().body.view_changes.iter();
        let these = view_changes.iter();
        if named
            .copied()
            .eq(these.map(|change| (change.body.replica, change.digest())))
        {
            self.view_changes = view_changes;
        }
    }
}

/// Everything about changing views.
#[derive(Debug, Default)]
pub(super) struct Views {
    /// The view this replica left for and has not entered.
    pub(super) pending_view: Option<View>,
    /// The highest view change of each replica, this one included.
    pub(super) changes: BTreeMap<ReplicaId, Arc<CheckedViewChange>>,
    /// New views of which some view changes are not here yet, the highest of each primary:
    /// one that names what nobody sent must not stand in the way of the others'. And those
    /// they name that took nobody's place in `changes`.
    pub(super) pending_new_views: BTreeMap<ReplicaId, Arc<CheckedNewView>>,
    named: BTreeMap<Digest, Arc<CheckedViewChange>>,
    pub(super) new_view_proof: Option<NewViewProof>,
    /// When a strong quorum had left for `pending_view`.
    quorum_at: Option<Instant>,
    /// How often the view-change timeout was doubled, and when it was last changed or a view
    /// entered.
    doublings: u32,
    since: Instant,
    /// How far delivery had come when this view was entered.
    began_at: SeqNo,
    /// The checkpoint this view began with. What was decided up to it need not be known here,
    /// and is not in the new view: to vote there might help to decide something else.
    pub(super) floor: SeqNo,
    /// Whether the primary of this view was seen to leave a client out, or to hold everything
    /// back.
    pub(super) is_unfair: bool,
    /// The last number that the new view of this view names. What stands there is carried, not
    /// fresh, however it arrives.
    pub(super) carried_up_to: SeqNo,
    /// The highest view each peer was heard to be in.
    heard: BTreeMap<ReplicaId, View>,
    /// The highest view about which each replica was found to equivocate.
    pub(super) equivocators: BTreeMap<ReplicaId, View>,
}

impl Views {
    /// Whether this replica takes part in its view.
    pub(super) const fn is_active(&self) -> bool {
        self.pending_view.is_none()
    }

    /// Whether a view change is one that a new view names.
    fn is_named(&self, from: ReplicaId, digest: Digest) -> bool {
        let mut pending_new_views = self.pending_new_views.values();
        pending_new_views.any(|pending| {
            let names = &pending.signed().body.view_changes;
            names.contains(&(from, digest))
        })
    }

    /// Keeps of the view changes named only those that are still needed.
    fn forget_unnamed(&mut self) {
        let mut named = std::mem::take(&mut self.named);
        named.retain(|digest, change| self.is_named(change.replica(), *digest));
        self.named = named;
    }

    /// Keeps a view change that a new view names. A replica that sends several for one view, or
    /// is named in many views to come, keeps few places: those for the lowest views, which open
    /// first.
    fn keep_named(&mut self, change: &Arc<CheckedViewChange>) {
        let from = change.replica();
        self.named.insert(change.digest(), Arc::clone(change));
        let mut of_sender: Vec<_> = self
            .named
            .values()
            .filter(|c| c.replica() == from)
            .collect();
        of_sender.sort_by_key(|change| change.view());
        let over = of_sender.get(limits::MAX_NAMED_PER_REPLICA);
        if let Some(digest) = over.map(|change| change.digest()) {
            self.named.remove(&digest);
        }
    }

    /// View changes of `from` that are kept because they are named.
    pub(super) fn named_of(&self, from: ReplicaId) -> usize {
        let named = self.named.values();
        named.filter(|change| change.replica() == from).count()
    }

    /// Forgets view changes.
    pub(super) fn forget(&mut self, is_over: impl Fn(&CheckedViewChange) -> bool) {
        self.changes.retain(|_, change| !is_over(change));
        self.named.retain(|_, change| !is_over(change));
    }

    /// The view changes a new view names, if all are here.
    fn named_by(&self, new_view: &NewView) -> Option<Vec<Arc<CheckedViewChange>>> {
        let named = new_view.view_changes.iter().map(|(replica, digest)| {
            let here = self.changes.get(replica).or_else(|| self.named.get(digest));
            let named = here.filter(|change| change.digest() == *digest);
            let named = named.or_else(|| self.named.get(digest));
            let right = |change: &&Arc<CheckedViewChange>| {
                change.view() == new_view.view && change.replica() == *replica
            };
            named.filter(right).map(Arc::clone)
        });
        named.collect()
    }
}

impl Replica {
    /// The highest view this replica was in or left for.
    fn target(&self) -> View {
        self.views.pending_view.unwrap_or(self.view)
    }

    /// How long the primary may take: longer after each view that failed (PBFT §4.5.2).
    #[must_use]
    pub fn view_change_timeout_us(&self) -> u64 {
        self.tuning.suspect_after_us << self.views.doublings
    }

    /// Decisions at a steady pace make up for views that failed.
    pub(super) fn relax(&mut self) {
        let views = &mut self.views;
        if views.doublings > 0 && self.now.since_us(views.since) >= self.tuning.suspect_after_us {
            views.doublings -= 1;
            views.since = self.now;
        }
    }

    /// When a view that was asked for and does not open is given up.
    pub(super) fn new_view_due(&self) -> Option<Instant> {
        let since = self.views.quorum_at?;
        Some(since.after_us(self.view_change_timeout_us()))
    }

    /// The primary of the current view is suspected.
    pub(super) fn suspect(&mut self, out: &mut Effects) {
        self.counters.suspicions += 1;
        // A view that opened and decided nothing failed, too.
        if self.delivered == self.views.began_at {
            self.back_off();
        }
        out.push(Effect::Suspect(self.view));
        self.leave(self.target().next(), out);
    }

    /// The view asked for did not open in time.
    pub(super) fn give_up(&mut self, out: &mut Effects) {
        self.back_off();
        out.push(Effect::Suspect(self.target()));
        self.leave(self.target().next(), out);
    }

    /// The next view gets twice the time (PBFT §4.5.2).
    fn back_off(&mut self) {
        let doublings = self.views.doublings + 1;
        self.views.doublings = doublings.min(limits::MAX_TIMEOUT_DOUBLINGS);
    }

    /// Takes no further part in lower views and says what was prepared in them.
    fn leave(&mut self, view: View, out: &mut Effects) {
        // One that lost its memory does not know what it had prepared.
        if !self.votes() {
            return;
        }
        // Above the high watermark this replica committed nothing, however much others had
        // prepared there: nothing that was decided rests on what is left out, and the message
        // stays one that can be sent.
        let (low, high) = (self.checkpoints.low(), self.checkpoints.high());
        let slots = self.slots.range(low.next()..=high);
        let prepared = slots
            .map(|(_, slot)| slot)
            .filter_map(|slot| slot.prepared(self.quorum))
            .map(|prepared| prepared.certificate)
            .collect();
        let body = ViewChange {
            epoch: self.keyring.epoch(),
            replica: self.me,
            incarnation: self.incarnation(),
            view,
            stable: low,
            checkpoint: self.checkpoints.proof().to_vec(),
            prepared,
        };
        self.counters.signatures += 1;
        let cluster = self.keyring.cluster();
        let signed = Signed::new(body, Domain::ViewChange, cluster, &self.key);
        let after = self.persist(Record::ViewChange(signed.clone()), out);
        self.left(signed.clone());
        self.send_others(PeerMessage::ViewChange(signed), Some(after), out);
        self.catch_up.asked = self.now;
        self.catch_up.asks = 0;
        self.count_changes(out);
    }

    /// This replica is between views from the moment its view change exists.
    pub(super) fn left(&mut self, signed: Signed<ViewChange>) {
        self.views.pending_view = Some(signed.body.view);
        self.views.quorum_at = None;
        let own = Arc::new(CheckedViewChange::own(signed));
        self.views.changes.insert(self.me, own);
    }

    /// The own view change while this replica is between views, for those who did not get it.
    pub(super) fn own_view_change(&self) -> Option<PeerMessage> {
        let own = self.views.changes.get(&self.me);
        let own = own.filter(|_| !self.views.is_active());
        own.map(|own| PeerMessage::ViewChange(own.signed().clone()))
    }

    /// Whether this view change could tell anything new.
    pub(super) fn wants_view_change(&self, change: &ViewChange) -> bool {
        let known = self.views.changes.get(&change.replica);
        let newer = known.is_none_or(|known| known.view() < change.view);
        let mut pending_new_views = self.views.pending_new_views.values();
        let asked = pending_new_views.any(|pending| pending.signed().body.view == change.view);
        change.view > self.view && (newer || asked || self.views.contradicts_change(change))
    }

    pub(super) fn on_view_change(
        &mut self,
        change: &Arc<CheckedViewChange>,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        let from = change.replica();
        if change.is_flawed() {
            let view = change.view();
            let charge = Charge::FlawedViewChange(Box::new(change.signed().clone()));
            self.accuse(from, Offence::FlawedViewChange { view }, charge, out);
        }
        self.judge_change(change, out);
        if change.view() <= self.view {
            return None;
        }
        if self.views.is_named(from, change.digest()) {
            self.views.keep_named(change);
        }
        let known = self.views.changes.get(&from);
        // An own one of an earlier incarnation may be named by the view to enter, and is no more
        // than that.
        if from != self.me && known.is_none_or(|known| known.view() < change.view()) {
            self.views.changes.insert(from, Arc::clone(change));
            self.join(out);
            self.count_changes(out);
        }
        self.try_enter(out);
        None
    }

    /// When more than f others want a higher view, one of them is correct: join them, at
    /// the highest view that so many want at least.
    fn join(&mut self, out: &mut Effects) {
        let target = self.target();
        let others = self
            .views
            .changes
            .iter()
            .filter(|(who, _)| **who != self.me);
        let views = others.map(|(_, change)| change.view());
        let mut higher: Vec<View> = views.filter(|view| *view > target).collect();
        higher.sort_unstable_by(|a, b| b.cmp(a));
        if let Some(view) = higher.get(self.quorum.weak() - 1) {
            self.leave(*view, out);
        }
    }

    /// Once a strong quorum left for the view, its primary opens it, and the others wait
    /// for that no longer than their view-change timeout lasts.
    fn count_changes(&mut self, out: &mut Effects) {
        let Some(view) = self.views.pending_view else {
            return;
        };
        self.forget_earlier_incarnations();
        let here = self.views.changes.values();
        let reached: Vec<_> = here.filter(|change| change.view() >= view).collect();
        if reached.len() < self.quorum.strong() {
            return;
        }
        // Who went on to a higher view left for this one, too: those who wait here must not
        // wait for a quorum that a faulty replica showed to the others only.
        if self.views.quorum_at.is_none() {
            self.views.quorum_at = Some(self.now);
        }
        let changes = reached.into_iter().filter(|change| change.view() == view);
        let changes: Vec<_> = changes.map(Arc::clone).collect();
        if changes.len() >= self.quorum.strong() && self.quorum.primary(view) == self.me {
            self.open(view, changes, out);
        }
    }

    fn open(&mut self, view: View, mut changes: Vec<Arc<CheckedViewChange>>, out: &mut Effects) {
        // The own one is among them: what a new incarnation must not propose again lies below it.
        let me = self.me;
        changes.sort_by_key(|change| (change.replica() != me, change.replica()));
        changes.truncate(self.quorum.strong());
        changes.sort_by_key(|change| change.replica());
        let plan = NewViewPlan::from_changes(&changes);
        let entries = plan.entries.iter();
        let pre_prepares = entries
            .map(|vote| self.sign_in(view, Domain::PrePrepare, vote.seq_no, vote.digest))
            .collect();
        let body = NewView {
            epoch: self.keyring.epoch(),
            replica: self.me,
            incarnation: self.incarnation(),
            view,
            view_changes: changes
                .iter()
                .map(|change| (change.replica(), change.digest()))
                .collect(),
            stable: plan.stable,
            pre_prepares,
        };
        self.counters.signatures += 1;
        let cluster = self.keyring.cluster();
        let signed = Signed::new(body, Domain::NewView, cluster, &self.key);
        let new_view = Arc::new(CheckedNewView::own(signed));
        self.enter(&new_view, changes, plan.stable, out);
        self.send_again(To::Others, self.leading(0), out);
    }

    /// What leads another replica into this view, without the first `skip` messages of it.
    fn leading(&self, skip: usize) -> impl Iterator<Item = PeerMessage> {
        let proof = self.views.new_view_proof.as_ref();
        let proof = proof.filter(|proof| !proof.view_changes.is_empty());
        proof.into_iter().flat_map(move |proof| {
            let changes = proof.view_changes.iter().skip(skip);
            let changes = changes.map(|change| PeerMessage::ViewChange(change.clone()));
            // It comes last: whoever stopped before still lacks it.
            let lacks = skip <= proof.view_changes.len();
            let new_view = lacks.then(|| proof.new_view.signed());
            let new_view = new_view.into_iter();
            changes.chain(new_view.map(|new_view| PeerMessage::NewView(new_view.clone())))
        })
    }

    /// Sends a peer that is in a lower view, or between views, what leads it into this one; false
    /// if some of it is still to be sent. That is many messages in a large cluster: when the
    /// peer's budget is used up it goes on where it stopped.
    pub(super) fn lead_along(&self, status: &Status, answer: &mut Answer<'_>) -> bool {
        let behind = status.view < self.view || (status.view == self.view && !status.active);
        let begun = answer.account.led.take();
        if !behind {
            return true;
        }
        let begun = begun.filter(|(view, _)| *view == self.view);
        let mut sent = begun.map_or(0, |(_, sent)| sent);
        let messages = self.leading(sent).inspect(|_| sent += 1);
        let done = answer.send(messages);
        answer.account.led = (!done).then_some((self.view, sent));
        done
    }

    /// Whether a new view could be entered.
    pub(super) fn wants_new_view(&self, new_view: &NewView) -> bool {
        let pending = self.views.pending_new_views.get(&new_view.replica);
        let opens = new_view.view > self.view
            && new_view.view >= self.target()
            && pending.is_none_or(|pending| pending.signed().body.view < new_view.view);
        opens || self.views.contradicts_new_view(new_view)
    }

    pub(super) fn on_new_view(
        &mut self,
        new_view: &Arc<CheckedNewView>,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        self.judge_new_view(new_view, out);
        if self.wants_new_view(&new_view.signed().body) {
            let primary = new_view.signed().body.replica;
            self.views
                .pending_new_views
                .insert(primary, Arc::clone(new_view));
            self.views.forget_unnamed();
            self.try_enter(out);
        }
        None
    }

    /// Enters the view that opens, if its view changes are here and it follows from them.
    fn try_enter(&mut self, out: &mut Effects) {
        self.forget_earlier_incarnations();
        let target = self.target();
        let pending_new_views = &mut self.views.pending_new_views;
        pending_new_views.retain(|_, pending| pending.signed().body.view >= target);
        self.views.forget_unnamed();
        let mut pending_new_views = self.views.pending_new_views.values();
        let complete = pending_new_views.find_map(|pending| {
            let changes = self.views.named_by(&pending.signed().body)?;
            Some((Arc::clone(pending), changes))
        });
        let Some((new_view, changes)) = complete else {
            return;
        };
        let body = &new_view.signed().body;
        let plan = NewViewPlan::from_changes(&changes);
        if NewViewPlan::said_by(body) != plan {
            self.views.pending_new_views.remove(&body.replica);
            let view_changes = changes.iter().map(|change| change.signed().clone());
            let charge = Charge::WrongNewView {
                new_view: Box::new(new_view.signed().clone()),
                view_changes: view_changes.collect(),
            };
            let wrong = Offence::WrongNewView { view: body.view };
            self.accuse(body.replica, wrong, charge, out);
            return self.try_enter(out);
        }
        self.enter(&new_view, changes, plan.stable, out);
    }

    fn enter(
        &mut self,
        new_view: &Arc<CheckedNewView>,
        changes: Vec<Arc<CheckedViewChange>>,
        stable: SeqNo,
        out: &mut Effects,
    ) {
        let signed = new_view.signed();
        let view = signed.body.view;
        self.persist(Record::NewView(signed.clone()), out);
        let named: Vec<_> = changes.iter().map(|c| c.signed().clone()).collect();
        self.record_named(&named, out);
        let votes = changes.iter().find(|change| change.stable() == stable);
        let votes: Vec<_> = votes.map_or_else(Vec::new, |change| change.checkpoint().to_vec());
        let new_view_proof = NewViewProof {
            new_view: CheckedNewView::own(signed.clone()),
            view_changes: named,
        };
        self.begin(view, &signed.body.pre_prepares, stable);
        self.views.new_view_proof = Some(new_view_proof);
        self.catch_up.entered_view(self.now);
        let primary = self.primary();
        self.counters.views_entered += 1;
        out.push(Effect::ViewChanged { view, primary });
        self.checkpoints.prove(votes);
        self.stabilise(stable, out);
        for vote in &signed.body.pre_prepares {
            let seq_no = vote.body.seq_no;
            if self.is_primary() {
                self.record_proposal(seq_no, out);
            }
            self.advance(seq_no, out);
        }
        self.ask_proposals(out);
        self.hear_early(out);
    }

    /// Makes durable what led into this view, so that others are led into it after a restart.
    fn record_named(&mut self, named: &[Signed<ViewChange>], out: &mut Effects) {
        let bytes: usize = named.iter().map(|change| codec::encode(change).len()).sum();
        if bytes <= limits::MAX_NAMED_VIEW_CHANGES_BYTES {
            self.persist(Record::NamedViewChanges(named.to_vec()), out);
        }
    }

    /// The state at the beginning of a view: from a new view, or from the records of one.
    pub(super) fn begin(&mut self, view: View, proposed: &[Signed<Vote>], stable: SeqNo) {
        self.view = view;
        self.views.pending_view = None;
        let pending_new_views = &mut self.views.pending_new_views;
        pending_new_views.retain(|_, pending| pending.signed().body.view > view);
        self.views.forget_unnamed();
        self.views.quorum_at = None;
        self.views.since = self.now;
        self.views.began_at = self.delivered;
        self.views.floor = stable;
        self.views.is_unfair = false;
        self.pace.enter_view();
        let last = proposed.last().map_or(stable, |vote| vote.body.seq_no);
        self.views.carried_up_to = last;
        self.kept.forget_refused();
        self.catch_up.break_silence(self.now);
        self.views.changes.retain(|_, change| change.view() > view);
        let quorum = self.quorum;
        for slot in self.slots.values_mut() {
            slot.enter(view, quorum);
        }
        self.slots.retain(|_, slot| slot.is_worth_keeping());
        self.pool.forget_proposals(self.now);
        self.forget_rejoin_proposals();
        self.proposed = self.delivered.max(stable);
        let (kept, hold) = (self.checkpoints.kept_below(), self.checkpoints.hold());
        let null = Arc::new(CheckedProposal::null());
        for vote in proposed {
            let seq_no = vote.body.seq_no;
            self.proposed = self.proposed.max(seq_no);
            // Beyond that the state has to be transferred first.
            if seq_no <= kept || seq_no > hold {
                continue;
            }
            let slot = self.slots.entry(seq_no);
            let slot = slot.or_insert_with(|| Slot::new(seq_no, view));
            let digest = vote.body.digest;
            let here = slot
                .find(&digest)
                .or_else(|| self.kept.find(seq_no, &digest));
            let here = here.map(Arc::clone);
            let here = here.or_else(|| (digest == null.digest()).then(|| Arc::clone(&null)));
            // One that was executed and came again since waits for another number: the
            // service knows it no more, and this number is not executed again.
            let ahead = here.iter().filter(|_| seq_no > self.delivered);
            for request in ahead.flat_map(|proposal| proposal.requests()) {
                self.pool.mark_proposed(request, self.now);
            }
            slot.accept_vote(*vote, here);
        }
    }

    /// Makes the own proposal of a new view durable, as any other.
    fn record_proposal(&mut self, seq_no: SeqNo, out: &mut Effects) {
        if let Some(message) = self.slots.get(&seq_no).and_then(Slot::pre_prepare) {
            if seq_no > self.delivered {
                self.kept.keep(seq_no, &message.proposal);
            }
            self.persist(Record::PrePrepare(message), out);
        }
    }

    /// Asks for proposals that a new view names and this replica does not have.
    pub(super) fn ask_proposals(&self, out: &mut Effects) {
        let most = usize::try_from(limits::MAX_RESENT_NUMBERS).unwrap_or(usize::MAX);
        let slots = self.slots.iter();
        let lacking = slots.filter_map(|(seq_no, slot)| Some((*seq_no, slot.lacks()?)));
        let wanted: Vec<_> = lacking.take(most).collect();
        if !wanted.is_empty() {
            let ask = PeerMessage::AskProposals(AskProposals { wanted });
            self.send_again(To::Others, [ask], out);
        }
    }

    /// Sends proposals that a peer asks for by digest, a few at a time.
    pub(super) fn answer_proposals(&self, ask: &AskProposals, answer: &mut Answer<'_>) -> bool {
        let found = ask.wanted.iter().filter_map(|(seq_no, digest)| {
            let here = self.slots.get(seq_no).and_then(|slot| slot.find(digest));
            let proposal = here.or_else(|| self.kept.find(*seq_no, digest))?;
            Some((*seq_no, proposal))
        });
        let mut bytes = 0;
        let few = found.take_while(|(_, proposal)| {
            bytes += proposal.cost_bytes();
            bytes <= limits::MAX_CONTENT_ANSWER_BYTES
        });
        answer.send(few.map(|(seq_no, proposal)| {
            let proposal = proposal.to_proposal();
            PeerMessage::Content(Content { seq_no, proposal })
        }));
        true
    }

    pub(super) fn on_content(
        &mut self,
        proposal: &Arc<CheckedProposal>,
        out: &mut Effects,
    ) -> Option<SeqNo> {
        let supplied = self.slots.iter_mut();
        let numbers: Vec<SeqNo> = supplied
            .filter_map(|(seq_no, slot)| slot.supply(proposal).then_some(*seq_no))
            .collect();
        for seq_no in &numbers {
            let ahead = *seq_no > self.delivered;
            for request in proposal.requests().iter().filter(|_| ahead) {
                self.pool.mark_proposed(request, self.now);
            }
            if self.is_primary() {
                self.record_proposal(*seq_no, out);
            }
            self.advance(*seq_no, out);
        }
        let more = self.slots.values().any(|slot| slot.lacks().is_some());
        if more && !numbers.is_empty() {
            self.ask_proposals(out);
        }
        numbers.first().copied()
    }

    /// A peer's word that it is in a view.
    pub(super) fn hear_view(&mut self, from: ReplicaId, view: View) {
        if self.quorum.is_member(from) && from != self.me {
            let heard = self.views.heard.entry(from).or_default();
            *heard = view.max(*heard);
        }
    }

    /// To whom requests and rejoin requests are passed on: the primary; between views that of the
    /// highest view in which more than f peers were heard to be, which this replica may have
    /// missed, or left alone.
    pub(super) fn leader(&self) -> ReplicaId {
        if self.views.is_active() {
            return self.primary();
        }
        let mut heard: Vec<View> = self.views.heard.values().copied().collect();
        heard.sort_unstable_by(|a, b| b.cmp(a));
        let heard = heard.get(self.quorum.weak() - 1).copied();
        let view = heard.unwrap_or_default().max(self.view);
        self.quorum.primary(view)
    }

    /// Whether more than f peers are in a higher view: somebody correct is.
    pub(super) fn missed_a_view(&self) -> bool {
        let heard = self.views.heard.values();
        heard.filter(|view| **view > self.view).count() >= self.quorum.weak()
    }

    /// Holds a message of a view that this replica may enter soon.
    pub(super) fn hold_early(&mut self, from: ReplicaId, view: View, message: Early) {
        self.hear_view(from, view);
        if self.quorum.is_member(from) {
            self.early.hold(from, view, message);
        }
    }

    /// Takes what came early for the view just entered.
    fn hear_early(&mut self, out: &mut Effects) {
        for message in self.early.take(self.view) {
            match message {
                Early::PrePrepare(message) => {
                    self.on_pre_prepare(&message, message.vote.body.replica, out)
                }
                Early::Prepare(vote) => self.on_prepare(vote, out),
                Early::Commit(vote) => self.on_commit(vote, out),
            };
        }
    }
}
