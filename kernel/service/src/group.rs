//! Groups: several operations in one request, all or nothing.
//!
//! The caller undoes everything when a group is refused. What is undone here is
//! what the steps did before a condition that does not hold.

use bezant_api::{
    Act, Answer, Condition, Group, Refused, Right, Step,
    limits::{MAX_GROUP_ANSWER_BYTES, MAX_GROUP_STEPS},
};
use bezant_tuplespace::{Applied, Operation, Outcome, Refusal};

use crate::{At, Kernel};

/// Which step was refused, and why.
type Stopped = (u32, Refused);

impl Kernel {
    /// Carries out a group.
    ///
    /// # Errors
    /// What is wrong with it as a whole; the caller rolls back.
    pub(crate) fn group(&mut self, group: &Group, at: At) -> Result<Answer, Refused> {
        if group.len() > MAX_GROUP_STEPS {
            return Err(Refused::GroupTooLong);
        }
        let savepoint = self.spaces.savepoint();
        let answer = match self.steps(group, at) {
            Ok((unmet, outcomes)) => Answer::Group { unmet, outcomes },
            Err((step, why)) => {
                self.spaces.rollback(savepoint);
                Answer::GroupRefused { step, why }
            }
        };
        if answer.encode().len() > MAX_GROUP_ANSWER_BYTES {
            return Err(Refused::GroupTooBroad);
        }
        Ok(answer)
    }

    fn steps(&mut self, group: &Group, at: At) -> Result<(Option<u32>, Vec<Outcome>), Stopped> {
        // All steps together may look at as much as one operation.
        let allowed = self.spaces.limits().candidates;
        let most = self.spaces.examined().saturating_add(allowed);
        let savepoint = self.spaces.savepoint();
        let mut outcomes = Vec::new();
        let mut unmet = None;
        for (number, step) in (0..).zip(&group.steps) {
            let in_step = |why| (number, why);
            match step {
                Step::Require(condition) => {
                    if !self.holds(condition, at).map_err(in_step)? {
                        unmet = Some(number);
                        break;
                    }
                }
                Step::Do(act) => outcomes.push(self.act(act, at).map_err(in_step)?),
            }
            self.within(most).map_err(in_step)?;
        }
        if unmet.is_some() {
            self.spaces.rollback(savepoint);
            outcomes.clear();
            let first = u32::try_from(group.steps.len()).unwrap_or(u32::MAX);
            for (number, act) in (first..).zip(&group.otherwise) {
                let in_step = |why| (number, why);
                outcomes.push(self.act(act, at).map_err(in_step)?);
                self.within(most).map_err(in_step)?;
            }
        }
        Ok((unmet, outcomes))
    }

    fn within(&self, most: u64) -> Result<(), Refused> {
        if self.spaces.examined() > most {
            return Err(Refused::GroupTooBroad);
        }
        Ok(())
    }

    fn act(&mut self, act: &Act, at: At) -> Result<Outcome, Refused> {
        if act.operation.waits() {
            return Err(Refused::WaitInGroup);
        }
        match self.operate(&act.space, &act.operation, None, at)? {
            Some(Answer::Outcome(outcome)) => Ok(outcome),
            // Nothing waits without a waiter, and an operation answers with an outcome.
            _ => Err(Refused::WaitInGroup),
        }
    }

    fn holds(&mut self, condition: &Condition, at: At) -> Result<bool, Refused> {
        let space = condition.space();
        if self.spaces.contains(space) && !self.access.may(&at.client, space, Right::Read) {
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
        if self.spaces.contains(space) {
            self.judge(space, &operation, at)?;
        }
        // A condition is about what is there, not about what an extension says of it.
        let seen = self.spaces.apply(space, &operation, None)?;
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
