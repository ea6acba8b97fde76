//! Groups: several operations in one request, all or nothing.
//!
//! The caller undoes everything when a group is refused. What is undone here is
//! what the steps did before a condition that does not hold.

use bezant_api::{
    Act, Answer, Condition, Group, Refused, Right, Step,
    limits::{MAX_GROUP_ANSWER_BYTES, MAX_GROUP_STEPS},
};
use bezant_tuplespace::{Applied, Operation, Outcome, Refusal};

use crate::execution::Execution;

/// Which step was refused, and why.
struct Stopped {
    step: u32,
    why: Refused,
}

/// What the steps of a group came to.
struct Stepped {
    /// The condition that did not hold.
    unmet: Option<u32>,
    outcomes: Vec<Outcome>,
}

impl Execution<'_> {
    /// Carries out a group.
    ///
    /// # Errors
    /// What is wrong with it as a whole; the caller rolls back.
    pub(crate) fn group(&mut self, group: &Group) -> Result<Answer, Refused> {
        if group.len() > MAX_GROUP_STEPS {
            return Err(Refused::GroupTooLong);
        }
        let savepoint = self.kernel.spaces.savepoint();
        let answer = match self.steps(group) {
            Ok(Stepped { unmet, outcomes }) => Answer::Group { unmet, outcomes },
            Err(Stopped { step, why }) => {
                self.kernel.spaces.rollback(savepoint);
                Answer::GroupRefused { step, why }
            }
        };
        if answer.encode().len() > MAX_GROUP_ANSWER_BYTES {
            return Err(Refused::GroupTooBroad);
        }
        Ok(answer)
    }

    fn steps(&mut self, group: &Group) -> Result<Stepped, Stopped> {
        // All steps together may look at as much as one operation.
        let allowed = self.kernel.spaces.limits().candidates;
        let most = self.kernel.spaces.examined().saturating_add(allowed);
        let savepoint = self.kernel.spaces.savepoint();
        let mut outcomes = Vec::new();
        let mut unmet = None;
        for (number, step) in (0..).zip(&group.steps) {
            let in_step = |why| Stopped { step: number, why };
            match step {
                Step::Require(condition) => {
                    if !self.holds(condition).map_err(in_step)? {
                        unmet = Some(number);
                        break;
                    }
                }
                Step::Do(act) => outcomes.push(self.act(act).map_err(in_step)?),
            }
            self.within(most).map_err(in_step)?;
        }
        if unmet.is_some() {
            self.kernel.spaces.rollback(savepoint);
            outcomes.clear();
            let first = u32::try_from(group.steps.len()).unwrap_or(u32::MAX);
            for (number, act) in (first..).zip(&group.otherwise) {
                let in_step = |why| Stopped { step: number, why };
                outcomes.push(self.act(act).map_err(in_step)?);
                self.within(most).map_err(in_step)?;
            }
        }
        Ok(Stepped { unmet, outcomes })
    }

    fn within(&self, most: u64) -> Result<(), Refused> {
        if self.kernel.spaces.examined() > most {
            return Err(Refused::GroupTooBroad);
        }
        Ok(())
    }

    fn act(&mut self, act: &Act) -> Result<Outcome, Refused> {
        if act.operation.waits() {
            return Err(Refused::WaitInGroup);
        }
        match self.operate(&act.space, &act.operation, None)? {
            Some(Answer::Outcome(outcome)) => Ok(outcome),
            // Nothing waits without a waiter, and an operation answers with an outcome.
            _ => Err(Refused::WaitInGroup),
        }
    }

    fn holds(&mut self, condition: &Condition) -> Result<bool, Refused> {
        let space = condition.space();
        if self.kernel.spaces.contains(space)
            && !self.kernel.access.may(&self.at.client, space, Right::Read)
        {
            return Err(Refusal::Forbidden.into());
        }
        let operation = match condition {
            Condition::Present { template, .. } | Condition::Absent { template, .. } => {
                Operation::Rdp {
                    template: template.clone(),
                }
            }
            Condition::Counted { template, .. } => Operation::Count {
                template: template.clone(),
            },
        };
        if self.kernel.spaces.contains(space) {
            self.judge(space, &operation)?;
        }
        // A condition is about what is there, not about what an extension says of it.
        let actor = self.at.actor();
        let seen = self.kernel.spaces.apply(actor, space, &operation, None)?;
        Ok(match (condition, seen) {
            (Condition::Present { .. }, Applied::Outcome(Outcome::Match(found))) => found.is_some(),
            (Condition::Absent { .. }, Applied::Outcome(Outcome::Match(found))) => found.is_none(),
            (
                Condition::Counted {
                    at_least, at_most, ..
                },
                Applied::Outcome(Outcome::Count(count)),
            ) => (*at_least..=*at_most).contains(&count),
            _ => false,
        })
    }
}
