//! Nothing grows without end: pools, records, snapshots, messages held back.

use bezant_bft::limits::{MAX_POOL_REQUESTS, WATERMARK_INTERVALS};

use super::{Common, Fact, Invariant};

/// Records a number may leave in one view: its proposal, a prepare and a commit.
const RECORDS_PER_NUMBER: u64 = 3;

/// Views whose votes for one number may be on record at a time, and what view changes
/// leave themselves. Far more than a healthy run has.
const VIEWS: u64 = 16;

/// Messages held back until storage is done.
const MAX_HELD: usize = 20_000;

/// Looks at sizes.
#[derive(Debug, Default)]
pub(super) struct BoundedMemory;

impl Invariant for BoundedMemory {
    fn name(&self) -> &'static str {
        "bounded-memory"
    }

    fn observe(&mut self, fact: &Fact<'_>, common: &mut Common) -> Result<(), String> {
        let numbers = common.interval * WATERMARK_INTERVALS * 3;
        let records = usize::try_from(numbers * RECORDS_PER_NUMBER * VIEWS).unwrap_or(usize::MAX);
        let snapshots = usize::try_from(WATERMARK_INTERVALS * 3).unwrap_or(usize::MAX);
        let (by, what, len, bound) = match fact {
            Fact::Stepped {
                by, records: kept, ..
            } if *kept > records => (by, "records", *kept, records),
            Fact::Stepped { by, pooled, .. } if *pooled > MAX_POOL_REQUESTS => {
                (by, "pooled requests", *pooled, MAX_POOL_REQUESTS)
            }
            Fact::Stepped {
                by,
                snapshots: kept,
                ..
            } if *kept > snapshots => (by, "snapshots", *kept, snapshots),
            Fact::Stepped { by, held, .. } => (by, "messages held back", *held, MAX_HELD),
            _ => return Ok(()),
        };
        if len <= bound {
            return Ok(());
        }
        Err(format!(
            "replica {by} keeps {len} {what}, more than {bound}"
        ))
    }
}
