//! A line of claims: who came first stands first, who goes makes room.
//!
//! A claim is the ephemeral tuple `(kind, name, what, token)`. Its place is its id, the order
//! of insertion, which all replicas agree on; so nobody has to write down whose turn it is,
//! and a claim that goes with its session just makes the line shorter. Whoever has to wait
//! watches for claims before its own to go, from the very moment at which it saw them, so
//! that nothing is missed in between. ZooKeeper's recipes do the same with sequential
//! ephemeral nodes, in more calls (ZooKeeper Recipes and Solutions, "Locks").

use bezant_api::{Condition, Group};
use bezant_tuple::{Field, Kind, Template, Tuple, Value};
use bezant_tuplespace::{Cursor, Lease, Operation, Outcome, SpaceName, TupleId};

use super::{
    gone::{Goes, wait_until_gone},
    guard::{Claim, Guard},
};
use crate::{
    client::{Client, space},
    error::Error,
};

/// Most claims read at a time.
const PAGE: u32 = 500;

/// Where in a claim its `what` is.
const WHAT: usize = 2;

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    client: Client,
    space: SpaceName,
    kind: &'static str,
    name: String,
}

/// A claim that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claimant {
    pub(super) id: TupleId,
    pub(super) tuple: Tuple,
}

impl Claimant {
    /// What it is for.
    pub(super) fn what(&self) -> Option<&Value> {
        self.tuple.get(WHAT)
    }

    /// That it goes, seen at this event.
    pub(super) fn goes(&self, after: u64) -> Goes {
        Goes::of(&self.id, &self.tuple, after)
    }
}

/// The claims that were seen, the first one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) claimants: Vec<Claimant>,
    /// The event up to which that is known.
    pub(super) newest: u64,
}

/// The place of a claim in its line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// Those before it.
    before: Vec<Claimant>,
    /// The claim's own id.
    id: TupleId,
    /// The event from which on the line is to be watched.
    newest: u64,
}

/// What a claim is told by those before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It holds.
    Holds,
    /// It looks again when this one has gone.
    After(Tuple),
    /// It looks again when so many of those before it have gone.
    AfterAny(usize),
}

/// The verdict of a line in which each waits for the one before it.
pub(super) fn after_the_last(before: &[Claimant]) -> Verdict {
    before
        .last()
        .map_or(Verdict::Holds, |last| Verdict::After(last.tuple.clone()))
}

impl Line {
    pub(super) fn new(
        client: &Client,
        space_name: &str,
        kind: &'static str,
        name: &str,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: client.clone(),
            space: space(space_name)?,
            kind,
            name: name.to_owned(),
        })
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) const fn space(&self) -> &SpaceName {
        &self.space
    }

    /// All claims.
    pub(super) fn template(&self) -> Result<Template, Error> {
        let (kind, name) = (Value::from(self.kind), Value::from(self.name.as_str()));
        let fields = [
            Field::Exact(kind),
            Field::Exact(name),
            Field::Any,
            Field::OfKind(Kind::Bytes),
        ];
        Ok(Template::new(fields.into())?)
    }

    fn claim(&self, what: Value) -> Result<Claim, Error> {
        let token = self.client.token()?;
        let (kind, name) = (Value::from(self.kind), Value::from(self.name.as_str()));
        let tuple = Tuple::new(vec![kind, name, what, token])?;
        Ok(Claim::new(&self.client, &self.space, tuple))
    }

    fn insertion(claim: &Claim, lease: Lease) -> Operation {
        Operation::Out {
            tuple: claim.tuple().clone(),
            lease,
        }
    }

    fn survey(template: Template, after: Option<Cursor>) -> Operation {
        Operation::Survey {
            template,
            limit: PAGE,
            after,
        }
    }

    /// Stands in the line until `judge`, given those before it, says that it holds.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the line.
    pub(super) async fn hold(
        &self,
        what: Value,
        judge: impl Fn(&[Claimant]) -> Verdict,
    ) -> Result<Guard, Error> {
        let mut claim = self.claim(what)?;
        let insertion = Self::insertion(&claim, Lease::Session);
        let first = Self::survey(self.template()?, None);
        let group = Group::new()
            .act(self.space.clone(), insertion)
            .act(self.space.clone(), first);
        let mut outcomes = self.grouped(group, &mut claim).await?;
        let mut page = outcomes.pop();
        loop {
            let place = self.place(claim.tuple(), page.take()).await?;
            let (template, count) = match judge(&place.before) {
                Verdict::Holds => return Ok(Guard::new(claim, place.id)),
                Verdict::After(tuple) => (tuple.into(), 1),
                Verdict::AfterAny(count) => (self.template()?, count),
            };
            let goes = Goes {
                template,
                below: place.id,
                count,
                after: place.newest,
            };
            wait_until_gone(&self.client, &self.space, goes).await?;
        }
    }

    /// Stands in the line if `most` or fewer stand there then, itself among them.
    pub(super) async fn try_hold(
        &self,
        what: Value,
        most: u64,
        lease: Lease,
    ) -> Result<Option<Guard>, Error> {
        let mut claim = self.claim(what)?;
        let counted = Condition::Counted {
            space: self.space.clone(),
            template: self.template()?,
            at_least: 1,
            at_most: most,
        };
        let own = Self::survey(claim.tuple().clone().into(), None);
        let group = Group::new()
            .act(self.space.clone(), Self::insertion(&claim, lease))
            .require(counted)
            .act(self.space.clone(), own);
        let outcomes = self.grouped(group, &mut claim).await?;
        let Some(Outcome::Survey { found, .. }) = outcomes.into_iter().nth(1) else {
            // The condition did not hold: nothing was inserted.
            claim.forget();
            return Ok(None);
        };
        let (id, _) = found.into_iter().next().ok_or(Error::Unexpected)?;
        Ok(Some(Guard::new(claim, id)))
    }

    /// Who stands there.
    pub(super) async fn claimants(&self) -> Result<Seen, Error> {
        self.survey_on(None, |_| false).await
    }

    async fn grouped(&self, group: Group, claim: &mut Claim) -> Result<Vec<Outcome>, Error> {
        match self.client.group(group).await {
            Ok(grouped) => Ok(grouped.into_inner().outcomes),
            Err(error) => {
                if !error.outcome_unknown() {
                    claim.forget();
                }
                Err(error)
            }
        }
    }

    /// Where the claim stands.
    async fn place(&self, own: &Tuple, first: Option<Outcome>) -> Result<Place, Error> {
        let is_own = |claimants: &Claimant| claimants.tuple == *own;
        let mut seen = self.survey_on(first, is_own).await?;
        match seen.claimants.pop() {
            Some(last) if is_own(&last) => Ok(Place {
                before: seen.claimants,
                id: last.id,
                newest: seen.newest,
            }),
            _ => Err(Error::PlaceTaken),
        }
    }

    /// Reads on from a first page until the end, or up to the one meant. Of several pages the
    /// event is that of the first: what went between them is heard of once more.
    async fn survey_on(
        &self,
        first: Option<Outcome>,
        is_last: impl Fn(&Claimant) -> bool,
    ) -> Result<Seen, Error> {
        let mut all = Vec::new();
        let (mut page, mut after, mut known) = (first, None, None);
        loop {
            let outcome = match page.take() {
                Some(outcome) => outcome,
                None => {
                    let operation = Self::survey(self.template()?, after);
                    let answered = self.client.operate(self.space.as_str(), operation);
                    answered.await?.into_inner()
                }
            };
            let Outcome::Survey {
                found,
                next,
                newest,
            } = outcome
            else {
                return Err(Error::Unexpected);
            };
            let newest = *known.get_or_insert(newest);
            for (id, tuple) in found {
                let claimants = Claimant { id, tuple };
                let last = is_last(&claimants);
                all.push(claimants);
                if last {
                    return Ok(Seen {
                        claimants: all,
                        newest,
                    });
                }
            }
            let Some(next) = next else {
                return Ok(Seen {
                    claimants: all,
                    newest,
                });
            };
            after = Some(Cursor {
                space: self.space.clone(),
                after: next,
            });
        }
    }
}
