//! How long a session lives, as far as its client can know.
//!
//! A session ends when its time passes without a request of it, and with it go its ephemeral
//! tuples and its waits. What is known here is when the client last used it and when the
//! service last answered; what keeps it from ending is in `keeping`.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bezant_api::{Answer, Refused};
use tokio::{sync::watch, time::Instant};

/// The lease of one session, as its client sees it.
#[derive(Debug)]
pub(crate) struct SessionLease {
    /// How long the session lives for certain after a request; without end without one.
    session_ttl: Option<Duration>,
    /// When the last request was sent.
    used: Mutex<Instant>,
    /// When the last request was sent that was answered.
    heard: watch::Sender<Instant>,
    over: watch::Sender<bool>,
}

impl SessionLease {
    pub(crate) fn new(session_ttl: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            session_ttl,
            used: Mutex::new(now),
            heard: watch::Sender::new(now),
            over: watch::Sender::new(false),
        }
    }

    /// A request is sent.
    pub(crate) fn note_use(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long no request was sent.
    pub(crate) fn idle(&self) -> Duration {
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
        self.session_ttl.and_then(|time| heard.checked_add(time))
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
