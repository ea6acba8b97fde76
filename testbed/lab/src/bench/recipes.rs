//! The paper's counter and queue, in plain form and through an extension.
//!
//! The plain forms are those of "Extensible Distributed Coordination" (EuroSys
//! 2015) without sleep, back-off or extra call: the counter is a conditional
//! replace, read again only after a failure; the queue reads all elements,
//! sorts them by key, tries to take each in order, and reads again only when
//! none was left to take.

use bezant_client::{Client, Error, SpaceName, Tuple, Value, template, tuple};
use bezant_extensions::recipes::{self, Recipe};

use super::{BenchError, Mode, Op, Options, Tally};

/// Most elements one reading of the queue asks for.
const PAGE: u32 = 1000;

pub(super) async fn prepare(
    first: &Client,
    clients: &[Client],
    options: &Options,
) -> Result<(), BenchError> {
    if options.op == Op::Counter && options.mode == Mode::Plain {
        let (template, zero) = (
            template!("counter", "shared", ?int),
            tuple!("counter", "shared", 0),
        );
        first.cas(&options.space, template, zero).await?;
    }
    if options.mode == Mode::Extension {
        let recipe = if options.op == Op::Counter {
            recipes::counter
        } else {
            recipes::queue
        };
        let space: SpaceName = options.space.parse().map_err(Error::from)?;
        install(first, clients, &recipe(space)).await?;
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

fn number(tuple: Option<&Tuple>) -> Option<i64> {
    match tuple?.get(2) {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    }
}

pub(super) async fn counter_plain(client: &Client, options: &Options, mut tally: Tally) -> Tally {
    let mut known = None;
    while !tally.counts().stopped() {
        let counts = std::sync::Arc::clone(&tally.counts);
        tally
            .measure(increment_plain(client, &options.space, &mut known, &counts))
            .await;
    }
    tally
}

/// One increment; `known` is the value this client believes in.
pub(crate) async fn increment_plain(
    client: &Client,
    space: &str,
    known: &mut Option<i64>,
    counts: &super::Counts,
) -> Result<bool, Error> {
    loop {
        let value = match *known {
            Some(value) => value,
            None => {
                counts.call();
                let read = client
                    .rdp(space, template!("counter", "shared", ?int))
                    .await?;
                number(read.value.as_ref()).unwrap_or_default()
            }
        };
        let next = value.wrapping_add(1);
        counts.call();
        let old = client
            .replace(
                space,
                template!("counter", "shared", value),
                tuple!("counter", "shared", next),
            )
            .await?;
        *known = old.value.is_some().then_some(next);
        if known.is_some() {
            return Ok(true);
        }
        if counts.stopped() {
            return Ok(false);
        }
    }
}

pub(super) async fn counter_extension(
    client: &Client,
    options: &Options,
    mut tally: Tally,
) -> Tally {
    while !tally.counts().stopped() {
        tally.counts().call();
        tally
            .measure(increment_extension(client, &options.space))
            .await;
    }
    tally
}

/// One increment in one call.
pub(crate) async fn increment_extension(client: &Client, space: &str) -> Result<bool, Error> {
    let answer = client
        .inp(space, template!("increment", "shared", 1))
        .await?;
    Ok(number(answer.value.as_ref()).is_some())
}

/// An element that sorts by its key.
fn element(index: usize, round: u64, size: usize) -> Tuple {
    let key = i64::try_from(round).unwrap_or(i64::MAX).wrapping_mul(1024);
    let key = key.wrapping_add(i64::try_from(index).unwrap_or(i64::MAX));
    tuple!("element", key, vec![b'x'; size])
}

pub(super) async fn queue_plain(
    client: &Client,
    index: usize,
    options: &Options,
    mut tally: Tally,
) -> Tally {
    let mut round = 0;
    while !tally.counts().stopped() {
        round += 1;
        let counts = std::sync::Arc::clone(&tally.counts);
        add(client, index, round, options, &mut tally).await;
        tally
            .measure(remove_plain(client, &options.space, &counts))
            .await;
    }
    tally
}

async fn add(client: &Client, index: usize, round: u64, options: &Options, tally: &mut Tally) {
    tally.counts().call();
    let tuple = element(index, round, options.size);
    tally
        .measure(async { client.out(&options.space, tuple).await.map(|_| true) })
        .await;
}

/// Removes the head by plain calls.
pub(crate) async fn remove_plain(
    client: &Client,
    space: &str,
    counts: &super::Counts,
) -> Result<bool, Error> {
    loop {
        counts.call();
        let all = client
            .rd_all(space, template!("element", ?int, ?bytes), PAGE, None)
            .await?;
        let mut elements = all.into_inner().tuples;
        elements.sort_by_key(|element| match element.get(1) {
            Some(Value::Int(key)) => *key,
            _ => i64::MAX,
        });
        for element in elements {
            counts.call();
            if client.inp(space, element.into()).await?.value.is_some() {
                return Ok(true);
            }
            if counts.stopped() {
                return Ok(false);
            }
        }
        if counts.stopped() {
            return Ok(false);
        }
    }
}

pub(super) async fn queue_extension(
    client: &Client,
    index: usize,
    options: &Options,
    mut tally: Tally,
) -> Tally {
    let mut round = 0;
    while !tally.counts().stopped() {
        round += 1;
        add(client, index, round, options, &mut tally).await;
        tally.counts().call();
        tally
            .measure(remove_extension(client, &options.space))
            .await;
    }
    tally
}

/// Removes the head in one call.
pub(crate) async fn remove_extension(client: &Client, space: &str) -> Result<bool, Error> {
    Ok(client.inp(space, template!("head")).await?.value.is_some())
}
