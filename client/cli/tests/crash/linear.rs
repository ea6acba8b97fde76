//! What clients of real processes see is linearizable, with no word of the order in which the
//! replicas say that it happened; and the search that finds this would notice if it were not.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use bezant_bft::ids::{RequestNumber, SessionId};
use bezant_client::{
    Answer, Call, Client, ClusterView, Lease, Operation, Outcome, ReplicaId, SpaceName, Template,
    Tuple, template, tuple,
};
use bezant_node::StorageKind;
use bezant_sim::{
    linear::{
        History, Seen,
        blackbox::{Verdict, check},
    },
    rng::Rng,
};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{DEADLINE, all, await_another_primary, await_that, runtime, start};

/// Sessions at work at the same time, each of which waits for its answers.
const SESSIONS: u64 = 5;

/// Operations between two troubles.
const STRETCH: usize = 120;

/// Places the search may visit.
const BUDGET: u64 = 100_000;

fn space() -> SpaceName {
    SpaceName::new("l").unwrap()
}

fn any() -> Template {
    template!("k", _, _)
}

/// What all sessions do and see.
struct Record {
    begun: Instant,
    seen: Mutex<Vec<Seen>>,
    answered: AtomicUsize,
    /// How many operations may still begin.
    allowed: Semaphore,
    /// Tuples that are there for certain and that nobody set out to take: whoever waits for one
    /// would else wait for ever.
    spare: Semaphore,
}

impl Record {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap()
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    fn history(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// One session, which never has two operations under way.
struct Worker {
    client: Client,
    session: u64,
    number: u64,
    rng: Rng,
    record: Arc<Record>,
}

impl Worker {
    async fn call(&mut self, call: Call) -> Answer {
        self.number += 1;
        let invoked = self.record.now();
        let answer = self.client.call(call.clone()).await.unwrap().value;
        self.record.seen.lock().unwrap().push(Seen {
            session: SessionId(self.session),
            number: RequestNumber(self.number),
            call,
            invoked,
            returned: Some(self.record.now()),
            answer: Some(answer.clone()),
        });
        self.record.answered.fetch_add(1, Ordering::SeqCst);
        answer
    }

    async fn operate(&mut self, operation: Operation) -> Option<Tuple> {
        let space = space();
        match self.call(Call::Space { space, operation }).await {
            Answer::Outcome(Outcome::Match(found)) => found,
            _ => None,
        }
    }

    /// A tuple like no other.
    fn tuple(&self, kind: &str) -> Tuple {
        let number = |number: u64| i64::try_from(number).unwrap();
        tuple!(kind, number(self.session), number(self.number))
    }

    async fn put(&mut self) {
        let (tuple, lease) = (self.tuple("k"), Lease::Forever);
        self.operate(Operation::Out { tuple, lease }).await;
        self.record.spare.add_permits(1);
    }

    /// Takes or reads by an operation that may wait, and says whether a tuple is gone for it.
    async fn want(&mut self) {
        let record = Arc::clone(&self.record);
        let Ok(spare) = record.spare.try_acquire() else {
            return self.put().await;
        };
        let (template, within_ms) = (any(), None);
        let operation = match self.rng.below(5) {
            0 => Operation::Rd {
                template,
                within_ms,
            },
            1 | 2 => Operation::Inp { template },
            _ => Operation::In {
                template,
                within_ms,
            },
        };
        let takes = !matches!(operation, Operation::Rd { .. });
        let found = self.operate(operation).await;
        assert!(found.is_some(), "one is there for everybody who wants one");
        if takes {
            spare.forget();
        }
    }

    async fn step(&mut self) {
        let (template, lease) = (any(), Lease::Forever);
        let flag = template!("flag", _, _);
        // Few tuples are there at a time: in which order some were put is known when they are
        // taken, and until then a search must try all.
        let operation = match self.rng.below(12) {
            0..=1 => return self.put().await,
            2..=6 => return self.want().await,
            7 => Operation::Rdp { template },
            8 => Operation::Count { template },
            9 => Operation::Replace {
                template,
                tuple: self.tuple("k"),
                lease,
            },
            10 => Operation::Cas {
                template: flag,
                tuple: self.tuple("flag"),
                lease,
            },
            _ => Operation::Inp { template: flag },
        };
        self.operate(operation).await;
    }
}

/// Sessions that work as long as they are allowed to.
fn work(view: ClusterView, record: Arc<Record>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        runtime().block_on(async {
            let mut workers = Vec::new();
            for session in 1..=SESSIONS {
                let builder = Client::builder(view.clone()).timeout(DEADLINE);
                workers.push(Worker {
                    client: builder.connect().await.unwrap(),
                    session,
                    number: 0,
                    rng: Rng::new(session),
                    record: Arc::clone(&record),
                });
            }
            workers[0].call(Call::CreateSpace { space: space() }).await;
            let mut working = JoinSet::new();
            for mut worker in workers {
                working.spawn(async move {
                    let record = Arc::clone(&worker.record);
                    while let Ok(allowed) = record.allowed.acquire().await {
                        allowed.forget();
                        worker.step().await;
                    }
                    worker
                });
            }
            // What is there in the end is seen, too.
            let mut last = working.join_all().await.remove(0);
            let (template, after) = (any(), None);
            let limit = 1000;
            last.operate(Operation::RdAll {
                template,
                limit,
                after,
            })
            .await;
        });
    })
}

fn verdict(operations: Vec<Seen>) -> Verdict {
    let makes_spaces = true;
    let history = History {
        makes_spaces,
        operations,
    };
    check(&history, BUDGET).verdict
}

#[test]
fn what_clients_see_is_linearizable_whoever_is_killed() {
    let mut cluster = start(StorageKind::Sync);
    let record = Arc::new(Record {
        begun: Instant::now(),
        seen: Mutex::default(),
        answered: AtomicUsize::new(0),
        allowed: Semaphore::new(0),
        spare: Semaphore::new(0),
    });
    let working = work(cluster.view(), Arc::clone(&record));
    let await_done = |of: usize| {
        await_that("so much is answered", || record.answered() >= of);
    };
    let mut begun = 1;
    let mut go_on = || {
        record.allowed.add_permits(STRETCH);
        begun += STRETCH;
        begun
    };
    await_done(go_on() - STRETCH / 2);
    cluster.kill(ReplicaId(0)).unwrap();
    await_another_primary(&cluster);
    cluster.start_again(&[ReplicaId(0)]).unwrap();
    await_done(go_on() - STRETCH / 2);
    let kill = |replica| cluster.kill(replica).unwrap();
    all().into_iter().for_each(kill);
    cluster.start_again(&all()).unwrap();
    await_done(go_on());
    record.allowed.close();
    working.join().unwrap();
    let seen = record.history();
    assert_eq!(seen.len(), 3 * STRETCH + 2);
    let verdict = verdict(seen.clone());
    assert_eq!(verdict, Verdict::Linearizable, "{seen:?}");
    notices_what_is_wrong(seen);
}

/// Where in the history tuples were taken.
fn takes(seen: &[Seen]) -> Vec<usize> {
    let takes = seen.iter().enumerate().filter(|(_, seen)| {
        let taken = matches!(seen.answer, Some(Answer::Outcome(Outcome::Match(Some(_)))));
        let takes = matches!(&seen.call, Call::Space { operation, .. }
            if matches!(operation, Operation::In { .. } | Operation::Inp { .. })
                && operation.template() == Some(&any()));
        taken && takes
    });
    takes.map(|(at, _)| at).collect()
}

/// What was seen until so many operations had begun; the last may have happened or not.
fn beginning(mut seen: Vec<Seen>, count: usize) -> Vec<Seen> {
    seen.sort_by_key(|seen| seen.invoked);
    let until = seen[count].invoked;
    seen.truncate(count);
    for last in &mut seen {
        if last.returned > Some(until) {
            (last.returned, last.answer) = (None, None);
        }
    }
    seen
}

/// The same history, wrong in one place. To say that there is no order takes all of them, so
/// only its beginning is looked at.
#[track_caller]
fn notices_what_is_wrong(seen: Vec<Seen>) {
    let seen = beginning(seen, STRETCH);
    assert_eq!(verdict(seen.clone()), Verdict::Linearizable);
    let wrong = |what: &str, change: &dyn Fn(&mut Vec<Seen>)| {
        let mut changed = seen.clone();
        change(&mut changed);
        let verdict = verdict(changed);
        assert!(
            matches!(verdict, Verdict::NotLinearizable(_)),
            "{what}: {verdict:?}"
        );
    };
    let takes = takes(&seen);
    let (first, last) = (takes[0], takes[takes.len() - 1]);
    wrong("what was taken long ago is read", &|changed| {
        let taken = changed[first].clone();
        let is_read = |call: &Call| {
            matches!(call, Call::Space { operation, .. }
                if matches!(operation, Operation::Rdp { .. }))
        };
        let read = changed
            .iter_mut()
            .find(|later| Some(later.invoked) > taken.returned && is_read(&later.call));
        read.unwrap().answer = taken.answer;
    });
    wrong("a take finds nothing, and there is something", &|changed| {
        changed[last].answer = Some(Answer::Outcome(Outcome::Match(None)));
    });
    wrong("a tuple is gone that nobody took", &|changed| {
        changed.remove(first);
    });
    wrong("two take the same", &|changed| {
        let answer = changed[first].answer.clone();
        changed[last].answer = answer;
    });
    wrong("a session's second comes before its first", &|changed| {
        // One answered before the other began: with two that were under way together, either
        // order may explain what was seen.
        let pairs = (0..changed.len()).flat_map(|one| (0..changed.len()).map(move |o| (one, o)));
        let is_meant = |(one, other): &(usize, usize)| {
            let (one, other) = (&changed[*one], &changed[*other]);
            let in_turn = one.returned.is_some_and(|at| at < other.invoked);
            one.session == other.session && in_turn && other.returned.is_some()
        };
        let (one, other) = pairs.into_iter().find(is_meant).unwrap();
        let number = changed[one].number;
        changed[one].number = changed[other].number;
        changed[other].number = number;
    });
}
