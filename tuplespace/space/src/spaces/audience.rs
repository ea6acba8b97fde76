//! Who looks, what follows when somebody comes to see more than before, and the one way to
//! take what is for others.

use std::sync::Arc;

use super::Spaces;
use crate::{
    Audience, Change, ClientKey, Groups, Operation, Refusal, SpaceName, TupleId, Wants,
    audience::Aim, space::Space, waiting::Arrival,
};

impl Spaces {
    /// Names the client with whose eyes tuples are looked for from here on: what is not for it
    /// is not there. With none only what is for everybody is.
    pub const fn look_as(&mut self, client: Option<ClientKey>) {
        self.client = client;
    }

    /// Names who is in which group, from here on.
    pub fn know(&mut self, groups: Arc<Groups>) {
        self.groups = groups;
    }

    /// Looks again for what a client waits for, in order of arrival, because it may see more
    /// now than when it came: it is served as if that had just arrived. Watches are told of
    /// what happens from now on only. A wait that would have to look at too much goes on.
    pub fn reconsider(&mut self, client: &ClientKey) {
        for arrival in self.waiting.of_client(client) {
            self.reconsider_one(arrival);
        }
    }

    fn reconsider_one(&mut self, arrival: Arrival) {
        let Some(waiter) = self.waiting.get(arrival).cloned() else {
            return;
        };
        let narrowed = |space: &Space| space.audiences().len() > 0;
        if !self.spaces.get(&waiter.space).is_some_and(narrowed) {
            return;
        }
        let (aim, before) = match waiter.wants {
            Wants::Read => (Aim::See, self.client),
            Wants::Take => (Aim::Take, self.client),
            Wants::Watch { .. } => return,
        };
        self.client = waiter.client;
        let found = self.look((&waiter.space, aim), |view, work| {
            let found = view.oldest(&waiter.template, work)?;
            Ok(found.map(|(id, tuple)| (id, tuple.clone())))
        });
        self.client = before;
        let Ok(Some((id, tuple))) = found else { return };
        let took = (aim == Aim::Take).then(|| {
            let place = (tuple.arity(), id);
            self.let_go_of(&waiter.space, place, Change::Taken).1
        });
        self.serve(arrival, (id, tuple), took);
    }

    /// Takes up to a page of tuples out of a space, whoever they are for, by their number of
    /// fields and then oldest first; how many.
    ///
    /// # Errors
    /// [`Refusal::NoSuchSpace`], [`Refusal::EmptyPage`].
    pub fn purge(&mut self, space: &SpaceName, limit: u32) -> Result<u64, Refusal> {
        let here = self.spaces.get(space).ok_or(Refusal::NoSuchSpace)?;
        if limit == 0 {
            return Err(Refusal::EmptyPage);
        }
        let most = limit.min(self.limits.page_tuples) as usize;
        let gone: Vec<(usize, TupleId)> = here.places().take(most).collect();
        for (arity, id) in &gone {
            self.remove(space, *arity, *id);
        }
        if !self.undo.is_recording() {
            self.publish();
        }
        Ok(gone.len() as u64)
    }

    /// For whom the tuple is to be that an operation inserts.
    pub(super) fn audience(&self, operation: &Operation) -> Result<Option<Arc<Audience>>, Refusal> {
        let Some(audience) = operation.audience() else {
            return Ok(None);
        };
        audience.check()?;
        Ok((!audience.is_everybody()).then(|| Arc::new(audience.clone())))
    }
}
