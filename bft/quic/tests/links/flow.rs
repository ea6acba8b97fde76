//! Volume: order, coalescing, back-pressure, fairness.

use crate::common::{
    Node, any_port, client_key, pair,
    raw::{Raw, framed, greet},
    replica_config, until,
};
use bezant_bft::ids::ReplicaId;
use bezant_quic::{Event, LinkId, MAX_CLIENT_FRAME_BYTES, MAX_FRAME_BYTES, Peer, SendError};
use bytes::Bytes;

fn numbered(number: u32, len: usize) -> Bytes {
    let mut frame = vec![u8::try_from(number % 251).unwrap(); len.max(4)];
    frame[..4].copy_from_slice(&number.to_le_bytes());
    Bytes::from(frame)
}

/// Another client, whose frame from the server arrives after everything else had a turn.
struct Marker {
    client: Node,
    at_client: LinkId,
    at_server: LinkId,
}

impl Marker {
    async fn link(server: &mut Node) -> Self {
        let mut client = Node::client(9, &[(0, server.address())]);
        let at_client = client.up(Peer::Replica(ReplicaId(0))).await;
        let at_server = server.up(Peer::Client(client_key(9).client())).await;
        Self {
            client,
            at_client,
            at_server,
        }
    }

    async fn pass(&mut self, server: &Node) {
        let marker = Bytes::from_static(b"marker");
        server
            .endpoint
            .send(self.at_server, marker.clone())
            .unwrap();
        assert_eq!(self.client.frame(self.at_client).await, marker);
    }
}

#[tokio::test]
async fn frames_of_all_sizes_arrive_whole_and_in_order() {
    let (mut server, at_server, client, at_client) = pair().await;
    let sizes = [1, 5, 100, 1200, 2048, 2049, 5000, 70_000, 400_000, 17, 64];
    for round in 0..3_u32 {
        for (index, size) in sizes.iter().enumerate() {
            let number = round * 100 + u32::try_from(index).unwrap();
            client
                .endpoint
                .send(at_client, numbered(number, *size))
                .unwrap();
        }
        for (index, size) in sizes.iter().enumerate() {
            let number = round * 100 + u32::try_from(index).unwrap();
            assert_eq!(server.frame(at_server).await, numbered(number, *size));
        }
    }
}

#[tokio::test]
async fn the_largest_frames_pass_and_larger_ones_are_refused_at_the_sender() {
    let (mut server, at_server, client, at_client) = pair().await;
    let largest = numbered(1, MAX_CLIENT_FRAME_BYTES);
    client.endpoint.send(at_client, largest.clone()).unwrap();
    assert_eq!(server.frame(at_server).await, largest);
    assert_eq!(
        client
            .endpoint
            .send(at_client, numbered(1, MAX_CLIENT_FRAME_BYTES + 1)),
        Err(SendError::TooLarge {
            bytes: MAX_CLIENT_FRAME_BYTES + 1,
            limit: MAX_CLIENT_FRAME_BYTES
        })
    );
    let mut higher = Node::replica(1, &[(0, server.address())]);
    let up = higher.up(Peer::Replica(ReplicaId(0))).await;
    let down = server.up(Peer::Replica(ReplicaId(1))).await;
    let largest = numbered(2, MAX_FRAME_BYTES);
    server.endpoint.send(down, largest.clone()).unwrap();
    assert_eq!(higher.frame(up).await, largest);
}

#[tokio::test]
async fn frames_of_one_turn_go_out_in_few_datagrams_and_come_in_together() {
    let (mut server, at_server, client, at_client) = pair().await;
    let before = client.endpoint.links()[0].datagrams_sent;
    for number in 0..100 {
        client
            .endpoint
            .send(at_client, numbered(number, 100))
            .unwrap();
    }
    assert_eq!(client.endpoint.queued(at_client).unwrap().frames, 100);
    let mut largest = 0;
    let mut received = 0;
    let mut events = Vec::new();
    while received < 100 {
        events.clear();
        let taken = server.inbox.recv_many(&mut events, 1000).await;
        assert!(events.iter().all(|event| matches!(
            event,
            Event::Frame { link, .. } if *link == at_server
        )));
        largest = largest.max(taken);
        received += taken;
    }
    let datagrams = client.endpoint.links()[0].datagrams_sent - before;
    // 10 400 bytes are eight full datagrams; some are left over for path probing and acks.
    assert!(datagrams <= 20, "{datagrams} datagrams");
    assert!(largest >= 10, "at most {largest} frames at a time");
}

#[tokio::test]
async fn a_reader_that_does_not_drain_makes_send_say_full_and_memory_stays_bounded() {
    let (mut server, at_server, client, at_client) = pair().await;
    let frame = numbered(7, 10_000);
    let mut accepted = 0_usize;
    let mut marker = Marker::link(&mut server).await;
    // Nobody takes from the server's inbox: everything on the way fills up, in bounded time,
    // and stays so however often everybody has a turn.
    let deadline = tokio::time::Instant::now() + crate::common::DEADLINE;
    let mut idle_rounds = 0;
    while idle_rounds < 50 {
        assert!(tokio::time::Instant::now() < deadline);
        match client.endpoint.send(at_client, frame.clone()) {
            Ok(()) => {
                accepted += 1;
                idle_rounds = 0;
            }
            Err(SendError::Full) => {
                idle_rounds += 1;
                marker.pass(&server).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
    let limits = bezant_quic::Limits::default().client;
    let bound = limits.outbound_bytes
        + 3 * usize::try_from(limits.window_bytes).unwrap()
        + limits.inbox_bytes;
    assert!(accepted * 10_000 <= bound, "{accepted} frames under way");
    let inbox = server.inbox.depth();
    assert!(inbox.bytes <= limits.inbox_bytes, "{inbox:?}");
    assert!(client.endpoint.queued(at_client).unwrap().bytes <= limits.outbound_bytes);
    assert!(client.endpoint.stats().send_full > 0);
    // Once somebody reads again, all of it arrives.
    for _ in 0..accepted {
        assert_eq!(server.frame(at_server).await, frame);
    }
    until("room again", || {
        client.endpoint.send(at_client, frame.clone()).is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_takes_nothing_cannot_make_the_queue_grow() {
    let mut server = Node::replica(0, &[]);
    let key = client_key(2);
    let mut raw = Raw::new(&key);
    raw.stream_window = 1000;
    let (_endpoint, connection) = raw.connect(server.address()).await.unwrap();
    let (_send, _recv) = greet(&connection).await;
    let link = server.up(Peer::Client(key.client())).await;
    let frame = numbered(1, 50_000);
    let mut accepted = 0;
    let mut full = 0;
    let mut marker = Marker::link(&mut server).await;
    while full < 20 {
        match server.endpoint.send(link, frame.clone()) {
            Ok(()) => accepted += 1,
            Err(SendError::Full) => {
                full += 1;
                marker.pass(&server).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
    let limits = bezant_quic::Limits::default().client;
    let bound = limits.outbound_bytes + usize::try_from(limits.window_bytes).unwrap();
    assert!(accepted * 50_000 <= bound + 100_000, "{accepted}");
}

#[tokio::test]
async fn a_flood_of_one_client_starves_neither_replicas_nor_other_clients() {
    let mut server = Node::bind(replica_config(0, &[]), any_port());
    let mut peer = Node::replica(1, &[(0, server.address())]);
    peer.up(Peer::Replica(ReplicaId(0))).await;
    let mut calm = Node::client(1, &[(0, server.address())]);
    calm.up(Peer::Replica(ReplicaId(0))).await;
    let key = client_key(2);
    let (_endpoint, connection) = Raw::new(&key).connect(server.address()).await.unwrap();
    let (mut send, _recv) = greet(&connection).await;
    let from_replica = server.up(Peer::Replica(ReplicaId(1))).await;
    let from_calm = server.up(Peer::Client(client_key(1).client())).await;
    let from_flood = server.up(Peer::Client(key.client())).await;
    let flood = tokio::spawn(async move {
        let burst = framed(&[1; 60]).repeat(1000);
        while send.write_all(&burst).await.is_ok() {}
    });
    // The flood has filled all it may fill.
    until("the flood's queue to be full", || {
        server.inbox.depth().frames >= 256
    })
    .await;
    // Behind it, in arrival order, come one frame of the replica and one of the calm client.
    for node in [&peer, &calm] {
        node.endpoint
            .send_replica(ReplicaId(0), Bytes::from_static(b"now"))
            .unwrap();
    }
    until("both to have arrived", || {
        server.inbox.depth().frames >= 258
    })
    .await;
    let mut events = Vec::new();
    server.inbox.recv_many(&mut events, 1000).await;
    let place = |wanted| {
        events
            .iter()
            .position(|event| matches!(event, Event::Frame { link, .. } if *link == wanted))
            .unwrap()
    };
    assert_eq!(place(from_replica), 0, "replicas come first");
    assert!(place(from_calm) <= 20, "behind one turn of the flood");
    assert!(place(from_flood) > 0);
    flood.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_also_works_on_many_threads() {
    let mut server = Node::replica(0, &[]);
    let known = [(0, server.address())];
    let echo = tokio::spawn(async move {
        let mut events = Vec::new();
        while server.inbox.recv_many(&mut events, 256).await > 0 {
            for event in events.drain(..) {
                if let Event::Frame { link, frame, .. } = event {
                    // A client that went away is no concern here.
                    let _ = server.endpoint.send(link, frame);
                }
            }
        }
    });
    let clients: Vec<_> = (1..5_u8)
        .map(|number| {
            tokio::spawn(async move {
                let mut client = Node::client(number, &known);
                let link = client.up(Peer::Replica(ReplicaId(0))).await;
                for round in 0..500_u32 {
                    client.endpoint.send(link, numbered(round, 64)).unwrap();
                    if round % 10 == 9 {
                        for back in round - 9..=round {
                            assert_eq!(client.frame(link).await, numbered(back, 64));
                        }
                    }
                }
                client.endpoint.close("done").await;
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    echo.abort();
}
