//! Who is in which group, what follows when somebody comes to see more than before, and the one way
//! to take what is for others.

use std::sync::Arc;

use super::{Happening, Lookup, Spaces};
use crate::{
    ClientKey, Groups, Refusal, SpaceName, Wants,
    audience::Aim,
    space::{Locator, Space},
    waiting::Arrival,
};

impl Spaces {
    /// Names who is in which group, from here on.
    pub fn know(&mut self, groups: Arc<Groups>) {
        self.groups = groups;
    }

    /// Looks again for what a client waits for, in order of arrival, because it may see more
    /// now than when it came: it gets a delivery as if that had just arrived. Watches are told of
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
        let aim = match waiter.wants {
            Wants::Read => Aim::See,
            Wants::Take => Aim::Take,
            Wants::Watch { .. } => return,
        };
        let lookup = Lookup {
            space: &waiter.space,
            viewer: waiter.client.as_ref(),
            aim,
        };
        let found = self.look(lookup, |view, work| {
            let found = view.oldest(&waiter.template, work)?;
            Ok(found.map(|(id, tuple)| (id, tuple.clone())))
        });
        let Ok(Some((id, tuple))) = found else { return };
        let took = (aim == Aim::Take).then(|| {
            let arity = tuple.arity();
            self.let_go(&waiter.space, arity, id, Happening::Taken).ties
        });
        self.deliver(arrival, id, tuple, took);
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
        let gone: Vec<Locator> = here.locators().take(most).collect();
        for locator in &gone {
            self.remove(space, locator.arity, locator.id);
        }
        if !self.undo.is_recording() {
            self.publish();
        }
        Ok(gone.len() as u64)
    }
}
