//! Keeping a session alive while its client asks for nothing.
//!
//! A session ends when its time passes without a request of it, and with it go its ephemeral
//! tuples and its waits. So whoever was silent for a third of that time says that it is there.
//! It is the agreed time that counts: what is said here is only ever early.

use std::{sync::Weak, time::Duration};

use bezant_api::{Answer, Call};
use bytes::Bytes;
use tokio::time::Instant;
use tracing::debug;

use crate::inner::Inner;

/// Keeps the session of `inner` alive that lives for `ttl` without a request, until it is
/// over or its client is dropped.
pub(crate) async fn keep(inner: Weak<Inner>, ttl: Duration) {
    let pause = ttl / 3;
    loop {
        let silent = match inner.upgrade() {
            Some(inner) if !inner.session_lease.is_over() => inner.session_lease.idle(),
            _ => return,
        };
        if silent < pause {
            tokio::time::sleep(pause.saturating_sub(silent)).await;
            continue;
        }
        // The client may be dropped while this waits for the answer.
        let sent = Instant::now();
        let asked = match inner.upgrade() {
            Some(inner) => {
                let op = Bytes::from(Call::KeepAlive.encode());
                inner.session_lease.note_use();
                inner.network.try_submit(inner.name, op, Some(ttl))
            }
            None => return,
        };
        match asked {
            Ok(Ok(asked)) => {
                if let (Ok(Ok(accepted)), Some(inner)) = (asked.ended.await, inner.upgrade())
                    && let Ok(answer) = Answer::decode(&accepted.reply.result)
                {
                    inner.session_lease.hear(sent, &answer);
                }
            }
            // As many requests are under way as may be: these keep it alive.
            Ok(Err(full)) => debug!(%full, "keep-alive not sent"),
            Err(_) => return,
        }
    }
}
