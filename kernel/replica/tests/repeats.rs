//! What a client's link brings about beside the answers to what is ordered: repeats, questions
//! for signed replies, leaves to attach. One driver; the votes of the others are made here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

use bezant_api::{Answer, Call, Genesis};
use bezant_bft::{
    codec,
    crypto::{Domain, SigningKey},
    effects::Durability,
    ids::{
        Clock, ClusterId, Epoch, Incarnation, Instant, OrderedTime, ReplicaId, RequestNumber,
        SeqNo, SessionId, Source, View,
    },
    keyring::Keyring,
    message::{
        Attach, ClientMessage, PeerMessage, PrePrepare, Proposal, ReplicaMessage, Request, Signed,
        SignedRequest, Vote, proposal_digest,
    },
    replica::Tuning,
};
use bezant_replica::{Action, Config, Driver, Event, Kept, LINK_RATE, LinkId, LogEvent, NoHook};
use bytes::Bytes;

const ME: ReplicaId = ReplicaId(1);
const LINK: LinkId = LinkId(7);
const DAWN_MS: u64 = 1_700_000_000_000;

struct One {
    driver: Driver,
    cluster: ClusterId,
    keys: Vec<SigningKey>,
    client: SigningKey,
    now_us: u64,
}

impl One {
    fn new() -> Self {
        let keys: Vec<_> = (1..=4).map(|i| SigningKey::from_seed([i; 32])).collect();
        let genesis = Genesis {
            keys: keys.iter().map(|key| key.public().0).collect(),
            open_enrolment: true,
            spaces_on_first_out: true,
            clients: Vec::new(),
            checkpoint_interval: 128,
            salt: [0; 16],
        };
        let cluster = ClusterId(genesis.cluster_id());
        let public = keys.iter().map(SigningKey::public).collect();
        let config = Config {
            replica: ME,
            key: keys[1].clone(),
            keyring: Keyring::new(cluster, Epoch(0), public).unwrap(),
            genesis,
            tuning: Tuning::default(),
            durability: Durability::Immediate,
        };
        let mut one = Self {
            driver: Driver::start(config, Kept::default(), false).unwrap(),
            cluster,
            keys,
            client: SigningKey::from_seed([9; 32]),
            now_us: 0,
        };
        let peer = Source::Client(one.client.client());
        one.turn([Event::LinkUp { link: LINK, peer }]);
        one
    }

    fn turn(&mut self, events: impl IntoIterator<Item = Event>) -> Vec<Action> {
        let clock = Clock {
            monotonic: Instant(self.now_us),
            wall: OrderedTime(DAWN_MS),
        };
        let mut actions = Vec::new();
        self.driver.turn(clock, events, &mut NoHook, &mut actions);
        actions
    }

    /// The event of one frame of the client.
    fn says(&self, message: &ClientMessage) -> Event {
        Event::Frame {
            link: LINK,
            from: Source::Client(self.client.client()),
            frame: Bytes::from(codec::encode(message)),
        }
    }

    fn request(&self, session: SessionId, call: &Call) -> SignedRequest {
        let request = Request {
            client: self.client.client(),
            session,
            number: RequestNumber(1),
            acked: Vec::new(),
            op: Bytes::from(call.encode()),
        };
        request.sign(&self.cluster, &self.client)
    }

    /// A request that opens a session.
    fn opening(&self) -> SignedRequest {
        let call = Call::OpenSession {
            nonce: 1,
            ttl_ms: None,
        };
        self.request(SessionId::NONE, &call)
    }

    /// The others decide a request at a number; what happens then.
    fn decide(&mut self, seq_no: u64, request: SignedRequest) -> Vec<Action> {
        let proposal = Proposal {
            time: OrderedTime(DAWN_MS),
            requests: vec![request],
            rejoins: Vec::new(),
        };
        let requests = proposal
            .requests
            .iter()
            .map(|signed| signed.request.digest());
        let digest = proposal_digest(proposal.time, requests, &proposal.rejoins);
        let vote = |by: u8, domain| {
            let body = Vote {
                epoch: Epoch(0),
                replica: ReplicaId(by),
                incarnation: Incarnation(0),
                view: View(0),
                seq_no: SeqNo(seq_no),
                digest,
            };
            Signed::new(body, domain, &self.cluster, &self.keys[usize::from(by)])
        };
        let proposed = PeerMessage::PrePrepare(PrePrepare {
            vote: vote(0, Domain::PrePrepare),
            proposal,
        });
        let mut said = vec![(0, proposed)];
        for by in [2, 3] {
            said.push((by, PeerMessage::Prepare(vote(by, Domain::Prepare))));
        }
        for by in [0, 2, 3] {
            said.push((by, PeerMessage::Commit(vote(by, Domain::Commit))));
        }
        let events = said.into_iter().map(|(by, message)| Event::Frame {
            link: LinkId(u64::from(by)),
            from: Source::Replica(ReplicaId(by)),
            frame: Bytes::from(codec::encode(&message)),
        });
        let events: Vec<_> = events.collect();
        self.turn(events)
    }
}

fn answers(actions: &[Action]) -> Vec<&ReplicaMessage> {
    let answers = actions.iter().filter_map(|action| match action {
        Action::SendClient { message, .. } => Some(message),
        _ => None,
    });
    answers.collect()
}

/// A client with an open session, and the request that opened it.
fn opened() -> (One, ClientMessage, SessionId) {
    let mut one = One::new();
    let opening = one.opening();
    let actions = one.decide(1, opening.clone());
    let [ReplicaMessage::Reply { reply, .. }] = answers(&actions)[..] else {
        panic!("{actions:?}")
    };
    let Ok(Answer::Opened { session, .. }) = Answer::decode(&reply.result) else {
        panic!("{reply:?}")
    };
    let session = SessionId(session);
    (one, ClientMessage::Request(opening), session)
}

#[test]
fn a_request_that_is_done_is_answered_once_a_turn() {
    let (mut one, opening, _) = opened();
    for _ in 0..2 {
        let repeats: Vec<_> = (0..1024).map(|_| one.says(&opening)).collect();
        let actions = one.turn(repeats);
        assert_eq!(answers(&actions).len(), 1);
        one.now_us += 1000;
    }
}

#[test]
fn repeats_are_answered_within_the_budget_of_their_link() {
    let (mut one, opening, _) = opened();
    let mut bytes = 0;
    for _ in 0..40_000 {
        let repeat = one.says(&opening);
        let actions = one.turn([repeat]);
        let answers = answers(&actions).into_iter();
        bytes += answers.map(ReplicaMessage::cost_bytes).sum::<usize>();
    }
    let burst = usize::try_from(LINK_RATE.burst).unwrap();
    assert!(bytes <= burst + 1024, "{bytes}");
    assert!(bytes > burst / 2, "{bytes}");
    // What the time brought back, and no more.
    one.now_us += 1_000_000;
    let repeat = one.says(&opening);
    assert_eq!(answers(&one.turn([repeat])).len(), 1);
}

/// A signature is made for each, so they are dearer.
#[test]
fn signed_replies_are_made_within_the_budget_of_their_link() {
    let (mut one, _, session) = opened();
    let call = one.request(session, &Call::KeepAlive);
    assert_eq!(answers(&one.decide(2, call)).len(), 1);
    let number = RequestNumber(1);
    let ask = ClientMessage::AskSigned { session, number };
    let mut signed = 0;
    for _ in 0..400 {
        let asks = [one.says(&ask), one.says(&ask)];
        signed += answers(&one.turn(asks)).len();
    }
    assert!((1..=129).contains(&signed), "{signed}");
}

/// A leave with a bad signature is checked by itself. Those of one link cost it little time.
#[test]
fn bad_leaves_to_attach_are_looked_at_a_few_times() {
    let mut one = One::new();
    let other = SigningKey::from_seed([10; 32]);
    let mut attach = Attach::new(&other, &one.cluster, &one.client.client());
    attach.signature.0[0] ^= 1;
    let bad = ClientMessage::Attach(attach);
    let before = one.driver.counts().verifications;
    let frames: Vec<_> = (0..1024).map(|_| one.says(&bad)).collect();
    one.turn(frames);
    let checked = one.driver.counts().verifications - before;
    assert!((1..=64).contains(&checked), "{checked}");
}

/// A good one is checked once, and none when the link carries all it may.
#[test]
fn good_leaves_to_attach_are_checked_once_each() {
    let mut one = One::new();
    let other = SigningKey::from_seed([10; 32]);
    let attach = Attach::new(&other, &one.cluster, &one.client.client());
    let good = ClientMessage::Attach(attach);
    let before = one.driver.counts().verifications;
    let frames: Vec<_> = (0..1024).map(|_| one.says(&good)).collect();
    let actions = one.turn(frames);
    assert_eq!(one.driver.counts().verifications - before, 1);
    let refused = |action: &Action| matches!(action, Action::Log(LogEvent::AttachRefused { .. }));
    assert!(!actions.iter().any(refused));
}

/// A client whose signatures do not hold makes a replica check few of them, over however many
/// links, and another client is served beside it.
#[test]
fn bad_signatures_are_checked_at_a_rate() {
    let mut one = One::new();
    let mut bad = one.opening();
    let checked = |one: &One| one.driver.counts().verifications;
    let mut flood = |one: &mut One, number: u64| {
        bad.request.number = RequestNumber(number);
        one.turn([one.says(&ClientMessage::Request(bad.clone()))]);
    };
    (2..1000).for_each(|number| flood(&mut one, number));
    assert_eq!(checked(&one), 16, "what is checked at once");
    let (other, from) = (LinkId(8), Source::Client(one.client.client()));
    one.turn([
        Event::LinkDown { link: LINK },
        Event::LinkUp {
            link: other,
            peer: from,
        },
    ]);
    flood(&mut one, 1001);
    assert_eq!(checked(&one), 16, "a new link changes nothing");
    one.now_us += 1_000_000;
    (2000..3000).for_each(|number| flood(&mut one, number));
    assert_eq!(checked(&one), 16 + 4, "and in a second");
    one.client = SigningKey::from_seed([10; 32]);
    let good = one.opening();
    one.turn([one.says(&ClientMessage::Request(good))]);
    assert_eq!(one.driver.replica().pooled(), 1);
}
