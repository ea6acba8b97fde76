//! After any history, a replica given the state is the replica it was taken from:
//! the same bytes, and the same answer to everything that follows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use bezant_api::{
    AdminCommand, Answer, Audience, Call, ExtensionHash, GroupName, Lists, Principal, Refused,
    Right,
};
use bezant_bft::{
    ids::{ClientId, OrderedTime, RequestNumber, SeqNo, SessionId},
    message::{Reply, Request},
    service::{Replies, Service},
    verification::{CheckedProposal, CheckedRequest},
};
use bezant_kernel::{
    Kernel,
    limits::{MAX_SESSIONS_PER_CLIENT, WINDOW},
};
use bezant_tuplespace::{Cursor, Lease, Operation, Quota, TupleId};
use bytes::Bytes;
use proptest::{
    prelude::*,
    sample::{Index, select},
};

use crate::fixture::{
    AdmissionCheck, Bench, answer, ask, asking, client_id, new_kernel, on, opening, out, rd,
    register, space, template, tuple,
};

/// What one request asks.
#[derive(Clone, Debug)]
enum What {
    Call(Call),
    /// Ends the wait of a request sent so many before.
    Cancel(u64),
    /// Something about an extension that was registered, if so many were.
    Extension(u32, About),
    /// Bytes that are no call.
    Garbage,
}

/// What is said of an extension.
#[derive(Clone, Copy, Debug)]
enum About {
    Acknowledge,
    Withdraw,
    Unregister,
}

/// One proposal.
#[derive(Clone, Debug)]
enum Step {
    Open {
        client: u8,
        nonce: u64,
    },
    /// Client 0 opens as many sessions as it may have, and so loses older ones.
    Crowd,
    Ask {
        who: Index,
        /// How many numbers of the session are left out, to come later.
        ahead: u64,
        /// Whether results that arrived are acknowledged.
        acks: bool,
        what: What,
    },
    /// As many requests of one session as its window holds, with nothing acknowledged.
    Flood(Index),
    /// A request sent before comes again.
    Again(Index),
    /// No request and no time.
    Null,
    /// No request, but this much time.
    Tick(u64),
    /// Somebody looks; it must make no difference.
    Snapshot,
}

fn operation() -> impl Strategy<Value = Operation> {
    let tuples = [
        "()",
        "(1)",
        "(2)",
        "(\"a\")",
        "(\"a\", 1)",
        "(\"ab\", 2)",
        "(\"a\", nil)",
        "(3)",
        "(4, 5)",
        "([1, []], 2)",
    ];
    let templates = [
        "()",
        "(_)",
        "(1)",
        "(?int)",
        "(\"a\")",
        "(_, _)",
        "(\"a\", _)",
        "(\"a\"*, 1..)",
        "(_, 2)",
        "(?list, _)",
    ];
    let tuple = move || select(tuples.to_vec()).prop_map(tuple);
    let template = move || select(templates.to_vec()).prop_map(template);
    let limit = || 1u32..4;
    let within = || prop::option::of(prop_oneof![1u64..6, 1u64..2_000]);
    let lease = || prop_oneof![3 => Just(Lease::Forever), 3 => (1u64..2_000).prop_map(Lease::Ms), 1 => Just(Lease::Session)];
    prop_oneof![
        7 => (tuple(), lease()).prop_map(|(tuple, lease)| Operation::Out { tuple, lease }),
        1 => template().prop_map(|template| Operation::Rdp { template }),
        2 => template().prop_map(|template| Operation::Inp { template }),
        6 => (template(), within())
            .prop_map(|(template, within_ms)| Operation::Rd { template, within_ms }),
        9 => (template(), within())
            .prop_map(|(template, within_ms)| Operation::In { template, within_ms }),
        2 => (template(), tuple(), lease()).prop_map(|(template, tuple, lease)| Operation::Cas {
            template,
            tuple,
            lease
        }),
        2 => (template(), tuple())
            .prop_map(|(template, tuple)| Operation::Replace {
                template,
                tuple,
                lease: Lease::Ms(7)
            }),
        1 => (template(), limit(), prop::option::of(0u64..20)).prop_map(
            |(template, limit, after)| Operation::RdAll {
                template,
                limit,
                after: after.map(|after| Cursor {
                    space: space("a"),
                    after: TupleId(after),
                }),
            }
        ),
        1 => (template(), limit())
            .prop_map(|(template, limit)| Operation::InAll { template, limit }),
        1 => template().prop_map(|template| Operation::Count { template }),
        2 => template().prop_map(|template| Operation::Renew { template, lease_ms: 500 }),
    ]
}

/// Calls about who may do what. All clients here are operators.
fn ruling() -> impl Strategy<Value = Call> {
    let name = || select(vec!["a", "b", "c"]).prop_map(space);
    let client = || (0u8..4).prop_map(|client| client_id(client).0);
    let team = || Just("team".parse::<GroupName>().unwrap());
    let principal = || {
        prop_oneof![
            Just(Principal::Anyone),
            client().prop_map(Principal::Client),
            team().prop_map(Principal::Members)
        ]
    };
    let right = || select(Right::ALL.to_vec());
    prop_oneof![
        (name(), right(), principal()).prop_map(|(space, right, principal)| Call::Grant {
            space,
            right,
            principal
        }),
        (name(), right(), principal()).prop_map(|(space, right, principal)| Call::Revoke {
            space,
            right,
            principal
        }),
        name().prop_map(|space| Call::CreateSpaceFor {
            space,
            lists: Lists::closed()
        }),
        name().prop_map(|space| Call::RemoveSpace { space }),
        (name(), 0u32..9).prop_map(|(space, limit)| Call::Purge { space, limit }),
        (name(), principal(), any::<bool>()).prop_map(|(space, principal, takes)| {
            let list = || Some([principal.clone()].into());
            let audience = Audience {
                readers: list(),
                takers: if takes { list() } else { None },
            };
            let operation = Operation::OutTo {
                tuple: tuple("(1, \"x\")"),
                lease: Lease::Forever,
                audience: Box::new(audience),
            };
            on(space, operation)
        }),
        (name(), 0u64..9).prop_map(|(space, tuples)| Call::SetQuota {
            space,
            quota: Quota { tuples, bytes: 200 },
        }),
        (client(), 0u64..9).prop_map(|(client, tuples)| {
            let quota = if tuples == 8 {
                Quota::NONE
            } else {
                Quota { tuples, bytes: 200 }
            };
            Call::AdminCommand(AdminCommand::Allot(client, quota))
        }),
        name().prop_map(|space| Call::Inspect { space }),
        Just(Call::Permissions { after: None }),
        (team(), client())
            .prop_map(|(team, client)| Call::AdminCommand(AdminCommand::Join(team, client))),
        (team(), client())
            .prop_map(|(team, client)| Call::AdminCommand(AdminCommand::Leave(team, client))),
        // Client 3 only, so that there is somebody to enrol it again.
        Just(Call::AdminCommand(AdminCommand::Expel(client_id(3).0))),
        Just(Call::AdminCommand(AdminCommand::Enrol(client_id(3).0))),
    ]
}

fn what() -> impl Strategy<Value = What> {
    let operation = (select(vec!["a", "a", "b"]).prop_map(space), operation());
    prop_oneof![
        20 => operation.prop_map(|(space, operation)| What::Call(on(space, operation))),
        2 => (0u32..4).prop_map(|version| What::Call(register(version))),
        4 => (0u32..4, select(vec![About::Acknowledge, About::Acknowledge, About::Withdraw, About::Unregister]))
            .prop_map(|(number, about)| What::Extension(number, about)),
        3 => (0u32..4).prop_map(|version| What::Call(ask(version))),
        3 => (1u64..6).prop_map(What::Cancel),
        1 => select(vec!["a", "c"]).prop_map(|name| What::Call(Call::CreateSpace { space: space(name) })),
        4 => ruling().prop_map(What::Call),
        1 => Just(What::Call(Call::ListSpaces)),
        1 => Just(What::Call(Call::CloseSession)),
        1 => Just(What::Garbage),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let ahead = || prop_oneof![8 => Just(0u64), 2 => 1u64..4, 1 => Just(WINDOW + 6)];
    prop_oneof![
        12 => (0u8..4, 0u64..3).prop_map(|(client, nonce)| Step::Open { client, nonce }),
        1 => Just(Step::Crowd),
        160 => (any::<Index>(), ahead(), prop::bool::weighted(0.6), what())
            .prop_map(|(who, ahead, acks, what)| Step::Ask { who, ahead, acks, what }),
        2 => any::<Index>().prop_map(Step::Flood),
        10 => any::<Index>().prop_map(Step::Again),
        6 => Just(Step::Null),
        6 => prop_oneof![9 => 1u64..1_000, 1 => Just(100_000)].prop_map(Step::Tick),
        10 => Just(Step::Snapshot),
    ]
}

/// What a client knows of a session.
struct Session {
    client: u8,
    id: SessionId,
    sent: BTreeSet<u64>,
    arrived: BTreeSet<u64>,
    /// What requests under way acknowledge.
    acking: BTreeMap<u64, BTreeSet<u64>>,
}

impl Session {
    fn first_unsent(&self) -> u64 {
        (1..).find(|number| !self.sent.contains(number)).unwrap()
    }

    fn ask(&mut self, number: u64, acks: bool, call: &Call) -> Request {
        // No more than a request may carry.
        let most = usize::try_from(WINDOW).unwrap() * usize::from(acks);
        let acked: BTreeSet<u64> = self.arrived.iter().copied().take(most).collect();
        self.arrived.retain(|number| !acked.contains(number));
        let list: Vec<u64> = acked.iter().copied().collect();
        self.sent.insert(number);
        self.acking.insert(number, acked);
        asking(self.client, self.id, number, &list, call)
    }

    fn hear(&mut self, number: u64, answer: &Answer) {
        let acked = self.acking.remove(&number).unwrap_or_default();
        if *answer == Answer::Refused(Refused::WindowExceeded) {
            self.sent.remove(&number);
            self.arrived.extend(acked);
        } else {
            self.arrived.insert(number);
        }
    }
}

/// Replicas that execute one log, and the clients that speak in it.
struct World {
    kernels: Vec<Kernel>,
    admission_check: AdmissionCheck,
    number: u64,
    time: u64,
    sessions: Vec<Session>,
    sent: Vec<Arc<CheckedRequest>>,
    registered: BTreeMap<u32, ExtensionHash>,
}

/// The requests by which client 0 opens as many sessions as it may have.
static CROWD: LazyLock<Vec<Arc<CheckedRequest>>> = LazyLock::new(|| {
    let mut admission_check = AdmissionCheck::new();
    (0..MAX_SESSIONS_PER_CLIENT as u64)
        .map(|nonce| admission_check.check(opening(0, 1_000 + nonce)))
        .collect()
});

impl World {
    fn new() -> Self {
        Self {
            kernels: vec![new_kernel()],
            admission_check: AdmissionCheck::new(),
            number: 0,
            time: 0,
            sessions: Vec::new(),
            sent: Vec::new(),
            registered: BTreeMap::new(),
        }
    }

    /// A kernel to which the state of the first one is given.
    fn give_state_to(&mut self, mut kernel: Kernel) {
        let snapshot = self.kernels[0].snapshot();
        kernel.restore(&snapshot.content()).unwrap();
        assert!(kernel.snapshot() == snapshot, "restored, it is another");
        self.kernels.push(kernel);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Open { client, nonce } => {
                let request = self.admission_check.check(opening(client, nonce));
                self.execute(self.time, vec![request]);
            }
            Step::Crowd => self.execute(self.time, CROWD.clone()),
            Step::Ask {
                who,
                ahead,
                acks,
                what,
            } => {
                if self.sessions.is_empty() {
                    return;
                }
                let at = who.index(self.sessions.len());
                let request = self.request(at, ahead, acks, what);
                let request = self.admission_check.check(request);
                self.execute(self.time, vec![request]);
            }
            Step::Flood(who) => {
                if self.sessions.is_empty() {
                    return;
                }
                let at = who.index(self.sessions.len());
                let session = &mut self.sessions[at];
                let requests: Vec<_> = (0..WINDOW)
                    .map(|_| {
                        let number = session.first_unsent();
                        session.ask(number, false, &Call::ListSpaces)
                    })
                    .map(|request| self.admission_check.check(request))
                    .collect();
                self.execute(self.time, requests);
            }
            Step::Again(which) => {
                if !self.sent.is_empty() {
                    let request = Arc::clone(which.get(&self.sent));
                    self.execute(self.time, vec![request]);
                }
            }
            Step::Null => self.execute(0, Vec::new()),
            Step::Tick(time) => {
                self.time += time;
                self.execute(self.time, Vec::new());
            }
            Step::Snapshot => drop(self.kernels[0].snapshot()),
        }
    }

    fn request(&mut self, at: usize, ahead: u64, acks: bool, what: What) -> Request {
        let session = &mut self.sessions[at];
        let number = session.first_unsent() + ahead;
        let call = match what {
            What::Call(call) => call,
            What::Cancel(before) => Call::Cancel {
                number: number.saturating_sub(before),
            },
            What::Extension(number, about) => match (self.registered.get(&number), about) {
                (None, _) => Call::Extensions,
                (Some(&hash), About::Acknowledge) => Call::Acknowledge { hash },
                (Some(&hash), About::Withdraw) => Call::Withdraw { hash },
                (Some(&hash), About::Unregister) => Call::Unregister { hash },
            },
            What::Garbage => {
                let mut request = session.ask(number, acks, &Call::ListSpaces);
                request.op = Bytes::from_static(b"\xffnothing");
                return request;
            }
        };
        session.ask(number, acks, &call)
    }

    /// Every kernel executes it and answers the same.
    fn execute(&mut self, time: u64, requests: Vec<Arc<CheckedRequest>>) {
        self.number += 1;
        let number = SeqNo(self.number);
        self.sent.extend(requests.iter().take(4).cloned());
        let proposal = Arc::new(CheckedProposal::new(OrderedTime(time), requests));
        let mut first = Replies::new();
        for (at, kernel) in self.kernels.iter_mut().enumerate() {
            let mut replies = Replies::new();
            kernel.execute(number, &proposal, &mut replies);
            if at == 0 {
                first = replies;
            } else {
                assert_eq!(replies, first, "replies to number {number}");
            }
        }
        for (client, reply) in &first {
            self.hear(*client, reply);
        }
    }

    fn hear(&mut self, client: ClientId, reply: &Reply) {
        let answer = answer(reply);
        if let Answer::Opened { session, .. } = answer {
            let id = SessionId(session);
            let client = (0..4).find(|at| client_id(*at) == client).unwrap();
            if self.sessions.iter().all(|session| session.id != id) {
                self.sessions.push(Session {
                    client,
                    id,
                    sent: BTreeSet::new(),
                    arrived: BTreeSet::new(),
                    acking: BTreeMap::new(),
                });
            }
            // Of a crowd only the last few are heard of again.
            if self.sessions.len() > 8 {
                self.sessions.remove(0);
            }
            return;
        }
        if let Answer::Registered { hash } = answer {
            let number = u32::try_from(self.registered.len()).unwrap();
            self.registered.entry(number).or_insert(hash);
        }
        let mut sessions = self.sessions.iter_mut();
        if let Some(session) = sessions.find(|session| session.id == reply.session) {
            session.hear(reply.number.0, &answer);
        }
    }

    /// What can be asked without changing anything is answered the same, too.
    fn compare(&self) {
        let (first, others) = self.kernels.split_first().unwrap();
        let snapshot = first.snapshot();
        for other in others {
            assert!(other.snapshot() == snapshot, "after number {}", self.number);
            assert_eq!(other.figures(), first.figures());
            assert_eq!(other.time(), first.time());
            for request in &self.sent {
                let request = request.request();
                assert_eq!(other.admit(request), first.admit(request));
            }
            for session in &self.sessions {
                for number in (1..80).map(RequestNumber) {
                    let kept = first.kept_reply(session.id, number);
                    assert_eq!(other.kept_reply(session.id, number), kept);
                }
            }
        }
    }
}

/// A kernel with a past of its own, nothing of which may be left.
fn used_kernel() -> Kernel {
    let mut bench = Bench::new();
    let session = bench.open(3, 77);
    bench.call((3, session, 1), &out("(\"left\", \"over\")"));
    bench.call((3, session, 2), &register(0));
    bench.call((3, session, 3), &rd("(\"never\")"));
    bench.snapshot();
    bench.kernel
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_restored_replica_is_the_one_the_state_was_taken_from(
        before in prop::collection::vec(step(), 1..120),
        after in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new();
        for client in 0..3 {
            world.step(Step::Open { client, nonce: 0 });
        }
        for step in before {
            world.step(step);
        }
        world.give_state_to(new_kernel());
        world.give_state_to(used_kernel());
        world.compare();
        for step in after {
            world.step(step);
            world.compare();
        }
    }
}
