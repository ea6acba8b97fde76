//! For whom tuples are, and what they weigh: asked of each tuple again.

use std::collections::BTreeSet;

use bezant_tuple::Tuple;
use bezant_tuplespace::{Audience, ClientKey, MAX_AUDIENCE, Operation, Principal, Refusal};

use crate::Model;

/// What a tuple counts in bounds of bytes: its encoding and that of its audience.
pub(crate) fn weight(tuple: &Tuple, audience: Option<&Audience>) -> u64 {
    let entry = |principal: &Principal| match principal {
        Principal::Anyone => 1,
        Principal::Client(_) => 34,
        Principal::Members(group) => 2 + group.as_str().len(),
    };
    let list = |list: &Option<BTreeSet<Principal>>| {
        let entries = list
            .as_ref()
            .map(|list| list.iter().map(entry).sum::<usize>());
        1 + entries.map_or(0, |entries| 1 + entries)
    };
    let audience = audience.map_or(0, |audience| {
        list(&audience.readers) + list(&audience.takers)
    });
    (tuple.encoded_len() + audience) as u64
}

/// For whom the tuple is to be that an operation inserts, unless it is for everybody.
pub(crate) fn audience_of(operation: &Operation) -> Result<Option<Audience>, Refusal> {
    let Operation::OutTo { audience, .. } = operation else {
        return Ok(None);
    };
    let lists = [&audience.readers, &audience.takers];
    let mut lengths = lists.into_iter().flatten().map(BTreeSet::len);
    if lengths.any(|length| length > MAX_AUDIENCE) {
        return Err(Refusal::AudienceTooLong);
    }
    let is_narrow = lists.iter().any(|list| list.is_some());
    Ok(is_narrow.then(|| Audience::clone(audience)))
}

impl Model {
    /// Whether a client sees, or may take, what has this audience.
    pub(crate) fn meets(
        &self,
        client: Option<ClientKey>,
        takes: bool,
        audience: Option<&Audience>,
    ) -> bool {
        let Some(audience) = audience else {
            return true;
        };
        let list = if takes {
            &audience.takers
        } else {
            &audience.readers
        };
        list.as_ref()
            .is_none_or(|list| list.iter().any(|principal| self.means(principal, client)))
    }

    /// Whether a client is meant.
    #[must_use]
    pub fn means(&self, principal: &Principal, client: Option<ClientKey>) -> bool {
        match principal {
            Principal::Anyone => true,
            Principal::Client(key) => client == Some(*key),
            Principal::Members(group) => {
                client.is_some_and(|client| self.members().contains(&(group.clone(), client)))
            }
        }
    }
}
