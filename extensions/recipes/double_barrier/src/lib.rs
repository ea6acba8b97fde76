//! A double barrier: nobody is in before all have come, nobody is out before all have left.
//!
//! `rd` of `("enter", NAME, TOKEN, PARTIES)` answers `("entered", NAME, ROUND)` once PARTIES
//! clients are there, `rd` of `("leave", NAME, TOKEN, ROUND)` answers `("left", NAME, ROUND)`
//! once all of that round have left. TOKEN is any text that no other client uses. Who is there
//! is `("in", NAME, ROUND, TOKEN)`, which ends with its session: before the round is open it is
//! missing again, afterwards it has left. The number of the round that fills is
//! `("round", NAME, ROUND)`.
//!
//! Refuses with 1 when anything is not given exactly, with 2 for a number of parties below 1.

#![no_std]

use bezant_sdk::{
    Answer, Kind, Lease, Refused, Space, TemplateBytes, TupleBytes, entry, handler, invocation,
};

/// The template does not name all that it has to.
const NOT_EXACT: Refused = Refused(1);
/// No such number of parties.
const PARTIES: Refused = Refused(2);

fn inside(name: &str, round: i64) -> TemplateBytes {
    let inside = TemplateBytes::new().text("in").text(name).int(round);
    inside.of_kind(Kind::Text)
}

/// The round that fills.
fn filling(name: &str) -> i64 {
    let round = TemplateBytes::new().text("round").text(name);
    let round = Space::HERE.rdp(&round.of_kind(Kind::Int));
    round.map_or(1, |round| {
        let mut fields = round.fields();
        fields.text();
        fields.text();
        fields.int().unwrap_or(1)
    })
}

fn come() -> Result<Answer, Refused> {
    let asked = invocation::template().ok_or(NOT_EXACT)?;
    let mut fields = asked.fields();
    fields.text();
    let name = fields.text().ok_or(NOT_EXACT)?;
    let token = fields.text().ok_or(NOT_EXACT)?;
    let parties = fields.int().ok_or(NOT_EXACT)?;
    let all = u64::try_from(parties).map_err(|_| PARTIES)?;
    if all == 0 {
        return Err(PARTIES);
    }
    let round = filling(name);
    let place = TupleBytes::new().text("in").text(name).int(round);
    Space::HERE.out_leased(&place.text(token), Lease::Session);
    if Space::HERE.count(&inside(name, round)) < all {
        let entered = TemplateBytes::new().text("entered").text(name);
        return Ok(Space::HERE.wait_for(&entered.int(round), false));
    }
    let before = TemplateBytes::new().text("round").text(name);
    Space::HERE.inp(&before.of_kind(Kind::Int));
    let next = TupleBytes::new().text("round").text(name);
    Space::HERE.out(&next.int(round.saturating_add(1)));
    let entered = TupleBytes::new().text("entered").text(name).int(round);
    Space::HERE.wake(&entered);
    Ok(Answer::Match(Some(entered)))
}

fn go() -> Result<Answer, Refused> {
    let asked = invocation::template().ok_or(NOT_EXACT)?;
    let mut fields = asked.fields();
    fields.text();
    let name = fields.text().ok_or(NOT_EXACT)?;
    let token = fields.text().ok_or(NOT_EXACT)?;
    let round = fields.int().ok_or(NOT_EXACT)?;
    let place = TemplateBytes::new().text("in").text(name).int(round);
    Space::HERE.inp(&place.text(token));
    if Space::HERE.count(&inside(name, round)) > 0 {
        let left = TemplateBytes::new().text("left").text(name);
        return Ok(Space::HERE.wait_for(&left.int(round), false));
    }
    let left = TupleBytes::new().text("left").text(name).int(round);
    Space::HERE.wake(&left);
    Ok(Answer::Match(Some(left)))
}

/// A session ended: it may have been the last that others waited for to leave.
fn gone() -> Result<(), Refused> {
    let place = invocation::tuple().ok_or(NOT_EXACT)?;
    let mut fields = place.fields();
    fields.text();
    let name = fields.text().ok_or(NOT_EXACT)?;
    let round = fields.int().ok_or(NOT_EXACT)?;
    if round < filling(name) && Space::HERE.count(&inside(name, round)) == 0 {
        let left = TupleBytes::new().text("left").text(name);
        Space::HERE.wake(&left.int(round));
    }
    Ok(())
}

entry!(enter = come);
entry!(leave = go);
handler!(ended = gone);
