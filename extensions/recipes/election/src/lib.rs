//! Leader election that hands over when the leader's session ends.
//!
//! `rd` of `("leader", NAME, CANDIDATE)` answers that tuple once the candidate leads; `rdp` of
//! `("leader", NAME, ?text)` says who leads. CANDIDATE is any text that no other client uses.
//! Whoever campaigns stands in line as `("candidate", NAME, CANDIDATE, TERM)`, which ends with
//! its session; the first leads (Distler et al., "Extensible Distributed Coordination",
//! EuroSys 2015, §3.5). A plain `inp` of that tuple steps down, and ends a campaign.
//!
//! Refuses with 1 when the name, or the candidate of an `rd`, is not given exactly.

#![no_std]

use bezant_sdk::{Answer, Refused, Space, TemplateBytes, TupleBytes, entry, handler, invocation};
use line::{Line, NOT_EXACT};

/// The line of those who want to lead.
const LINE: &str = "candidate";
/// The number of `rdp` among the kinds of operation.
const RDP: i32 = 1;

fn leader(name: &str, candidate: &str) -> TupleBytes {
    TupleBytes::new().text("leader").text(name).text(candidate)
}

fn ask() -> Result<Answer, Refused> {
    let asked = invocation::template().ok_or(NOT_EXACT)?;
    let mut fields = asked.fields();
    fields.text();
    let name = fields.text().ok_or(NOT_EXACT)?;
    let line = Line { sort: LINE, name };
    if invocation::kind() == RDP {
        let leads = line.front(1);
        let leads = leads.first().map(|first| leader(name, first.token()));
        return Ok(Answer::Match(leads));
    }
    let candidate = fields.text().ok_or(NOT_EXACT)?;
    line.stand(candidate, 0);
    let leads = |first: &line::Place| first.token() == candidate;
    if line.front(1).first().is_some_and(leads) {
        return Ok(Answer::Match(Some(leader(name, candidate))));
    }
    let elected = TemplateBytes::new().text("leader").text(name);
    Ok(Space::HERE.wait_for(&elected.text(candidate), false))
}

/// A candidate is gone: whoever is the first now leads.
fn hand_over() -> Result<(), Refused> {
    let (_, name) = invocation::tuple()
        .as_ref()
        .and_then(line::left)
        .ok_or(NOT_EXACT)?;
    let name = core::str::from_utf8(&name).map_err(|_| NOT_EXACT)?;
    let line = Line { sort: LINE, name };
    if let Some(first) = line.front(1).first() {
        Space::HERE.wake(&leader(name, first.token()));
    }
    Ok(())
}

entry!(leader_of = ask);
handler!(left = hand_over);
