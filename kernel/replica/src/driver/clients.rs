//! Clients: requests, repeated requests, attaching to a link, signed replies.
//!
//! Results are their client's own: a reply goes over no link but those that carry
//! that client's replies, whoever sent its request.

use bezant_bft::{
    codec,
    crypto::{Claim, Domain},
    ids::{ClientId, RequestNumber, SessionId, Source},
    message::{
        Attach, ClientMessage, ReplicaMessage, Reply, ReplyClaim, Share, Signed, SignedRequest,
        attach_body,
    },
    misbehaviour::{Misbehaviour, Offence},
    service::{Admission, Replies, Service as _},
    verification::Unverified,
};

use super::{Driver, Scratch};
use crate::{
    action::{Action, LogEvent},
    budgets::{BAD_ATTACH_COST_BYTES, REPLY_COST_BYTES, Repeat, SIGNED_REPLY_COST_BYTES},
    event::LinkId,
    hook::Hook,
};

impl Driver {
    pub(super) fn client_frame(
        &mut self,
        link: LinkId,
        client: ClientId,
        frame: &[u8],
        hook: &mut impl Hook,
        scratch: &mut Scratch,
        actions: &mut Vec<Action>,
    ) {
        match codec::decode::<ClientMessage>(frame) {
            Ok(ClientMessage::Request(signed)) => {
                if let Some(reply) = hook.foretell(&signed.request) {
                    self.send_reply(link, reply, actions);
                }
                self.request(link, client, signed, hook, scratch, actions);
            }
            Ok(ClientMessage::AskSigned { session, number }) => {
                self.sign_reply(link, session, number, actions);
            }
            Ok(ClientMessage::Attach(attach)) => self.attach(link, client, &attach, hook, actions),
            Ok(_) => {}
            Err(error) => {
                let what = Offence::Undecodable(error);
                let misbehaviour = Misbehaviour::new(Source::Client(client), what);
                self.blame(misbehaviour, hook, actions);
            }
        }
    }

    fn request(
        &mut self,
        link: LinkId,
        client: ClientId,
        signed: SignedRequest,
        hook: &mut impl Hook,
        scratch: &mut Scratch,
        actions: &mut Vec<Action>,
    ) {
        let request = &signed.request;
        match self.kernel.admit(request) {
            // It sent too many that were not what they say.
            Admission::New if !self.budgets.are_checked(&client) => {
                let (session, number) = (request.session, request.number);
                Self::busy(link, session, number, Share::Client, actions);
            }
            Admission::New => match self.replica.room_for(request) {
                Ok(()) => {
                    let message = Unverified::from_client(client, signed);
                    if hook.hear(&message) {
                        scratch.unverified.push(message);
                    }
                }
                Err(share) => {
                    let (session, number) = (request.session, request.number);
                    Self::busy(link, session, number, share, actions);
                }
            },
            Admission::Done(reply) if self.routes.carries(link, &request.client) => {
                self.repeat_reply(link, request.client, reply, actions);
            }
            Admission::Refuse(reply) => self.repeat_reply(link, request.client, reply, actions),
            Admission::Done(_) | Admission::Silent => {}
        }
    }

    /// Tells a client that its request was not taken in. This tells of no state: it waits for
    /// nothing.
    fn busy(
        link: LinkId,
        session: SessionId,
        number: RequestNumber,
        share: Share,
        actions: &mut Vec<Action>,
    ) {
        let message = ReplicaMessage::Busy {
            session,
            number,
            share,
        };
        actions.push(Action::SendClient { link, message });
    }

    /// Tells a client so over every link that carries its replies.
    pub(super) fn busy_everywhere(
        &self,
        client: &ClientId,
        session: SessionId,
        number: RequestNumber,
        share: Share,
        actions: &mut Vec<Action>,
    ) {
        for link in self.routes.of(client) {
            Self::busy(link, session, number, share, actions);
        }
    }

    /// Sends a reply that nothing was ordered for, within the link's budget.
    fn repeat_reply(
        &mut self,
        link: LinkId,
        client: ClientId,
        reply: Reply,
        actions: &mut Vec<Action>,
    ) {
        let repeat = Repeat::Reply(client, reply.session, reply.number);
        if self.budgets.admits(link, repeat) {
            let bytes = REPLY_COST_BYTES + reply.result.len();
            self.budgets.charge(link, repeat, bytes);
            self.send_reply(link, reply, actions);
        }
    }

    fn attach(
        &mut self,
        link: LinkId,
        link_key: ClientId,
        attach: &Attach,
        hook: &mut impl Hook,
        actions: &mut Vec<Action>,
    ) {
        // A leave that stands, or finds no room, is not checked.
        if self.routes.carries(link, &attach.client) {
            return;
        }
        if !self.routes.has_room(link) {
            actions.push(Action::Log(LogEvent::AttachRefused { link }));
            return;
        }
        if !self.budgets.admits(link, Repeat::Attach) {
            return;
        }
        let body = attach_body(&link_key);
        let claim = Claim::new(
            attach.client.into(),
            attach.signature,
            Domain::Attach,
            self.config.keyring.cluster(),
            &body,
        );
        self.counts.verifications += 1;
        if !self.checker.check(&[claim]).iter().all(|holds| *holds) {
            self.budgets
                .charge(link, Repeat::Attach, BAD_ATTACH_COST_BYTES);
            let who = Source::Client(link_key);
            self.blame(Misbehaviour::new(who, Offence::BadSignature), hook, actions);
        } else {
            self.routes.attach(attach.client, link);
        }
    }

    fn sign_reply(
        &mut self,
        link: LinkId,
        session: SessionId,
        number: RequestNumber,
        actions: &mut Vec<Action>,
    ) {
        let repeat = Repeat::Signed(session, number);
        if !self.budgets.admits(link, repeat) {
            return;
        }
        let Some((client, reply)) = self.kernel.kept_reply(session, number) else {
            return;
        };
        if !self.routes.carries(link, &client) {
            return;
        }
        let bytes = SIGNED_REPLY_COST_BYTES + reply.result.len();
        self.budgets.charge(link, repeat, bytes);
        let keyring = &self.config.keyring;
        let claim = ReplyClaim {
            epoch: keyring.epoch(),
            replica: self.config.replica,
            incarnation: self.replica.incarnation(),
            client,
            reply,
        };
        let signed = Signed::new(claim, Domain::Reply, keyring.cluster(), &self.config.key);
        self.send(link, ReplicaMessage::SignedReply(signed), actions);
    }

    /// Sends what executions answered, each over every link that carries its client's.
    pub(super) fn answer(&mut self, replies: &mut Replies, actions: &mut Vec<Action>) {
        for (client, reply) in replies.drain(..) {
            let links: Vec<LinkId> = self.routes.of(&client).collect();
            for link in links {
                self.send_reply(link, reply.clone(), actions);
            }
        }
    }

    fn send_reply(&mut self, link: LinkId, reply: Reply, actions: &mut Vec<Action>) {
        let view = self.replica.view();
        self.send(link, ReplicaMessage::Reply { view, reply }, actions);
    }

    /// Whatever a client is told of the state, every record before it is durable first.
    fn send(&mut self, link: LinkId, message: ReplicaMessage, actions: &mut Vec<Action>) {
        let action = Action::SendClient { link, message };
        self.gate.pass(self.gate.appended(), action, actions);
    }
}
