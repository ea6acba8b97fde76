//! Keeping a session alive while its client asks for nothing.
//!
//! A session ends when its time passes without a request of it, and with it go its ephemeral
//! tuples and its waits. So whoever was silent for a third of that time says that it is there.
//! It is the agreed time that counts: what is said here is only ever early.

use std::{
    sync::{Mutex, PoisonError, Weak},
    time::Duration,
};

use bezant_api::{Answer, Call, Refused};
use bytes::Bytes;
use tokio::{sync::watch, time::Instant};
use tracing::debug;

use crate::client::Inner;

/// The life of one session, as its client sees it.
#[derive(Debug)]
pub(crate) struct Life {
    /// How long the session lives for certain after a request; without end without one.
    lives_for: Option<Duration>,
    /// When the last request was sent.
    used: Mutex<Instant>,
    /// When the last request was sent that was answered.
    heard: watch::Sender<Instant>,
    over: watch::Sender<bool>,
}

impl Life {
    pub(crate) fn new(lives_for: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            lives_for,
            used: Mutex::new(now),
            heard: watch::Sender::new(now),
            over: watch::Sender::new(false),
        }
    }

    /// A request is sent.
    pub(crate) fn note_use(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle(&self) -> Duration {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.elapsed()
    }

    /// The service was heard to say something in answer to a request sent then.
    pub(crate) fn hear(&self, sent: Instant, answer: &Answer) {
        if matches!(answer, Answer::Refused(Refused::NoSession) | Answer::Closed) {
            self.over.send_replace(true);
            return;
        }
        if matches!(answer, Answer::Refused(Refused::WindowExceeded)) {
            // Its turn never came: it kept nothing alive.
            return;
        }
        self.heard.send_if_modified(|heard| {
            let newer = sent > *heard;
            *heard = sent.max(*heard);
            newer
        });
    }

    /// Until when the session lives for certain; see [`crate::Client::certain_until`].
    pub(crate) fn certain_until(&self) -> Option<Instant> {
        let heard = *self.heard.borrow();
        self.lives_for.and_then(|time| heard.checked_add(time))
    }

    /// Returns once [`Self::certain_until`] has passed, or the session is over.
    pub(crate) async fn uncertain(&self) {
        let passed = async {
            loop {
                match self.certain_until() {
                    Some(until) if until <= Instant::now() => return,
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            biased;
            () = passed => {}
            () = self.over() => {}
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Returns once the session is known to be over.
    pub(crate) async fn over(&self) {
        let mut over = self.over.subscribe();
        // The sender is here: it cannot be gone.
        let _gone = over.wait_for(|over| *over).await;
    }
}

/// Keeps the session of `inner` alive that lives for `ttl` without a request, until it is
/// over or its client is dropped.
pub(crate) async fn keep(inner: Weak<Inner>, ttl: Duration) {
    let pause = ttl / 3;
    loop {
        let silent = match inner.upgrade() {
            Some(inner) if !inner.life.is_over() => inner.life.idle(),
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
                inner.life.note_use();
                inner.network.try_submit(inner.name, op, Some(ttl))
            }
            None => return,
        };
        match asked {
            Ok(Ok((_, ended))) => {
                if let (Ok(Ok(accepted)), Some(inner)) = (ended.await, inner.upgrade())
                    && let Ok(answer) = Answer::decode(&accepted.reply.result)
                {
                    inner.life.hear(sent, &answer);
                }
            }
            // As many requests are under way as may be: these keep it alive.
            Ok(Err(full)) => debug!(%full, "a session was not kept alive by itself"),
            Err(_) => return,
        }
    }
}
