//! Peers that break the rules: each is named or turned away, and the others keep working.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use crate::common::{
    CLUSTER, EPOCH, Node, any_port, client_config, client_key, pair,
    raw::{Raw, closed_with, framed, greet, hello},
    replica_config, until,
};
use bezant_bft::ids::ReplicaId;
use bezant_quic::{
    CloseCode, Event, Limits, LinkError, LinkId, MAX_CLIENT_FRAME_BYTES, Peer, Refusal, Violation,
};
use bytes::Bytes;

/// An honest client's frame still makes the way.
async fn assert_serves(server: &mut Node, link: LinkId, client: &Node) {
    client
        .endpoint
        .send_replica(ReplicaId(0), Bytes::from_static(b"still there?"))
        .unwrap();
    assert_eq!(server.frame(link).await, "still there?");
}

/// Links a raw client, sends `bytes` after the welcome, and returns what each side learns.
async fn break_the_rules(bytes: &[u8], end: bool) -> (u64, LinkError) {
    let (mut server, honest, client, _) = pair().await;
    let key = client_key(2);
    let (_endpoint, connection) = Raw::new(&key).connect(server.address()).await.unwrap();
    let (mut send, _recv) = greet(&connection).await;
    let link = server.up(Peer::Client(key.client())).await;
    send.write_all(bytes).await.unwrap();
    if end {
        send.finish().unwrap();
    }
    let reason = server.down(link).await;
    let (code, _) = closed_with(&connection).await;
    assert_serves(&mut server, honest, &client).await;
    (code, reason)
}

#[tokio::test]
async fn a_frame_longer_than_allowed_ends_its_link_and_is_blamed() {
    let bytes = u32::try_from(MAX_CLIENT_FRAME_BYTES + 1).unwrap();
    // Only the length is sent: the bound does not wait for the rest.
    let (code, reason) = break_the_rules(&bytes.to_le_bytes(), false).await;
    assert_eq!(code, u64::from(CloseCode::FrameTooLarge.number()));
    assert_eq!(
        reason,
        LinkError::Violation(Violation::FrameTooLarge {
            bytes,
            limit: MAX_CLIENT_FRAME_BYTES
        })
    );
    assert!(reason.is_violation());
}

#[tokio::test]
async fn garbage_on_the_stream_ends_its_link_and_is_blamed() {
    let (code, reason) = break_the_rules(&[0xff; 500], false).await;
    assert_eq!(code, u64::from(CloseCode::FrameTooLarge.number()));
    assert!(reason.is_violation(), "{reason}");
}

#[tokio::test]
async fn an_empty_frame_and_a_torn_frame_end_their_link() {
    let (code, reason) = break_the_rules(&[0; 4], false).await;
    assert_eq!(code, u64::from(CloseCode::Malformed.number()));
    assert_eq!(reason, LinkError::Violation(Violation::EmptyFrame));
    let (_, reason) = break_the_rules(&[10, 0, 0, 0, 1, 2], true).await;
    assert_eq!(reason, LinkError::Violation(Violation::Truncated));
}

#[tokio::test]
async fn good_frames_before_a_bad_one_are_delivered() {
    let mut server = Node::replica(0, &[]);
    let key = client_key(2);
    let (_endpoint, connection) = Raw::new(&key).connect(server.address()).await.unwrap();
    let (mut send, _recv) = greet(&connection).await;
    let link = server.up(Peer::Client(key.client())).await;
    send.write_all(&[framed(b"one"), framed(b"two"), vec![0; 4]].concat())
        .await
        .unwrap();
    assert_eq!(server.frame(link).await, "one");
    assert_eq!(server.frame(link).await, "two");
    assert!(server.down(link).await.is_violation());
}

#[tokio::test]
async fn resetting_or_stopping_the_stream_ends_the_link() {
    for stop in [false, true] {
        let mut server = Node::replica(0, &[]);
        let key = client_key(2);
        let (_endpoint, connection) = Raw::new(&key).connect(server.address()).await.unwrap();
        let (mut send, mut recv) = greet(&connection).await;
        let link = server.up(Peer::Client(key.client())).await;
        if stop {
            recv.stop(0_u32.into()).unwrap();
            // Noticed with the next write.
            until("the link to end", || {
                server
                    .endpoint
                    .send(link, Bytes::from_static(b"reply"))
                    .is_err()
            })
            .await;
        } else {
            send.reset(0_u32.into()).unwrap();
        }
        assert_eq!(
            server.down(link).await,
            LinkError::Violation(Violation::StreamBroken)
        );
    }
}

#[tokio::test]
async fn a_hello_that_is_none_is_refused() {
    let oversized = vec![7; 5000];
    let trailing = [hello(1, CLUSTER, EPOCH, None), vec![0]].concat();
    for body in [vec![1], vec![1, 0, 0, 0, 9, 9, 9], trailing, oversized] {
        let mut server = Node::replica(0, &[]);
        let key = client_key(2);
        let (_endpoint, connection) = Raw::new(&key).connect(server.address()).await.unwrap();
        let (mut send, _recv) = connection.open_bi().await.unwrap();
        send.write_all(&framed(&body)).await.unwrap();
        let (code, _) = closed_with(&connection).await;
        assert_eq!(code, u64::from(CloseCode::Malformed.number()));
        assert!(matches!(server.refused().await, Refusal::Malformed(_)));
    }
}

fn impatient(listen: Option<SocketAddr>) -> Node {
    let mut config = replica_config(0, &[]);
    config.limits.handshake = Duration::from_millis(300);
    Node::bind(config, listen)
}

#[tokio::test]
async fn a_connection_that_never_says_hello_times_out() {
    let mut server = impatient(any_port());
    let key = client_key(2);
    // No stream at all, and a stream with half a hello.
    for half in [false, true] {
        let (_endpoint, connection) = Raw::new(&key).connect(server.address()).await.unwrap();
        let mut streams = None;
        if half {
            let (mut send, recv) = connection.open_bi().await.unwrap();
            send.write_all(&[40, 0, 0, 0, 1, 0, 0]).await.unwrap();
            streams = Some((send, recv));
        }
        let (code, _) = closed_with(&connection).await;
        assert_eq!(code, u64::from(CloseCode::HandshakeTimeout.number()));
        assert_eq!(server.refused().await, Refusal::TimedOut);
        drop(streams);
    }
    until("the handshakes to be forgotten", || {
        server.endpoint.stats().handshakes == 0
    })
    .await;
}

/// A first flight that is never followed up, from a socket that never reads: silence on the wire.
///
/// Made by a real dialer whose socket hands its datagrams to us instead of the server.
async fn first_flight() -> Vec<u8> {
    let trap = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dialer = Node::client(3, &[(0, trap.local_addr().unwrap())]);
    let mut datagram = vec![0; 2000];
    let len = trap.recv(&mut datagram).await.unwrap();
    drop(dialer);
    datagram.truncate(len);
    datagram
}

#[tokio::test]
async fn a_handshake_that_falls_silent_times_out() {
    let flight = first_flight().await;
    let mut server = impatient(any_port());
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&flight, server.address()).await.unwrap();
    assert_eq!(server.refused().await, Refusal::TimedOut);
    assert_eq!(server.endpoint.stats().handshakes, 0);
}

#[tokio::test]
async fn a_flood_of_silent_handshakes_is_bounded_and_does_not_shut_out_the_honest() {
    let mut config = replica_config(0, &[]);
    config.limits.handshakes = 4;
    config.limits.retry_above = 100;
    let mut server = Node::bind(config, any_port());
    // Handshakes that complete TLS and then say nothing.
    let key = client_key(2);
    let mut silent = Vec::new();
    for _ in 0..12 {
        silent.push(Raw::new(&key).connect(server.address()).await.unwrap());
        assert!(server.endpoint.stats().handshakes <= 4);
    }
    assert_eq!(server.refused().await, Refusal::TooManyHandshakes);
    let mut client = Node::client(1, &[(0, server.address())]);
    client.up(Peer::Replica(ReplicaId(0))).await;
    let link = server.up(Peer::Client(client_key(1).client())).await;
    assert_serves(&mut server, link, &client).await;
}

#[tokio::test]
async fn newcomers_must_prove_their_address_when_many_handshakes_are_under_way() {
    let mut config = replica_config(0, &[]);
    config.limits.retry_above = 0;
    let mut server = Node::bind(config, any_port());
    // A spoofed first flight costs nothing: it is answered with a Retry and forgotten.
    let flight = first_flight().await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&flight, server.address()).await.unwrap();
    let mut answer = vec![0; 2000];
    let len = socket.recv(&mut answer).await.unwrap();
    assert!(len < flight.len());
    assert_eq!(answer[0] & 0xf0, 0xf0, "a Retry packet (RFC 9000 §17.2.5)");
    assert_eq!(server.endpoint.stats().handshakes, 0);
    // A real dialer follows the Retry.
    let mut client = Node::client(1, &[(0, server.address())]);
    client.up(Peer::Replica(ReplicaId(0))).await;
    server.up(Peer::Client(client_key(1).client())).await;
}

#[tokio::test]
async fn datagrams_that_are_not_quic_are_ignored() {
    let (mut server, link, client, _) = pair().await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut noise = vec![0_u8; 1400];
    for round in 0..200_u32 {
        for (index, byte) in noise.iter_mut().enumerate() {
            // Any pattern will do as long as the first byte takes all values.
            *byte = u8::try_from((round * 31 + u32::try_from(index).unwrap() * 7) % 256).unwrap();
        }
        let len = 1 + usize::try_from(round * 7).unwrap() % 1400;
        socket
            .send_to(&noise[..len], server.address())
            .await
            .unwrap();
    }
    assert_serves(&mut server, link, &client).await;
}

#[tokio::test]
async fn only_one_stream_is_allowed() {
    let mut server = Node::replica(0, &[]);
    let key = client_key(2);
    let (_endpoint, connection) = Raw::new(&key).connect(server.address()).await.unwrap();
    let (mut send, mut recv) = greet(&connection).await;
    let link = server.up(Peer::Client(key.client())).await;
    let (mut bi, mut uni) = (pin!(connection.open_bi()), pin!(connection.open_uni()));
    assert!(now_or_never(bi.as_mut()).await.is_none());
    assert!(now_or_never(uni.as_mut()).await.is_none());
    assert!(connection.send_datagram(Bytes::from_static(b"x")).is_err());
    send.write_all(&framed(b"the one stream works"))
        .await
        .unwrap();
    assert_eq!(server.frame(link).await, "the one stream works");
    // What comes back over the one stream comes after leave for another, had there been any.
    server
        .endpoint
        .send(link, Bytes::from_static(b"and back"))
        .unwrap();
    let mut back = [0; 12];
    recv.read_exact(&mut back).await.unwrap();
    assert_eq!(back[..], framed(b"and back"));
    assert!(now_or_never(bi).await.is_none());
    assert!(now_or_never(uni).await.is_none());
}

/// What `future` gives without waiting.
async fn now_or_never<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn links_are_bounded_per_key_and_in_total() {
    let mut config = replica_config(0, &[]);
    config.limits.links_per_client = 1;
    config.limits.client_links = 2;
    let mut server = Node::bind(config, any_port());
    let known = [(0, server.address())];
    let mut first = Node::client(1, &known);
    first.up(Peer::Replica(ReplicaId(0))).await;
    let mut same_key = Node::client(1, &known);
    let mut second = Node::client(2, &known);
    second.up(Peer::Replica(ReplicaId(0))).await;
    let mut third = Node::client(3, &known);
    for refused in [&mut same_key, &mut third] {
        assert!(matches!(
            refused.dial_failed(0).await,
            LinkError::Rejected {
                code: CloseCode::TooManyLinks,
                ..
            }
        ));
    }
    assert_eq!(server.endpoint.stats().client_links, 2);
    // A place that becomes free is taken.
    let link = server.up(Peer::Client(client_key(1).client())).await;
    first.endpoint.close("done").await;
    server.down(link).await;
    drop(same_key);
    third.up(Peer::Replica(ReplicaId(0))).await;
}

#[tokio::test]
async fn a_client_that_is_disconnected_is_told_why() {
    let (mut server, link, mut client, at_client) = pair().await;
    server.endpoint.disconnect(link, "three bad signatures");
    assert!(matches!(
        server.down(link).await,
        LinkError::LocallyClosed { reason } if reason == "three bad signatures"
    ));
    assert!(matches!(
        client.down(at_client).await,
        LinkError::Rejected { code: CloseCode::Misbehaviour, reason } if reason == "three bad signatures"
    ));
}

#[tokio::test]
async fn of_a_disconnected_flood_only_what_is_in_the_inbox_still_comes() {
    let mut server = Node::replica(0, &[]);
    let key = client_key(2);
    let (_endpoint, connection) = Raw::new(&key).connect(server.address()).await.unwrap();
    let (mut send, _recv) = greet(&connection).await;
    let link = server.up(Peer::Client(key.client())).await;
    send.write_all(&framed(&[1; 60]).repeat(2000))
        .await
        .unwrap();
    let full = Limits::default().client.inbox_frames;
    until("the queue to be full", || {
        server.inbox.depth().frames == full
    })
    .await;
    server.endpoint.disconnect(link, "enough");
    let mut frames = 0;
    server
        .wait("end of the flood", |event| {
            frames += usize::from(matches!(event, Event::Frame { .. }));
            matches!(event, Event::Down { .. }).then_some(())
        })
        .await;
    assert_eq!(frames, full);
}

#[tokio::test]
async fn an_answer_that_is_no_welcome_is_the_replicas_fault() {
    // A replica with the right key that answers a hello with another frame.
    let key = crate::common::replica_key(0);
    let listener = crate::common::raw::listen(&key, &key);
    let address = listener.local_addr().unwrap();
    let mut client = Node::bind(client_config(1, &[(0, address)]), None);
    let connection = listener.accept().await.unwrap().await.unwrap();
    let (mut send, _recv) = connection.accept_bi().await.unwrap();
    send.write_all(&framed(b"hi")).await.unwrap();
    assert_eq!(
        client.dial_failed(0).await,
        LinkError::Violation(Violation::NotAWelcome)
    );
}
