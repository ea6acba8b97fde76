//! The spaces beside the dumb [model](bezant_model), which is copied whole at every savepoint.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

#[path = "../common/mod.rs"]
mod common;

use std::sync::Arc;

use bezant_model::{Caller, Model, Sum};
use bezant_tuple::Tuple;
use bezant_tuplespace::{
    Account, Actor, ClientKey, Delivery, Ended, GroupName, Groups, Lease, Limits, Operation, Quota,
    Savepoint, SpaceName, Spaces, WaiterId,
};
use common::{TIGHT, WIDE, content, group, name, operation, restored, space, tuple};
use proptest::{prelude::*, sample::Index};

#[derive(Clone, Debug)]
enum Step {
    Create(SpaceName),
    Remove(SpaceName),
    Allow(SpaceName, Quota),
    Purge(SpaceName, u32),
    Allot(u64, Quota),
    /// A client is in a group from here on, or not.
    Belong(GroupName, u64, bool),
    /// With the owner under which to wait, if at all.
    Apply(SpaceName, Operation, Option<u64>),
    /// Cancels a wait, or what is none.
    Cancel(Index),
    EndOwner(u64),
    TakeDeliveries,
    /// Time goes on by so much.
    Advance(u64),
    /// Every lease is extended by so much.
    Extend(u64),
    Savepoint,
    Rollback(Index),
    Commit,
}

fn quota() -> impl Strategy<Value = Quota> {
    prop_oneof![
        Just(Quota::NONE),
        (0u64..6, 0u64..300).prop_map(|(tuples, bytes)| Quota { tuples, bytes }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => space().prop_map(Step::Create),
        1 => space().prop_map(Step::Remove),
        2 => (space(), quota()).prop_map(|(space, quota)| Step::Allow(space, quota)),
        1 => (space(), 0u32..5).prop_map(|(space, limit)| Step::Purge(space, limit)),
        1 => (0u64..3, quota()).prop_map(|(owner, quota)| Step::Allot(owner, quota)),
        3 => (group(), 0u64..3, any::<bool>())
            .prop_map(|(group, owner, belongs)| Step::Belong(group, owner, belongs)),
        40 => (space(), operation(), prop::option::weighted(0.8, 0u64..3))
            .prop_map(|(space, operation, owner)| Step::Apply(space, operation, owner)),
        2 => any::<Index>().prop_map(Step::Cancel),
        1 => (0u64..3).prop_map(Step::EndOwner),
        2 => Just(Step::TakeDeliveries),
        3 => prop_oneof![4 => 0u64..40, 1 => 0u64..300].prop_map(Step::Advance),
        1 => (0u64..60).prop_map(Step::Extend),
        3 => Just(Step::Savepoint),
        2 => any::<Index>().prop_map(Step::Rollback),
        1 => Just(Step::Commit),
    ]
}

/// Owners are clients, each with a key made of its number.
fn payer(owner: u64) -> ClientKey {
    [u8::try_from(owner).unwrap(); 32]
}

/// Each owner pays for itself, and sees with its own eyes.
fn caller(owner: Option<u64>) -> Caller {
    Caller {
        session: owner,
        client: owner.map(payer),
    }
}

/// The same for the real spaces.
const fn actor(caller: &Caller) -> Actor<'_> {
    let client = caller.client.as_ref();
    Actor {
        session: caller.session,
        payer: client,
        viewer: client,
    }
}

/// A client is in a group from here on, or not.
fn belong(
    spaces: &mut Spaces,
    groups: &mut Groups,
    (group, owner, belongs): (&GroupName, u64, bool),
) {
    groups.set(group.clone(), payer(owner), belongs);
    spaces.know(Arc::new(groups.clone()));
    spaces.reconsider(&payer(owner));
}

/// What a savepoint must restore.
struct Saved {
    savepoint: Savepoint,
    model: Model,
    content: (Vec<u8>, Vec<Delivery>),
    done: usize,
}

/// Spaces and model under the same steps.
struct Twins {
    spaces: Spaces,
    model: Model,
    groups: Groups,
    saved: Vec<Saved>,
    /// Whether changes may be undone; then nothing is published.
    recording: bool,
    /// The steps that were not undone, with the waiter each is about.
    done: Vec<(Step, Option<WaiterId>)>,
    /// The number of the next wait; undone by nothing, as requests are not.
    next: u64,
}

impl Twins {
    fn new(limits: Limits) -> Self {
        Self {
            spaces: Spaces::new(limits),
            model: Model::new(limits),
            groups: Groups::default(),
            saved: Vec::new(),
            recording: false,
            done: Vec::new(),
            next: 0,
        }
    }

    fn step(&mut self, step: Step) {
        let mut waiter = None;
        let mut undid = false;
        match &step {
            Step::Create(space) => {
                assert_eq!(self.spaces.create(space), self.model.create(space));
            }
            Step::Remove(space) => {
                assert_eq!(self.spaces.remove_space(space), self.model.remove(space));
            }
            Step::Allow(space, quota) => {
                let before = self.model.allow(space, *quota);
                assert_eq!(self.spaces.allow(space, *quota), before);
            }
            Step::Purge(space, limit) => {
                let taken = self.model.purge(space, *limit);
                assert_eq!(self.spaces.purge(space, *limit), taken);
            }
            Step::Allot(owner, quota) => {
                // It is not undone.
                self.commit();
                let before = self.model.allot(payer(*owner), *quota);
                assert_eq!(self.spaces.allot(payer(*owner), *quota), Some(before));
            }
            Step::Belong(group, owner, belongs) => {
                // It is not undone.
                self.commit();
                self.model.set_member(group, payer(*owner), *belongs);
                let changed = (group, *owner, *belongs);
                belong(&mut self.spaces, &mut self.groups, changed);
                self.commit();
            }
            Step::Apply(space, operation, owner) => {
                waiter = self.waiter(*owner);
                // What may still be undone is no event yet, which those who saw no savepoint
                // would not know.
                if let Operation::Watch { .. } | Operation::Survey { .. } = operation {
                    self.commit();
                }
                self.apply(space, operation, (*owner, waiter));
            }
            Step::Cancel(at) => {
                let at = at.index(self.model.waits().len() + 1);
                let stranger = WaiterId {
                    owner: 1,
                    number: 0,
                };
                let waiting = self.model.waits().get(at).map(|wait| wait.id);
                let id = waiting.unwrap_or(stranger);
                assert_eq!(self.spaces.cancel(id), self.model.cancel(id));
                waiter = Some(id);
            }
            Step::EndOwner(owner) => {
                let ended = self.model.end_owner(*owner);
                assert_eq!(self.spaces.end_owner(*owner), ended);
            }
            Step::TakeDeliveries => {
                assert_eq!(self.spaces.take_deliveries(), self.model.take_deliveries());
            }
            Step::Advance(by) => {
                // Time is not undone.
                self.saved.clear();
                self.recording = false;
                self.model.publish();
                let now_ms = self.model.now_ms() + by;
                let tuples = self.model.expire(now_ms);
                self.model.publish();
                let waits = self.model.end_waits();
                assert_eq!(self.spaces.advance(now_ms), Ended { tuples, waits });
            }
            Step::Extend(by) => {
                self.commit();
                self.spaces.extend(*by);
                self.model.extend(*by);
            }
            Step::Savepoint => {
                self.recording = true;
                self.saved.push(Saved {
                    savepoint: self.spaces.savepoint(),
                    model: self.model.clone(),
                    content: content(&self.spaces),
                    done: self.done.len(),
                });
            }
            Step::Rollback(at) if !self.saved.is_empty() => {
                let at = at.index(self.saved.len());
                let saved = self.saved.drain(at..).next().unwrap();
                self.spaces.rollback(saved.savepoint);
                self.model = saved.model;
                self.recording = true;
                self.done.truncate(saved.done);
                undid = true;
                assert_eq!(content(&self.spaces), saved.content);
            }
            Step::Rollback(_) => {}
            Step::Commit => self.commit(),
        }
        if !self.recording {
            self.model.publish();
        }
        assert_eq!(self.spaces.take_told(), self.model.take_told());
        // What comes now can be undone, as after a savepoint.
        let step = if undid { Step::Savepoint } else { step };
        self.done.push((step, waiter));
        self.compare();
    }

    fn commit(&mut self) {
        self.spaces.commit();
        self.recording = false;
        self.model.publish();
        self.saved.clear();
    }

    /// Under which id to wait: now and then one that waits already.
    fn waiter(&mut self, owner: Option<u64>) -> Option<WaiterId> {
        self.next += 1;
        let number = self.next;
        match self.model.waits().first() {
            Some(other) if number.is_multiple_of(16) => Some(other.id),
            _ => owner.map(|owner| WaiterId { owner, number }),
        }
    }

    fn apply(
        &mut self,
        space: &SpaceName,
        operation: &Operation,
        (owner, waiter): (Option<u64>, Option<WaiterId>),
    ) {
        let before = content(&self.spaces);
        let caller = caller(owner);
        let actor = actor(&caller);
        let result = self.spaces.apply(actor, space, operation, waiter);
        let expected = self.model.apply(caller, waiter, space, operation);
        assert_eq!(result, expected, "{operation:?}");
        if result.is_err() || operation.is_read_only() {
            assert_eq!(content(&self.spaces), before, "{operation:?}");
        }
    }

    fn compare(&self) {
        let Self { spaces, model, .. } = self;
        assert_eq!(spaces.deliveries(), model.deliveries());
        assert_eq!(spaces.waiters(), model.waits().len());
        let mut waits = model.waits().iter();
        assert!(waits.all(|wait| spaces.is_waiting(wait.id)));
        let all = Sum {
            tuples: spaces.total_tuples(),
            bytes: spaces.total_bytes(),
        };
        assert_eq!(all, model.sum(|_| true));
        assert_eq!(spaces.due_ms(), model.due_ms());
        let leased = model.sum(|placed| placed.due_ms.is_some());
        assert_eq!(spaces.leases() as u64, leased.tuples);
        for client in (0..3).map(payer) {
            let account = model.account(client).map(|quota| {
                let paid = model.sum(|placed| placed.payer == Some(client));
                Account {
                    quota,
                    tuples: paid.tuples,
                    bytes: paid.bytes,
                }
            });
            assert_eq!(spaces.account(&client).copied(), account);
        }
        let mut names = model.names().to_vec();
        names.sort();
        assert!(spaces.names().eq(&names));
        for space in ["a", "b", "c"].map(name) {
            let here = Sum {
                tuples: spaces.tuples(&space),
                bytes: spaces.bytes(&space),
            };
            assert_eq!(here, model.sum(|placed| placed.space == space));
            assert_eq!(spaces.quota(&space), model.quota(&space));
            assert_eq!(spaces.contains(&space), model.names().contains(&space));
        }
    }

    /// A replica that saw only what was not undone, and one that was given nothing but
    /// the content, hold the same, and answer the same at the same cost.
    fn compare_with_others(mut self, probes: Vec<(SpaceName, Operation)>) {
        self.commit();
        let mut other = Spaces::new(self.model.limits());
        let mut groups = Groups::default();
        let mut now = 0;
        for (step, waiter) in &self.done {
            match step {
                Step::Create(space) => drop(other.create(space)),
                Step::Remove(space) => drop(other.remove_space(space)),
                Step::Allow(space, quota) => drop(other.allow(space, *quota)),
                Step::Purge(space, limit) => drop(other.purge(space, *limit)),
                Step::Allot(owner, quota) => drop(other.allot(payer(*owner), *quota)),
                Step::Belong(group, owner, belongs) => {
                    other.commit();
                    belong(&mut other, &mut groups, (group, *owner, *belongs));
                    other.commit();
                }
                Step::Apply(space, operation, owner) => {
                    if let Operation::Watch { .. } | Operation::Survey { .. } = operation {
                        other.commit();
                    }
                    let caller = caller(*owner);
                    drop(other.apply(actor(&caller), space, operation, *waiter));
                }
                Step::Cancel(_) => drop(other.cancel(waiter.unwrap())),
                Step::EndOwner(owner) => drop(other.end_owner(*owner)),
                Step::TakeDeliveries => drop(other.take_deliveries()),
                Step::Advance(by) => {
                    now += by;
                    other.advance(now);
                }
                Step::Extend(by) => other.extend(*by),
                // When something can no longer be undone decides who is told of it, and so
                // whether there is room for others who wait.
                Step::Savepoint => drop(other.savepoint()),
                Step::Rollback(_) => {}
                Step::Commit => other.commit(),
            }
        }
        other.commit();
        assert_eq!(content(&self.spaces), content(&other));
        // Those served meanwhile are no part of the content.
        assert_eq!(self.spaces.take_deliveries(), other.take_deliveries());
        let mut given = restored(&self.spaces, self.model.limits(), self.model.now_ms());
        given.know(Arc::new(groups));
        for ((space, operation), owner) in probes
            .into_iter()
            .zip([None, Some(0), Some(1)].into_iter().cycle())
        {
            now += 9;
            let all = [&mut self.spaces, &mut other, &mut given];
            let [first, second, third] = all.map(|spaces| {
                let ended = spaces.advance(now);
                let caller = caller(owner);
                let before = spaces.examined();
                let result = spaces.apply(actor(&caller), &space, &operation, None);
                (ended, result, spaces.examined() - before, content(spaces))
            });
            assert_eq!(first, second, "{operation:?}");
            assert_eq!(first, third, "{operation:?}");
        }
    }
}

proptest! {
    // Some seventy steps each: a million operations.
    #![proptest_config(ProptestConfig::with_cases(13_500))]

    #[test]
    fn spaces_do_what_the_model_does(
        steps in prop::collection::vec(step(), 1..150),
        probes in prop::collection::vec((space(), operation()), 10),
    ) {
        let mut twins = Twins::new(TIGHT);
        twins.step(Step::Create(name("a")));
        for step in steps {
            twins.step(step);
        }
        twins.compare_with_others(probes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Enough tuples for indices of several levels.
    #[test]
    fn many_tuples_do_what_the_model_does(
        tuples in prop::collection::vec((tuple(), 0i64..500), 300..500),
        steps in prop::collection::vec(step(), 1..150),
        probes in prop::collection::vec((space(), operation()), 10),
    ) {
        let mut twins = Twins::new(WIDE);
        twins.step(Step::Create(name("a")));
        for (tuple, number) in tuples {
            let mut fields = tuple.into_fields();
            fields.push(number.into());
            let tuple = Tuple::new(fields).unwrap();
            twins.step(Step::Apply(name("a"), Operation::Out { tuple, lease: Lease::Forever }, None));
        }
        for step in steps {
            twins.step(step);
        }
        twins.compare_with_others(probes);
    }
}
