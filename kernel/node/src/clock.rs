//! The node's two clocks. The only place that reads them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bezant_bft::ids::{self, Clock, OrderedTime};

/// Tells the time to the pure core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    start: Instant,
}

impl Clocks {
    /// Clocks whose monotonic one begins now.
    #[must_use]
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// The time now.
    #[must_use]
    pub(crate) fn now(&self) -> Clock {
        let elapsed = self.start.elapsed().as_micros();
        // A machine whose clock stands before 1970 proposes the beginning of time
        // and is put right by the others' clocks.
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Clock {
            monotonic: ids::Instant(u64::try_from(elapsed).unwrap_or(u64::MAX)),
            wall: OrderedTime(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// The operating system's instant that is `instant` of the core.
    #[must_use]
    pub(crate) fn at(&self, instant: ids::Instant) -> Instant {
        self.start + Duration::from_micros(instant.0)
    }
}
