//! A rate limiter: so many calls in so many milliseconds, and no more.
//!
//! `inp` of `("admit", NAME, CALLS, WINDOW)` gives that tuple if fewer than CALLS were admitted
//! under NAME since the window of WINDOW milliseconds began, and else nothing; the first call
//! after its end begins the next one. Time is agreed time, so all replicas say the same. What
//! counts is kept as `("window", NAME, BEGAN, ADMITTED)`.
//!
//! Refuses with 1 when anything is not given exactly.

#![no_std]

use bezant_sdk::{Answer, Kind, Refused, Space, TemplateBytes, TupleBytes, entry, invocation};

/// The template does not name all that it has to.
const NOT_EXACT: Refused = Refused(1);

fn admit() -> Result<Answer, Refused> {
    let asked = invocation::template().ok_or(NOT_EXACT)?;
    let mut fields = asked.fields();
    fields.text();
    let name = fields.text().ok_or(NOT_EXACT)?;
    let calls = fields.int().ok_or(NOT_EXACT)?;
    let window = fields.int().ok_or(NOT_EXACT)?;
    let now = invocation::now_ms();

    let counted = TemplateBytes::new().text("window").text(name);
    let counted = counted.of_kind(Kind::Int).of_kind(Kind::Int);
    let (began, admitted) = Space::HERE.rdp(&counted).map_or((now, 0), |counted| {
        let mut fields = counted.fields();
        fields.text();
        fields.text();
        let began = fields.int().unwrap_or(now);
        (began, fields.int().unwrap_or(0))
    });
    let (began, admitted) = if now.saturating_sub(began) >= window {
        (now, 0)
    } else {
        (began, admitted)
    };
    if admitted >= calls {
        return Ok(Answer::Match(None));
    }
    Space::HERE.inp(&counted);
    let counted = TupleBytes::new().text("window").text(name);
    Space::HERE.out(&counted.int(began).int(admitted.saturating_add(1)));
    let admission = TupleBytes::new().text("admit").text(name);
    Ok(Answer::Match(Some(admission.int(calls).int(window))))
}

entry!(call = admit);
