//! The operation the extension runs instead of, and its circumstances.
//!
//! All of it is agreed: the same on every replica.

use crate::{TemplateBytes, TupleBytes, raw};

/// The kind of the operation: 0 `out`, 1 `rdp`, 2 `inp`, 3 `rd`, 4 `in`, 5 `cas`,
/// 6 `replace`, 7 `rd_all`, 8 `in_all`, 9 `count`, 10 `renew`, 13 `out_to`.
#[must_use]
pub fn kind() -> i32 {
    raw::operation()
}

/// The operation's template, if it has one.
#[must_use]
pub fn template() -> Option<TemplateBytes> {
    raw::fetch(raw::argument_template).map(TemplateBytes::from_host)
}

/// The operation's tuple, if it has one.
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

/// The invoking client's public key.
#[must_use]
pub fn invoker() -> [u8; 32] {
    raw::invoker()
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
