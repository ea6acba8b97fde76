//! Records in memory: nothing to come back to.

use std::collections::VecDeque;

use bezant_bft::{
    effects::{PersistId, Record},
    ids::SeqNo,
    record::Lifetime,
    state::State,
};

use super::{Recovered, Storage, StorageError};

/// Records in memory, bounded by the truncation at stable checkpoints.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    records: VecDeque<(Lifetime, Record)>,
}

impl Storage for MemoryStorage {
    fn append(&mut self, _id: PersistId, record: Record) -> Result<(), StorageError> {
        let lifetime = record.lifetime();
        if let Lifetime::Latest(_) = lifetime {
            self.records.retain(|(other, _)| *other != lifetime);
        }
        self.records.push_back((lifetime, record));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        Ok(())
    }

    fn save_snapshot(&mut self, _number: SeqNo, _state: &State) -> Result<(), StorageError> {
        Ok(())
    }

    fn truncate(&mut self, below: SeqNo) -> Result<(), StorageError> {
        self.records
            .retain(|(lifetime, _)| !matches!(lifetime, Lifetime::Number(n) if *n <= below));
        Ok(())
    }

    fn load(&mut self) -> Result<Recovered, StorageError> {
        Ok(Recovered::default())
    }

    fn len(&self) -> usize {
        self.records.len()
    }
}
