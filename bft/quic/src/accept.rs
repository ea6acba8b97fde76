//! Accepts links: bounds handshakes, reads hellos, refuses strangers.
//!
//! Strangers can make an acceptor work, so their number is bounded. Above one
//! mark a newcomer must first prove that its address is real (QUIC Retry, which
//! costs us nothing to remember); at the bound the handshake that has been
//! under way the longest gives way (`handshakes`). Honest handshakes take a few
//! milliseconds, so a flood of silent ones pushes out its own kind.

use std::{net::SocketAddr, sync::Arc};

use quinn::{Connection, Incoming, VarInt};
use tokio::time::{Instant, timeout_at};

use crate::{
    config::Event,
    error::{LinkError, Refusal},
    handshakes::Ticket,
    hello::{self, Welcome},
    limits::MAX_HELLO_BYTES,
    link::{FrameReader, OpenLink, write_opening},
    links::cut,
    seat::Seat,
    shared::Shared,
    tls,
};

/// Takes newcomers until the endpoint closes.
pub(crate) async fn accept(shared: Arc<Shared>) {
    while let Some(incoming) = shared.endpoint.accept().await {
        if shared.is_closing() {
            incoming.refuse();
            continue;
        }
        let crowded = shared.handshakes.count() >= shared.config.limits.retry_above;
        if crowded && !incoming.remote_address_validated() && incoming.may_retry() {
            if let Err(error) = incoming.retry() {
                tracing::debug!(%error, "QUIC retry not sent");
            }
            continue;
        }
        let (bound, remote) = (shared.config.limits.handshakes, incoming.remote_address());
        let spawn = |ticket| tokio::spawn(handshake(shared.clone(), ticket, incoming));
        if let Some(remote) = shared.handshakes.start(bound, remote, spawn) {
            refused(&shared, remote, Refusal::TooManyHandshakes);
        }
    }
}

fn refused(shared: &Shared, remote: SocketAddr, reason: Refusal) {
    tracing::debug!(%remote, %reason, "refused");
    shared.counters.refused();
    shared.arrivals.notice(Event::Refused { remote, reason });
}

/// One newcomer's handshake, and then its link.
async fn handshake(shared: Arc<Shared>, ticket: Ticket, incoming: Incoming) {
    let remote = incoming.remote_address();
    let deadline = Instant::now() + shared.config.limits.handshake;
    let connection = match timeout_at(deadline, async { incoming.accept()?.await }).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            let reason = Refusal::Handshake(LinkError::from(error).to_string());
            return refused(&shared, remote, reason);
        }
        Err(_) => return refused(&shared, remote, Refusal::TimedOut),
    };
    let admitted = match timeout_at(deadline, admit(&shared, &connection)).await {
        Ok(result) => result,
        Err(_) => Err(Refusal::TimedOut),
    };
    match admitted {
        Ok(link) => {
            drop(ticket);
            link.run(shared.config.limits.linger).await;
        }
        Err(reason) => {
            let code = VarInt::from_u32(reason.code().number());
            connection.close(code, cut(&reason.to_string()));
            refused(&shared, remote, reason);
        }
    }
}

/// Reads the hello, decides, and answers with a welcome.
async fn admit(shared: &Arc<Shared>, connection: &Connection) -> Result<OpenLink, Refusal> {
    let key = tls::peer_key(connection)
        .ok_or_else(|| Refusal::Handshake("no Ed25519 key was presented".to_owned()))?;
    let (mut stream, incoming) = connection
        .accept_bi()
        .await
        .map_err(|error| Refusal::Handshake(LinkError::from(error).to_string()))?;
    let mut reader = FrameReader::new(incoming, MAX_HELLO_BYTES);
    let frame = reader
        .one()
        .await
        .map_err(|error| Refusal::Malformed(error.to_string()))?;
    let (peer, hello) = hello::judge(&shared.config, key, &frame)?;
    let limits = shared.link_limits(peer);
    reader.set_bound(limits.frame_bytes);
    connection.set_receive_window(VarInt::from_u32(limits.window_bytes));
    connection.set_send_window(u64::from(limits.window_bytes));
    let seat = Seat::take(shared, peer, connection.clone(), hello.frame_bytes)?;
    let welcome = hello::spell(&Welcome {
        frame_bytes: u32::try_from(limits.frame_bytes).unwrap_or(u32::MAX),
    });
    write_opening(&mut stream, &welcome)
        .await
        .map_err(|error| Refusal::Handshake(error.to_string()))?;
    Ok(OpenLink {
        seat,
        stream,
        reader,
    })
}
