//! Tuples that are for some clients only, promise by promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

use std::{collections::BTreeSet, sync::Arc};

use bezant_tuple::{Template, Tuple, codec::Reader};
use bezant_tuplespace::{
    Actor, Applied, Audience, Change, ClientKey, EndedWait, GroupName, Groups, Lease, Limits,
    MAX_AUDIENCE, Operation, Outcome, Parts, Principal, Quota, Refusal, SpaceName, Spaces,
    WaiterId,
};

const ANN: ClientKey = [1; 32];
const BOB: ClientKey = [2; 32];
const NOTHING: Outcome = Outcome::Match(None);

fn tuple(text: &str) -> Tuple {
    text.parse().unwrap()
}

fn template(text: &str) -> Template {
    text.parse().unwrap()
}

fn name() -> SpaceName {
    SpaceName::new("s").unwrap()
}

fn team() -> GroupName {
    "team".parse().unwrap()
}

fn only(principal: Principal) -> Option<BTreeSet<Principal>> {
    Some([principal].into())
}

fn seen_and_taken_by(principal: &Principal) -> Audience {
    Audience {
        readers: only(principal.clone()),
        takers: only(principal.clone()),
    }
}

fn waiter(client: ClientKey, number: u64) -> WaiterId {
    WaiterId {
        owner: u64::from(client[0]),
        number,
    }
}

/// Somebody who only looks.
const fn seeing_as(client: &ClientKey) -> Actor<'_> {
    Actor::SERVICE.seeing_as(client)
}

/// Client `n` has the session `n`.
struct Bench {
    spaces: Spaces,
    groups: Groups,
}

impl Bench {
    fn new() -> Self {
        let mut spaces = Spaces::new(Limits::DEFAULT);
        spaces.create(&name()).unwrap();
        Self {
            spaces,
            groups: Groups::default(),
        }
    }

    fn out(&mut self, text: &str, audience: Audience) -> Result<Applied, Refusal> {
        let operation = Operation::OutTo {
            tuple: tuple(text),
            lease: Lease::Forever,
            audience: Box::new(audience),
        };
        self.spaces.apply(Actor::SERVICE, &name(), &operation, None)
    }

    fn put(&mut self, text: &str, audience: Audience) {
        assert_eq!(
            self.out(text, audience),
            Ok(Applied::Outcome(Outcome::Done))
        );
    }

    fn asks(&mut self, client: ClientKey, operation: &Operation) -> Outcome {
        match self
            .spaces
            .apply(seeing_as(&client), &name(), operation, None)
        {
            Ok(Applied::Outcome(outcome)) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn waits(&mut self, id: WaiterId, operation: &Operation) {
        let client = [u8::try_from(id.owner).unwrap(); 32];
        let applied = self
            .spaces
            .apply(seeing_as(&client), &name(), operation, Some(id));
        assert_eq!(applied, Ok(Applied::Waiting));
    }

    fn rdp(&mut self, client: ClientKey) -> Outcome {
        let template = template("(_)");
        self.asks(client, &Operation::Rdp { template })
    }

    fn inp(&mut self, client: ClientKey) -> Outcome {
        let template = template("(_)");
        self.asks(client, &Operation::Inp { template })
    }

    fn count(&mut self, client: ClientKey, text: &str) -> Outcome {
        let template = template(text);
        self.asks(client, &Operation::Count { template })
    }

    fn joins(&mut self, client: ClientKey, belongs: bool) {
        self.groups.set(team(), client, belongs);
        self.spaces.know(Arc::new(self.groups.clone()));
        self.spaces.reconsider(&client);
    }

    fn deliveries(&mut self) -> Vec<(WaiterId, String)> {
        let deliveries = self.spaces.take_deliveries().into_iter();
        deliveries
            .map(|deliveries| (deliveries.waiter, deliveries.tuple.to_string()))
            .collect()
    }

    /// A replica that is given the content alone.
    fn restored(&self) -> Self {
        let mut parts = Parts::default();
        self.spaces.encode_into(&mut parts);
        let bytes = parts.content();
        let client_of = |owner: u64| Some([u8::try_from(owner).unwrap(); 32]);
        let mut reader = Reader::new(&bytes);
        let mut spaces = Spaces::decode(Limits::DEFAULT, 0, client_of, &mut reader).unwrap();
        assert_eq!(reader.finish(), Ok(()));
        spaces.know(Arc::new(self.groups.clone()));
        let groups = self.groups.clone();
        Self { spaces, groups }
    }
}

fn found(text: &str) -> Outcome {
    Outcome::Match(Some(tuple(text)))
}

#[test]
fn what_is_for_others_is_not_there_for_any_operation() {
    let mut bench = Bench::new();
    bench.put("(1)", seen_and_taken_by(&Principal::Client(ANN)));
    let operations = |template: Template| {
        [
            Operation::Rdp {
                template: template.clone(),
            },
            Operation::Inp {
                template: template.clone(),
            },
            Operation::Rd {
                template: template.clone(),
                within_ms: None,
            },
            Operation::In {
                template: template.clone(),
                within_ms: None,
            },
            Operation::Replace {
                template: template.clone(),
                tuple: tuple("(2)"),
                lease: Lease::Forever,
            },
            Operation::Renew {
                template,
                lease_ms: 9,
            },
        ]
    };
    for operation in operations(template("(_)")) {
        assert_eq!(bench.asks(BOB, &operation), NOTHING, "{operation:?}");
    }
    let pages = [
        Operation::RdAll {
            template: template("(_)"),
            limit: 9,
            after: None,
        },
        Operation::InAll {
            template: template("(_)"),
            limit: 9,
        },
    ];
    for operation in pages {
        let empty = Outcome::Page {
            tuples: Vec::new(),
            next: None,
        };
        assert_eq!(bench.asks(BOB, &operation), empty, "{operation:?}");
    }
    let survey = Operation::Survey {
        template: template("(_)"),
        limit: 9,
        after: None,
    };
    assert!(matches!(bench.asks(BOB, &survey), Outcome::Survey { found, .. } if found.is_empty()));
    let events = Operation::Watch {
        template: template("(_)"),
        after: Some(0),
        limit: 9,
        within_ms: None,
    };
    assert!(
        matches!(bench.asks(BOB, &events), Outcome::Events { events, .. } if events.is_empty())
    );
    assert!(
        matches!(bench.asks(ANN, &events), Outcome::Events { events, .. } if events.len() == 1)
    );
    for all in ["(_)", "(1)", "(0..9)"] {
        assert_eq!(bench.count(BOB, all), Outcome::Count(0), "{all}");
        assert_eq!(bench.count(ANN, all), Outcome::Count(1), "{all}");
    }
    // He who may not see it can put one beside it.
    let cas = Operation::Cas {
        template: template("(_)"),
        tuple: tuple("(3)"),
        lease: Lease::Forever,
    };
    assert_eq!(bench.asks(BOB, &cas), NOTHING);
    assert_eq!(bench.inp(ANN), found("(1)"));
    assert_eq!(bench.inp(ANN), found("(3)"));
}

#[test]
fn seeing_and_taking_are_apart() {
    let mut bench = Bench::new();
    bench.put(
        "(1)",
        Audience {
            readers: only(Principal::Client(ANN)),
            takers: only(Principal::Client(BOB)),
        },
    );
    assert_eq!((bench.rdp(ANN), bench.inp(ANN)), (found("(1)"), NOTHING));
    assert_eq!((bench.rdp(BOB), bench.inp(BOB)), (NOTHING, found("(1)")));
    bench.put(
        "(2)",
        Audience {
            readers: None,
            takers: Some(BTreeSet::new()),
        },
    );
    assert_eq!((bench.rdp(BOB), bench.inp(BOB)), (found("(2)"), NOTHING));
    // Who looks without a name sees what is for everybody.
    bench.put("(3)", seen_and_taken_by(&Principal::Anyone));
    assert_eq!(bench.inp(ANN), found("(3)"));
}

#[test]
fn an_arriving_tuple_passes_by_principals_it_is_not_for() {
    let mut bench = Bench::new();
    let take = || Operation::In {
        template: template("(_)"),
        within_ms: None,
    };
    let read = || Operation::Rd {
        template: template("(_)"),
        within_ms: None,
    };
    bench.waits(waiter(BOB, 1), &take());
    bench.waits(waiter(BOB, 2), &read());
    bench.waits(waiter(ANN, 1), &take());
    // The same at a replica that has only the content.
    for mut bench in [bench.restored(), bench] {
        bench.put("(1)", seen_and_taken_by(&Principal::Client(ANN)));
        assert_eq!(bench.deliveries(), [(waiter(ANN, 1), "(1)".to_owned())]);
        assert_eq!(bench.spaces.waiters(), 2);
        bench.put(
            "(2)",
            Audience {
                readers: None,
                takers: only(Principal::Client(ANN)),
            },
        );
        assert_eq!(bench.deliveries(), [(waiter(BOB, 2), "(2)".to_owned())]);
        assert_eq!(bench.spaces.total_tuples(), 1);
    }
}

#[test]
fn whoever_comes_into_a_group_gets_what_he_waits_for() {
    let mut bench = Bench::new();
    let take = Operation::In {
        template: template("(_)"),
        within_ms: None,
    };
    let read = Operation::Rd {
        template: template("(_)"),
        within_ms: None,
    };
    let watch = Operation::Watch {
        template: template("(_)"),
        after: Some(2),
        limit: 9,
        within_ms: None,
    };
    bench.put("(1)", seen_and_taken_by(&Principal::Members(team())));
    bench.put("(2)", seen_and_taken_by(&Principal::Members(team())));
    bench.waits(waiter(BOB, 1), &take);
    bench.waits(waiter(ANN, 1), &take);
    bench.waits(waiter(ANN, 2), &read);
    bench.waits(waiter(ANN, 3), &watch);
    bench.joins(ANN, true);
    let first = (waiter(ANN, 1), "(1)".to_owned());
    let second = (waiter(ANN, 2), "(2)".to_owned());
    assert_eq!(bench.deliveries(), [first, second]);
    bench.spaces.commit();
    // The one who watches is told that it was taken.
    let told = bench.spaces.take_told();
    let changes: Vec<Change> = match &told[..] {
        [
            EndedWait {
                waiter: id,
                outcome: Outcome::Events { events, .. },
            },
        ] if *id == waiter(ANN, 3) => events.iter().map(|event| event.change).collect(),
        other => panic!("{other:?}"),
    };
    assert_eq!(changes, [Change::Taken]);
    assert_eq!(bench.rdp(BOB), NOTHING);
    bench.joins(ANN, false);
    assert_eq!(bench.rdp(ANN), NOTHING);
    bench.joins(BOB, true);
    assert_eq!(bench.deliveries(), [(waiter(BOB, 1), "(2)".to_owned())]);
}

#[test]
fn an_audience_counts_in_bytes_and_is_bounded() {
    let mut bench = Bench::new();
    let many = |count: usize| {
        let key = |n| [u8::try_from(n).unwrap(); 32];
        Some((0..count).map(|n| Principal::Client(key(n))).collect())
    };
    let full = Audience {
        readers: many(MAX_AUDIENCE),
        takers: many(MAX_AUDIENCE),
    };
    for list in [&full.readers, &full.takers] {
        let (mut readers, mut takers) = (None, None);
        let longer = list.clone().map(|list: BTreeSet<Principal>| {
            let mut list = list;
            list.insert(Principal::Anyone);
            list
        });
        if std::ptr::eq(list, &full.readers) {
            readers = longer;
        } else {
            takers = longer;
        }
        let refused = bench.out("(1)", Audience { readers, takers });
        assert_eq!(refused, Err(Refusal::AudienceTooLong));
    }
    bench.put("(1)", full.clone());
    let weight = bench.spaces.total_bytes();
    // Two lists of sixteen keys, each with two bytes before it.
    assert_eq!(weight, 3 + 2 * (2 + 16 * 34));
    assert_eq!(bench.spaces.bytes(&name()), weight);
    let quota = Quota {
        tuples: 9,
        bytes: 2 * weight - 1,
    };
    bench.spaces.allow(&name(), quota).unwrap();
    assert_eq!(bench.out("(2)", full), Err(Refusal::SpaceFull));
    assert_eq!(bench.spaces.purge(&name(), 9), Ok(1));
    assert_eq!(
        (bench.spaces.total_bytes(), bench.spaces.total_tuples()),
        (0, 0)
    );
}

#[test]
fn purging_takes_whatever_is_there_page_by_page() {
    let mut bench = Bench::new();
    bench.put("(1, 1)", seen_and_taken_by(&Principal::Client(ANN)));
    bench.put("(1)", seen_and_taken_by(&Principal::Client(ANN)));
    bench.put("(2)", Audience::default());
    assert_eq!(bench.spaces.purge(&name(), 0), Err(Refusal::EmptyPage));
    assert_eq!(bench.spaces.purge(&name(), 2), Ok(2));
    assert_eq!(bench.count(ANN, "(_, _)"), Outcome::Count(1));
    assert_eq!(bench.spaces.purge(&name(), 2), Ok(1));
    assert_eq!(bench.spaces.purge(&name(), 2), Ok(0));
    let elsewhere = SpaceName::new("t").unwrap();
    let refused = bench.spaces.purge(&elsewhere, 2);
    assert_eq!(refused, Err(Refusal::NoSuchSpace));
}

/// Who looks, who pays and whose ephemeral tuples they are is said with each operation, one
/// by one, and holds for that operation alone.
#[test]
fn an_operation_has_the_authority_that_it_is_given_and_leaves_none() {
    let mut bench = Bench::new();
    for client in [ANN, BOB] {
        bench.spaces.allot(
            client,
            Quota {
                tuples: 9,
                bytes: 999,
            },
        );
    }
    bench.put("(1)", seen_and_taken_by(&Principal::Client(ANN)));
    let mixed = Actor {
        session: Some(7),
        payer: Some(&BOB),
        viewer: Some(&ANN),
    };
    let ephemeral = Operation::Out {
        tuple: tuple("(2, 2)"),
        lease: Lease::Session,
    };
    let rdp = Operation::Rdp {
        template: template("(1)"),
    };
    let savepoint = bench.spaces.savepoint();
    for operation in [&ephemeral, &rdp] {
        let applied = bench.spaces.apply(mixed, &name(), operation, None);
        assert!(applied.is_ok(), "{applied:?}");
    }
    let held =
        |bench: &Bench| [ANN, BOB].map(|client| bench.spaces.account(&client).unwrap().tuples);
    assert_eq!(held(&bench), [0, 1]);
    let owners: Vec<u64> = bench.spaces.owners().collect();
    assert_eq!(owners, [7]);
    // Nothing of it is there for the next one, whether it came to stay or not.
    let next = |bench: &mut Bench| {
        let outcome = bench.spaces.apply(Actor::SERVICE, &name(), &rdp, None);
        assert_eq!(outcome, Ok(Applied::Outcome(NOTHING)));
        let refused = bench
            .spaces
            .apply(seeing_as(&ANN), &name(), &ephemeral, None);
        assert_eq!(refused, Err(Refusal::NoOwner));
        assert_eq!(bench.rdp(BOB), NOTHING);
        let before = held(bench);
        bench.put("(3, 3)", Audience::default());
        assert_eq!(held(bench), before, "it counts against nobody");
    };
    next(&mut bench);
    bench.spaces.rollback(savepoint);
    assert_eq!(held(&bench), [0, 0]);
    next(&mut bench);
    // A refused one leaves nothing either.
    let beyond = Operation::Renew {
        template: template("(_)"),
        lease_ms: 0,
    };
    let refused = bench.spaces.apply(mixed, &name(), &beyond, None);
    assert_eq!(refused, Err(Refusal::LeaseOutOfRange));
    next(&mut bench);
    assert_eq!(bench.rdp(ANN), found("(1)"));
}
