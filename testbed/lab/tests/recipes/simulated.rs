//! The client library and its recipes in the simulator: real replicas, faults and adversaries
//! from a seed, and a clock that the world turns.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use bezant_client::{Brought, Client, ClusterView, Network, ReplicaId, SigningKey, Transport};
use bezant_sim::{
    Trace, World,
    external_clients::{ExternalClients, Sent},
    faults::Fault,
    options::Options,
    report::{Outcome, Report},
    rng::Rng,
};
use bytes::Bytes;
use tokio::{
    runtime::Runtime,
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinHandle,
    time::Instant,
};

use crate::{DEADLINE, MANY, SPACE, programs};

/// Frames that wait for an external client at most, within a millisecond.
const INBOX: usize = 1024;

/// Worlds with troubles each program is run in.
const TROUBLED: usize = 3;

/// What all external clients sent since the world last looked, and their chance.
struct Outside {
    sent: Vec<Sent>,
    rng: Rng,
}

/// One external client's way out.
struct Wire {
    external_client: usize,
    outside: Arc<Mutex<Outside>>,
}

impl Transport for Wire {
    fn carry(&self, to: ReplicaId, frame: Bytes) {
        let external_client = self.external_client;
        self.outside.lock().unwrap().sent.push(Sent {
            external_client,
            to,
            frame,
        });
    }

    fn chance(&self, bytes: &mut [u8]) {
        let mut outside = self.outside.lock().unwrap();
        for chunk in bytes.chunks_mut(8) {
            let number = outside.rng.number().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}

/// Clients that carry out a program.
struct Programs {
    runtime: Runtime,
    born: Instant,
    inboxes: Vec<Sender<Brought>>,
    outside: Arc<Mutex<Outside>>,
    program: JoinHandle<()>,
}

impl ExternalClients for Programs {
    fn linked(&mut self, replica: ReplicaId) {
        for inbox in &self.inboxes {
            // Nobody is there to hear it once the program has ended.
            let _gone = inbox.try_send(Brought::Link(replica));
        }
    }

    fn hear(&mut self, external_client: usize, from: ReplicaId, frame: Bytes) {
        // What finds no room is lost, as anything may be.
        let _lost = self.inboxes[external_client].try_send(Brought::Frame(from, frame));
    }

    fn live(&mut self, now_us: u64) -> Vec<Sent> {
        let until = self.born + Duration::from_micros(now_us);
        // All that is due until then is done first: the clock goes on only when nobody is busy.
        let turned = async { tokio::time::sleep_until(until).await };
        self.runtime.block_on(turned);
        std::mem::take(&mut self.outside.lock().unwrap().sent)
    }

    fn pending(&self) -> Option<String> {
        let over = self.program.is_finished();
        (!over).then(|| "the external clients' program has not ended".to_owned())
    }
}

/// A client for each key, over links of its own.
async fn clients(
    view: ClusterView,
    keys: Vec<SigningKey>,
    inboxes: Vec<Receiver<Brought>>,
    outside: Arc<Mutex<Outside>>,
) -> Vec<Client> {
    let mut clients = Vec::new();
    for (external_client, (key, inbox)) in keys.into_iter().zip(inboxes).enumerate() {
        let outside = Arc::clone(&outside);
        let wire = Arc::new(Wire {
            external_client,
            outside,
        });
        let network = Network::carried(&view, key.clone(), wire, inbox).unwrap();
        let builder = Client::builder(view.clone())
            .identity(key)
            .network(&network)
            .timeout(DEADLINE)
            .session_ttl(Some(DEADLINE));
        clients.push(builder);
    }
    let opening = clients
        .into_iter()
        .map(|builder| tokio::spawn(builder.connect()));
    let mut clients = Vec::new();
    for opened in opening.collect::<Vec<_>>() {
        clients.push(opened.await.unwrap().unwrap());
    }
    clients[0].create_space(SPACE).await.unwrap();
    clients
}

/// Runs the program of so many clients in the world of `seed`.
fn run<F>(seed: u64, mut options: Options, many: usize, program: fn(Vec<Client>) -> F) -> Report
where
    F: Future<Output = ()> + Send + 'static,
{
    options.work.external_clients = u64::try_from(many).unwrap();
    let mut world = World::new(seed, options, Some(Trace::digesting()));
    let (id, replicas) = world.public();
    let replicas = replicas.into_iter().map(|key| (String::new(), key));
    let view = ClusterView {
        id,
        replicas: replicas.collect(),
    };
    let keys = world.external_client_keys().to_vec();
    let (inboxes, taken) = keys.iter().map(|_| channel(INBOX)).unzip();
    let outside = Arc::new(Mutex::new(Outside {
        sent: Vec::new(),
        rng: Rng::new(seed),
    }));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let born = runtime.block_on(async { Instant::now() });
    let (done, is_done) = mpsc::sync_channel(1);
    let opening = clients(view, keys, taken, Arc::clone(&outside));
    let running = runtime.spawn(async move {
        program(opening.await).await;
        done.send(()).unwrap();
    });
    world.host(Box::new(Programs {
        runtime,
        born,
        inboxes,
        outside,
        program: running,
    }));
    let (report, _) = world.run();
    assert_eq!(report.outcome, Outcome::Passed, "seed {seed}");
    let done = is_done.try_recv();
    assert!(
        done.is_ok(),
        "the program failed in the world of seed {seed}"
    );
    report
}

/// Runs the program in a calm world and in some with their troubles.
fn contend<F>(program: fn(Vec<Client>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    run(0, Options::calm(0), MANY, program);
    let troubled = (1..).map(|seed| (seed, Options::draw(seed)));
    // What more replicas cost is paid elsewhere.
    let small = troubled.filter(|(_, options)| options.n == 4);
    for (seed, options) in small.take(TROUBLED) {
        run(seed, options, MANY, program);
    }
}

#[test]
fn a_seed_gives_the_same_run() {
    let [one, other] = [(); 2].map(|()| run(2, Options::draw(2), 5, programs::lock));
    assert!(one.digest.is_some());
    assert_eq!(one, other);
}

/// The worlds in which watches are told all once have what could make them miss or repeat it.
#[test]
fn a_watch_goes_on_over_view_changes_restarts_and_lost_links() {
    let mut reports = Vec::new();
    for seed in 1..=8 {
        let mut options = Options::draw(seed);
        if options.n == 4 {
            // Somebody falls behind for so long that the others drop what it lacks.
            options.cut_off = Some((3, options.heal_at_us / 2));
            options.interval = 4;
            reports.push(run(seed, options, 6, programs::watch));
        }
    }
    let sum = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    assert!(sum(|report| report.figures.views) > 0, "{reports:?}");
    assert!(sum(|report| report.figures.restarts) > 0, "{reports:?}");
    assert!(sum(|report| report.figures.installs) > 0, "{reports:?}");
    let tallies = reports
        .iter()
        .filter_map(|report| report.hits.faults.get(&Fault::Partition));
    assert!(
        tallies.map(|tally| tally.hits).sum::<u64>() > 0,
        "{reports:?}"
    );
}

#[test]
fn a_lock_has_one_holder_at_a_time_and_fences_that_rise() {
    contend(programs::lock);
}

crate::every_other_program!();
