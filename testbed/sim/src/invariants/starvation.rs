//! No request that correct replicas wait for is left out for long while links are good.
//!
//! A primary is suspected one timeout after the first proposal that left out a request which
//! had waited for a timeout; and it is replaced when more than f replicas do. Its proposals are
//! a timeout apart at most, or it is suspected for that. So whatever it proposes, after four
//! timeouts in one view no f+1 correct replicas wait for a request any more, but for what a
//! message takes (docs/protocol.md, "Suspicion").

use std::collections::BTreeSet;

use bezant_bft::ids::ReplicaId;

use super::{Common, Fact, Invariant};

/// Timeouts in one view after which a wait is starvation.
const TIMEOUTS: u64 = 5;

/// Looks for how long requests wait in one view.
#[derive(Debug, Default)]
pub(super) struct NobodyStarves {
    /// Where a request waits for too long.
    starving: BTreeSet<ReplicaId>,
}

impl Invariant for NobodyStarves {
    fn name(&self) -> &'static str {
        "nobody-starves"
    }

    fn observe(&mut self, fact: &Fact<'_>, common: &mut Common) -> Result<(), String> {
        let Fact::Stepped { by, wait, .. } = fact else {
            return Ok(());
        };
        let starves = wait.filter(|wait| wait.us > TIMEOUTS * wait.timeout_us);
        let Some(wait) = starves else {
            self.starving.remove(by);
            return Ok(());
        };
        self.starving.insert(*by);
        if self.starving.len() < common.keyring.quorum().weak() {
            return Ok(());
        }
        let (us, timeout_us) = (wait.us, wait.timeout_us);
        let who: Vec<String> = self.starving.iter().map(ToString::to_string).collect();
        Err(format!(
            "replicas {} wait in their view for a request, {by} for {us} us with a timeout of \
             {timeout_us} us, and do not replace the primary",
            who.join(", ")
        ))
    }
}
