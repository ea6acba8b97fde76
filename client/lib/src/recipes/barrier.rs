//! Barriers: nobody goes on before all are there.

use bezant_api::{Condition, Group};
use bezant_tuple::{Field, Kind, Template, Tuple, Value};
use bezant_tuplespace::{Lease, Operation, Outcome, SpaceName, TupleId};

use super::{
    gone::{Goes, wait_until_gone},
    guard::Claim,
};
use crate::{
    client::{Client, space},
    error::Error,
};

/// Most tuples read at a time.
const PAGE: u32 = 1000;

fn text(text: &str) -> Value {
    Value::from(text)
}

/// A barrier that is used once, for so many parties.
///
/// The paper's conventional barrier (EuroSys 2015): put an own tuple, read all, and either
/// say that all are there or wait until that is said. A party whose session ends before all
/// are there counts no more.
#[derive(Clone, Debug)]
pub struct Barrier {
    client: Client,
    space: SpaceName,
    name: String,
    parties: usize,
}

impl Barrier {
    /// The barrier `name` in `space` for `parties`, the same number at all of them.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn new(
        client: &Client,
        space_name: &str,
        name: &str,
        parties: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: client.clone(),
            space: space(space_name)?,
            name: name.to_owned(),
            parties,
        })
    }

    /// Waits until all are there, and takes its own tuple back: that they were is said by a
    /// tuple that stays. Dropped before, it is not there.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn wait(&self) -> Result<(), Error> {
        let (client, space) = (&self.client, self.space.as_str());
        let name = text(&self.name);
        let token = self.client.token()?;
        let own = Tuple::new(vec![text("barrier"), name.clone(), text("in"), token])?;
        let own = Claim::new(client, &self.space, own);
        client.out(space, own.tuple().clone()).ephemeral().await?;
        let all = Template::new(vec![
            Field::Exact(text("barrier")),
            Field::Exact(name.clone()),
            Field::Exact(text("in")),
            Field::OfKind(Kind::Bytes),
        ])?;
        let mut there = 0;
        let mut after = None;
        loop {
            let read = client.rd_all(space, all.clone(), PAGE, after);
            let page = read.await?.into_inner();
            there += page.tuples.len();
            after = page.next;
            if after.is_none() || there >= self.parties {
                break;
            }
        }
        let ready = Tuple::new(vec![text("barrier"), name, text("ready")])?;
        if there >= self.parties {
            client.cas(space, ready.clone().into(), ready).await?;
        } else {
            client.rd(space, ready.into()).await?;
        }
        Ok(())
    }
}

/// A barrier for round after round: nobody is let in before all have come, and nobody who
/// left gets out before all have left, so that no round mixes with the next.
///
/// The number of the round is a tuple, `("round", NAME, R)`. Coming in is one group that puts
/// an ephemeral tuple into that round and, if it is the last one that was missing, opens the
/// round and begins the next. So a round is opened by exactly one, at the very moment at
/// which all are there, and whoever comes late finds the next one. A party whose session ends
/// counts as gone: before the round is open it is missing again, afterwards it has left.
#[derive(Debug)]
pub struct DoubleBarrier {
    client: Client,
    space: SpaceName,
    name: String,
    parties: usize,
    /// The round that is probably to be opened next.
    next: Option<i64>,
}

/// A round in which this client takes part.
#[derive(Debug)]
#[must_use = "dropped, it counts as left"]
pub struct Round {
    client: Client,
    space: SpaceName,
    name: String,
    number: i64,
    claim: Claim,
}

impl DoubleBarrier {
    /// The barrier `name` in `space` for `parties`, the same number at all of them.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn new(
        client: &Client,
        space_name: &str,
        name: &str,
        parties: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: client.clone(),
            space: space(space_name)?,
            name: name.to_owned(),
            parties,
            next: None,
        })
    }

    fn round(&self, number: i64) -> Result<Tuple, Error> {
        let fields = vec![text("round"), text(&self.name), Value::from(number)];
        Ok(Tuple::new(fields)?)
    }

    /// Comes, and waits until all have come. Dropped before, it has not come.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn enter(&mut self) -> Result<Round, Error> {
        loop {
            let number = self.current().await?;
            if let Some(round) = self.enter_round(number).await? {
                self.next = number.checked_add(1);
                let opened = open(&self.name, number)?.into();
                self.client.rd(self.space.as_str(), opened).await?;
                return Ok(round);
            }
            self.next = None;
        }
    }

    /// The round to be opened next.
    async fn current(&self) -> Result<i64, Error> {
        if let Some(next) = self.next {
            return Ok(next);
        }
        let any = Template::new(vec![
            Field::Exact(text("round")),
            Field::Exact(text(&self.name)),
            Field::OfKind(Kind::Int),
        ])?;
        let space = self.space.as_str();
        let there = self.client.cas(space, any, self.round(0)?).await?;
        match there.value.as_ref().map(|round| round.get(2)) {
            None => Ok(0),
            Some(Some(Value::Int(number))) => Ok(*number),
            Some(_) => Err(Error::Unexpected),
        }
    }

    /// Puts its tuple into the round, and opens it if that was the last; `None` if that round
    /// was open already.
    async fn enter_round(&self, number: i64) -> Result<Option<Round>, Error> {
        let own = Tuple::new(vec![
            text("in"),
            text(&self.name),
            Value::from(number),
            self.client.token()?,
        ])?;
        let (round, name) = (self.round(number)?, &self.name);
        let next = self.round(number.checked_add(1).ok_or(Error::Unexpected)?)?;
        let out = |tuple, lease| Operation::Out { tuple, lease };
        let here = || self.space.clone();
        let all_there = Condition::Counted {
            space: here(),
            template: inside(name, number)?,
            at_least: u64::try_from(self.parties).unwrap_or(u64::MAX),
            at_most: u64::MAX,
        };
        let template = round.clone().into();
        let group = Group::new()
            .present(here(), round.into())
            .act(here(), out(own.clone(), Lease::Session))
            .require(all_there)
            .act(here(), Operation::Inp { template })
            .act(here(), out(next, Lease::Forever))
            .act(here(), out(open(name, number)?, Lease::Forever))
            .otherwise(here(), out(own.clone(), Lease::Session));
        let mut claim = Claim::new(&self.client, &self.space, own);
        let unmet = match self.client.group(group).await {
            Ok(grouped) => grouped.unmet,
            Err(error) => {
                if !error.outcome_unknown() {
                    claim.forget();
                }
                return Err(error);
            }
        };
        // Otherwise the claim is in a round that is over, and is withdrawn.
        Ok((unmet != Some(0)).then(|| Round {
            client: self.client.clone(),
            space: self.space.clone(),
            name: self.name.clone(),
            number,
            claim,
        }))
    }
}

fn inside(name: &str, number: i64) -> Result<Template, Error> {
    let fields = vec![
        Field::Exact(text("in")),
        Field::Exact(text(name)),
        Field::Exact(Value::from(number)),
        Field::OfKind(Kind::Bytes),
    ];
    Ok(Template::new(fields)?)
}

fn open(name: &str, number: i64) -> Result<Tuple, Error> {
    Ok(Tuple::new(vec![
        text("open"),
        text(name),
        Value::from(number),
    ])?)
}

impl Round {
    /// Its number, from 0.
    #[must_use]
    pub const fn number(&self) -> i64 {
        self.number
    }

    /// Leaves, and waits until all have left.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn leave(mut self) -> Result<(), Error> {
        let inside = inside(&self.name, self.number)?;
        let opened: Template = open(&self.name, self.number)?.into();
        let own: Template = self.claim.tuple().clone().into();
        let inp = |template| Operation::Inp { template };
        let survey = || Operation::Survey {
            template: inside.clone(),
            limit: PAGE,
            after: None,
        };
        let here = || self.space.clone();
        let group = Group::new()
            .act(here(), inp(own.clone()))
            .absent(here(), inside.clone())
            .act(here(), inp(opened.clone()))
            .otherwise(here(), inp(own))
            .otherwise(here(), survey());
        let left = self.client.group(group).await?.into_inner();
        self.claim.forget();
        if left.unmet.is_none() {
            return Ok(());
        }
        let mut seen = left.outcomes.into_iter().nth(1);
        loop {
            let space = self.space.as_str();
            let outcome = match seen.take() {
                Some(outcome) => outcome,
                None => self.client.operate(space, survey()).await?.into_inner(),
            };
            let Outcome::Survey { found, newest, .. } = outcome else {
                return Err(Error::Unexpected);
            };
            if found.is_empty() {
                // Whoever left last took it, unless that one just went.
                self.client.inp(space, opened).await?;
                return Ok(());
            }
            let goes = Goes {
                template: inside.clone(),
                below: TupleId(u64::MAX),
                count: found.len(),
                after: newest,
            };
            wait_until_gone(&self.client, &self.space, goes).await?;
        }
    }
}
