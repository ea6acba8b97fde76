//! A policy: what was put stays.
//!
//! In a space whose administrator attached it nothing is taken, replaced or put on a lease, by
//! anybody: what is there can be relied on. Refuses with 1.

#![no_std]

use bezant_sdk::{Refused, handler};

/// Nothing is taken here.
const STAYS: Refused = Refused(1);

fn refuse() -> Result<(), Refused> {
    Err(STAYS)
}

handler!(take = refuse);
