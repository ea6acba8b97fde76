//! The client: a session, how a call of it is made and answered, and the calls without options.
//!
//! Operations that take options are builders (`insertion`, `waiting`); setting up is `builder`,
//! watching is `watch`. Those know this file and not the other way round.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bezant_api::{
    AdminCommand, Answer, Call, Group, Lists, Permissions, Principal, Right, SpaceInfo,
    limits::MAX_CALL_BYTES,
};
use bezant_bft::{
    evidence::Evidence,
    ids::{ClientId, ReplicaId, SessionId},
};
use bezant_session::{Accepted, Failure, Submit, Token};
use bezant_tuple::{Template, Tuple, Value};
use bezant_tuplespace::{Cursor, Operation, Outcome, Quota, SpaceName};
use bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};
use tracing::debug;

use crate::{
    error::Error,
    inner::Inner,
    network::{Ended, Submitted},
    reply::{Grouped, Page, Reply},
};

/// Whole milliseconds; what is more than can be said is refused by the service.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A request that was sent, until it is answered.
pub(crate) struct Asked {
    pub(crate) token: Token,
    sent: Instant,
    ended: oneshot::Receiver<Ended>,
}

/// One session with the service. Clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

/// What names a space: a [`SpaceName`] or text that is one.
pub(crate) fn space(name: &str) -> Result<SpaceName, Error> {
    Ok(name.parse()?)
}

impl Client {
    /// The client's key.
    #[must_use]
    pub fn id(&self) -> ClientId {
        self.inner.client
    }

    /// Replicas that answered otherwise than f+1 others, and how often, in this session.
    #[must_use]
    pub fn disagreements(&self) -> BTreeMap<ReplicaId, u64> {
        self.inner.network.disagreements(self.inner.name)
    }

    /// Lies that were proven in this session: the first few of each replica.
    #[must_use]
    pub fn evidence(&self) -> Vec<Evidence> {
        self.inner.network.evidence(self.inner.name)
    }

    /// How many calls were made in this session so far, by this client and its clones; those
    /// that keep it alive do not count.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.inner.calls.load(Ordering::Relaxed)
    }

    /// Whether the session is known to be over: closed, or ended by the service because
    /// nothing was heard of it for too long. Its waits and its ephemeral tuples are gone then.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.inner.session_lease.is_over()
    }

    /// Returns once [`Self::is_over`] holds.
    pub async fn over(&self) {
        self.inner.session_lease.over().await;
    }

    /// Until when the session lives for certain, judged by this client alone: from the moment at
    /// which it sent the last request that was answered, the session's
    /// [time](crate::Builder::session_ttl) less the [bound on clocks](crate::Builder::clock_bound).
    /// `None` if the session lives until it is closed.
    ///
    /// Whoever was cut off from the service for so long must no longer do what only the
    /// owner of an ephemeral tuple may do: the service may have ended the session.
    #[must_use]
    pub fn certain_until(&self) -> Option<std::time::Instant> {
        self.inner
            .session_lease
            .certain_until()
            .map(Instant::into_std)
    }

    /// Returns once [`Self::certain_until`] has passed, or the session is over.
    pub async fn uncertain(&self) {
        self.inner.session_lease.uncertain().await;
    }

    /// What tells one claim or party from every other.
    pub(crate) fn token(&self) -> Result<Value, Error> {
        Ok(Value::from(self.inner.network.random::<16>()?.to_vec()))
    }

    pub(crate) async fn open(&self, nonce: u64, ttl_ms: Option<u64>) -> Result<(), Error> {
        let op = Bytes::from(Call::OpenSession { nonce, ttl_ms }.encode());
        let sent = Instant::now();
        let inner = &*self.inner;
        let ended = inner.network.open(inner.name, op, inner.timeout)?;
        let answer = self.answer(sent, ended).await?;
        match answer.value {
            Answer::Opened { session, .. } => {
                inner.network.opened(inner.name, SessionId(session));
                Ok(())
            }
            Answer::Refused(refused) => Err(refused.into()),
            _ => Err(Error::Unexpected),
        }
    }

    /// Ends the session: its waits and its ephemeral tuples end, and the service forgets it.
    ///
    /// # Errors
    /// As any operation. A session that is not closed ends when nothing was heard of it for
    /// its [time](crate::Builder::session_ttl), or when its client's later ones need the room.
    pub async fn close(self) -> Result<(), Error> {
        match self.call(Call::CloseSession).await?.value {
            Answer::Closed => Ok(()),
            _ => Err(Error::Unexpected),
        }
    }

    /// Makes any call; the general form of the operations below. A refusal is an error.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn call(&self, call: Call) -> Result<Reply<Answer>, Error> {
        let asked = self.submit(&call, Some(self.inner.timeout)).await?;
        refused(self.answer_to(asked).await?)
    }

    /// Makes a call whose answer nobody waits for: now, if the session has room for it, or as
    /// soon as it has.
    pub(crate) fn tell(&self, call: Call) {
        let op = Bytes::from(call.encode());
        let inner = &*self.inner;
        let told = inner
            .network
            .try_submit(inner.name, op, Some(inner.timeout));
        if matches!(told, Ok(Ok(_))) {
            inner.calls.fetch_add(1, Ordering::Relaxed);
        }
        // Outside of a runtime nobody could wait for room, and nothing would be sent either.
        if let (Ok(Err(Submit::WindowFull)), Ok(runtime)) =
            (told, tokio::runtime::Handle::try_current())
        {
            let client = self.clone();
            runtime.spawn(async move {
                if let Err(error) = client.call(call).await {
                    debug!(%error, "call without answer not sent");
                }
            });
        }
    }

    pub(crate) async fn submit(
        &self,
        call: &Call,
        timeout: Option<Duration>,
    ) -> Result<Asked, Error> {
        let op = Bytes::from(call.encode());
        let (bytes, limit) = (op.len(), MAX_CALL_BYTES);
        if bytes > limit {
            return Err(Error::TooLarge { bytes, limit });
        }
        let sent = Instant::now();
        let inner = &*self.inner;
        inner.session_lease.note_use();
        inner.calls.fetch_add(1, Ordering::Relaxed);
        let Submitted { token, ended } = inner.network.submit(inner.name, op, timeout).await?;
        Ok(Asked { token, sent, ended })
    }

    pub(crate) async fn answer_to(&self, asked: Asked) -> Result<Reply<Answer>, Error> {
        self.answer(asked.sent, asked.ended).await
    }

    async fn answer(
        &self,
        sent: Instant,
        ended: oneshot::Receiver<Ended>,
    ) -> Result<Reply<Answer>, Error> {
        let of = self.inner.network.keyring().quorum().n();
        match ended.await {
            Ok(Ok(accepted)) => {
                let reply = read(accepted, of)?;
                self.inner.session_lease.hear(sent, &reply.value);
                Ok(reply)
            }
            Ok(Err(Failure::NoQuorum {
                answered,
                alike,
                needed,
            })) => Err(Error::NoQuorum {
                answered,
                alike,
                needed,
                of,
            }),
            Ok(Err(Failure::Busy { replicas, share })) => Err(Error::Busy {
                replicas,
                share,
                within: self.inner.timeout,
            }),
            Ok(Err(Failure::TimedOut)) => Err(Error::TimedOut(self.inner.timeout)),
            Err(_) => Err(Error::Closed),
        }
    }

    pub(crate) async fn operate(
        &self,
        name: &str,
        operation: Operation,
    ) -> Result<Reply<Outcome>, Error> {
        let call = Call::Space {
            space: space(name)?,
            operation,
        };
        self.call(call).await?.try_map(outcome)
    }

    pub(crate) async fn matching(
        &self,
        name: &str,
        operation: Operation,
    ) -> Result<Reply<Option<Tuple>>, Error> {
        self.operate(name, operation)
            .await?
            .try_map(|outcome| match outcome {
                Outcome::Match(tuple) => Ok(tuple),
                _ => Err(Error::Unexpected),
            })
    }

    /// Gives the oldest match that lives on a lease a new one, from now on. The answer is
    /// that tuple, or nothing: then there is none, or its lease has ended.
    ///
    /// # Errors
    /// [`Error`]; a lease is between a millisecond and a year.
    pub async fn renew(
        &self,
        space: &str,
        template: Template,
        lease: Duration,
    ) -> Result<Reply<Option<Tuple>>, Error> {
        let lease_ms = ms(lease);
        self.matching(space, Operation::Renew { template, lease_ms })
            .await
    }

    /// Reads the oldest match, if there is one. Linda's `rdp`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn rdp(
        &self,
        space: &str,
        template: Template,
    ) -> Result<Reply<Option<Tuple>>, Error> {
        self.matching(space, Operation::Rdp { template }).await
    }

    /// Takes the oldest match, if there is one. Linda's `inp`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn inp(
        &self,
        space: &str,
        template: Template,
    ) -> Result<Reply<Option<Tuple>>, Error> {
        self.matching(space, Operation::Inp { template }).await
    }

    /// Reads up to `limit` matches, oldest first, beginning after the cursor `after`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn rd_all(
        &self,
        space: &str,
        template: Template,
        limit: u32,
        after: Option<Cursor>,
    ) -> Result<Reply<Page>, Error> {
        self.page(
            space,
            Operation::RdAll {
                template,
                limit,
                after,
            },
        )
        .await
    }

    /// Takes up to `limit` matches, oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn in_all(
        &self,
        space: &str,
        template: Template,
        limit: u32,
    ) -> Result<Reply<Page>, Error> {
        self.page(space, Operation::InAll { template, limit }).await
    }

    async fn page(&self, name: &str, operation: Operation) -> Result<Reply<Page>, Error> {
        let space = space(name)?;
        self.operate(name, operation)
            .await?
            .try_map(|outcome| match outcome {
                Outcome::Page { tuples, next } => {
                    let next = next.map(|after| Cursor { space, after });
                    Ok(Page { tuples, next })
                }
                _ => Err(Error::Unexpected),
            })
    }

    /// Counts the matches.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn count(&self, space: &str, template: Template) -> Result<Reply<u64>, Error> {
        self.operate(space, Operation::Count { template })
            .await?
            .try_map(|outcome| match outcome {
                Outcome::Count(count) => Ok(count),
                _ => Err(Error::Unexpected),
            })
    }

    /// Carries out a group: several operations, on any spaces, that happen together or not
    /// at all, and only if its conditions hold where they stand.
    ///
    /// ```no_run
    /// use bezant_client::{Client, Group, Lease, Operation, SpaceName, template, tuple};
    /// # async fn example(client: Client) -> Result<(), bezant_client::Error> {
    /// let (jobs, done) = (SpaceName::new("jobs")?, SpaceName::new("done")?);
    /// let job = template!("build", 42);
    /// let group = Group::new()
    ///     .present(jobs.clone(), job.clone())
    ///     .act(jobs, Operation::Inp { template: job })
    ///     .act(done, Operation::Out { tuple: tuple!("build", 42), lease: Lease::Forever });
    /// let moved = client.group(group).await?.unmet.is_none();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::GroupRefused`] with the step that was refused, and the others; then nothing was
    /// done.
    pub async fn group(&self, group: Group) -> Result<Reply<Grouped>, Error> {
        let answered = self.call(Call::Group(group)).await?;
        answered.try_map(|answer| match answer {
            Answer::Group { unmet, outcomes } => Ok(Grouped { unmet, outcomes }),
            _ => Err(Error::Unexpected),
        })
    }

    /// Makes an empty space.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn create_space(&self, name: &str) -> Result<Reply<()>, Error> {
        let call = Call::CreateSpace {
            space: space(name)?,
        };
        self.call(call).await?.try_map(|answer| match answer {
            Answer::Created => Ok(()),
            _ => Err(Error::Unexpected),
        })
    }

    /// Makes an empty space in which those listed may do what is listed, and this client all.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn create_space_for(&self, name: &str, lists: Lists) -> Result<Reply<()>, Error> {
        let space = space(name)?;
        let call = Call::CreateSpaceFor { space, lists };
        self.call(call).await?.try_map(|answer| match answer {
            Answer::Created => Ok(()),
            _ => Err(Error::Unexpected),
        })
    }

    /// Removes an empty space.
    ///
    /// # Errors
    /// [`Error::Refused`] if it holds tuples, and the others.
    pub async fn remove_space(&self, name: &str) -> Result<Reply<()>, Error> {
        let space = space(name)?;
        let call = Call::RemoveSpace { space };
        self.call(call).await?.try_map(|answer| match answer {
            Answer::Removed => Ok(()),
            _ => Err(Error::Unexpected),
        })
    }

    /// Takes up to `limit` tuples (at most a thousand at a time) out of a space, whoever they
    /// are for; how many. With fewer than asked for the space is empty.
    ///
    /// # Errors
    /// [`Error::Refused`] for one who may not administer it, and the others.
    pub async fn purge(&self, name: &str, limit: u32) -> Result<Reply<u64>, Error> {
        let space = space(name)?;
        let answered = self.call(Call::Purge { space, limit }).await?;
        answered.try_map(|answer| match answer {
            Answer::Outcome(Outcome::Count(taken)) => Ok(taken),
            _ => Err(Error::Unexpected),
        })
    }

    /// Who made a space, who may do what there, and how much it holds.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn inspect(&self, name: &str) -> Result<Reply<SpaceInfo>, Error> {
        let space = space(name)?;
        let answered = self.call(Call::Inspect { space }).await?;
        answered.try_map(|answer| match answer {
            Answer::Space(info) => Ok(info),
            _ => Err(Error::Unexpected),
        })
    }

    /// Gives a right in a space; whether nobody had it by this entry before.
    ///
    /// # Errors
    /// [`Error::Refused`] for one who may not administer the space, and the others.
    pub async fn grant(
        &self,
        name: &str,
        right: Right,
        principal: Principal,
    ) -> Result<Reply<bool>, Error> {
        let space = space(name)?;
        self.change(Call::Grant {
            space,
            right,
            principal,
        })
        .await
    }

    /// Takes an entry from a list of a space; whether it was there. Waits of clients that may
    /// no longer wait end refused.
    ///
    /// # Errors
    /// As of [`Self::grant`].
    pub async fn revoke(
        &self,
        name: &str,
        right: Right,
        principal: Principal,
    ) -> Result<Reply<bool>, Error> {
        let space = space(name)?;
        self.change(Call::Revoke {
            space,
            right,
            principal,
        })
        .await
    }

    /// Lets a space hold so much and no more; whether that was otherwise. What it holds stays.
    ///
    /// # Errors
    /// As of [`Self::grant`].
    pub async fn set_quota(&self, name: &str, quota: Quota) -> Result<Reply<bool>, Error> {
        let space = space(name)?;
        self.change(Call::SetQuota { space, quota }).await
    }

    /// What this client may do, of up to a thousand spaces after one.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn permissions(&self, after: Option<SpaceName>) -> Result<Reply<Permissions>, Error> {
        let answered = self.call(Call::Permissions { after }).await?;
        answered.try_map(|answer| match answer {
            Answer::Permissions(permissions) => Ok(permissions),
            _ => Err(Error::Unexpected),
        })
    }

    /// An operator says who is a client, or who is in a group; whether that was otherwise.
    ///
    /// # Errors
    /// [`Error::Refused`] for one who is no operator, and the others.
    pub async fn admin_command(&self, admin_command: AdminCommand) -> Result<Reply<bool>, Error> {
        self.change(Call::AdminCommand(admin_command)).await
    }

    pub(crate) async fn change(&self, call: Call) -> Result<Reply<bool>, Error> {
        self.call(call).await?.try_map(|answer| match answer {
            Answer::Changed(changed) => Ok(changed),
            _ => Err(Error::Unexpected),
        })
    }

    /// The names of all spaces.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn spaces(&self) -> Result<Reply<Vec<SpaceName>>, Error> {
        self.call(Call::ListSpaces)
            .await?
            .try_map(|answer| match answer {
                Answer::Spaces(names) => Ok(names),
                _ => Err(Error::Unexpected),
            })
    }
}

fn read(accepted: Accepted, of: usize) -> Result<Reply<Answer>, Error> {
    let Accepted {
        reply,
        votes,
        dissent,
    } = accepted;
    let value = Answer::decode(&reply.result).map_err(|_| Error::Unexpected)?;
    Ok(Reply {
        value,
        seq: reply.seq_no,
        votes,
        of,
        dissent,
    })
}

pub(crate) fn refused(reply: Reply<Answer>) -> Result<Reply<Answer>, Error> {
    match reply.value {
        Answer::Refused(refused) => Err(refused.into()),
        Answer::GroupRefused { step, why } => Err(Error::GroupRefused { step, why }),
        _ => Ok(reply),
    }
}

pub(crate) fn outcome(answer: Answer) -> Result<Outcome, Error> {
    match answer {
        Answer::Outcome(outcome) => Ok(outcome),
        _ => Err(Error::Unexpected),
    }
}
