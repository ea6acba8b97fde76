//! Single operations: each client on tuples of its own.

use bezant_client::{Client, Error, Tuple, Value, template, tuple};

use super::{BenchError, Op, Options, Tally, ledger::Take};

/// Tuples each client can take at most in a measurement of `inp`, per second of it.
const INP_PER_CLIENT_AND_SECOND: f64 = 20_000.0;

/// Most tuples laid out for `inp` in all.
const MAX_INP_TUPLES: usize = 200_000;

/// Tuples read at a time when all that is left is read.
const PAGE: u32 = 200;

/// Insertions under way at a time while laying out.
const PRELOAD_WINDOW: usize = 32;

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
        Op::Rdp => {
            for (index, client) in clients.iter().enumerate() {
                client
                    .out(&options.space, entry(index, 0, options.size))
                    .await?;
            }
            Ok(())
        }
        Op::Inp => lay_out(clients, options).await,
        _ => Ok(()),
    }
}

/// Lays out what `inp` will take, many insertions at a time.
async fn lay_out(clients: &[Client], options: &Options) -> Result<(), BenchError> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a bounded estimate"
    )]
    let wanted = ((options.seconds + options.warmup) * INP_PER_CLIENT_AND_SECOND) as usize;
    let each = wanted.min(MAX_INP_TUPLES / clients.len().max(1)).max(1);
    let mut tasks = tokio::task::JoinSet::new();
    for (index, client) in clients.iter().enumerate() {
        for lane in 0..PRELOAD_WINDOW {
            let (client, size, space) = (client.clone(), options.size, options.space.clone());
            tasks.spawn(async move {
                for number in (lane..each).step_by(PRELOAD_WINDOW) {
                    let number = u64::try_from(number).unwrap_or(u64::MAX);
                    client.out(&space, entry(index, number, size)).await?;
                }
                Ok::<(), Error>(())
            });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|_| BenchError::Options("laying out the tuples was interrupted"))??;
    }
    Ok(())
}

pub(super) async fn run(
    client: &Client,
    index: usize,
    options: &Options,
    mut tally: Tally,
) -> Tally {
    let mut number = 0;
    while !tally.counts().stopped() {
        number += 1;
        match options.op {
            Op::Rdp => {
                let template = template!("bench", as_int(index), 0, ?bytes);
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
        tally.ledger.settle(number, put, take);
    }
}

/// The (client, number) of every tuple that is in the space.
pub(super) async fn left(
    client: &Client,
    options: &Options,
) -> Result<Vec<(usize, u64)>, BenchError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let template = template!("bench", ?int, ?int, ?bytes);
        let page = client.rd_all(&options.space, template, PAGE, after).await?;
        let page = page.value;
        found.extend(page.tuples.iter().map(|tuple| {
            // What no client could have put has a name that no ledger knows.
            let client = field(tuple, 1).unwrap_or(usize::MAX);
            (client, field(tuple, 2).unwrap_or(u64::MAX))
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
