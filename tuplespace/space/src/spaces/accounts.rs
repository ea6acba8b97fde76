//! Bounds on what single clients hold, in all spaces together.

use super::{Leaving, Spaces};
use crate::{Account, MAX_ACCOUNTS, Payer, Quota, SpaceName, TupleId, broken};

impl Spaces {
    /// Lets a client hold so much in all spaces together; how much it was before, or `None` if
    /// as many are bounded as may be. What it holds stays. Only what it puts from its first
    /// bound on counts; without one ([`Quota::NONE`]) that is forgotten.
    ///
    /// Ends all savepoints, unless it answers `None`: it is not undone.
    pub fn allot(&mut self, payer: Payer, quota: Quota) -> Option<Quota> {
        let is_new = self.account(&payer).is_none() && quota != Quota::NONE;
        if is_new && self.accounts.len() >= MAX_ACCOUNTS {
            return None;
        }
        self.commit();
        if let Some(account) = self.accounts.get_mut(&payer) {
            let before = std::mem::replace(&mut account.quota, quota);
            if quota == Quota::NONE {
                self.accounts.close(&payer);
                let spaces = self.spaces.values_mut();
                spaces.for_each(|space| space.release(&payer));
            }
            return Some(before);
        }
        if is_new {
            self.accounts.open(payer, quota);
        }
        Some(Quota::NONE)
    }

    /// What a client may hold and holds, if it is bounded.
    #[must_use]
    pub fn account(&self, payer: &Payer) -> Option<&Account> {
        self.accounts.get(payer)
    }

    /// Whether a tuple of `bytes` fits the account of its payer, once what is `leaving` is gone.
    pub(super) fn can_pay(&self, payer: &Payer, bytes: u64, leaving: Option<Leaving>) -> bool {
        let own = leaving.filter(|leaving| leaving.payer == Some(*payer));
        let account = self.account(payer);
        account.is_none_or(|account| account.has_room_for(bytes, own.map(|own| own.bytes)))
    }

    pub(super) fn charge(&mut self, name: &SpaceName, id: TupleId, payer: Payer, bytes: u64) {
        self.space(name).charge(id, payer);
        let Some(account) = self.accounts.get_mut(&payer) else {
            broken("a tuple counts against somebody without an account");
        };
        account.tuples += 1;
        account.bytes += bytes;
    }

    pub(super) fn refund(&mut self, payer: &Payer, bytes: u64) {
        let Some(account) = self.accounts.get_mut(payer) else {
            broken("a tuple counted against somebody without an account");
        };
        account.tuples -= 1;
        account.bytes -= bytes;
    }
}
