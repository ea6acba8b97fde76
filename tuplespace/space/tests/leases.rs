//! Tuples that live on a lease or with their owner, and waits that end by themselves, promise
//! by promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{
    Actor, Applied, Ended, Lease, Limits, MAX_LEASE_MS, Operation, Outcome, Parts, Quota, Refusal,
    SpaceName, Spaces, WaiterId,
};

/// Whose waits these are.
const OWNER: u64 = 1;

const NOTHING: Outcome = Outcome::Match(None);

fn tuple(text: &str) -> Tuple {
    text.parse().unwrap()
}

fn template(text: &str) -> Template {
    text.parse().unwrap()
}

fn matched(text: &str) -> Outcome {
    Outcome::Match(Some(tuple(text)))
}

fn out(text: &str) -> Operation {
    let (tuple, lease) = (tuple(text), Lease::Forever);
    Operation::Out { tuple, lease }
}

fn inp(text: &str) -> Operation {
    let template = template(text);
    Operation::Inp { template }
}

fn rdp(text: &str) -> Operation {
    let template = template(text);
    Operation::Rdp { template }
}

fn rd(text: &str) -> Operation {
    let template = template(text);
    Operation::Rd {
        template,
        within_ms: None,
    }
}

fn take(text: &str) -> Operation {
    let template = template(text);
    Operation::In {
        template,
        within_ms: None,
    }
}

/// One space called `s` and its operations in short.
struct Bench {
    spaces: Spaces,
    space: SpaceName,
}

impl Bench {
    fn new() -> Self {
        let mut spaces = Spaces::new(Limits::DEFAULT);
        let space = SpaceName::new("s").unwrap();
        spaces.create(&space).unwrap();
        Self { spaces, space }
    }

    fn try_apply(&mut self, operation: &Operation) -> Result<Outcome, Refusal> {
        self.try_apply_as(Actor::SERVICE, operation)
    }

    fn try_apply_as(
        &mut self,
        actor: Actor<'_>,
        operation: &Operation,
    ) -> Result<Outcome, Refusal> {
        match self.spaces.apply(actor, &self.space, operation, None)? {
            Applied::Outcome(outcome) => Ok(outcome),
            Applied::Waiting => panic!("nobody was to wait"),
        }
    }

    fn apply(&mut self, operation: &Operation) -> Outcome {
        self.try_apply(operation).unwrap()
    }

    fn wait(&mut self, operation: &Operation, number: u64) {
        let waiter = WaiterId {
            owner: OWNER,
            number,
        };
        let applied = self
            .spaces
            .apply(Actor::SERVICE, &self.space, operation, Some(waiter));
        assert_eq!(applied, Ok(Applied::Waiting));
    }

    fn content(&self) -> Vec<u8> {
        let mut parts = Parts::default();
        self.spaces.encode_into(&mut parts);
        parts.content()
    }

    /// The tuples, oldest first.
    fn all(&mut self, text: &str) -> Vec<String> {
        let template = template(text);
        let (limit, after) = (u32::MAX, None);
        let page = self.apply(&Operation::RdAll {
            template,
            limit,
            after,
        });
        let Outcome::Page { tuples, .. } = page else {
            panic!("no page");
        };
        tuples.iter().map(Tuple::to_string).collect()
    }
}

fn leased(text: &str, lease_ms: u64) -> Operation {
    let (tuple, lease) = (tuple(text), Lease::Ms(lease_ms));
    Operation::Out { tuple, lease }
}

fn renew(text: &str, lease_ms: u64) -> Operation {
    let template = template(text);
    Operation::Renew { template, lease_ms }
}

/// What is over is gone for every operation at once, and serves no wait.
#[test]
fn a_tuple_ends_with_its_lease() {
    let mut bench = Bench::new();
    assert_eq!(bench.spaces.due_ms(), None);
    bench.spaces.advance(1_000);
    bench.apply(&leased("(1)", 50));
    bench.apply(&leased("(2)", 20));
    bench.apply(&out("(3)"));
    assert_eq!(
        (bench.spaces.due_ms(), bench.spaces.leases()),
        (Some(1_020), 2)
    );
    assert_eq!(bench.spaces.advance(1_019).tuples, 0);
    assert_eq!(bench.all("(_)"), ["(1)", "(2)", "(3)"]);
    assert_eq!(bench.spaces.advance(1_020).tuples, 1);
    assert_eq!(bench.all("(_)"), ["(1)", "(3)"]);
    bench.wait(&take("(2)"), 1);
    assert_eq!(bench.spaces.advance(1_050).tuples, 1);
    assert_eq!(bench.apply(&rdp("(1)")), NOTHING);
    assert_eq!(bench.apply(&inp("(1)")), NOTHING);
    bench.wait(&rd("(1)"), 2);
    assert!(bench.spaces.deliveries().is_empty());
    assert_eq!(bench.spaces.due_ms(), None);
    assert_eq!(bench.all("(_)"), ["(3)"]);
}

/// Room that an ended lease took is free again; a lease cut short by a take is no lease.
#[test]
fn a_taken_tuple_has_no_lease_any_more() {
    let mut bench = Bench::new();
    bench.apply(&leased("(1)", 50));
    assert_eq!(bench.apply(&inp("(1)")), matched("(1)"));
    bench.wait(&take("(2)"), 1);
    bench.apply(&leased("(2)", 50));
    assert_eq!((bench.spaces.due_ms(), bench.spaces.leases()), (None, 0));
    assert_eq!(bench.spaces.advance(60).tuples, 0);
    assert_eq!(bench.spaces.total_bytes(), 0);
}

/// The oldest leased match is renewed, keeps its age, and a lapsed one is not revived.
#[test]
fn a_lease_is_renewed_in_time_or_not_at_all() {
    let mut bench = Bench::new();
    bench.apply(&out("(0)"));
    bench.apply(&leased("(1)", 50));
    bench.apply(&leased("(2)", 50));
    bench.spaces.advance(40);
    assert_eq!(bench.apply(&renew("(?int)", 100)), matched("(1)"));
    assert_eq!(bench.apply(&renew("(0)", 100)), NOTHING, "it has no lease");
    bench.spaces.advance(50);
    assert_eq!(bench.apply(&renew("(2)", 100)), NOTHING, "too late");
    assert_eq!(bench.all("(_)"), ["(0)", "(1)"]);
    assert_eq!(bench.apply(&renew("(1)", 10)), matched("(1)"), "shorter");
    assert_eq!(bench.spaces.due_ms(), Some(60));
    bench.spaces.advance(60);
    assert_eq!(bench.all("(_)"), ["(0)"]);
}

#[test]
fn a_lease_has_its_bounds() {
    let mut bench = Bench::new();
    for lease_ms in [0, MAX_LEASE_MS + 1, u64::MAX] {
        let before = bench.content();
        for operation in [leased("(1)", lease_ms), renew("(1)", lease_ms)] {
            let refused = bench.try_apply(&operation);
            assert_eq!(refused, Err(Refusal::LeaseOutOfRange));
        }
        assert_eq!(bench.content(), before);
    }
    bench.apply(&leased("(1)", MAX_LEASE_MS));
    assert_eq!(bench.spaces.due_ms(), Some(MAX_LEASE_MS));
}

/// What was granted to all is granted to those that were there, and costs nothing for each.
#[test]
fn an_extension_moves_every_lease_there_is() {
    let mut bench = Bench::new();
    bench.apply(&leased("(1)", 50));
    bench.spaces.extend(1_000);
    bench.apply(&leased("(2)", 50));
    assert_eq!(bench.spaces.advance(1_049).tuples, 1);
    assert_eq!(bench.all("(_)"), ["(1)"]);
    assert_eq!(bench.spaces.advance(1_050).tuples, 1);
}

/// The content says when a lease ends, not what was granted before it began.
#[test]
fn equal_leases_have_equal_bytes() {
    let mut plain = Bench::new();
    plain.spaces.advance(10);
    plain.apply(&leased("(1)", 90));
    let mut moved = Bench::new();
    moved.spaces.extend(7);
    moved.spaces.advance(5);
    moved.apply(&leased("(1)", 70));
    moved.spaces.advance(10);
    moved.spaces.extend(25);
    assert_eq!(moved.content(), plain.content());
}

fn within(operation: Operation, ms: u64) -> Operation {
    let within_ms = Some(ms);
    match operation {
        Operation::Rd { template, .. } => Operation::Rd {
            template,
            within_ms,
        },
        Operation::In { template, .. } => Operation::In {
            template,
            within_ms,
        },
        other => other,
    }
}

fn waits(bench: &Bench) -> Vec<u64> {
    let waiting = bench.spaces.waiting();
    waiting.map(|wait| wait.id.number).collect()
}

/// A wait whose time has come ends without a match, before any later tuple is seen; those
/// that end together do so in order of arrival.
#[test]
fn a_wait_ends_at_its_time() {
    let mut bench = Bench::new();
    bench.spaces.advance(1_000);
    bench.wait(&within(take("(1)"), 50), 1);
    bench.wait(&within(rd("(1)"), 20), 2);
    bench.wait(&within(rd("(1)"), 50), 3);
    bench.wait(&rd("(1)"), 4);
    assert_eq!(bench.spaces.due_ms(), Some(1_020));
    assert_eq!(bench.spaces.advance(1_019), Ended::default());
    let numbers =
        |ended: Ended| -> Vec<u64> { ended.waits.iter().map(|wait| wait.waiter.number).collect() };
    assert_eq!(numbers(bench.spaces.advance(1_020)), [2]);
    assert_eq!(waits(&bench), [1, 3, 4]);
    assert_eq!(bench.spaces.due_ms(), Some(1_050));
    assert_eq!(numbers(bench.spaces.advance(1_060)), [1, 3]);
    assert_eq!(bench.spaces.due_ms(), None);
    bench.apply(&out("(1)"));
    assert_eq!(
        bench.spaces.take_deliveries().len(),
        1,
        "the one without an end"
    );
    assert_eq!(bench.all("(_)"), ["(1)"], "nobody took it");
}

/// One that got a delivery or cancelled before its time has no end left to come, and one that
/// was put back by a roll-back has its own.
#[test]
fn a_wait_that_is_over_does_not_end_again() {
    let mut bench = Bench::new();
    bench.wait(&within(take("(1)"), 50), 1);
    bench.wait(&within(take("(2)"), 60), 2);
    bench.wait(&within(take("(3)"), 70), 3);
    bench.apply(&out("(1)"));
    assert_eq!(bench.spaces.due_ms(), Some(60));
    let savepoint = bench.spaces.savepoint();
    bench.apply(&out("(2)"));
    assert_eq!(bench.spaces.due_ms(), Some(70));
    bench.spaces.rollback(savepoint);
    assert_eq!(bench.spaces.due_ms(), Some(60));
    bench.spaces.end_owner(OWNER);
    assert_eq!(bench.spaces.due_ms(), None);
    assert_eq!(bench.spaces.advance(100), Ended::default());
}

#[test]
fn a_wait_has_its_bounds_and_outages_are_granted_to_it() {
    let mut bench = Bench::new();
    for ms in [0, MAX_LEASE_MS + 1, u64::MAX] {
        for operation in [within(rd("(1)"), ms), within(take("(1)"), ms)] {
            let refused = bench.try_apply(&operation);
            assert_eq!(refused, Err(Refusal::WaitOutOfRange));
        }
    }
    bench.wait(&within(rd("(1)"), MAX_LEASE_MS), 1);
    bench.spaces.extend(7);
    assert_eq!(bench.spaces.due_ms(), Some(MAX_LEASE_MS + 7));
}

fn ephemeral(text: &str) -> Operation {
    let (tuple, lease) = (tuple(text), Lease::Session);
    Operation::Out { tuple, lease }
}

/// An ephemeral tuple is like any other until its owner ends, and is no lease to be renewed.
#[test]
fn an_ephemeral_tuple_ends_with_its_owner() {
    let mut bench = Bench::new();
    assert_eq!(bench.try_apply(&ephemeral("(1)")), Err(Refusal::NoOwner));
    for (owner, text) in [(7, "(1)"), (8, "(2)"), (7, "(3)"), (7, "(4)")] {
        let actor = Actor {
            session: Some(owner),
            ..Actor::SERVICE
        };
        let applied = bench.try_apply_as(actor, &ephemeral(text));
        assert_eq!(applied, Ok(Outcome::Done));
    }
    bench.apply(&out("(5)"));
    assert_eq!(bench.apply(&renew("(1)", 10)), NOTHING);
    assert_eq!((bench.spaces.due_ms(), bench.spaces.leases()), (None, 0));
    assert_eq!(
        bench.apply(&inp("(3)")),
        matched("(3)"),
        "anybody may take it"
    );
    bench.spaces.advance(1_000_000);
    let owners: Vec<u64> = bench.spaces.owners().collect();
    assert_eq!(owners, [7, 7, 8]);
    let savepoint = bench.spaces.savepoint();
    let before = bench.content();
    assert_eq!(bench.spaces.end_owner(7).tuples, 2);
    assert_eq!(bench.all("(_)"), ["(2)", "(5)"]);
    assert_eq!(bench.spaces.end_owner(7), Ended::default());
    bench.spaces.rollback(savepoint);
    assert_eq!(bench.content(), before);
    assert_eq!(bench.spaces.end_owner(7).tuples, 2);
    assert_eq!(bench.spaces.end_owner(9), Ended::default());
}

/// Whatever ends a tuple, it counts against nobody any more: its session, its lease, somebody who
/// takes it.
#[test]
fn an_ephemeral_tuple_gives_its_place_in_a_quota_back() {
    let mut bench = Bench::new();
    let payer = [9; 32];
    let quota = Quota {
        tuples: 2,
        bytes: 100,
    };
    assert_eq!(bench.spaces.allot(payer, quota), Some(Quota::NONE));
    let actor = Actor {
        session: Some(7),
        payer: Some(&payer),
        ..Actor::SERVICE
    };
    let held = |bench: &Bench| {
        let account = bench.spaces.account(&payer).unwrap();
        (account.tuples, account.bytes)
    };
    let size = tuple("(1)").encoded_len() as u64;
    type Ends<'e> = &'e dyn Fn(&mut Bench);
    let ways: [(&str, Operation, Ends<'_>); 4] = [
        ("its session", ephemeral("(1)"), &|bench| {
            assert_eq!(bench.spaces.end_owner(7).tuples, 2);
        }),
        ("its lease", leased("(1)", 10), &|bench| {
            let now = bench.spaces.due_ms().unwrap();
            assert_eq!(bench.spaces.advance(now).tuples, 2);
        }),
        ("somebody", ephemeral("(1)"), &|bench| {
            for _ in 0..2 {
                assert_eq!(bench.apply(&inp("(1)")), matched("(1)"));
            }
        }),
        ("its session, undone before", ephemeral("(1)"), &|bench| {
            let savepoint = bench.spaces.savepoint();
            bench.spaces.end_owner(7);
            bench.spaces.rollback(savepoint);
            assert_eq!(held(bench), (2, 2 * size));
            bench.spaces.end_owner(7);
            bench.spaces.commit();
        }),
    ];
    for (what, operation, end) in ways {
        for _ in 0..2 {
            let put = bench.try_apply_as(actor, &operation);
            assert_eq!(put, Ok(Outcome::Done), "{what}");
        }
        assert_eq!(held(&bench), (2, 2 * size), "{what}");
        let full = bench.try_apply_as(actor, &operation);
        assert_eq!(full, Err(Refusal::ClientFull), "{what}");
        end(&mut bench);
        assert_eq!(held(&bench), (0, 0), "{what}");
    }
}
