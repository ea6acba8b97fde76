//! Leader election: one leader at a time, and everybody can see who.

use std::{sync::Arc, time::Duration};

use bezant_tuple::{Tuple, Value};
use bezant_tuplespace::Lease;
use tokio::{sync::watch, task::AbortHandle, time::Instant};
use tracing::debug;

use super::{
    gone::wait_until_gone,
    guard::Guard,
    line::{Claimant, Line, Seen, after_the_last},
};
use crate::{client::Client, error::Error};

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The fence of its guard: higher for later leaders.
    pub fence: u64,
    /// What it says of itself.
    pub data: Value,
}

impl Leader {
    fn of(claimants: &Claimant) -> Self {
        Self {
            fence: claimants.id.0,
            data: claimants.what().cloned().unwrap_or(Value::Nil),
        }
    }
}

/// An election in which candidates lead in the order in which they came, each until it steps
/// down or its session is over.
///
/// ```no_run
/// use bezant_client::{Client, recipes::Election};
/// # async fn example(client: Client) -> Result<(), bezant_client::Error> {
/// let election = Election::new(&client, "elections", "scheduler")?;
/// let term = election.campaign("10.0.0.7:9000").await?;
/// tokio::select! {
///     () = term.lost() => {}
///     () = async { /* lead, and put term.fence() on all that is written */ } => {}
/// }
/// term.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Election {
    line: Line,
}

impl Election {
    /// The election `name` in `space`.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn new(client: &Client, space: &str, name: &str) -> Result<Self, Error> {
        let line = Line::new(client, space, "candidate", name)?;
        Ok(Self { line })
    }

    /// Stands for election and waits until it leads; `data` tells the others who that is.
    /// Dropped, it no longer stands.
    ///
    /// # Errors
    /// [`Error`], [`Error::PlaceTaken`] among them.
    pub async fn campaign(&self, data: impl Into<Value>) -> Result<Guard, Error> {
        self.line.hold(data.into(), after_the_last).await
    }

    /// Who leads, if anybody does.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn leader(&self) -> Result<Option<Leader>, Error> {
        let claimants = self.line.claimants().await?.claimants;
        Ok(claimants.first().map(Leader::of))
    }

    /// Waits until the leader with this fence leads no more, and says who does then.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn leader_after(&self, fence: u64) -> Result<Option<Leader>, Error> {
        loop {
            let Seen { claimants, newest } = self.line.claimants().await?;
            let same = claimants.first().filter(|first| first.id.0 == fence);
            let Some(first) = same else {
                return Ok(claimants.first().map(Leader::of));
            };
            let goes = first.goes(newest);
            wait_until_gone(self.line.client(), self.line.space(), goes).await?;
        }
    }
}

/// The paper's conventional election (EuroSys 2015): try to put a leased tuple where there is
/// none, renew it while leading, and watch for it to go otherwise. Whoever is fastest then
/// leads next, so all candidates wake up for each change.
#[derive(Clone, Debug)]
pub struct LeasedElection {
    line: Line,
    lease: Duration,
}

/// Leading on a lease, which is renewed after a third of its time while this is there.
#[derive(Debug)]
#[must_use = "dropped, it steps down"]
pub struct Term {
    guard: Guard,
    certain_until: Arc<watch::Sender<Option<Instant>>>,
    renewal: AbortHandle,
}

impl LeasedElection {
    /// The election `name` in `space`, led for `lease` at a time.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn new(client: &Client, space: &str, name: &str, lease: Duration) -> Result<Self, Error> {
        let line = Line::new(client, space, "leader", name)?;
        Ok(Self { line, lease })
    }

    /// Waits until it leads; `data` tells the others who that is.
    ///
    /// # Errors
    /// [`Error`]; a lease is between a millisecond and a year.
    pub async fn campaign(&self, data: impl Into<Value>) -> Result<Term, Error> {
        let (data, lease) = (data.into(), Lease::Ms(crate::client::ms(self.lease)));
        loop {
            let sent = Instant::now();
            if let Some(guard) = self.line.try_hold(data.clone(), 1, lease).await? {
                return Ok(self.term(guard, sent));
            }
            let Seen { claimants, newest } = self.line.claimants().await?;
            if let Some(leader) = claimants.first() {
                let goes = leader.goes(newest);
                wait_until_gone(self.line.client(), self.line.space(), goes).await?;
            }
        }
    }

    /// Who leads, if anybody does.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn leader(&self) -> Result<Option<Leader>, Error> {
        let claimants = self.line.claimants().await?.claimants;
        Ok(claimants.first().map(Leader::of))
    }

    fn term(&self, guard: Guard, sent: Instant) -> Term {
        let certain_until = Arc::new(watch::Sender::new(self.certain_from(sent)));
        let renewing = self.clone().renew(
            guard.tuple().clone(),
            Arc::clone(&certain_until),
            guard.client().clone(),
        );
        Term {
            guard,
            certain_until,
            renewal: tokio::spawn(renewing).abort_handle(),
        }
    }

    /// As of a session: a tenth of the time is left for clocks.
    fn certain_from(&self, sent: Instant) -> Option<Instant> {
        sent.checked_add(self.lease.saturating_sub(self.lease / 10))
    }

    /// Renews until the tuple is there no more.
    async fn renew(
        self,
        own: Tuple,
        certain_until: Arc<watch::Sender<Option<Instant>>>,
        client: Client,
    ) {
        let space = self.line.space().as_str();
        loop {
            tokio::time::sleep(self.lease / 3).await;
            let sent = Instant::now();
            match client.renew(space, own.clone().into(), self.lease).await {
                Ok(renewed) if renewed.value.is_some() => {
                    certain_until.send_replace(self.certain_from(sent));
                }
                Ok(_) => {
                    certain_until.send_replace(None);
                    return;
                }
                Err(error) if error.is_retryable() => debug!(%error, "lease not renewed; retrying"),
                Err(_) => return,
            }
        }
    }
}

impl Term {
    /// Higher for later leaders; see [`Guard::fence`].
    #[must_use]
    pub const fn fence(&self) -> u64 {
        self.guard.fence()
    }

    /// Returns when this client can no longer be certain that it leads.
    pub async fn lost(&self) {
        let mut certain = self.certain_until.subscribe();
        loop {
            let until = *certain.borrow_and_update();
            let Some(until) = until.filter(|until| *until > Instant::now()) else {
                return;
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => {}
                _ = certain.changed() => {}
            }
        }
    }

    /// Steps down, and says whether it led until now.
    ///
    /// # Errors
    /// [`Error`]; then the lease ends by itself.
    pub async fn release(mut self) -> Result<bool, Error> {
        self.renewal.abort();
        self.guard.withdraw().await
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}
