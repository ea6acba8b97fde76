//! Clients in the world: their turns, their frames, their answers.

use bezant_bft::{
    codec,
    crypto::{PublicKey, SigningKey},
    ids::{ClusterId, Instant, ReplicaId, Source},
    limits::MAX_CLIENT_MESSAGE_BYTES,
    message::{Attach, ClientMessage, ReplicaMessage},
};
use bezant_replica::LinkId;
use bezant_session::{Config, Session, Target};
use bytes::Bytes;

use super::{Event, World};
use crate::{
    client::{Actor, ActorOutput},
    external_clients::ExternalClients,
    invariants::Fact,
    machine::Arrival,
    options::MS,
    rng::Rng,
};

impl World {
    pub(super) fn add_sessions(&mut self, client: usize, key: &SigningKey, rng: &mut Rng) {
        for _ in 0..self.options.work.sessions {
            let keyring = self.common.keyring.clone();
            let trip = self.options.network.latency_us.1.max(MS);
            let config = Config {
                retry_us: 40 * trip,
                max_retry_us: 400 * trip,
                investigate_us: 200 * trip,
                linger_us: 0,
            };
            let mut session = Session::new(key.clone(), keyring, config, rng.number());
            let mut nothing_open = Vec::new();
            for replica in self.quorum.members() {
                session.on_link(replica, true, &mut nothing_open);
            }
            self.actors
                .push(Actor::new(client, key.client(), session, self.options.work));
        }
    }

    pub(super) fn act(&mut self, actor: usize) {
        let mut output = ActorOutput::default();
        self.actors[actor].act(self.now, &mut self.rng, &mut output);
        self.grant(actor, output);
    }

    pub(super) fn actor_timer(&mut self, actor: usize) {
        let one = &mut self.actors[actor];
        if one.timer != Some(self.now) {
            return;
        }
        one.timer = None;
        let (mut events, mut output) = (Vec::new(), ActorOutput::default());
        if one
            .session
            .next_timeout()
            .is_some_and(|due| due.0 <= self.now)
        {
            one.session.on_tick(Instant(self.now), &mut events);
            one.absorb(self.now, events, &mut self.rng, &mut output);
        }
        self.grant(actor, output);
    }

    /// Lets `external_clients` live here, who have [these keys](Self::external_client_keys).
    pub fn host(&mut self, external_clients: Box<dyn ExternalClients>) {
        self.external_clients = Some(external_clients);
        self.queue.push(2, Event::ExternalClients);
        for replica in self.quorum.members() {
            self.relink_external_clients(replica);
        }
    }

    /// As many keys as the options say, with which external clients may sign.
    #[must_use]
    pub fn external_client_keys(&self) -> &[SigningKey] {
        &self.external_client_keys
    }

    /// The cluster's identity and the keys of its replicas, as clients know them.
    #[must_use]
    pub fn public(&self) -> (ClusterId, Vec<PublicKey>) {
        let keys = self.genesis.keys.iter().copied().map(PublicKey);
        (self.cluster, keys.collect())
    }

    /// The client number of the first external client.
    pub(super) fn first_external_client(&self) -> usize {
        let actors = usize::try_from(self.options.work.clients).unwrap_or(0);
        // Behind the one that floods.
        actors + 1
    }

    pub(super) fn live(&mut self) {
        let Some(external_clients) = &mut self.external_clients else {
            return;
        };
        for sent in external_clients.live(self.now) {
            let client = self.first_external_client() + sent.external_client;
            self.transfer(client, usize::from(sent.to.0), sent.frame);
        }
        self.queue.push(self.now + MS, Event::ExternalClients);
    }

    fn relink_external_clients(&mut self, replica: ReplicaId) {
        for external_client in 0..self.external_client_keys.len() {
            self.link_client(self.first_external_client() + external_client, replica);
        }
        if let Some(external_clients) = &mut self.external_clients {
            external_clients.linked(replica);
        }
    }

    /// A replica's message reaches a client, and with it all of its sessions.
    pub(super) fn told(&mut self, client: usize, from: ReplicaId, bytes: &Bytes) {
        let first_external_client = self.first_external_client();
        if let Some(external_client) = client.checked_sub(first_external_client) {
            if let Some(external_clients) = &mut self.external_clients {
                external_clients.hear(external_client, from, bytes.clone());
            }
            return;
        }
        let Ok(message) = codec::decode::<ReplicaMessage>(bytes) else {
            return;
        };
        let owners: Vec<usize> = (self.actors.iter())
            .map(|actor| self.link_owner(actor.client))
            .collect();
        for (actor, owner) in owners.into_iter().enumerate() {
            if owner != client {
                continue;
            }
            let one = &mut self.actors[actor];
            let (mut events, mut output) = (Vec::new(), ActorOutput::default());
            one.session
                .on_message(Instant(self.now), from, message.clone(), &mut events);
            one.absorb(self.now, events, &mut self.rng, &mut output);
            self.grant(actor, output);
        }
    }

    /// The client over whose link a client's messages go: its own, or the one that all share.
    pub(super) fn link_owner(&self, client: usize) -> usize {
        let is_actor = client < self.client_keys.len();
        if is_actor && self.options.work.shares_links {
            0
        } else {
            client
        }
    }

    /// All clients but external clients have new links to a replica.
    pub(super) fn link_clients(&mut self, replica: ReplicaId) {
        for client in 0..self.first_external_client() {
            if self.link_owner(client) == client {
                self.link_client(client, replica);
            }
        }
    }

    /// A client's link to a replica's machines is replaced by a new one. A link that others
    /// share is told whose replies it carries.
    fn link_client(&mut self, client: usize, replica: ReplicaId) {
        let Some((key, _)) = self.clients.iter().find(|(_, known)| **known == client) else {
            return;
        };
        let peer = Source::Client(*key);
        let machines = 0..self.machines.len();
        let machines: Vec<usize> = machines
            .filter(|machine| self.machines[*machine].id == replica)
            .collect();
        for m in machines {
            if !self.machines[m].up {
                continue;
            }
            let old = self.machines[m].client_link(client);
            self.arrive(m, Arrival::LinkDown { link: old });
            self.machines[m].links[client] += 1;
            let link = self.machines[m].client_link(client);
            self.arrive(m, Arrival::LinkUp { link, peer });
            if client != 0 || !self.options.work.shares_links {
                continue;
            }
            for attached in 1..self.client_keys.len() {
                let Source::Client(link_key) = peer else {
                    continue;
                };
                let key = &self.client_keys[attached];
                let attach = ClientMessage::Attach(Attach::new(key, &self.cluster, &link_key));
                let frame = Bytes::from(codec::encode(&attach));
                let from = peer;
                self.arrive(m, Arrival::Frame { link, from, frame });
            }
        }
    }

    /// A client's frame arrives, if its link is still the same.
    pub(super) fn asked(&mut self, to: usize, client: usize, link: LinkId, frame: Bytes) {
        let known = self.clients.iter().find(|(_, known)| **known == client);
        let from = known.map(|(key, _)| Source::Client(*key));
        if let Some(from) = from.filter(|_| self.machines[to].client_link(client) == link) {
            self.arrive(to, Arrival::Frame { link, from, frame });
        }
    }

    /// Every session has new links and repeats what is open.
    pub(super) fn relink_clients(&mut self, replica: ReplicaId) {
        self.link_clients(replica);
        self.relink_external_clients(replica);
        for actor in 0..self.actors.len() {
            let (mut events, mut output) = (Vec::new(), ActorOutput::default());
            let one = &mut self.actors[actor];
            one.session.on_link(replica, true, &mut events);
            one.absorb(self.now, events, &mut self.rng, &mut output);
            self.grant(actor, output);
        }
    }

    pub(super) fn grant(&mut self, actor: usize, output: ActorOutput) {
        let client = self.actors[actor].client;
        for reply in &output.accepted {
            self.figures.answers += 1;
            self.fact(&Fact::Accepted { reply });
        }
        for (to, message) in output.sends {
            if let ClientMessage::Request(signed) = &message {
                let request = &signed.request;
                self.fact(&Fact::Asked { request });
            }
            self.ask(client, to, &message);
        }
        if let Some(at) = output.act_at {
            self.queue.push(at, Event::Act(actor));
        }
        let one = &mut self.actors[actor];
        if let Some(due) = one.session.next_timeout() {
            let due = due.0.max(self.now);
            if one.timer.is_none_or(|planned| planned > due) {
                one.timer = Some(due);
                self.queue.push(due, Event::ActorTimer(actor));
            }
        }
    }

    /// The faulty client's turn.
    pub(super) fn flood(&mut self) {
        if self.healed {
            return;
        }
        let Some(mut flood) = self.flood.take() else {
            return;
        };
        for _ in 0..self.rng.between(1, 4) {
            let (message, to) = flood.next(&self.cluster, &mut self.rng);
            let mut bytes = Bytes::from(codec::encode(&message));
            // What is another's, sent as if it were its own, and a seat on its own link for
            // another's replies that the other did not sign for.
            if self.rng.chance(100) {
                bytes = self.overheard.clone().unwrap_or(bytes);
            } else if self.rng.chance(50) {
                let victim = self.rng.pick(&self.client_keys).client();
                let attach = ClientMessage::Attach(flood.forged_attach(&self.cluster, victim));
                bytes = Bytes::from(codec::encode(&attach));
            }
            let client = flood.client;
            for machine in 0..self.machines.len() {
                if to >> (machine % 64) & 1 == 0 {
                    continue;
                }
                self.transfer(client, machine, bytes.clone());
            }
        }
        self.flood = Some(flood);
        let at = self.now + self.rng.between(5, 60) * MS;
        self.queue.push(at, Event::Flood);
    }

    fn ask(&mut self, client: usize, to: Target, message: &ClientMessage) {
        let bytes = Bytes::from(codec::encode(message));
        if self.flood.is_some() {
            self.overheard = Some(bytes.clone());
        }
        if bytes.len() > MAX_CLIENT_MESSAGE_BYTES {
            self.violate(
                "bounded-messages",
                format!("a client message of {} bytes", bytes.len()),
            );
        }
        let receivers: Vec<usize> = match to {
            Target::Replica(replica) => vec![usize::from(replica.0)],
            Target::All => (0..self.machines.len()).collect(),
        };
        for to in receivers {
            self.transfer(client, to, bytes.clone());
        }
    }

    /// Puts a client's frame on its way, on which it may be lost.
    fn transfer(&mut self, client: usize, to: usize, bytes: Bytes) {
        let client = self.link_owner(client);
        let link = self.machines[to].client_link(client);
        let arrival = self
            .links
            .with_client(self.now, client, to, &mut self.rng, &mut self.hits);
        if let Some(at) = arrival {
            let asked = Event::Asked {
                to,
                client,
                link,
                bytes,
            };
            self.queue.push(at, asked);
        }
    }
}
