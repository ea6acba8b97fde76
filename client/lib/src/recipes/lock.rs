//! Locks: exclusive, shared, and for so many at a time.

use std::time::Duration;

use bezant_tuple::Value;
use bezant_tuplespace::Lease;

use super::{
    guard::Guard,
    line::{Claimant, Line, Verdict, after_the_last},
};
use crate::{client::Client, error::Error};

const READ: &str = "read";
const WRITE: &str = "write";

/// Waits no longer than `time` for a guard. Given up, it leaves its line.
async fn within(
    time: Duration,
    guard: impl Future<Output = Result<Guard, Error>>,
) -> Result<Option<Guard>, Error> {
    match tokio::time::timeout(time, guard).await {
        Ok(guard) => guard.map(Some),
        Err(_) => Ok(None),
    }
}

/// A lock: one holder at a time, in the order in which they came.
///
/// ```no_run
/// use bezant_client::{Client, recipes::Lock};
/// # async fn example(client: Client) -> Result<(), bezant_client::Error> {
/// let lock = Lock::new(&client, "locks", "printer")?;
/// let guard = lock.acquire().await?;
/// println!("print, and say that it is number {}", guard.fence());
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Lock {
    line: Line,
}

impl Lock {
    /// The lock `name` in `space`.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn new(client: &Client, space: &str, name: &str) -> Result<Self, Error> {
        let line = Line::new(client, space, "lock", name)?;
        Ok(Self { line })
    }

    /// Waits for the lock. Dropped, it no longer waits.
    ///
    /// # Errors
    /// [`Error`], [`Error::PlaceTaken`] among them.
    pub async fn acquire(&self) -> Result<Guard, Error> {
        let me = Value::from(self.line.client().id().to_string());
        self.line.hold(me, after_the_last).await
    }

    /// Waits for the lock no longer than `time`.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub async fn acquire_within(&self, time: Duration) -> Result<Option<Guard>, Error> {
        within(time, self.acquire()).await
    }

    /// Takes the lock if nobody holds it or waits for it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn try_acquire(&self) -> Result<Option<Guard>, Error> {
        let me = Value::from(self.line.client().id().to_string());
        self.line.try_hold(me, 1, Lease::Session).await
    }
}

/// A lock for many readers or one writer, in the order in which they came: a reader does not
/// overtake a writer that waits, so that nobody waits for ever.
#[derive(Clone, Debug)]
pub struct RwLock {
    line: Line,
}

impl RwLock {
    /// The lock `name` in `space`.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn new(client: &Client, space: &str, name: &str) -> Result<Self, Error> {
        let line = Line::new(client, space, "rwlock", name)?;
        Ok(Self { line })
    }

    /// Waits until no writer stands before it. Dropped, it no longer waits.
    ///
    /// # Errors
    /// [`Error`], [`Error::PlaceTaken`] among them.
    pub async fn read(&self) -> Result<Guard, Error> {
        let after_the_last_writer = |before: &[Claimant]| {
            let mut writers = before.iter().rev();
            let last = writers.find(|claimants| claimants.what() != Some(&Value::from(READ)));
            last.map_or(Verdict::Holds, |writer| {
                Verdict::After(writer.tuple.clone())
            })
        };
        self.line
            .hold(Value::from(READ), after_the_last_writer)
            .await
    }

    /// Waits until nobody stands before it. Dropped, it no longer waits.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn write(&self) -> Result<Guard, Error> {
        self.line.hold(Value::from(WRITE), after_the_last).await
    }

    /// As [`Self::read`], for no longer than `time`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_within(&self, time: Duration) -> Result<Option<Guard>, Error> {
        within(time, self.read()).await
    }

    /// As [`Self::write`], for no longer than `time`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn write_within(&self, time: Duration) -> Result<Option<Guard>, Error> {
        within(time, self.write()).await
    }
}

/// A lock for so many holders at a time, in the order in which they came. Whoever waits for
/// one hears of everybody who comes and goes, so that many who wait make much work.
#[derive(Clone, Debug)]
pub struct Semaphore {
    line: Line,
    permits: usize,
}

impl Semaphore {
    /// The semaphore `name` in `space`, of which `permits` may be held at a time; all who use
    /// it name the same number. With none nobody ever holds one.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn new(client: &Client, space: &str, name: &str, permits: usize) -> Result<Self, Error> {
        let line = Line::new(client, space, "semaphore", name)?;
        Ok(Self { line, permits })
    }

    /// Waits for a permit. Dropped, it no longer waits.
    ///
    /// # Errors
    /// [`Error`], [`Error::PlaceTaken`] among them.
    pub async fn acquire(&self) -> Result<Guard, Error> {
        let permits = self.permits;
        let enough_gone = move |before: &[Claimant]| match (before.len() + 1).checked_sub(permits) {
            None | Some(0) => Verdict::Holds,
            Some(too_many) => Verdict::AfterAny(too_many),
        };
        let me = Value::from(self.line.client().id().to_string());
        self.line.hold(me, enough_gone).await
    }

    /// Waits for a permit no longer than `time`.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub async fn acquire_within(&self, time: Duration) -> Result<Option<Guard>, Error> {
        within(time, self.acquire()).await
    }

    /// Takes a permit if one is free that nobody waits for.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn try_acquire(&self) -> Result<Option<Guard>, Error> {
        let me = Value::from(self.line.client().id().to_string());
        let most = u64::try_from(self.permits).unwrap_or(u64::MAX);
        self.line.try_hold(me, most, Lease::Session).await
    }
}
