//! The operation or event that the extension is called for, and its circumstances.
//!
//! All of it is agreed: the same on every replica.

use crate::{TemplateBytes, TupleBytes, raw};

/// The kind of the operation: 0 `out`, 1 `rdp`, 2 `inp`, 3 `rd`, 4 `in`, 5 `cas`,
/// 6 `replace`, 7 `rd_all`, 8 `in_all`, 9 `count`, 10 `renew`, 13 `out_to`;
/// policies also see 11 `watch` and 12 `survey`. -1 for an event.
#[must_use]
pub fn kind() -> i32 {
    raw::operation()
}

/// What happened to a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was inserted.
    Inserted,
    /// Somebody took it.
    Taken,
    /// Its lease was over.
    Expired,
    /// The session it belonged to ended.
    SessionEnded,
    /// Somebody who waited got it.
    Served,
}

/// The event the extension is called for, if it is one.
#[must_use]
pub fn event() -> Option<Event> {
    match raw::event() {
        0 => Some(Event::Inserted),
        1 => Some(Event::Taken),
        2 => Some(Event::Expired),
        3 => Some(Event::SessionEnded),
        4 => Some(Event::Served),
        _ => None,
    }
}

/// For [`Event::Served`]: lets the client who was served wait as before, with the tuple back in
/// the space; whether that could be.
#[must_use]
pub fn hold_back() -> bool {
    raw::hold_back() == 1
}

/// The operation's template, if it has one.
#[must_use]
pub fn template() -> Option<TemplateBytes> {
    raw::fetch(raw::argument_template).map(TemplateBytes::from_host)
}

/// The operation's tuple, if it has one, or the one that the event is about.
#[must_use]
pub fn tuple() -> Option<TupleBytes> {
    raw::fetch(raw::argument_tuple).map(TupleBytes::from_host)
}

/// The limit of a `rd_all` or `in_all`.
#[must_use]
pub fn limit() -> Option<u32> {
    u32::try_from(raw::argument_limit()).ok()
}

/// The cursor of a `rd_all` that does not begin at the start.
#[must_use]
pub fn after() -> Option<u64> {
    u64::try_from(raw::argument_after()).ok()
}

/// The public key of the client whose operation it is; of an event, that of whoever was served,
/// or else that of the extension's owner.
#[must_use]
pub fn invoker() -> [u8; 32] {
    let mut key = [0; 32];
    raw::invoker(&mut key);
    key
}

/// The agreed time in milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    raw::now()
}

/// The sequence number of the proposal the operation is part of.
#[must_use]
pub fn sequence() -> i64 {
    raw::sequence()
}
