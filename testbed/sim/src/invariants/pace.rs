//! Agreed time passes no faster than time, but for the slack: whatever clocks show, and
//! however often a faulty primary proposes the farthest time that is granted.

use super::{Common, Fact, Invariant, Pace};
use crate::machine::DAWN_MS;

/// The first second of agreed time: until then replicas that executed nothing have the time
/// of day alone.
const BEGINNING_US: u64 = 1_000_000;

/// How agreed time began.
#[derive(Debug, Default)]
pub(super) struct AgreedTime {
    began_us: Option<u64>,
    /// How far it was ahead of the true one, at most.
    ahead_ms: i64,
}

impl Invariant for AgreedTime {
    fn name(&self) -> &'static str {
        "agreed-time"
    }

    fn observe(&mut self, fact: &Fact<'_>, common: &mut Common) -> Result<(), String> {
        let Fact::Executed {
            by,
            seq_no,
            service,
            ..
        } = fact
        else {
            return Ok(());
        };
        let true_ms = DAWN_MS + common.now_us / 1000;
        let agreed_ms = i64::try_from(service.time().0).unwrap_or(i64::MAX);
        let off_ms = agreed_ms.saturating_sub_unsigned(true_ms);
        // What a view change put at the first numbers has no time.
        if agreed_ms == 0 {
            return Ok(());
        }
        let began_us = *self.began_us.get_or_insert(common.now_us);
        if common.now_us < began_us + BEGINNING_US {
            self.ahead_ms = self.ahead_ms.max(off_ms);
            return Ok(());
        }
        let Some(Pace { slack_ms, permille }) = common.pace else {
            return Ok(());
        };
        let ran_ms = off_ms.saturating_sub(self.ahead_ms);
        let granted_ms = slack_ms + common.now_us / 1000 * permille / 1000;
        if ran_ms <= i64::try_from(granted_ms).unwrap_or(i64::MAX) {
            return Ok(());
        }
        Err(format!(
            "agreed time ran {ran_ms} ms ahead at number {seq_no} of replica {by}"
        ))
    }
}
