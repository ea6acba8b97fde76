//! Every bound on a tuple or a template, and the error that names one.
//!
//! The bounds are part of the wire contract: a replica that allowed more than
//! another would disagree with it.

/// Most fields of a tuple or a template.
pub const MAX_FIELDS: usize = 32;

/// Most lists inside one another within a field; `[]` is one level, a scalar none.
pub const MAX_DEPTH: usize = 8;

/// Longest canonical encoding of a tuple, in bytes.
pub const MAX_TUPLE_BYTES: usize = 65_536;

/// Longest canonical encoding of a template, in bytes: every tuple fits as its
/// own exact template, which costs one tag a field.
pub const MAX_TEMPLATE_BYTES: usize = MAX_TUPLE_BYTES + MAX_FIELDS;

// The codec writes the number of fields as one byte and the index keeps sets of
// positions in 32 bits.
const _: () = assert!(MAX_FIELDS <= 32);

/// Which bound a tuple or template broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(thiserror::Error))]
pub enum Limit {
    /// More than [`MAX_FIELDS`] fields.
    #[cfg_attr(
        feature = "std",
        error("more than {MAX_FIELDS} fields; group some of them in a list")
    )]
    TooManyFields,
    /// Lists nested more than [`MAX_DEPTH`] deep.
    #[cfg_attr(
        feature = "std",
        error("lists nested more than {MAX_DEPTH} deep; flatten them")
    )]
    TooDeep,
    /// More than [`MAX_TUPLE_BYTES`] (or [`MAX_TEMPLATE_BYTES`]) once encoded.
    #[cfg_attr(
        feature = "std",
        error("more than {MAX_TUPLE_BYTES} bytes once encoded; store a reference to the data")
    )]
    TooLarge,
    /// A range with neither bound, which would be a second spelling of "any integer".
    #[cfg_attr(
        feature = "std",
        error("a range without bounds; use the type int instead")
    )]
    UnboundedRange,
}
