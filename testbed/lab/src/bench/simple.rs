//! Single operations: each client on tuples of its own.

use std::ops::Range;

use bezant_api::limits::{MAX_CALL_BYTES, MAX_GROUP_STEPS};
use bezant_client::{
    Client, Error, Group, Lease, Operation, SpaceName, Tuple, Value, template, tuple,
};

use super::{
    BenchError, Op, Options, Tally,
    inventory::{LoadTuple, Take},
};

/// Tuples each client can take at most in a measurement of `inp`, per second of it.
const INP_PER_CLIENT_AND_SECOND: f64 = 20_000.0;

/// Most tuples laid out for `inp` in all.
const MAX_INP_TUPLES: usize = 200_000;

/// Tuples read at a time when all that is left is read.
const PAGE: u32 = 200;

fn entry(index: usize, number: u64, size: usize) -> Tuple {
    let mut payload = vec![b'x'; size];
    for (byte, part) in payload.iter_mut().zip(number.to_le_bytes()) {
        *byte = part;
    }
    let fields = vec![
        Value::from("bench"),
        int(index),
        int(number),
        Value::from(payload),
    ];
    // A payload over the bound of a tuple was refused by the options.
    Tuple::new(fields).unwrap_or_else(|_| tuple!("bench"))
}

fn int(number: impl TryInto<i64>) -> Value {
    Value::Int(number.try_into().unwrap_or(i64::MAX))
}

fn as_int(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

pub(super) async fn prepare(clients: &[Client], options: &Options) -> Result<(), BenchError> {
    if options.size > bezant_tuple::limits::MAX_TUPLE_BYTES / 2 {
        return Err(BenchError::Options(
            "the payload is larger than half of what a tuple may have",
        ));
    }
    match options.op {
        Op::Rdp => lay_out(clients, readable(options), options).await,
        Op::Inp => lay_out(clients, takeable(options), options).await,
        _ => Ok(()),
    }
}

/// How many tuples each client has to read.
fn readable(options: &Options) -> usize {
    options.preload.div_ceil(options.clients.max(1)).max(1)
}

/// How many tuples there are to read in all.
pub(super) fn laid_out(options: &Options) -> usize {
    readable(options) * options.clients
}

/// How many each can take at most, more than it will.
fn takeable(options: &Options) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a bounded estimate"
    )]
    let wanted = ((options.seconds + options.warmup) * INP_PER_CLIENT_AND_SECOND) as usize;
    let each = MAX_INP_TUPLES / options.clients.max(1);
    wanted.min(each).max(1)
}

/// Lays out so many tuples for each client, many at a time.
async fn lay_out(clients: &[Client], each: usize, options: &Options) -> Result<(), BenchError> {
    // As many as surely fit one call.
    let fits = MAX_CALL_BYTES / 2 / (options.size + 64);
    let together = fits.clamp(1, MAX_GROUP_STEPS);
    let mut tasks = tokio::task::JoinSet::new();
    for (index, client) in clients.iter().enumerate() {
        let (client, size, space) = (client.clone(), options.size, options.space.clone());
        tasks.spawn(async move {
            for from in (0..each).step_by(together) {
                let numbers = from..each.min(from + together);
                put_all(&client, &space, index, numbers, size).await?;
            }
            Ok::<(), Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|_| BenchError::Options("laying out the tuples was interrupted"))??;
    }
    Ok(())
}

async fn put_all(
    client: &Client,
    space: &str,
    index: usize,
    numbers: Range<usize>,
    size: usize,
) -> Result<(), Error> {
    let space: SpaceName = space.parse()?;
    let mut group = Group::new();
    for number in numbers {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let (tuple, lease) = (entry(index, number, size), Lease::Forever);
        group = group.act(space.clone(), Operation::Out { tuple, lease });
    }
    client.group(group).await?;
    Ok(())
}

/// The numbers below `bound`, over and over, none near the one before.
fn scattered(number: u64, bound: usize) -> i64 {
    let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
    as_int(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % bound)
}

pub(super) async fn run(
    client: &Client,
    index: usize,
    options: &Options,
    mut tally: Tally,
) -> Tally {
    let mut number = 0;
    // Who lost its session under an attack has nothing more to measure.
    while !tally.counts().stopped() && !client.is_over() {
        number += 1;
        match options.op {
            Op::Rdp => {
                let one = scattered(number, readable(options));
                let template = template!("bench", as_int(index), one, ?bytes);
                let read =
                    async { Ok(client.rdp(&options.space, template).await?.value.is_some()) };
                tally.measure(read).await;
            }
            Op::Inp => {
                let template = template!("bench", as_int(index), ?int, ?bytes);
                let taken =
                    async { Ok(client.inp(&options.space, template).await?.value.is_some()) };
                tally.measure(taken).await;
            }
            _ => out_and_inp(client, index, number, options, &mut tally).await,
        }
    }
    tally
}

async fn out_and_inp(
    client: &Client,
    index: usize,
    number: u64,
    options: &Options,
    tally: &mut Tally,
) {
    let tuple = entry(index, number, options.size);
    let mut put = false;
    tally
        .measure(async {
            client.out(&options.space, tuple.clone()).await?;
            put = true;
            Ok(true)
        })
        .await;
    if options.op == Op::Pair {
        let template = template!("bench", as_int(index), as_int(number), ?bytes);
        let mut take = Take::Unknown;
        tally
            .measure(async {
                let taken = client.inp(&options.space, template).await?.value;
                let good = taken.as_ref() == Some(&tuple);
                take = if good { Take::Tuple } else { Take::Nothing };
                Ok(good)
            })
            .await;
        tally.inventory.settle(number, put, take);
    }
}

/// Every tuple that is in the space.
pub(super) async fn left(client: &Client, options: &Options) -> Result<Vec<LoadTuple>, BenchError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let template = template!("bench", ?int, ?int, ?bytes);
        let page = client.rd_all(&options.space, template, PAGE, after).await?;
        let page = page.value;
        // What no client could have put has a name that no inventory knows.
        found.extend(page.tuples.iter().map(|tuple| LoadTuple {
            client: field(tuple, 1).unwrap_or(usize::MAX),
            number: field(tuple, 2).unwrap_or(u64::MAX),
        }));
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

fn field<T: TryFrom<i64>>(tuple: &Tuple, index: usize) -> Option<T> {
    match tuple.get(index) {
        Some(Value::Int(value)) => (*value).try_into().ok(),
        _ => None,
    }
}
