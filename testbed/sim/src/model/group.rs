//! Groups on the dumb spaces: all or nothing, by keeping a copy of everything.

use bezant_api::{Act, Answer, Condition, Group, Refused, Right, Step, limits::MAX_GROUP_STEPS};
use bezant_tuplespace::{Operation, Outcome};

use super::Spaces;

/// For whom a group is carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By {
    /// Whether an `out` may make its space.
    pub(crate) makes_spaces: bool,
    pub(crate) session: u64,
}

/// Carries a group out.
///
/// # Errors
/// When it is too long.
pub(crate) fn carry_out(spaces: &mut Spaces, by: By, group: &Group) -> Result<Answer, Refused> {
    if group.len() > MAX_GROUP_STEPS {
        return Err(Refused::GroupTooLong);
    }
    let before = spaces.clone();
    let mut outcomes = Vec::new();
    for (step, number) in group.steps.iter().zip(0..) {
        let done = match step {
            Step::Do(done) => act(spaces, by, done).map(Some),
            Step::Require(condition) => match holds(spaces, by, condition) {
                Ok(true) => Ok(None),
                Ok(false) => {
                    *spaces = before.clone();
                    return Ok(otherwise(spaces, by, group, number, before));
                }
                Err(why) => Err(why),
            },
        };
        match done {
            Ok(outcome) => outcomes.extend(outcome),
            Err(why) => {
                *spaces = before;
                return Ok(Answer::GroupRefused { step: number, why });
            }
        }
    }
    let unmet = None;
    Ok(Answer::Group { unmet, outcomes })
}

/// What is done because condition `unmet` does not hold.
fn otherwise(spaces: &mut Spaces, by: By, group: &Group, unmet: u32, before: Spaces) -> Answer {
    let mut outcomes = Vec::new();
    let first = u32::try_from(group.steps.len()).unwrap_or(u32::MAX);
    for (done, step) in group.otherwise.iter().zip(first..) {
        match act(spaces, by, done) {
            Ok(outcome) => outcomes.push(outcome),
            Err(why) => {
                *spaces = before;
                return Answer::GroupRefused { step, why };
            }
        }
    }
    let unmet = Some(unmet);
    Answer::Group { unmet, outcomes }
}

fn act(spaces: &mut Spaces, by: By, act: &Act) -> Result<Outcome, Refused> {
    if act.operation.waits() {
        return Err(Refused::WaitInGroup);
    }
    let done = spaces.operate(by.makes_spaces, (by.session, 0), &act.space, &act.operation)?;
    done.ok_or(Refused::WaitInGroup)
}

fn holds(spaces: &mut Spaces, by: By, condition: &Condition) -> Result<bool, Refused> {
    spaces.demand(by.session, condition.space(), Right::Read)?;
    let (template, fewest, most) = match condition {
        Condition::Present { template, .. } => (template, 1, u64::MAX),
        Condition::Absent { template, .. } => (template, 0, 0),
        Condition::Counted {
            template,
            at_least,
            at_most,
            ..
        } => (template, *at_least, *at_most),
    };
    let template = template.clone();
    let count = Operation::Count { template };
    let counted = spaces.apply((by.session, 0), condition.space(), &count)?;
    Ok(matches!(counted, Some(Outcome::Count(count)) if (fewest..=most).contains(&count)))
}
