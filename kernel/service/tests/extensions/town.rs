//! A service with clients, in words: `town.op(ANN, "inp", "(1)")`.
//!
//! Each proposal is executed twice, by a replica and by one that was given its state before;
//! replies and states must be the same.

use std::collections::{BTreeMap, BTreeSet};

use bezant_api::{
    Access, Answer, Call, Capability, ExtensionHash, Manifest, Subscription, Trigger,
};
use bezant_bft::{ids::SessionId, service::Service};
use bezant_extensions::recipes;
use bezant_tuple::Tuple;
use bezant_tuplespace::{Lease, Operation, Outcome};

use crate::fixture::{self, Bench, asking, space, template, tuple};

pub(crate) const ANN: usize = 0;
pub(crate) const BEN: usize = 1;
pub(crate) const CAT: usize = 2;
pub(crate) const DAN: usize = 3;

/// The number of a client of ours among all.
pub(crate) fn number_of(who: usize) -> u8 {
    4 + u8::try_from(who).unwrap()
}

/// A client with a session.
struct Inhabitant {
    session: SessionId,
    next: u64,
}

pub(crate) struct Town {
    pub(crate) bench: Bench,
    inhabitants: Vec<Inhabitant>,
    /// Answers by session and number.
    answers: BTreeMap<(u64, u64), Answer>,
    /// Answers that the service was told have come.
    acked: BTreeSet<(u64, u64)>,
    /// An operator's session and next request.
    operator: (SessionId, u64),
    nonce: u64,
    pub(crate) now: u64,
}

/// A request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked(u64, u64);

impl Town {
    /// Four clients with a session each; space `a` is there, made by the first.
    pub(crate) fn new() -> Self {
        let mut town = Self {
            bench: Bench::new(),
            inhabitants: Vec::new(),
            answers: BTreeMap::new(),
            acked: BTreeSet::new(),
            operator: (SessionId(0), 0),
            nonce: 0,
            now: 1_000,
        };
        // The founders are operators, these are not.
        let operator = town.bench.open(0, 1);
        town.operator = (operator, 5);
        for (client, number) in (0..4).zip(1..) {
            let key = fixture::client_id(number_of(client)).0;
            let enrol = Call::AdminCommand(bezant_api::AdminCommand::Enrol(key));
            town.bench.call((0, operator, number), &enrol);
            let session = town.open(client);
            town.inhabitants.push(Inhabitant { session, next: 1 });
        }
        let made = Call::CreateSpace { space: space("a") };
        assert_eq!(town.ask(ANN, &made), Answer::Created);
        town
    }

    /// As [`Town::new`], with a recipe in space `a` that all have agreed to.
    pub(crate) fn with(recipe: &str) -> Self {
        let mut town = Self::new();
        let hash = town.install_recipe(recipe);
        for client in [BEN, CAT, DAN] {
            let agreed = town.ask(client, &Call::Acknowledge { hash });
            assert_eq!(agreed, Answer::Acknowledged);
        }
        town
    }

    pub(crate) fn install_recipe(&mut self, recipe: &str) -> ExtensionHash {
        let recipe = recipes::named(recipe, &space("a")).unwrap();
        self.install(ANN, (recipe.manifest, recipe.module.to_vec()))
    }

    pub(crate) fn install(
        &mut self,
        owner: usize,
        (manifest, module): (Manifest, Vec<u8>),
    ) -> ExtensionHash {
        match self.ask(owner, &Call::Register { manifest, module }) {
            Answer::Registered { hash } => hash,
            other => panic!("{other:?}"),
        }
    }

    fn open(&mut self, client: usize) -> SessionId {
        self.nonce += 1;
        self.bench.open(number_of(client), self.nonce)
    }

    /// Executes a proposal of one request, or of none.
    fn execute(&mut self, request: Option<bezant_bft::message::Request>) {
        let mut twin = self.bench.restored();
        let requests: Vec<_> = request.into_iter().collect();
        let replies = self.bench.execute(self.now, requests.clone());
        let same = twin.execute(self.now, requests);
        assert!(replies == same, "another replica answers otherwise");
        assert!(
            self.bench.kernel.snapshot() == twin.kernel.snapshot(),
            "another replica has another state"
        );
        for (_, reply) in &replies {
            let key = (reply.session.0, reply.number.0);
            self.answers.insert(key, fixture::answer(reply));
        }
    }

    /// Time goes on, and nobody asks anything.
    pub(crate) fn tick(&mut self, ms: u64) {
        self.now += ms;
        self.execute(None);
    }

    pub(crate) fn begin(&mut self, who: usize, call: &Call) -> Asked {
        let inhabitant = &mut self.inhabitants[who];
        let (session, number) = (inhabitant.session, inhabitant.next);
        inhabitant.next += 1;
        let client = number_of(who);
        let came = |number: &u64| {
            let answer = (session.0, *number);
            self.answers.contains_key(&answer) && !self.acked.contains(&answer)
        };
        let acked: Vec<u64> = (1..number).filter(came).collect();
        let told = acked.iter().map(|number| (session.0, *number));
        self.acked.extend(told);
        self.execute(Some(asking(client, session, number, &acked, call)));
        Asked(session.0, number)
    }

    pub(crate) fn answer(&self, asked: Asked) -> Option<&Answer> {
        self.answers.get(&(asked.0, asked.1))
    }

    pub(crate) fn ask(&mut self, who: usize, call: &Call) -> Answer {
        let asked = self.begin(who, call);
        let answer = self.answer(asked);
        answer.unwrap_or_else(|| panic!("{call:?} waits")).clone()
    }

    /// What an operator is answered.
    pub(crate) fn as_operator(&mut self, call: &Call) -> Answer {
        let (session, number) = self.operator;
        self.operator.1 += 1;
        self.execute(Some(asking(0, session, number, &[], call)));
        self.answers[&(session.0, number)].clone()
    }

    /// Begins an operation in space `a`.
    pub(crate) fn start(&mut self, who: usize, kind: &str, text: &str) -> Asked {
        self.begin(who, &on_a(kind, text))
    }

    /// What an operation in space `a` matches.
    pub(crate) fn op(&mut self, who: usize, kind: &str, text: &str) -> Option<String> {
        let answer = self.ask(who, &on_a(kind, text));
        matched(&answer).map(|tuple| tuple.to_string())
    }

    /// What was answered to a request that waited, if it was.
    pub(crate) fn delivered(&self, asked: Asked) -> Option<String> {
        let answer = self.answer(asked)?;
        matched(answer).map(|tuple| tuple.to_string())
    }

    pub(crate) fn out(&mut self, who: usize, text: &str) {
        let done = self.ask(who, &on_a("out", text));
        assert_eq!(done, Answer::Outcome(Outcome::Done));
    }

    pub(crate) fn count(&mut self, text: &str) -> u64 {
        let template = template(text);
        let answer = self.ask(DAN, &fixture::on(space("a"), Operation::Count { template }));
        match answer {
            Answer::Outcome(Outcome::Count(count)) => count,
            other => panic!("{other:?}"),
        }
    }

    /// A client's session ends, and it opens another one.
    pub(crate) fn comes_back(&mut self, who: usize) {
        self.begin(who, &Call::CloseSession);
        let session = self.open(who);
        self.inhabitants[who] = Inhabitant { session, next: 1 };
    }
}

/// An operation in space `a`.
pub(crate) fn on_a(kind: &str, text: &str) -> Call {
    let within_ms = None;
    let operation = match kind {
        "out" => Operation::Out {
            tuple: tuple(text),
            lease: Lease::Forever,
        },
        "ephemeral" => Operation::Out {
            tuple: tuple(text),
            lease: Lease::Session,
        },
        "rdp" => Operation::Rdp {
            template: template(text),
        },
        "inp" => Operation::Inp {
            template: template(text),
        },
        "rd" => Operation::Rd {
            template: template(text),
            within_ms,
        },
        "in" => Operation::In {
            template: template(text),
            within_ms,
        },
        other => panic!("{other}"),
    };
    fixture::on(space("a"), operation)
}

fn matched(answer: &Answer) -> Option<&Tuple> {
    match answer {
        Answer::Outcome(Outcome::Match(found)) => found.as_ref(),
        other => panic!("{other:?}"),
    }
}

/// An extension in the text format with all rights in space `a`: host calls it imports are
/// written as `(import ...)` in `body`.
pub(crate) fn written(
    name: &str,
    subscriptions: &[(Trigger, &str, &str)],
    body: &str,
) -> (Manifest, Vec<u8>) {
    let manifest = Manifest {
        name: name.to_owned(),
        version: 1,
        abi: (1, 1),
        subscriptions: subscriptions
            .iter()
            .map(|(on, text, entry)| Subscription {
                space: space("a"),
                on: on.clone(),
                template: template(text),
                entry: (*entry).to_owned(),
            })
            .collect(),
        capabilities: vec![Capability {
            space: space("a"),
            access: Access::ALL,
        }],
        fuel: 100_000,
        memory_pages: 1,
    };
    let text = format!("(module {body})");
    let module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    (manifest, module)
}

/// The body of an extension that calls `wait_for` at entry point `run`: in the space of this
/// handle, for this template.
pub(crate) fn waiting(handle: i32, text: &str, takes: bool) -> String {
    let asks = bezant_tuple::codec::encode_template(&template(text));
    let escaped: String = asks.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let (length, take) = (asks.len(), i32::from(takes));
    format!(
        "(import \"bezant1\" \"wait_for\" (func $wait (param i32 i32 i32 i32) (result i32)))
        (memory (export \"memory\") 1) (data (i32.const 0) \"{escaped}\")
        (func (export \"run\")
            i32.const {handle} i32.const 0 i32.const {length} i32.const {take} call $wait drop)"
    )
}

/// The encoding of a tuple, as data of a module at address `at`, and its length.
pub(crate) fn data(at: u32, text: &str) -> (String, usize) {
    let bytes = bezant_tuple::codec::encode_tuple(&tuple(text));
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    (
        format!("(data (i32.const {at}) \"{escaped}\")"),
        bytes.len(),
    )
}
