//! A delay queue: what is due is taken first, and nothing before it is due.
//!
//! A job is the tuple `("job", DUE, PAYLOAD)`, put by a plain `out`, with the agreed time in
//! milliseconds since 1970 at which it is due. `inp` of `("due")` removes and gives the one
//! that has been due for longest, `rdp` of `("due")` only gives it; there is none while nothing
//! is due.

#![no_std]

use bezant_sdk::{Answer, Kind, Refused, Space, TemplateBytes, entry, invocation};

/// The number of `rdp` among the kinds of operation.
const RDP: i32 = 1;
/// Where a job has the time at which it is due.
const DUE: u32 = 1;

fn first() -> Result<Answer, Refused> {
    let job = TemplateBytes::new().text("job").of_kind(Kind::Int).any();
    let Some(first) = Space::HERE.rdp_min(&job, DUE) else {
        return Ok(Answer::Match(None));
    };
    let mut fields = first.fields();
    fields.text();
    if fields.int().is_none_or(|due| due > invocation::now_ms()) {
        return Ok(Answer::Match(None));
    }
    if invocation::kind() != RDP {
        Space::HERE.inp_min(&job, DUE);
    }
    Ok(Answer::Match(Some(first)))
}

entry!(due = first);
