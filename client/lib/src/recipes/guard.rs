//! What is held: a claim in a line, until it is let go or lost.

use bezant_api::Call;
use bezant_tuple::Tuple;
use bezant_tuplespace::{Operation, Outcome, SpaceName, TupleId};
use tokio::time::Instant;

use super::gone::{self, Goes};
use crate::{client::Client, error::Error, reply::Reply};

/// Something this client's session holds. Dropped, it is let go as soon as the service hears
/// of it; [`Self::release`] waits for that.
#[derive(Debug)]
#[must_use = "what is held is let go when its guard is dropped"]
pub struct Guard {
    claim: Claim,
    id: TupleId,
}

impl Guard {
    pub(super) const fn new(claim: Claim, id: TupleId) -> Self {
        Self { claim, id }
    }

    /// A number that is higher for whoever holds this later, and never the same for two: the
    /// place of its claim in the order of insertion into the whole service.
    #[must_use]
    pub const fn fence(&self) -> u64 {
        self.id.0
    }

    /// Returns when this is held no longer, or this client can no longer be certain that it is:
    /// its session is over or [may be](Client::certain_until), or somebody took the claim.
    pub async fn lost(&self) {
        tokio::select! {
            biased;
            () = self.claim.client.uncertain() => {}
            () = self.gone() => {}
        }
    }

    /// Returns when the claim is seen not to be there, or nothing more can be seen. Events that
    /// are kept no more tell nothing: then it is looked for anew.
    async fn gone(&self) {
        let Claim {
            client,
            space,
            tuple,
            ..
        } = &self.claim;
        loop {
            let look = Operation::Survey {
                template: tuple.clone().into(),
                limit: 1,
                after: None,
            };
            let seen = client.operate(space.as_str(), look).await;
            let newest = match seen.map(Reply::into_inner) {
                Ok(Outcome::Survey { found, newest, .. }) if !found.is_empty() => newest,
                Err(error) if error.is_retryable() => {
                    tokio::time::sleep(gone::PAUSE).await;
                    continue;
                }
                _ => return,
            };
            let goes = Goes::of(&self.id, tuple, newest);
            if gone::wait_until_gone(client, space, goes).await.is_err() {
                return;
            }
        }
    }

    /// Whether this client is certain now to hold it, as far as its session is concerned.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        let client = &self.claim.client;
        !client.is_over()
            && client
                .inner
                .session_lease
                .certain_until()
                .is_none_or(|until| Instant::now() < until)
    }

    /// Lets go, and says whether it was held until now.
    ///
    /// # Errors
    /// [`Error`]; then it is let go at the latest when the session is over.
    pub async fn release(mut self) -> Result<bool, Error> {
        self.claim.withdraw().await
    }

    pub(super) const fn client(&self) -> &Client {
        &self.claim.client
    }

    pub(super) const fn tuple(&self) -> &Tuple {
        self.claim.tuple()
    }

    pub(super) async fn withdraw(&mut self) -> Result<bool, Error> {
        self.claim.withdraw().await
    }
}

/// A tuple of this session that says what it wants, withdrawn when it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    client: Client,
    space: SpaceName,
    tuple: Tuple,
    there: bool,
}

impl Claim {
    /// A claim that may be there from now on.
    pub(super) fn new(client: &Client, space: &SpaceName, tuple: Tuple) -> Self {
        Self {
            client: client.clone(),
            space: space.clone(),
            tuple,
            there: true,
        }
    }

    pub(super) const fn tuple(&self) -> &Tuple {
        &self.tuple
    }

    /// It is not there, for certain.
    pub(super) fn forget(&mut self) {
        self.there = false;
    }

    fn take(&self) -> Operation {
        Operation::Inp {
            template: self.tuple.clone().into(),
        }
    }

    /// Takes it back; whether it was there.
    async fn withdraw(&mut self) -> Result<bool, Error> {
        let template = self.tuple.clone().into();
        let taken = self.client.inp(self.space.as_str(), template).await?;
        self.there = false;
        Ok(taken.value.is_some())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // What was sent before by this session is carried out before, so that nothing comes
        // to be there afterwards.
        if self.there && !self.client.is_over() {
            self.client.tell(Call::Space {
                space: self.space.clone(),
                operation: self.take(),
            });
        }
    }
}
