//! A work queue that hands a job on when its taker's session ends.
//!
//! A job is the tuple `("job", ID, PAYLOAD)`, put by a plain `out`. `inp` of `("work")` takes
//! the oldest and gives it; until the worker says that it is done, by a plain `inp` of
//! `("taken", ID, _)`, that tuple stands for it. It ends with the worker's session, and then
//! the job is there again, behind the others.

#![no_std]

use bezant_sdk::{
    Answer, Lease, Refused, Space, TemplateBytes, TupleBytes, Value, entry, handler, invocation,
};

/// The tuple is not one of this queue.
const NOT_A_JOB: Refused = Refused(1);

/// The same job as another sort of tuple.
fn as_a(sort: &str, job: &TupleBytes) -> Result<TupleBytes, Refused> {
    let mut fields = job.fields();
    fields.text();
    let id: Value = fields.value().ok_or(NOT_A_JOB)?;
    let payload: Value = fields.value().ok_or(NOT_A_JOB)?;
    Ok(TupleBytes::new().text(sort).value(&id).value(&payload))
}

fn take() -> Result<Answer, Refused> {
    let any = TemplateBytes::new().text("job").any().any();
    let Some(job) = Space::HERE.inp(&any) else {
        return Ok(Answer::Match(None));
    };
    Space::HERE.out_leased(&as_a("taken", &job)?, Lease::Session);
    Ok(Answer::Match(Some(job)))
}

/// The session of a worker ended that was not done.
fn hand_on() -> Result<(), Refused> {
    let taken = invocation::tuple().ok_or(NOT_A_JOB)?;
    Space::HERE.out(&as_a("job", &taken)?);
    Ok(())
}

entry!(work = take);
handler!(dropped = hand_on);
