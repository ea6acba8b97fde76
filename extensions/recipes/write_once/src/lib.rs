//! A policy: a key has one value, and keeps it.
//!
//! In a space whose administrator attached it `("config", KEY, VALUE)` can be put only if no such
//! tuple with that key is there, and is not replaced. Refuses with 1.

#![no_std]

use bezant_sdk::{Refused, Space, TemplateBytes, handler, invocation};

/// The key has a value.
const HAS_A_VALUE: Refused = Refused(1);
/// The tuple is no configuration.
const NOT_CONFIG: Refused = Refused(2);

fn check() -> Result<(), Refused> {
    let put = invocation::tuple().ok_or(NOT_CONFIG)?;
    let mut fields = put.fields();
    fields.text();
    let key = fields.text().ok_or(NOT_CONFIG)?;
    let same = TemplateBytes::new().text("config").text(key).any();
    if Space::HERE.rdp(&same).is_some() {
        return Err(HAS_A_VALUE);
    }
    Ok(())
}

handler!(put = check);
