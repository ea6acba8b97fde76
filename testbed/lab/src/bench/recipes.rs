//! The paper's recipes, in plain form and through an extension.
//!
//! The plain forms are the client library's ([`bezant_client::recipes`]), those of "Extensible
//! Distributed Coordination" (EuroSys 2015) without sleep or back-off. Of a barrier an
//! operation is one party's passing of it, of an election one candidate's term: to be elected,
//! and to step down at once.

use std::{sync::Arc, time::Duration};

use bezant_client::{
    Client, Error, SpaceName, Tuple, Value,
    recipes::{Barrier, Counter, LeasedElection, Queue},
    template, tuple,
};
use bezant_extensions::recipes::{self, Recipe};

use super::{BenchError, Mode, Op, Options, Tally};

/// How long a leader leads before its lease is over; it steps down long before.
const LEASE: Duration = Duration::from_secs(10);

pub(super) fn check(options: &Options) -> Result<(), BenchError> {
    if options.mode == Mode::BestPlain && !has_best_plain(options.op) {
        return Err(BenchError::Options(
            "no plain form of this recipe is known that is better than --mode plain",
        ));
    }
    Ok(())
}

/// Whether we know a better plain form than the paper's.
pub(super) const fn has_best_plain(op: Op) -> bool {
    matches!(op, Op::Queue)
}

pub(super) async fn prepare(
    first: &Client,
    clients: &[Client],
    options: &Options,
) -> Result<(), BenchError> {
    if options.op == Op::Counter && options.mode == Mode::Plain {
        Counter::new(first, &options.space, "shared")
            .create()
            .await?;
    }
    if options.mode == Mode::Extension {
        let space: SpaceName = options.space.parse().map_err(Error::from)?;
        let recipe = match options.op {
            Op::Counter => "counter",
            Op::Barrier => "barrier",
            Op::Election => "election",
            _ => "queue",
        };
        if let Some(recipe) = recipes::named(recipe, &space) {
            install(first, clients, &recipe).await?;
        }
    }
    Ok(())
}

/// Registers a recipe by one client and has the others acknowledge it.
///
/// # Errors
/// As the client's operations.
pub(crate) async fn install(
    first: &Client,
    clients: &[Client],
    recipe: &Recipe,
) -> Result<(), Error> {
    let hash = first
        .register(recipe.manifest.clone(), recipe.module.to_vec())
        .await?
        .value;
    for client in clients {
        client.acknowledge(hash).await?;
    }
    Ok(())
}

/// One client's part of a recipe.
pub(super) async fn run(client: &Client, index: usize, options: &Options, tally: Tally) -> Tally {
    match (options.op, options.mode) {
        (Op::Counter, Mode::Plain | Mode::BestPlain) => counter_plain(client, options, tally).await,
        (Op::Counter, Mode::Extension) => counter_extension(client, options, tally).await,
        (Op::Barrier, Mode::Extension) => barrier_extension(client, options, tally).await,
        (Op::Barrier, _) => barrier(client, options, tally).await,
        (Op::Election, Mode::Extension) => election_extension(client, index, options, tally).await,
        (Op::Election, _) => election(client, index, options, tally).await,
        (_, Mode::Plain | Mode::BestPlain) => queue_plain(client, index, options, tally).await,
        (_, Mode::Extension) => queue_extension(client, index, options, tally).await,
    }
}

async fn counter_plain(client: &Client, options: &Options, mut tally: Tally) -> Tally {
    let mut counter = Counter::new(client, &options.space, "shared");
    while !tally.counts().stopped() {
        let adding = async { counter.add(1).await.map(|_| true) };
        tally.measure(adding).await;
    }
    tally
}

async fn counter_extension(client: &Client, options: &Options, mut tally: Tally) -> Tally {
    while !tally.counts().stopped() {
        tally
            .measure(increment_extension(client, &options.space))
            .await;
    }
    tally
}

/// One increment in one call.
async fn increment_extension(client: &Client, space: &str) -> Result<bool, Error> {
    let answer = client
        .inp(space, template!("increment", "shared", 1))
        .await?;
    let value = answer.value.as_ref().and_then(|tuple| tuple.get(2));
    Ok(matches!(value, Some(Value::Int(_))))
}

/// A key that is higher for later rounds.
fn key(index: usize, round: u64) -> i64 {
    let key = i64::try_from(round).unwrap_or(i64::MAX).wrapping_mul(1024);
    key.wrapping_add(i64::try_from(index).unwrap_or(i64::MAX))
}

async fn queue_plain(client: &Client, index: usize, options: &Options, mut tally: Tally) -> Tally {
    let mut queue = Queue::new(client, &options.space);
    let mut round = 0;
    while !tally.counts().stopped() {
        round += 1;
        let payload = vec![b'x'; options.size];
        tally
            .measure(async { queue.add(key(index, round), payload).await.map(|()| true) })
            .await;
        let head = async {
            let head = match options.mode {
                Mode::BestPlain => queue.poll().await,
                _ => queue.remove().await,
            };
            head.map(|head| head.is_some())
        };
        tally.measure(head).await;
    }
    tally
}

async fn queue_extension(
    client: &Client,
    index: usize,
    options: &Options,
    mut tally: Tally,
) -> Tally {
    let mut round = 0;
    while !tally.counts().stopped() {
        round += 1;
        let element: Tuple = tuple!("element", key(index, round), vec![b'x'; options.size]);
        tally
            .measure(async { client.out(&options.space, element).await.map(|_| true) })
            .await;
        tally
            .measure(remove_extension(client, &options.space))
            .await;
    }
    tally
}

/// Removes the head in one call.
async fn remove_extension(client: &Client, space: &str) -> Result<bool, Error> {
    Ok(client.inp(space, template!("head")).await?.value.is_some())
}

/// All clients pass a barrier, and the next one.
async fn barrier(client: &Client, options: &Options, mut tally: Tally) -> Tally {
    let counts = Arc::clone(&tally.counts);
    for round in 0_u64.. {
        let name = format!("round-{round}");
        let parties = options.clients;
        let passing = async {
            let barrier = Barrier::new(client, &options.space, &name, parties)?;
            barrier.wait().await.map(|()| true)
        };
        // Whoever is still there in the end waits for nobody.
        tokio::select! {
            biased;
            () = counts.until_stopped() => break,
            () = tally.measure(passing) => {}
        }
    }
    tally
}

/// All clients want to lead, each for a moment.
async fn election(client: &Client, index: usize, options: &Options, mut tally: Tally) -> Tally {
    let counts = Arc::clone(&tally.counts);
    let candidate = i64::try_from(index).unwrap_or(i64::MAX);
    while !counts.stopped() {
        let leading = async {
            let election = LeasedElection::new(client, &options.space, "leader", LEASE)?;
            let term = election.campaign(candidate).await?;
            term.release().await
        };
        tokio::select! {
            biased;
            () = counts.until_stopped() => break,
            () = tally.measure(leading) => {}
        }
    }
    tally
}

/// The same in one call each.
async fn barrier_extension(client: &Client, options: &Options, mut tally: Tally) -> Tally {
    let counts = Arc::clone(&tally.counts);
    let parties = i64::try_from(options.clients).unwrap_or(i64::MAX);
    while !counts.stopped() {
        let passing = async {
            let passed = template!("barrier", "shared", parties);
            client.rd(&options.space, passed).await.map(|_| true)
        };
        tokio::select! {
            biased;
            () = counts.until_stopped() => break,
            () = tally.measure(passing) => {}
        }
    }
    tally
}

/// The same in two calls a term: to lead, and to step down.
async fn election_extension(
    client: &Client,
    index: usize,
    options: &Options,
    mut tally: Tally,
) -> Tally {
    let counts = Arc::clone(&tally.counts);
    let candidate = format!("candidate-{index}");
    while !counts.stopped() {
        let leading = async {
            let elected = template!("leader", "shared", candidate.as_str());
            client.rd(&options.space, elected).await?;
            let place = template!("candidate", "shared", candidate.as_str(), ?int);
            let stepped = client.inp(&options.space, place).await?;
            Ok(stepped.value.is_some())
        };
        tokio::select! {
            biased;
            () = counts.until_stopped() => break,
            () = tally.measure(leading) => {}
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_by_rounds_and_are_different() {
        assert!(key(49, 1) < key(0, 2));
        assert_ne!(key(0, 1), key(1, 1));
    }
}
