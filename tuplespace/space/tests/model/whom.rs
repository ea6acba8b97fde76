//! For whom tuples are, spelled in the plainest way.

use bezant_tuple::Tuple;
use bezant_tuplespace::{
    Audience, GroupName, MAX_AUDIENCE, Operation, OperationKind, Payer, Refusal, Served, SpaceName,
    TupleId, Whom,
};

use crate::twin::{Model, Waiter};

/// Owners are clients, each with a key made of its number.
pub(crate) fn payer(owner: u64) -> Payer {
    [u8::try_from(owner).unwrap(); 32]
}

/// What a tuple weighs.
pub(crate) fn weight(tuple: &Tuple, audience: Option<&Audience>) -> u64 {
    let entry = |whom: &Whom| match whom {
        Whom::Anyone => 1,
        Whom::Client(_) => 34,
        Whom::Members(group) => 2 + group.as_str().len(),
    };
    let list = |list: &Option<_>| {
        let list: &Option<std::collections::BTreeSet<Whom>> = list;
        let entries = list.as_ref().map(|list| list.iter().map(entry).sum());
        1 + entries.map_or(0, |entries: usize| 1 + entries)
    };
    let audience = audience.map_or(0, |audience| {
        list(&audience.readers) + list(&audience.takers)
    });
    (tuple.encoded_len() + audience) as u64
}

impl Model {
    /// Whether somebody sees, or may take, what has this audience.
    pub(crate) fn meets(
        &self,
        viewer: Option<u64>,
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
        let means = |whom: &Whom| match whom {
            Whom::Anyone => true,
            Whom::Client(key) => viewer.map(payer) == Some(*key),
            Whom::Members(group) => {
                viewer.is_some_and(|viewer| self.members.contains(&(group.clone(), viewer)))
            }
        };
        list.as_ref().is_none_or(|list| list.iter().any(means))
    }

    /// For whom the tuple is to be that an operation inserts.
    pub(crate) fn audience(operation: &Operation) -> Result<Option<Audience>, Refusal> {
        let Operation::OutTo { audience, .. } = operation else {
            return Ok(None);
        };
        let audience = Audience::clone(audience);
        for list in [&audience.readers, &audience.takers] {
            if list.as_ref().map_or(0, std::collections::BTreeSet::len) > MAX_AUDIENCE {
                return Err(Refusal::AudienceTooLong);
            }
        }
        let narrow = audience.readers.is_some() || audience.takers.is_some();
        Ok(narrow.then_some(audience))
    }

    /// Puts a client into a group or out of it; then what it waits for may be there.
    pub(crate) fn belong(&mut self, group: &GroupName, client: u64, belongs: bool) {
        self.members
            .retain(|other| *other != (group.clone(), client));
        if belongs {
            self.members.push((group.clone(), client));
        }
        for waiter in self.waiters.clone() {
            if waiter.id.owner == client && waiter.kind != OperationKind::Watch {
                self.look_again(&waiter);
            }
        }
    }

    /// Takes tuples out of a space, whoever they are for.
    pub(crate) fn purge(&mut self, space: &SpaceName, limit: u32) -> Result<u64, Refusal> {
        if !self.spaces.contains(space) {
            return Err(Refusal::NoSuchSpace);
        }
        if limit == 0 {
            return Err(Refusal::EmptyPage);
        }
        let here = self.tuples.iter().filter(|placed| placed.space == *space);
        let mut ids: Vec<(usize, u64)> = here
            .map(|placed| (placed.tuple.arity(), placed.id))
            .collect();
        ids.sort_unstable();
        ids.truncate(limit.min(self.limits.page_tuples) as usize);
        for (_, id) in &ids {
            let at = self.tuples.iter().position(|placed| placed.id == *id);
            self.take(at.unwrap());
        }
        if !self.recording {
            self.publish();
        }
        Ok(ids.len() as u64)
    }

    fn look_again(&mut self, waiter: &Waiter) {
        let takes = waiter.kind == OperationKind::In;
        let viewer = Some(waiter.id.owner);
        let matches = self.matches(&waiter.space, &waiter.template, (viewer, takes));
        let Some(at) = matches.first().copied() else {
            return;
        };
        let (id, tuple) = (self.tuples[at].id, self.tuples[at].tuple.clone());
        if takes {
            self.take(at);
        }
        self.waiters.retain(|other| other.id != waiter.id);
        self.served.push(Served {
            waiter: waiter.id,
            space: waiter.space.clone(),
            kind: waiter.kind,
            id: TupleId(id),
            tuple,
        });
    }
}
