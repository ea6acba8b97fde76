//! Accounts of clients with a quota: what each holds in all spaces.
//!
//! Only tuples that are put while their payer has an account are counted, and only those know
//! who pays for them: where nobody is bounded, nothing is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ClientKey, Quota};

/// Who pays for a tuple: the key of the client that put it.
pub type Payer = ClientKey;

/// A payer's bound and what counts against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// How much it may hold.
    pub quota: Quota,
    /// Tuples that it put and that are still there.
    pub tuples: u64,
    /// Their bytes, in canonical encoding.
    pub bytes: u64,
}

impl Account {
    pub(crate) const fn new(quota: Quota) -> Self {
        Self {
            quota,
            tuples: 0,
            bytes: 0,
        }
    }

    /// Whether `bytes` of one more tuple fit, once one of so many was taken.
    pub(crate) fn has_room_for(&self, bytes: u64, freed: Option<u64>) -> bool {
        let tuples = self.tuples - u64::from(freed.is_some());
        tuples < self.quota.tuples && self.bytes - freed.unwrap_or(0) + bytes <= self.quota.bytes
    }
}

/// All accounts.
#[derive(Debug, Default)]
pub(crate) struct Accounts(BTreeMap<Payer, Account>);

impl Accounts {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, payer: &Payer) -> Option<&Account> {
        self.0.get(payer)
    }

    pub(crate) fn get_mut(&mut self, payer: &Payer) -> Option<&mut Account> {
        self.0.get_mut(payer)
    }

    pub(crate) fn open(&mut self, payer: Payer, quota: Quota) {
        self.0.insert(payer, Account::new(quota));
    }

    pub(crate) fn close(&mut self, payer: &Payer) {
        self.0.remove(payer);
    }

    /// All, by payer.
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = (&Payer, &Account)> {
        self.0.iter()
    }
}
