//! The acceptor's side: handshakes under way, hellos, refusals.
//!
//! Strangers can make an acceptor work, so their number is bounded. Above one
//! mark a newcomer must first prove that its address is real (QUIC Retry, which
//! costs us nothing to remember); at the bound the handshake that has been
//! under way the longest gives way. Honest handshakes take a few milliseconds,
//! so a flood of silent ones pushes out its own kind.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use quinn::{Connection, Incoming, SendStream, VarInt};
use tokio::{
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use crate::{
    config::Event,
    error::{LinkError, Refusal},
    fabric::Shared,
    hello::{self, Welcome},
    limits::{HEADER_BYTES, MAX_HELLO_BYTES},
    link::{self, FrameReader},
    links::{Seat, cut},
    sync::lock,
    tls,
};

/// The handshakes under way, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    state: Mutex<PendingState>,
}

#[derive(Debug, Default)]
struct PendingState {
    last: u64,
    tasks: BTreeMap<u64, (SocketAddr, AbortHandle)>,
}

impl Pending {
    pub(crate) fn count(&self) -> usize {
        lock(&self.state).tasks.len()
    }

    /// Starts a handshake; returns the address of the one that had to give way, if any.
    fn start(&self, shared: &Arc<Shared>, incoming: Incoming) -> Option<SocketAddr> {
        let remote = incoming.remote_address();
        // Held while the task is spawned, so that the task cannot end before it is entered.
        let mut state = lock(&self.state);
        let mut gave_way = None;
        if state.tasks.len() >= shared.config.limits.handshakes
            && let Some((_, (remote, task))) = state.tasks.pop_first()
        {
            task.abort();
            gave_way = Some(remote);
        }
        state.last += 1;
        let ticket = Ticket {
            shared: shared.clone(),
            number: state.last,
        };
        let task = tokio::spawn(handshake(ticket, incoming));
        let number = state.last;
        state.tasks.insert(number, (remote, task.abort_handle()));
        gave_way
    }
}

/// A handshake's place among those under way; given up when it is over.
struct Ticket {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.shared.pending.state).tasks.remove(&self.number);
    }
}

/// Takes newcomers until the endpoint closes.
pub(crate) async fn accept(shared: Arc<Shared>) {
    while let Some(incoming) = shared.endpoint.accept().await {
        if shared.is_closing() {
            incoming.refuse();
            continue;
        }
        let crowded = shared.pending.count() >= shared.config.limits.retry_above;
        if crowded && !incoming.remote_address_validated() && incoming.may_retry() {
            if let Err(error) = incoming.retry() {
                tracing::debug!(%error, "a newcomer could not be asked to retry");
            }
            continue;
        }
        if let Some(remote) = shared.pending.start(&shared, incoming) {
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
async fn handshake(ticket: Ticket, incoming: Incoming) {
    let shared = ticket.shared.clone();
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
        Ok((seat, stream, reader)) => {
            drop(ticket);
            link::run(seat, stream, reader, shared.config.limits.linger).await;
        }
        Err(reason) => {
            let code = VarInt::from_u32(reason.code().number());
            connection.close(code, cut(&reason.to_string()));
            refused(&shared, remote, reason);
        }
    }
}

/// Reads the hello, decides, and answers with a welcome.
async fn admit(
    shared: &Arc<Shared>,
    connection: &Connection,
) -> Result<(Seat, SendStream, FrameReader), Refusal> {
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
    Ok((seat, stream, reader))
}

/// Writes an opening frame.
pub(crate) async fn write_opening(
    stream: &mut SendStream,
    frame: &[u8],
) -> Result<(), quinn::WriteError> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + frame.len());
    bytes.extend_from_slice(&crate::frame::header(frame.len()));
    bytes.extend_from_slice(frame);
    stream.write_all(&bytes).await
}
