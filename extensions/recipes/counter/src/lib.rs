//! Shared counters: one call instead of read, then conditional replace, with retry.
//!
//! The counter `name` is the tuple `("counter", name, value)`. An `inp` of the template
//! `("increment", name, by)` adds `by` to it, creating it at 0 first, and answers with
//! the tuple as it then is. The plain algorithm (Distler et al., EuroSys 2015, §3.2)
//! reads the counter and replaces it on condition that it has not changed, again and
//! again while others do the same.
//!
//! Refuses with 1 when name or amount are not given exactly, with 2 when the sum would
//! not fit into 64 bits.

#![no_std]

use bezant_sdk::{Answer, Kind, Refused, Space, TemplateBytes, TupleBytes, entry, invocation};

/// The template of the operation does not name one counter and one amount.
const NOT_EXACT: Refused = Refused(1);
/// The counter would leave the range of integers.
const OVERFLOW: Refused = Refused(2);

fn add() -> Result<Answer, Refused> {
    let asked = invocation::template().ok_or(NOT_EXACT)?;
    let mut fields = asked.fields();
    let _increment = fields.text().ok_or(NOT_EXACT)?;
    let name = fields.text().ok_or(NOT_EXACT)?;
    let by = fields.int().ok_or(NOT_EXACT)?;

    let counter = TemplateBytes::new()
        .text("counter")
        .text(name)
        .of_kind(Kind::Int);
    let value = Space::HERE
        .inp(&counter)
        .map_or(0, |counter| value(&counter));
    let counter = TupleBytes::new()
        .text("counter")
        .text(name)
        .int(value.checked_add(by).ok_or(OVERFLOW)?);
    Space::HERE.out(&counter);
    Ok(Answer::Match(Some(counter)))
}

/// The value of a tuple that the template above matched.
fn value(counter: &TupleBytes) -> i64 {
    let mut fields = counter.fields();
    fields.text();
    fields.text();
    fields.int().unwrap_or(0)
}

entry!(increment = add);
