//! The handshakes under way at an acceptor: how many, and which one has to give way.
//!
//! Strangers can make an acceptor work, so their number is bounded: at the bound the
//! handshake that has been under way the longest is given up. What a handshake does is not
//! known here.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::task::{AbortHandle, JoinHandle};

use crate::sync::lock;

/// The handshakes under way, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    tasks: BTreeMap<u64, Handshake>,
}

/// A handshake under way.
#[derive(Debug)]
struct Handshake {
    remote: SocketAddr,
    task: AbortHandle,
}

impl Handshakes {
    pub(crate) fn count(&self) -> usize {
        lock(&self.state).tasks.len()
    }

    /// Enters the handshake with `remote` that `spawn` starts; returns the address of the one
    /// that had to give way, if there were `bound` already.
    pub(crate) fn start(
        self: &Arc<Self>,
        bound: usize,
        remote: SocketAddr,
        spawn: impl FnOnce(Ticket) -> JoinHandle<()>,
    ) -> Option<SocketAddr> {
        // Held while the task is spawned, so that the task cannot end before it is entered.
        let mut state = lock(&self.state);
        let mut gave_way = None;
        if state.tasks.len() >= bound
            && let Some((_, oldest)) = state.tasks.pop_first()
        {
            oldest.task.abort();
            gave_way = Some(oldest.remote);
        }
        state.last += 1;
        let number = state.last;
        let task = spawn(Ticket {
            handshakes: self.clone(),
            number,
        });
        let task = task.abort_handle();
        state.tasks.insert(number, Handshake { remote, task });
        gave_way
    }
}

/// A handshake's place among those under way; given up when it is over.
#[derive(Debug)]
pub(crate) struct Ticket {
    handshakes: Arc<Handshakes>,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.handshakes.state).tasks.remove(&self.number);
    }
}
