//! For whom single tuples are, on the dumb spaces: asked of each tuple again.

use std::sync::Arc;

use bezant_api::{Audience, Refused};
use bezant_tuplespace::{Change, MAX_AUDIENCE, Operation, Refusal, SpaceName, Wants, put_list};

use super::{
    Spaces,
    spaces::{PAGE_TUPLES, Placed},
};

/// Who looks for tuples, and to what end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) session: u64,
    pub(super) takes: bool,
}

impl Look {
    pub(super) const fn sees(session: u64) -> Self {
        Self {
            session,
            takes: false,
        }
    }

    pub(super) const fn takes(session: u64) -> Self {
        Self {
            session,
            takes: true,
        }
    }
}

/// What counts of a tuple in quotas.
pub(super) fn weight(placed: &Placed) -> u64 {
    let audience = placed.audience.as_ref();
    let lists = audience.map(|audience| [audience.readers.as_ref(), audience.takers.as_ref()]);
    let mut out = Vec::new();
    for list in lists.into_iter().flatten() {
        // Whether there is a list is a byte.
        out.push(0);
        list.iter().for_each(|list| put_list(&mut out, list));
    }
    (placed.tuple.encoded_len() + out.len()) as u64
}

/// For whom the tuple is to be that an operation puts, unless it is for everybody.
pub(super) fn wanted(operation: &Operation) -> Result<Option<Audience>, Refused> {
    let Operation::OutTo { audience, .. } = operation else {
        return Ok(None);
    };
    let lists = [&audience.readers, &audience.takers];
    for list in lists.into_iter().flatten() {
        if list.len() > MAX_AUDIENCE {
            return Err(Refusal::AudienceTooLong.into());
        }
    }
    let narrow = lists.iter().any(|list| list.is_some());
    Ok(narrow.then(|| Audience::clone(audience)))
}

impl Spaces {
    /// Whether a tuple with this audience is there for whoever looks.
    pub(super) fn meets(&self, look: Look, audience: Option<&Audience>) -> bool {
        let list = audience.and_then(|audience| {
            let lists = (&audience.readers, &audience.takers);
            if look.takes { lists.1 } else { lists.0 }.as_ref()
        });
        list.is_none_or(|list| {
            let mut list = list.iter();
            list.any(|whom| self.access.means(whom, look.session))
        })
    }

    /// Takes up to a page of tuples, whoever they are for, by length and then oldest first.
    pub(super) fn purge_up_to(&mut self, name: &SpaceName, limit: u32) -> Result<u64, Refused> {
        if limit == 0 {
            return Err(Refusal::EmptyPage.into());
        }
        let mut here: Vec<Placed> = self.tuples.clone();
        here.retain(|placed| placed.space == *name);
        here.sort_by_key(|placed| (placed.tuple.arity(), placed.id));
        here.truncate(usize::try_from(limit).map_or(PAGE_TUPLES, |limit| limit.min(PAGE_TUPLES)));
        for gone in &here {
            self.tuples.retain(|placed| placed.id != gone.id);
            self.happens(gone, Change::Taken);
        }
        Ok(here.len() as u64)
    }

    /// Whoever came into a group may find now what he waits for.
    pub(super) fn look_again(&mut self, client: [u8; 32]) {
        let waits = Arc::clone(self.waits());
        for wait in waits.iter() {
            let is_own = self.access.client(wait.session) == Some(client);
            let look = match wait.wants {
                Wants::Read => Look::sees(wait.session),
                Wants::Take => Look::takes(wait.session),
                Wants::Watch { .. } => continue,
            };
            if !is_own {
                continue;
            }
            let found = if look.takes {
                self.take(look, &wait.space, &wait.template)
            } else {
                self.read(look, &wait.space, &wait.template)
            };
            if let Some(tuple) = found {
                self.serve(wait, &tuple);
            }
        }
    }
}
