//! Who may link with whom, and what each side is told when it may not.

use crate::common::{
    CLUSTER, EPOCH, Node, any_port, client_config, client_key, pair,
    raw::{Raw, closed_with, framed, hello},
    replica_config, replica_key, replicas,
};
use bezant_bft::ids::{ClusterId, Epoch, ReplicaId};
use bezant_quic::{CloseCode, Config, LinkError, Peer, Refusal, Role};
use bytes::Bytes;

#[tokio::test]
async fn both_ends_know_who_the_other_is_and_frames_flow_both_ways() {
    let (mut server, at_server, mut client, at_client) = pair().await;
    client
        .endpoint
        .send(at_client, Bytes::from_static(b"question"))
        .unwrap();
    assert_eq!(server.frame(at_server).await, "question");
    server
        .endpoint
        .send(at_server, Bytes::from_static(b"answer"))
        .unwrap();
    assert_eq!(client.frame(at_client).await, "answer");
    client
        .endpoint
        .send_replica(ReplicaId(0), Bytes::from_static(b"thanks"))
        .unwrap();
    assert_eq!(server.frame(at_server).await, "thanks");
}

#[tokio::test]
async fn replicas_link_once_per_pair() {
    let mut first = Node::replica(0, &[]);
    let mut second = Node::replica(1, &[(0, first.address())]);
    let mut third = Node::replica(2, &[(0, first.address()), (1, second.address())]);
    for (node, others) in [
        (&mut first, [1, 2]),
        (&mut second, [0, 2]),
        (&mut third, [0, 1]),
    ] {
        for other in others {
            let peer = Peer::Replica(ReplicaId(other));
            let link = node.up(peer).await;
            assert_eq!(node.endpoint.link_of(ReplicaId(other)), Some(link));
        }
        assert_eq!(node.endpoint.stats().replica_links, 2);
    }
}

#[tokio::test]
async fn a_wrong_key_behind_an_address_is_refused_by_the_dialer() {
    let server = Node::replica(0, &[]);
    // The client believes that replica 1 listens there.
    let mut client = Node::client(1, &[(1, server.address())]);
    assert_eq!(
        client.dial_failed(1).await,
        LinkError::WrongKey {
            expected: replica_key(1).public(),
            presented: Some(replica_key(0).public()),
        }
    );
}

#[tokio::test]
async fn another_cluster_is_refused_with_a_typed_reason() {
    let mut server = Node::replica(0, &[]);
    let mut config = client_config(1, &[(0, server.address())]);
    config.cluster = ClusterId([1; 32]);
    let mut client = Node::bind(config, None);
    match client.dial_failed(0).await {
        LinkError::Rejected {
            code: CloseCode::WrongCluster,
            reason,
        } => assert!(reason.contains("cluster file"), "{reason}"),
        other => panic!("{other}"),
    }
    assert_eq!(
        server.refused().await,
        Refusal::WrongCluster {
            theirs: ClusterId([1; 32]),
            ours: CLUSTER
        }
    );
}

#[tokio::test]
async fn another_epoch_is_refused_with_a_typed_reason() {
    let mut server = Node::replica(0, &[]);
    let mut config = client_config(1, &[(0, server.address())]);
    config.epoch = Epoch(2);
    let mut client = Node::bind(config, None);
    assert!(matches!(
        client.dial_failed(0).await,
        LinkError::Rejected {
            code: CloseCode::WrongEpoch,
            ..
        }
    ));
    assert!(matches!(
        server.refused().await,
        Refusal::WrongEpoch {
            theirs: Epoch(2),
            ..
        }
    ));
}

/// What a raw peer with `key` gets for the opening bytes `opening`, and what the acceptor reports.
async fn refused_opening(key: &bezant_bft::crypto::SigningKey, opening: &[u8]) -> (u64, Refusal) {
    let mut server = Node::replica(1, &[]);
    let (_endpoint, connection) = Raw::new(key).connect(server.address()).await.unwrap();
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(opening).await.unwrap();
    let (code, _) = closed_with(&connection).await;
    (code, server.refused().await)
}

#[tokio::test]
async fn another_version_is_refused_even_if_the_rest_is_not_understood() {
    let mut opening = hello(2, CLUSTER, EPOCH, None);
    opening.truncate(10);
    let (code, refusal) = refused_opening(&client_key(1), &framed(&opening)).await;
    assert_eq!(code, u64::from(CloseCode::WrongVersion.number()));
    assert_eq!(refusal, Refusal::WrongVersion { theirs: 2, ours: 1 });
}

#[tokio::test]
async fn a_stranger_that_claims_to_be_a_replica_is_refused() {
    let opening = framed(&hello(1, CLUSTER, EPOCH, Some(2)));
    let (code, refusal) = refused_opening(&client_key(1), &opening).await;
    assert_eq!(code, u64::from(CloseCode::UnknownReplica.number()));
    assert_eq!(
        refusal,
        Refusal::UnknownReplica {
            claimed: ReplicaId(2),
            key: client_key(1).public()
        }
    );
}

#[tokio::test]
async fn a_replica_cannot_pass_for_another_one() {
    let opening = framed(&hello(1, CLUSTER, EPOCH, Some(2)));
    let (code, _) = refused_opening(&replica_key(3), &opening).await;
    assert_eq!(code, u64::from(CloseCode::UnknownReplica.number()));
}

#[tokio::test]
async fn a_replicas_key_cannot_come_as_a_client_nor_dial_upwards_nor_be_our_own() {
    for (key, claim) in [(2, None), (0, Some(0)), (1, Some(1))] {
        let opening = framed(&hello(1, CLUSTER, EPOCH, claim));
        let (code, refusal) = refused_opening(&replica_key(key), &opening).await;
        assert_eq!(code, u64::from(CloseCode::RoleMismatch.number()));
        assert!(matches!(refusal, Refusal::RoleMismatch(_)), "{refusal}");
    }
}

#[tokio::test]
async fn showing_a_key_without_owning_it_fails_in_the_handshake() {
    let mut server = Node::replica(0, &[]);
    let victim = client_key(1);
    let thief = client_key(2);
    let mut raw = Raw::new(&victim);
    raw.signer = &thief;
    // The dialer's side of TLS 1.3 ends before the acceptor has checked it, so it may connect
    // first and be closed afterwards.
    if let Ok((_endpoint, connection)) = raw.connect(server.address()).await {
        connection.closed().await;
    }
    let refusal = server.refused().await;
    assert!(matches!(refusal, Refusal::Handshake(_)), "{refusal}");
    assert_eq!(server.endpoint.stats().client_links, 0);
}

#[tokio::test]
async fn a_replica_that_shows_the_pinned_key_without_owning_it_is_refused_by_the_dialer() {
    let listener = crate::common::raw::listen(&replica_key(0), &client_key(7));
    let mut client = Node::client(1, &[(0, listener.local_addr().unwrap())]);
    let incoming = listener.accept().await.unwrap();
    let impostor = tokio::spawn(async move { incoming.await });
    let reason = client.dial_failed(0).await;
    assert!(matches!(reason, LinkError::Transport(_)), "{reason}");
    assert!(impostor.await.unwrap().is_err());
}

#[tokio::test]
async fn coming_without_a_key_fails_in_the_handshake() {
    let mut server = Node::replica(0, &[]);
    let key = client_key(1);
    let mut raw = Raw::new(&key);
    raw.shown = None;
    if let Ok((_endpoint, connection)) = raw.connect(server.address()).await {
        connection.closed().await;
    }
    let refusal = server.refused().await;
    assert!(matches!(refusal, Refusal::Handshake(_)), "{refusal}");
}

#[tokio::test]
async fn another_application_protocol_is_refused_in_the_handshake() {
    let mut server = Node::replica(0, &[]);
    let key = client_key(1);
    let mut raw = Raw::new(&key);
    raw.alpn = b"h3";
    assert!(raw.connect(server.address()).await.is_err());
    let refusal = server.refused().await;
    assert!(matches!(refusal, Refusal::Handshake(_)), "{refusal}");
}

#[tokio::test]
async fn a_configuration_that_contradicts_itself_does_not_bind() {
    let stranger = Config::new(
        client_key(1),
        CLUSTER,
        EPOCH,
        Role::Replica(ReplicaId(0)),
        replicas(&[]),
    );
    let as_client = Config::new(replica_key(1), CLUSTER, EPOCH, Role::Client, replicas(&[]));
    let mut twice = replica_config(0, &[]);
    twice.replicas[2].key = twice.replicas[1].key;
    for config in [stranger, as_client, twice] {
        let error = bezant_quic::Endpoint::bind(config, any_port()).unwrap_err();
        assert!(
            matches!(error, bezant_quic::BindError::Config(_)),
            "{error}"
        );
    }
    let error = bezant_quic::Endpoint::bind(replica_config(0, &[]), None).unwrap_err();
    assert!(
        matches!(error, bezant_quic::BindError::Config(_)),
        "{error}"
    );
}

#[test]
fn binding_outside_a_runtime_is_a_typed_error() {
    let error = bezant_quic::Endpoint::bind(replica_config(0, &[]), any_port()).unwrap_err();
    assert!(matches!(error, bezant_quic::BindError::NoRuntime));
}

#[tokio::test]
async fn a_port_in_use_is_a_typed_error_that_names_it() {
    let taken = Node::replica(0, &[]);
    let error =
        bezant_quic::Endpoint::bind(replica_config(1, &[]), Some(taken.address())).unwrap_err();
    assert!(
        matches!(error, bezant_quic::BindError::AddressInUse { address } if address == taken.address())
    );
    assert!(error.to_string().contains("listen"), "{error}");
}
