//! Group membership with a numbered view.
//!
//! `out` of `("member", GROUP, ID)` joins: the tuple lives as long as the session of whoever put
//! it. A plain `inp` of it leaves. Each change of the members makes a new view
//! `("view", GROUP, N)`, N being one more than before, so that whoever knows view N waits for
//! the next with `rd` of `("view", GROUP, N+1..)` and reads the members with `rd_all`.
//!
//! Refuses with 1 what is no member, with 2 an ID that is a member already.

#![no_std]

use bezant_sdk::{
    Answer, Kind, Lease, Refused, Space, TemplateBytes, TupleBytes, entry, handler, invocation,
};

/// The tuple is no member of a group.
const NOT_A_MEMBER: Refused = Refused(1);
/// There is one of this name.
const TAKEN: Refused = Refused(2);

fn join() -> Result<Answer, Refused> {
    let member = invocation::tuple().ok_or(NOT_A_MEMBER)?;
    let mut fields = member.fields();
    fields.text();
    let group = fields.text().ok_or(NOT_A_MEMBER)?;
    let id = fields.text().ok_or(NOT_A_MEMBER)?;
    let same = TemplateBytes::new().text("member").text(group).text(id);
    if Space::HERE.rdp(&same).is_some() {
        return Err(TAKEN);
    }
    Space::HERE.out_leased(&member, Lease::Session);
    Ok(Answer::Done)
}

/// The members of a group are others than before.
fn changed() -> Result<(), Refused> {
    let member = invocation::tuple().ok_or(NOT_A_MEMBER)?;
    let mut fields = member.fields();
    fields.text();
    let group = fields.text().ok_or(NOT_A_MEMBER)?;
    let view = TemplateBytes::new().text("view").text(group);
    let before = Space::HERE.inp(&view.of_kind(Kind::Int));
    let before = before.map_or(0, |before| {
        let mut fields = before.fields();
        fields.text();
        fields.text();
        fields.int().unwrap_or(0)
    });
    let view = TupleBytes::new().text("view").text(group);
    Space::HERE.out(&view.int(before.saturating_add(1)));
    Ok(())
}

entry!(member = join);
handler!(view = changed);
