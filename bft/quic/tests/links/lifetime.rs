//! Links over time: restarts, crashes, successors, orderly ends, idle hours.

use std::{
    net::SocketAddr,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::common::{
    Node, any_port, client_config, client_key, pair,
    raw::{Raw, closed_with, framed, hello},
    replica_config, replica_key, until,
};
use bezant_bft::ids::ReplicaId;
use bezant_quic::{BindError, Endpoint, Event, LinkError, Peer, SendError};
use bytes::Bytes;

/// A replica on a thread and runtime of its own, so that it can crash: its socket vanishes and
/// nobody is told.
struct Process {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    address: SocketAddr,
}

impl Process {
    fn start(id: u8, listen: SocketAddr) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (told, address) = mpsc::sync_channel(1);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let node =
                runtime.block_on(async { Node::bind(replica_config(id, &[]), Some(listen)) });
            told.send(node.address()).unwrap();
            let _ = runtime.block_on(stopped);
            // As in a crash, nobody is left to say goodbye when the handles are dropped.
            drop(runtime);
            drop(node);
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
            address: address.recv().unwrap(),
        }
    }

    fn crash(mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

#[tokio::test]
async fn a_dialer_finds_a_replica_that_restarted_on_the_same_port_soon() {
    let first = Process::start(0, any_port().unwrap());
    let address = first.address;
    let mut client = Node::client(1, &[(0, address)]);
    let peer = Peer::Replica(ReplicaId(0));
    let old = client.up(peer).await;
    tokio::task::spawn_blocking(move || first.crash())
        .await
        .unwrap();
    let second = Process::start(0, address);
    // What is sent to the successor of a crashed process tells the sender that its link is gone
    // (stateless reset), long before the idle time-out of ten seconds.
    let start = Instant::now();
    client
        .endpoint
        .send(old, Bytes::from_static(b"anybody?"))
        .unwrap();
    assert_eq!(client.down(old).await, LinkError::Reset);
    let new = client.up(peer).await;
    assert_ne!(old, new);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(client.endpoint.link_of(ReplicaId(0)), Some(new));
    drop(second);
}

#[tokio::test]
async fn a_replica_that_starts_late_is_found_and_failures_until_then_are_reported() {
    // A port that is free for now.
    let address = {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    let mut config = client_config(1, &[(0, address)]);
    config.limits.handshake = Duration::from_millis(200);
    let mut client = Node::bind(config, None);
    assert!(matches!(
        client.dial_failed(0).await,
        LinkError::Unreachable { .. }
    ));
    assert_eq!(
        client
            .endpoint
            .send_replica(ReplicaId(0), Bytes::from_static(b"x")),
        Err(SendError::Down)
    );
    let mut replica = Node::bind(replica_config(0, &[]), Some(address));
    client.up(Peer::Replica(ReplicaId(0))).await;
    replica.up(Peer::Client(client_key(1).client())).await;
    assert!(client.endpoint.stats().dial_failed >= 1);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_typed_failure() {
    let mut config = client_config(1, &[(0, any_port().unwrap())]);
    config.replicas[0].address = "no-such-host.invalid:7401".to_owned();
    let mut client = Node::bind(config, None);
    assert!(matches!(
        client.dial_failed(0).await,
        LinkError::Resolve { address, .. } if address.starts_with("no-such-host")
    ));
}

#[tokio::test]
async fn a_host_name_works_as_an_address() {
    let mut server = Node::replica(0, &[]);
    let mut config = client_config(1, &[(0, server.address())]);
    config.replicas[0].address = format!("localhost:{}", server.address().port());
    let mut client = Node::bind(config, None);
    client.up(Peer::Replica(ReplicaId(0))).await;
    server.up(Peer::Client(client_key(1).client())).await;
}

#[tokio::test]
async fn of_two_links_of_one_replica_the_newer_stays() {
    let mut server = Node::replica(0, &[]);
    let key = replica_key(2);
    let peer = Peer::Replica(ReplicaId(2));
    let connect = async |server: &mut Node| {
        let (endpoint, connection) = Raw::new(&key).connect(server.address()).await.unwrap();
        let (mut send, recv) = connection.open_bi().await.unwrap();
        send.write_all(&framed(&hello(
            1,
            crate::common::CLUSTER,
            crate::common::EPOCH,
            Some(2),
        )))
        .await
        .unwrap();
        let link = server.up(peer).await;
        (endpoint, connection, send, recv, link)
    };
    let (_endpoint, old, _send, _recv, old_link) = connect(&mut server).await;
    let (_endpoint2, _new, mut send, _recv2, new_link) = connect(&mut server).await;
    assert_eq!(server.down(old_link).await, LinkError::Superseded);
    let (code, _) = closed_with(&old).await;
    assert_eq!(code, u64::from(bezant_quic::CloseCode::Superseded.number()));
    assert_eq!(server.endpoint.link_of(ReplicaId(2)), Some(new_link));
    assert_eq!(server.endpoint.stats().replica_links, 1);
    send.write_all(&framed(b"from the newer")).await.unwrap();
    assert_eq!(server.frame(new_link).await, "from the newer");
}

#[tokio::test]
async fn closing_delivers_what_is_queued_and_tells_why() {
    let (mut server, at_server, client, at_client) = pair().await;
    for number in 0..200_u32 {
        let frame = Bytes::copy_from_slice(&number.to_le_bytes().repeat(100));
        client.endpoint.send(at_client, frame).unwrap();
    }
    client.endpoint.close("maintenance at noon").await;
    assert_eq!(
        client.endpoint.send(at_client, Bytes::from_static(b"late")),
        Err(SendError::Down)
    );
    for number in 0..200_u32 {
        assert_eq!(server.frame(at_server).await[..4], number.to_le_bytes());
    }
    assert_eq!(
        server.down(at_server).await,
        LinkError::Closed {
            reason: "maintenance at noon".to_owned()
        }
    );
}

#[tokio::test]
async fn closing_ends_the_own_inbox_after_the_last_event() {
    let (_server, _, mut client, at_client) = pair().await;
    client.endpoint.close("done").await;
    assert!(matches!(
        client.down(at_client).await,
        LinkError::LocallyClosed { .. }
    ));
    let mut events = Vec::new();
    assert_eq!(client.inbox.recv_many(&mut events, 10).await, 0);
}

#[tokio::test]
async fn closing_is_not_held_up_by_a_peer_that_does_not_read() {
    let (server, _, client, at_client) = pair().await;
    while client
        .endpoint
        .send(at_client, Bytes::from(vec![1; 100_000]))
        .is_ok()
    {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    client.endpoint.close("in a hurry").await;
    assert!(start.elapsed() < Duration::from_secs(5));
    drop(server);
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_links_and_frees_the_port() {
    let (server, _, mut client, at_client) = pair().await;
    let address = server.address();
    let another = server.endpoint.clone();
    drop(server.endpoint);
    assert_eq!(another.stats().client_links, 1);
    drop(another);
    assert!(matches!(
        client.down(at_client).await,
        LinkError::Closed { .. }
    ));
    let mut bound = None;
    until("the port to be free", || {
        match Endpoint::bind(replica_config(0, &[]), Some(address)) {
            Ok(endpoint) => {
                bound = Some(endpoint);
                true
            }
            Err(BindError::AddressInUse { .. }) => false,
            Err(other) => panic!("{other}"),
        }
    })
    .await;
}

#[tokio::test]
async fn dropping_the_inbox_ends_the_links() {
    let (server, _, mut client, at_client) = pair().await;
    drop(server.inbox);
    assert!(matches!(
        client.down(at_client).await,
        LinkError::Closed { .. }
    ));
}

#[tokio::test]
async fn a_peer_that_vanishes_is_noticed_by_the_idle_time_out() {
    let process = Process::start(0, any_port().unwrap());
    let mut config = client_config(1, &[(0, process.address)]);
    config.limits.idle = Duration::from_millis(400);
    config.limits.keep_alive = Duration::from_millis(100);
    let mut client = Node::bind(config, None);
    let link = client.up(Peer::Replica(ReplicaId(0))).await;
    tokio::task::spawn_blocking(move || process.crash())
        .await
        .unwrap();
    assert_eq!(client.down(link).await, LinkError::TimedOut);
}

#[tokio::test]
async fn an_idle_link_stays_up_with_few_packets() {
    let mut server = Node::replica(0, &[]);
    let mut config = client_config(1, &[(0, server.address())]);
    // Everything ten times as fast as by default.
    let keep_alive = Duration::from_millis(200);
    config.limits.idle = 5 * keep_alive;
    config.limits.keep_alive = keep_alive;
    let mut client = Node::bind(config, None);
    let link = client.up(Peer::Replica(ReplicaId(0))).await;
    server.up(Peer::Client(client_key(1).client())).await;
    // Of some datagrams in a row, the last leaves long after the first: the handshake's own
    // traffic (path probing) ends, and what follows is a keep-alive a period and little more.
    // They take longer than the idle time-out, so that it is they who keep the link up.
    let (few, long) = (9, 6 * keep_alive);
    let mut left: Vec<Instant> = Vec::new();
    until("few datagrams in a long time", || {
        let sent = client.endpoint.links()[0].datagrams_sent;
        left.resize(usize::try_from(sent).unwrap(), Instant::now());
        let mut runs = left.windows(few);
        runs.next_back()
            .is_some_and(|run| run[few - 1] - run[0] >= long)
    })
    .await;
    client
        .endpoint
        .send(link, Bytes::from_static(b"still up"))
        .unwrap();
    let mut events = Vec::new();
    server.inbox.recv_many(&mut events, 10).await;
    assert!(matches!(&events[0], Event::Frame { frame, .. } if frame == "still up"));
}
