//! A barrier: nobody goes on before all have come.
//!
//! `rd` of `("barrier", NAME, PARTIES)` answers that tuple once as many clients have asked for
//! it (Distler et al., "Extensible Distributed Coordination", EuroSys 2015, §3.4); then the
//! barrier is for the next round. Whoever came is counted by a tuple `("came", NAME)` of its
//! session, so a client whose session ends before all have come counts no more.
//!
//! Refuses with 1 when name or number are not given exactly, with 2 for a number below 1.

#![no_std]

use bezant_sdk::{Answer, Lease, Refused, Space, TemplateBytes, TupleBytes, entry, invocation};

/// The template does not name one barrier and one number.
const NOT_EXACT: Refused = Refused(1);
/// No such number of parties.
const PARTIES: Refused = Refused(2);
/// Most tuples taken at a time.
const PAGE: u32 = 256;

fn come() -> Result<Answer, Refused> {
    let asked = invocation::template().ok_or(NOT_EXACT)?;
    let mut fields = asked.fields();
    fields.text();
    let name = fields.text().ok_or(NOT_EXACT)?;
    let parties = fields.int().ok_or(NOT_EXACT)?;
    let all = u64::try_from(parties).map_err(|_| PARTIES)?;
    if all == 0 {
        return Err(PARTIES);
    }
    let came = TemplateBytes::new().text("came").text(name);
    if Space::HERE.count(&came).saturating_add(1) < all {
        let came = TupleBytes::new().text("came").text(name);
        Space::HERE.out_leased(&came, Lease::Session);
        let passed = TemplateBytes::new().text("barrier").text(name);
        return Ok(Space::HERE.wait_for(&passed.int(parties), false));
    }
    while Space::HERE.in_all(&came, PAGE).next.is_some() {}
    let passed = TupleBytes::new().text("barrier").text(name).int(parties);
    Space::HERE.wake(&passed);
    Ok(Answer::Match(Some(passed)))
}

entry!(pass = come);
