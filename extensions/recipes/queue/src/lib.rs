//! A distributed queue: one call instead of read all, sort, take, with retry.
//!
//! An element is the tuple `("element", key, payload)` with an integer key, put into the
//! space by a plain `out`; the head is the element with the smallest key, the oldest
//! among equals (Distler et al., "Extensible Distributed Coordination", EuroSys 2015,
//! §3.3). `inp` of `("head")` removes and gives it, `rdp` of `("head")` only gives it.
//!
//! A queue without keys, first in, first out, needs no extension: a plain `inp` of
//! `("element", _)` takes the oldest element.

#![no_std]

use bezant_sdk::{Answer, Kind, Refused, Space, TemplateBytes, entry, invocation};

/// The number of `rdp` among the kinds of operation.
const RDP: i32 = 1;
/// Where an element has its key.
const KEY: u32 = 1;

fn first() -> Result<Answer, Refused> {
    let element = TemplateBytes::new()
        .text("element")
        .of_kind(Kind::Int)
        .any();
    Ok(Answer::Match(if invocation::kind() == RDP {
        Space::HERE.rdp_min(&element, KEY)
    } else {
        Space::HERE.inp_min(&element, KEY)
    }))
}

entry!(head = first);
