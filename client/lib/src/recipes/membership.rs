//! Who belongs to a group: an ephemeral tuple for each member.

use bezant_tuple::Value;

use super::{
    guard::Guard,
    line::{Line, Verdict},
};
use crate::{
    client::Client,
    error::Error,
    watch::{Since, Watch},
};

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its [`Guard::fence`]: its place in the order in which members came.
    pub fence: u64,
    /// What it said of itself.
    pub data: Value,
}

/// A group whose members are those that are there: a member goes when it leaves or when its
/// session is over.
#[derive(Clone, Debug)]
pub struct Membership {
    line: Line,
}

impl Membership {
    /// The group `name` in `space`.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn new(client: &Client, space: &str, name: &str) -> Result<Self, Error> {
        let line = Line::new(client, space, "member", name)?;
        Ok(Self { line })
    }

    /// Joins, with something to tell the others, such as an address. Releasing the guard
    /// leaves.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn join(&self, data: impl Into<Value>) -> Result<Guard, Error> {
        self.line.hold(data.into(), |_| Verdict::Holds).await
    }

    /// Who is there, as of one moment for up to 500 members, the oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn members(&self) -> Result<Vec<Member>, Error> {
        let claimants = self.line.claimants().await?.claimants;
        let member = |claimants: super::line::Claimant| Member {
            fence: claimants.id.0,
            data: claimants.what().cloned().unwrap_or(Value::Nil),
        };
        Ok(claimants.into_iter().map(member).collect())
    }

    /// Watches who is there, comes and goes: tuples `("member", NAME, DATA, TOKEN)`.
    ///
    /// # Errors
    /// [`Error`] if the group's name is too long for a tuple.
    pub fn watch(&self, since: Since) -> Result<Watch, Error> {
        let (client, space) = (self.line.client(), self.line.space());
        Ok(client.watch(space.as_str(), self.line.template()?, since))
    }
}
