//! The processor time that processes used, and how an attacker is held to a share of it.
//!
//! Attackers and those they attack share a machine here, which they would not elsewhere. So
//! that an attack is measured and not the lack of processors, an attacker looks at its own
//! processor time and does nothing while it has used more than its share.

use std::time::{Duration, Instant};

/// Milliseconds of a tick of `/proc`: `USER_HZ` is 100 wherever Linux runs today (`proc(5)`).
const TICK_MS: u64 = 10;

/// How often an attacker looks at its processor time.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The processor time that a process used since it began, in steps of 10 ms; of this process if
/// none is named. Nothing where the system does not tell (`/proc`, as on Linux).
#[must_use]
pub fn used(process: Option<u32>) -> Option<Duration> {
    let name = process.map_or_else(|| "self".to_owned(), |process| process.to_string());
    let stat = std::fs::read_to_string(format!("/proc/{name}/stat")).ok()?;
    ticks(&stat).map(|ticks| Duration::from_millis(ticks * TICK_MS))
}

/// User and system time in a line of `/proc/PID/stat`: its 14th and 15th field. The second, the
/// name, may have blanks and brackets in it.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The share of one processor, in percent, that `used` in `time` is.
#[must_use]
pub fn percent(used: Duration, time: Duration) -> f64 {
    100.0 * used.as_secs_f64() / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// Holds this process to a share of one processor, from when it is made.
#[derive(Debug)]
pub struct Share {
    percent: u8,
    begun: Instant,
    used_before: Option<Duration>,
    looked: Option<Instant>,
    has_left: bool,
}

impl Share {
    /// `percent` of one processor.
    #[must_use]
    pub fn new(percent: u8) -> Self {
        Self {
            percent,
            begun: Instant::now(),
            used_before: used(None),
            looked: None,
            has_left: true,
        }
    }

    /// Whether the process has used less than its share until `now`; always where the system
    /// does not tell.
    pub fn has_left(&mut self, now: Instant) -> bool {
        let looked_lately = self
            .looked
            .is_some_and(|at| now.saturating_duration_since(at) < LOOK_EVERY);
        if !looked_lately {
            self.looked = Some(now);
            self.has_left = match (used(None), self.used_before) {
                (Some(used), Some(before)) => {
                    let time = now.saturating_duration_since(self.begun);
                    used.saturating_sub(before) < self.allowed(time)
                }
                _ => true,
            };
        }
        self.has_left
    }

    fn allowed(&self, time: Duration) -> Duration {
        time * u32::from(self.percent) / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_stand_behind_a_name_that_may_be_anything() {
        let line = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 70 30 1 1";
        assert_eq!(ticks(line), Some(100));
        assert_eq!(ticks("12 (a) S 1"), None);
        assert_eq!(ticks(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_used_its_share_has_nothing_left() {
        let mut share = Share::new(1);
        // Other tests of this process may help.
        let before = used(None).unwrap();
        while used(None).unwrap() - before < Duration::from_millis(50) {
            std::hint::black_box(0_u64);
        }
        let begun = share.begun;
        assert!(!share.has_left(begun + Duration::from_secs(4)));
        // What was found holds for a moment; later there is something left again.
        assert!(!share.has_left(begun + Duration::from_millis(4_001)));
        assert!(share.has_left(begun + Duration::from_secs(4_000)));
    }
}
