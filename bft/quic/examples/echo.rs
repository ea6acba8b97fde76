//! Round trips over loopback, everything in one thread as in a replica.
//!
//! `cargo run --release -p bezant-quic --example echo [seconds per figure] [bytes per frame]`
//!
//! Prints, for some numbers of connections and of frames in flight on each, the
//! round trips per second and their latency, and how many UDP datagrams one
//! round trip cost. The event loop of the server drains its inbox in batches
//! and answers each frame, which is what a replica does.

use std::{
    collections::BTreeMap,
    error::Error,
    time::{Duration, Instant},
};

use bezant_bft::{
    crypto::SigningKey,
    ids::{ClusterId, Epoch, ReplicaId},
};
use bezant_quic::{Config, Endpoint, Event, Inbox, LinkId, ReplicaAddress, Role};
use bytes::Bytes;

/// What every figure is measured with.
#[derive(Clone, Copy)]
struct Plan {
    length: Duration,
    frame_bytes: usize,
}

fn config(seed: u8, me: Role, address: String) -> Config {
    let replica = SigningKey::from_seed([1; 32]);
    let identity = match me {
        Role::Replica(_) => replica.clone(),
        Role::Client => SigningKey::from_seed([seed; 32]),
    };
    let replicas = vec![ReplicaAddress {
        id: ReplicaId(0),
        address,
        key: replica.public(),
    }];
    Config::new(identity, ClusterId([7; 32]), Epoch(0), me, replicas)
}

/// Answers every frame on the link it came from.
async fn serve(endpoint: Endpoint, mut inbox: Inbox) {
    let mut events = Vec::new();
    while inbox.recv_many(&mut events, 1024).await > 0 {
        for event in events.drain(..) {
            if let Event::Frame { link, frame, .. } = event
                && let Err(error) = endpoint.send(link, frame)
            {
                eprintln!("answer not sent: {error}");
            }
        }
    }
}

/// What one client measured.
struct Measured {
    round_trips_us: Vec<u32>,
    datagrams: u64,
}

/// Keeps `in_flight` frames on the way for as long as planned and times each round trip.
async fn drive(
    endpoint: Endpoint,
    mut inbox: Inbox,
    in_flight: usize,
    plan: Plan,
) -> Result<Measured, Box<dyn Error + Send + Sync>> {
    let mut events = Vec::new();
    let link = up(&mut inbox, &mut events).await;
    let mut sent = BTreeMap::new();
    let mut number = 0_u64;
    let mut send = |sent: &mut BTreeMap<u64, Instant>| {
        let mut frame = vec![0; plan.frame_bytes.max(8)];
        frame.splice(..8, number.to_le_bytes());
        sent.insert(number, Instant::now());
        number += 1;
        endpoint.send(link, Bytes::from(frame))
    };
    for _ in 0..in_flight {
        send(&mut sent)?;
    }
    let start = Instant::now();
    let length = plan.length;
    let warm = start + length / 4;
    let mut round_trips_us = Vec::new();
    while start.elapsed() < length {
        inbox.recv_many(&mut events, 1024).await;
        for event in events.drain(..) {
            if let Event::Frame { frame, .. } = event
                && let Some((number, _)) = frame.split_first_chunk::<8>()
                && let Some(at) = sent.remove(&u64::from_le_bytes(*number))
            {
                if at >= warm {
                    round_trips_us.push(u32::try_from(at.elapsed().as_nanos() / 10)?);
                }
                send(&mut sent)?;
            }
        }
    }
    let datagrams = endpoint
        .links()
        .first()
        .map_or(0, |link| link.datagrams_sent + link.datagrams_received);
    endpoint.close("measured").await;
    Ok(Measured {
        round_trips_us,
        datagrams: datagrams * 3 / 4,
    })
}

async fn up(inbox: &mut Inbox, events: &mut Vec<Event>) -> LinkId {
    loop {
        inbox.recv_many(events, 16).await;
        for event in events.drain(..) {
            if let Event::Up { link, .. } = event {
                return link;
            }
        }
    }
}

async fn measure(
    clients: u8,
    in_flight: usize,
    plan: Plan,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let any = "127.0.0.1:0".parse()?;
    let me = Role::Replica(ReplicaId(0));
    let (server, inbox) = Endpoint::bind(config(1, me, "127.0.0.1:1".to_owned()), Some(any))?;
    let address = server.local_address().to_string();
    let serving = tokio::spawn(serve(server.clone(), inbox));
    let mut drives = Vec::new();
    for client in 0..clients {
        let (endpoint, inbox) =
            Endpoint::bind(config(100 + client, Role::Client, address.clone()), None)?;
        drives.push(tokio::spawn(drive(endpoint, inbox, in_flight, plan)));
    }
    let mut round_trips = Vec::new();
    let mut datagrams = 0;
    for drive in drives {
        let measured = drive.await??;
        round_trips.extend(measured.round_trips_us);
        datagrams += measured.datagrams;
    }
    serving.abort();
    server.close("measured").await;

    round_trips.sort_unstable();
    let count = round_trips.len();
    let at = |share: f64| {
        // Nearest rank; the counts here are far below the precision of a float.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index of a few million"
        )]
        let rank = (count as f64 * share) as usize;
        round_trips
            .get(rank.min(count.saturating_sub(1)))
            .map_or(0.0, |hundredths| f64::from(*hundredths) / 100.0)
    };
    #[allow(
        clippy::cast_precision_loss,
        reason = "a figure of four digits for people"
    )]
    let (per_second, each) = (
        count as f64 / (plan.length.as_secs_f64() * 0.75),
        datagrams as f64 / count.max(1) as f64,
    );
    println!(
        "{clients:3} connections, {in_flight:3} in flight: {per_second:9.0} round trips/s   \
         p50 {:8.1} us   p99 {:8.1} us   {each:.2} datagrams each",
        at(0.5),
        at(0.99),
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut args = std::env::args().skip(1);
    let plan = Plan {
        length: Duration::from_secs_f64(args.next().as_deref().unwrap_or("2").parse()?),
        frame_bytes: args.next().as_deref().unwrap_or("100").parse()?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for (clients, in_flight) in [(1, 1), (1, 50), (50, 1)] {
        runtime.block_on(measure(clients, in_flight, plan))?;
    }
    Ok(())
}
