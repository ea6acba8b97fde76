//! A read-write lock: many read at a time, or one writes, in the order in which they asked.
//!
//! `rd` of `("read lock", NAME, TOKEN)` or `("write lock", NAME, TOKEN)` answers that tuple once
//! the lock is held so. TOKEN is any text that no other client uses. Whoever asks stands in
//! line as `("rw line", NAME, TOKEN, 0)` to read and with 1 to write, which ends with its
//! session. Whoever writes holds the lock as the first in line, whoever reads when nobody
//! before it writes, so nobody is overtaken. A plain `inp` of that tuple lets go, and gives
//! up waiting. At most 256 hold it at a time.
//!
//! Refuses with 1 when anything is not given exactly.

#![no_std]

use bezant_sdk::{Answer, Refused, Space, TemplateBytes, TupleBytes, entry, handler, invocation};
use line::{Line, NOT_EXACT, PAGE};

/// The line of those who want the lock.
const LINE: &str = "rw line";
/// What a place of one who reads has for a number.
const READS: i64 = 0;
/// The same of one who writes.
const WRITES: i64 = 1;

fn question(number: i64) -> &'static str {
    if number == READS {
        "read lock"
    } else {
        "write lock"
    }
}

/// Those who hold the lock.
fn holders(line: &Line<'_>) -> impl Iterator<Item = line::Place> {
    let mut only_readers = true;
    line.front(PAGE)
        .into_iter()
        .enumerate()
        .map_while(move |(before, place)| {
            let holds = only_readers && (place.number == READS || before == 0);
            only_readers &= place.number == READS;
            holds.then_some(place)
        })
}

fn ask() -> Result<Answer, Refused> {
    let asked = invocation::template().ok_or(NOT_EXACT)?;
    let mut fields = asked.fields();
    let number = match fields.text() {
        Some("read lock") => READS,
        _ => WRITES,
    };
    let name = fields.text().ok_or(NOT_EXACT)?;
    let token = fields.text().ok_or(NOT_EXACT)?;
    let line = Line { sort: LINE, name };
    line.stand(token, number);
    if holders(&line).any(|place| place.token() == token) {
        let held = TupleBytes::new().text(question(number)).text(name);
        return Ok(Answer::Match(Some(held.text(token))));
    }
    let held = TemplateBytes::new().text(question(number)).text(name);
    Ok(Space::HERE.wait_for(&held.text(token), false))
}

/// Somebody left the line: others may hold the lock now.
fn hand_on() -> Result<(), Refused> {
    let (_, name) = invocation::tuple()
        .as_ref()
        .and_then(line::left)
        .ok_or(NOT_EXACT)?;
    let name = core::str::from_utf8(&name).map_err(|_| NOT_EXACT)?;
    let line = Line { sort: LINE, name };
    for place in holders(&line) {
        let held = TupleBytes::new().text(question(place.number)).text(name);
        Space::HERE.wake(&held.text(place.token()));
    }
    Ok(())
}

entry!(hold = ask);
handler!(left = hand_on);
