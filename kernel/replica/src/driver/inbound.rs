//! What arrives: frames are decoded, screened and verified, and become inputs.

use bezant_bft::{
    effects::Input,
    ids::{ReplicaId, Source},
    message::PeerMessage,
    misbehaviour::{Misbehaviour, Offence},
    service::{Admission, Service as _},
    verification::{Batch, Unverified},
};

use super::{Driver, Scratch};
use crate::{
    action::{Action, LogEvent},
    event::LinkId,
    hook::Hook,
};

/// Most blames one turn logs; the rest is counted.
const MAX_BLAMES_LOGGED_PER_TURN: usize = 4;

impl Driver {
    pub(super) fn link_up(&mut self, link: LinkId, peer: Source, scratch: &mut Scratch) {
        match peer {
            Source::Replica(replica) => scratch.inputs.push_back(Input::LinkUp(replica)),
            // A link carries the replies of its own key; it is empty, so there is room.
            Source::Client(client) => {
                self.routes.attach(client, link);
            }
        }
    }

    pub(super) fn receive(
        &mut self,
        link: LinkId,
        from: Source,
        frame: &[u8],
        hook: &mut impl Hook,
        scratch: &mut Scratch,
        actions: &mut Vec<Action>,
    ) {
        match from {
            Source::Replica(replica) => self.hear(replica, frame, hook, scratch, actions),
            Source::Client(client) => {
                self.counts.frames_from_clients += 1;
                self.client_frame(link, client, frame, hook, scratch, actions);
            }
        }
    }

    fn hear(
        &mut self,
        from: ReplicaId,
        frame: &[u8],
        hook: &mut impl Hook,
        scratch: &mut Scratch,
        actions: &mut Vec<Action>,
    ) {
        match Unverified::from_replica(from, frame) {
            Ok(message) if self.is_wanted(&message) && hook.hear(&message) => {
                scratch.unverified.push(message);
            }
            Ok(_) => {}
            Err(misbehaviour) => self.blame(misbehaviour, hook, actions),
        }
    }

    /// Whether a message is worth the check of its signatures.
    fn is_wanted(&self, message: &Unverified) -> bool {
        let news = match message.peek() {
            // A request executed before is not ordered again.
            PeerMessage::Forward(signed) => {
                matches!(self.kernel.admit(&signed.request), Admission::New)
            }
            _ => true,
        };
        news && self.replica.wants(message)
    }

    /// Checks everything that arrived in one batch and turns it into inputs.
    pub(super) fn verify(
        &mut self,
        hook: &mut impl Hook,
        scratch: &mut Scratch,
        actions: &mut Vec<Action>,
    ) {
        if scratch.unverified.is_empty() || self.halted {
            return;
        }
        let mut blames = Vec::new();
        let mut batch = Batch::new(&self.config.keyring);
        for message in scratch.unverified.drain(..) {
            let known = |digest: &_| self.replica.known_request(digest);
            if let Err(misbehaviour) = batch.add(message, known) {
                blames.push(misbehaviour);
            }
        }
        self.counts.verifications += batch.claims() as u64;
        self.counts.batches += u64::from(batch.claims() > 0);
        for checked in batch.check(&mut self.checker) {
            match checked {
                Ok(input) => scratch.inputs.push_back(input),
                Err(misbehaviour) => blames.push(misbehaviour),
            }
        }
        for misbehaviour in blames {
            if let (Source::Client(client), Offence::BadSignature) =
                (misbehaviour.who, &misbehaviour.what)
            {
                self.budgets.sent_bad_signature(client);
            }
            self.blame(misbehaviour, hook, actions);
        }
    }

    /// Tells of misbehaviour, and keeps what proves it to others.
    pub(super) fn blame(
        &mut self,
        mut misbehaviour: Misbehaviour,
        hook: &mut impl Hook,
        actions: &mut Vec<Action>,
    ) {
        hook.blamed(&misbehaviour);
        self.counts.blames += 1;
        if let Some(evidence) = misbehaviour.proof.take() {
            actions.push(Action::KeepEvidence(evidence));
        }
        self.blames_logged += 1;
        if self.blames_logged <= MAX_BLAMES_LOGGED_PER_TURN {
            actions.push(Action::Log(LogEvent::Misbehaviour(misbehaviour)));
        }
    }
}
