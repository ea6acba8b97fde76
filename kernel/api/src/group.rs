//! Groups: several operations that happen together or not at all, on conditions.
//!
//! What a transaction of etcd or a `multi` of ZooKeeper is for. Steps are carried
//! out in order inside one ordered request; a condition is judged where it
//! stands, so it sees what the steps before it did. If one does not hold, all
//! steps are undone and `otherwise` is carried out instead.

use bezant_tuple::Template;
use bezant_tuplespace::{Operation, SpaceName};
use serde::{Deserialize, Serialize};

/// One operation of a group. Those that wait (`rd`, `in`) are refused in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Where.
    pub space: SpaceName,
    /// What.
    pub operation: Operation,
}

/// What must hold for a group to happen. The order of the variants is the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// A tuple of the space matches.
    Present {
        /// Where.
        space: SpaceName,
        /// What.
        template: Template,
    },
    /// No tuple of the space matches.
    Absent {
        /// Where.
        space: SpaceName,
        /// What.
        template: Template,
    },
    /// So many tuples of the space match.
    Counted {
        /// Where.
        space: SpaceName,
        /// What.
        template: Template,
        /// The fewest.
        at_least: u64,
        /// The most.
        at_most: u64,
    },
}

/// One step of a group. The order of the variants is the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Goes on only if this holds.
    Require(Condition),
    /// Does this.
    Do(Act),
}

/// All or nothing: at most [`MAX_GROUP_STEPS`](crate::limits::MAX_GROUP_STEPS) steps and acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// In order.
    pub steps: Vec<Step>,
    /// Done instead, all or nothing too, if a condition among the steps does not hold.
    pub otherwise: Vec<Act>,
}

impl Group {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Then goes on only if a tuple matches.
    #[must_use]
    pub fn present(self, space: SpaceName, template: Template) -> Self {
        self.require(Condition::Present { space, template })
    }

    /// Then goes on only if no tuple matches.
    #[must_use]
    pub fn absent(self, space: SpaceName, template: Template) -> Self {
        self.require(Condition::Absent { space, template })
    }

    /// Then goes on only if this holds.
    #[must_use]
    pub fn require(mut self, condition: Condition) -> Self {
        self.steps.push(Step::Require(condition));
        self
    }

    /// Then does this.
    #[must_use]
    pub fn act(mut self, space: SpaceName, operation: Operation) -> Self {
        self.steps.push(Step::Do(Act { space, operation }));
        self
    }

    /// Does this, after what was named so before, if a condition does not hold.
    #[must_use]
    pub fn otherwise(mut self, space: SpaceName, operation: Operation) -> Self {
        self.otherwise.push(Act { space, operation });
        self
    }

    /// Steps and acts together.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.steps.len() + self.otherwise.len()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Condition {
    /// Where.
    #[must_use]
    pub const fn space(&self) -> &SpaceName {
        match self {
            Self::Present { space, .. }
            | Self::Absent { space, .. }
            | Self::Counted { space, .. } => space,
        }
    }
}
