//! A lock with a fence: one call, however many wait.
//!
//! `rd` of `("lock", NAME, TOKEN, ?int)` answers `("lock", NAME, TOKEN, FENCE)` once the lock is
//! held; fences grow from holder to holder, for resources that must tell an old holder from a
//! new one. TOKEN is any text that no other client uses. Whoever asks stands in line as
//! `("lock line", NAME, TOKEN, FENCE)`, which ends with its session; the first holds the lock.
//! A plain `inp` of that tuple lets go, and gives up waiting.
//!
//! Refuses with 1 when name or token are not given exactly.

#![no_std]

use bezant_sdk::{
    Answer, Kind, Refused, Space, TemplateBytes, TupleBytes, entry, handler, invocation,
};
use line::{Line, NOT_EXACT};

/// The line of those who want a lock.
const LINE: &str = "lock line";

fn held(name: &str, token: &str, fence: i64) -> TupleBytes {
    TupleBytes::new()
        .text("lock")
        .text(name)
        .text(token)
        .int(fence)
}

fn ask() -> Result<Answer, Refused> {
    let asked = invocation::template().ok_or(NOT_EXACT)?;
    let mut fields = asked.fields();
    fields.text();
    let name = fields.text().ok_or(NOT_EXACT)?;
    let token = fields.text().ok_or(NOT_EXACT)?;
    let line = Line { sort: LINE, name };
    let stands = TemplateBytes::new().text(LINE).text(name).text(token);
    let fence = match Space::HERE.rdp(&stands.of_kind(Kind::Int)) {
        Some(_) => 0,
        None => line::next("lock", name),
    };
    let fence = line.stand(token, fence);
    if line
        .front(1)
        .first()
        .is_some_and(|first| first.token() == token)
    {
        return Ok(Answer::Match(Some(held(name, token, fence))));
    }
    let granted = TemplateBytes::new().text("lock").text(name).text(token);
    Ok(Space::HERE.wait_for(&granted.of_kind(Kind::Int), false))
}

/// Somebody left the line: whoever is the first now holds the lock.
fn hand_over() -> Result<(), Refused> {
    let (_, name) = invocation::tuple()
        .as_ref()
        .and_then(line::left)
        .ok_or(NOT_EXACT)?;
    let name = core::str::from_utf8(&name).map_err(|_| NOT_EXACT)?;
    let line = Line { sort: LINE, name };
    if let Some(first) = line.front(1).first() {
        Space::HERE.wake(&held(name, first.token(), first.number));
    }
    Ok(())
}

entry!(lock = ask);
handler!(left = hand_over);
