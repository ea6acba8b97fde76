//! What the tests share: a cluster with real keys, messages signed by any of
//! its members, one replica driven by hand ([`single`]), and a whole network of
//! them under virtual time ([`world`]). No threads, no clock, no async.

pub(crate) mod rng;
pub(crate) mod service;
pub(crate) mod single;
pub(crate) mod views;
pub(crate) mod watch;
pub(crate) mod world;

use bezant_bft::{
    crypto::{Domain, SigningKey},
    effects::{Durability, Effect, Effects, Input, Record},
    ids::{
        Clock, ClusterId, Digest, Epoch, Incarnation, OrderedTime, ReplicaId, RequestNumber, SeqNo,
        SessionId, View,
    },
    keyring::Keyring,
    message::{
        CheckpointVote, NewView, PeerMessage, PrePrepare, Proposal, Request, Signed, SignedRequest,
        Status, ViewChange, Vote, proposal_digest,
    },
    rejoin::IncarnationTable,
    replica::{Replica, Tuning},
    verification::CheckedRequest,
};
use bytes::Bytes;

/// The time of day at virtual time 0.
pub(crate) const DAWN_MS: u64 = 1_700_000_000_000;

/// A cluster's public part and, since this is a test, all its private keys.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) id: ClusterId,
    pub(crate) keys: Vec<SigningKey>,
    pub(crate) keyring: Keyring,
}

impl Cluster {
    pub(crate) fn new(n: u8) -> Self {
        let id = ClusterId([7; 32]);
        let keys: Vec<_> = (0..n).map(|i| SigningKey::from_seed([i + 1; 32])).collect();
        let public = keys.iter().map(SigningKey::public).collect();
        let keyring = Keyring::new(id, Epoch(0), public).expect("a cluster");
        Self { id, keys, keyring }
    }

    pub(crate) fn replica(
        &self,
        me: u8,
        interval: u64,
        tuning: Tuning,
        durability: Durability,
    ) -> Replica {
        let key = self.keys[usize::from(me)].clone();
        let keyring = self.keyring.clone();
        let replica = Replica::new(ReplicaId(me), key, keyring, interval, tuning, durability);
        replica.expect("a member")
    }

    pub(crate) fn recover(
        &self,
        me: u8,
        interval: u64,
        tuning: Tuning,
        incarnations: IncarnationTable,
        records: Vec<Record>,
    ) -> Replica {
        let key = self.keys[usize::from(me)].clone();
        let keyring = self.keyring.clone();
        Replica::recover(
            ReplicaId(me),
            key,
            keyring,
            interval,
            tuning,
            Durability::Reported,
            incarnations,
            records,
        )
        .expect("a member")
    }

    pub(crate) fn sign_new_view(&self, by: u8, body: NewView) -> PeerMessage {
        let key = &self.keys[usize::from(by)];
        PeerMessage::NewView(Signed::new(body, Domain::NewView, &self.id, key))
    }

    pub(crate) fn sign_view_change(&self, by: u8, body: ViewChange) -> PeerMessage {
        let key = &self.keys[usize::from(by)];
        PeerMessage::ViewChange(Signed::new(body, Domain::ViewChange, &self.id, key))
    }

    /// Signs anything as replica `by`, whoever the body names.
    pub(crate) fn sign(&self, by: u8, vote: Vote, domain: Domain) -> Signed<Vote> {
        Signed::new(vote, domain, &self.id, &self.keys[usize::from(by)])
    }

    pub(crate) fn prepare(&self, by: u8, number: u64, digest: Digest) -> PeerMessage {
        PeerMessage::Prepare(self.sign(by, vote(by, number, digest), Domain::Prepare))
    }

    pub(crate) fn commit(&self, by: u8, number: u64, digest: Digest) -> PeerMessage {
        PeerMessage::Commit(self.sign(by, vote(by, number, digest), Domain::Commit))
    }

    /// A commit that its signer can deny: the link says who sent it, the signature does not.
    pub(crate) fn bad_commit(&self, by: u8, number: u64, digest: Digest) -> PeerMessage {
        PeerMessage::Commit(self.sign(by, vote(by, number, digest), Domain::Prepare))
    }

    /// A pre-prepare in view 0, where replica 0 is primary.
    pub(crate) fn pre_prepare(&self, number: u64, proposal: Proposal) -> PeerMessage {
        let vote = vote(0, number, digest_of(&proposal));
        PeerMessage::PrePrepare(PrePrepare {
            vote: self.sign(0, vote, Domain::PrePrepare),
            proposal,
        })
    }

    pub(crate) fn checkpoint(&self, by: u8, seq_no: u64, digest: Digest) -> PeerMessage {
        let body = CheckpointVote {
            epoch: Epoch(0),
            replica: ReplicaId(by),
            incarnation: Incarnation(0),
            seq_no: SeqNo(seq_no),
            digest,
        };
        let key = &self.keys[usize::from(by)];
        PeerMessage::Checkpoint(Signed::new(body, Domain::Checkpoint, &self.id, key))
    }

    /// A request of `client` with `op` as content.
    pub(crate) fn request(&self, client: &SigningKey, number: u64, op: &[u8]) -> SignedRequest {
        let request = Request {
            client: client.client(),
            session: SessionId(1),
            number: RequestNumber(number),
            acked: Vec::new(),
            op: Bytes::copy_from_slice(op),
        };
        request.sign(&self.id, client)
    }

    /// A proposal of one request that only `tag` tells from others, at dawn.
    pub(crate) fn proposal(&self, tag: u64) -> Proposal {
        Proposal {
            time: OrderedTime(DAWN_MS),
            requests: vec![self.request(&client(1), tag, b"op")],
            rejoins: Vec::new(),
        }
    }
}

/// One turn of a replica, seen by its watch: the only way to step one here. `admits` is what
/// the service says of a request.
pub(crate) fn turn(
    replica: &mut Replica,
    clock: Clock,
    inputs: impl IntoIterator<Item = Input>,
    admits: impl Fn(&CheckedRequest) -> bool,
    watch: Option<&mut watch::Watch>,
) -> Effects {
    let mut out = Effects::new();
    for input in inputs {
        replica.hear(clock, input, &mut out);
    }
    replica.conclude(&mut out);
    while let Some(at) = out
        .iter()
        .position(|effect| matches!(effect, Effect::CheckAdmission(_)))
    {
        let Effect::CheckAdmission(requests) = out.remove(at) else {
            unreachable!("found so just now");
        };
        let refused = requests.iter().filter(|request| !admits(request));
        let refused = refused.map(|request| request.digest()).collect();
        replica.hear(clock, Input::AdmissionChecked { refused }, &mut out);
        replica.conclude(&mut out);
    }
    if let Some(watch) = watch {
        watch.observe(&out);
    }
    out
}

/// Client number `i`.
pub(crate) fn client(i: u64) -> SigningKey {
    let mut seed = [0xc1; 32];
    seed[..8].copy_from_slice(&i.to_le_bytes());
    SigningKey::from_seed(seed)
}

/// A vote in view 0.
pub(crate) fn vote(by: u8, seq_no: u64, digest: Digest) -> Vote {
    Vote {
        epoch: Epoch(0),
        replica: ReplicaId(by),
        incarnation: Incarnation(0),
        view: View(0),
        seq_no: SeqNo(seq_no),
        digest,
    }
}

pub(crate) fn digest_of(proposal: &Proposal) -> Digest {
    let requests = proposal.requests.iter();
    proposal_digest(
        proposal.time,
        requests.map(|r| r.request.digest()),
        &proposal.rejoins,
    )
}

pub(crate) fn status(executed: u64, wants: bool) -> PeerMessage {
    PeerMessage::Status(Status {
        epoch: Epoch(0),
        view: View(0),
        active: true,
        executed: SeqNo(executed),
        wants,
    })
}
