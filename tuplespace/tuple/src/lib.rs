//! Values, tuples and templates of the tuple space, their text form and their encoding.
//!
//! Everything else that speaks of tuples (the space, the service, clients,
//! guests of the sandbox) takes its types from here, so that what a template
//! means is decided in one place. The crate needs `alloc` only: a guest links
//! it without features and gets the types and [`codec`]; the feature `std` adds
//! serde (`wire`), the text form (`text`) and error texts.
//!
//! | module | concern |
//! |---|---|
//! | `value`, `tuple`, `template` | the types, and what matching means |
//! | [`limits`] | every bound on them |
//! | [`codec`] | the canonical bytes, written by hand for small guests |
//! | `wire` | the same bytes through serde |
//! | `text` | `("job", 42, ?int, _, "img/"*, 10..20)` |

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test may stop"
    )
)]

extern crate alloc;

pub mod codec;
pub mod limits;
mod template;
#[cfg(feature = "std")]
pub mod text;
mod tuple;
mod value;
#[cfg(feature = "std")]
mod wire;

pub use limits::Limit;
pub use template::{Field, Template};
pub use tuple::Tuple;
pub use value::{Kind, Value};
