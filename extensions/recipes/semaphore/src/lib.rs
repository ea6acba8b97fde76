//! A semaphore: so many hold a permit at a time, in the order in which they asked.
//!
//! `rd` of `("permit", NAME, TOKEN, PERMITS)` answers that tuple once the client holds one of
//! PERMITS permits; all name the same number. Whoever asks stands in line as
//! `("permit line", NAME, TOKEN, PERMITS)`, which ends with its session. A plain `inp` of that
//! tuple gives the permit back, and gives up waiting. At most 256 permits.
//!
//! Refuses with 1 when anything is not given exactly, with 2 for a number of permits that is
//! not 1 to 256.

#![no_std]

use bezant_sdk::{Answer, Refused, Space, TemplateBytes, TupleBytes, entry, handler, invocation};
use line::{Line, NOT_EXACT, PAGE};

/// No such number of permits.
const PERMITS: Refused = Refused(2);

/// The line of those who want a permit.
const LINE: &str = "permit line";

fn ask() -> Result<Answer, Refused> {
    let asked = invocation::template().ok_or(NOT_EXACT)?;
    let mut fields = asked.fields();
    fields.text();
    let name = fields.text().ok_or(NOT_EXACT)?;
    let token = fields.text().ok_or(NOT_EXACT)?;
    let permits = fields.int().ok_or(NOT_EXACT)?;
    let most = u32::try_from(permits).map_err(|_| PERMITS)?;
    if !(1..=PAGE).contains(&most) {
        return Err(PERMITS);
    }
    let line = Line { sort: LINE, name };
    line.stand(token, permits);
    if line.front(most).iter().any(|place| place.token() == token) {
        let permit = TupleBytes::new().text("permit").text(name).text(token);
        return Ok(Answer::Match(Some(permit.int(permits))));
    }
    let permit = TemplateBytes::new().text("permit").text(name).text(token);
    Ok(Space::HERE.wait_for(&permit.int(permits), false))
}

/// Somebody left the line: those who are far enough in front now have a permit.
fn hand_on() -> Result<(), Refused> {
    let (_, name) = invocation::tuple()
        .as_ref()
        .and_then(line::left)
        .ok_or(NOT_EXACT)?;
    let name = core::str::from_utf8(&name).map_err(|_| NOT_EXACT)?;
    let line = Line { sort: LINE, name };
    for (before, place) in (0_i64..).zip(line.front(PAGE)) {
        if before < place.number {
            let permit = TupleBytes::new().text("permit").text(name);
            Space::HERE.wake(&permit.text(place.token()).int(place.number));
        }
    }
    Ok(())
}

entry!(permit = ask);
handler!(left = hand_on);
