//! What an extension author links: the host's calls with types, and nothing else.
//!
//! An extension is a `cdylib` for `wasm32-unknown-unknown` without the standard
//! library. It exports one function for each entry point of its manifest, with
//! [`entry!`]; the function asks what operation it runs instead of
//! ([`invocation`]), reads and changes tuples ([`Space`]) and returns an [`Answer`]
//! of the operation's own result type, or refuses:
//!
//! ```ignore
//! #![no_std]
//! use bezant_sdk::{Answer, Refused, Space, entry, invocation};
//!
//! /// Instead of `inp`: gives the smallest of what the template matches.
//! fn smallest() -> Result<Answer, Refused> {
//!     let template = invocation::template().ok_or(Refused(1))?;
//!     Ok(Answer::Match(Space::HERE.inp_min(&template, 1)))
//! }
//! entry!(smallest_first = smallest);
//! ```
//!
//! Memory is taken from a pointer that only moves forward and is never given back:
//! every call runs in a fresh instance. What the host's calls mean and cost is in
//! docs/extensions/abi.md; this crate's bindings are made from the same table.

#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test may stop"
    )
)]

extern crate alloc;
#[cfg(all(feature = "native", not(target_arch = "wasm32")))]
extern crate std;

mod answer;
mod encoded;
pub mod invocation;
#[cfg(all(feature = "native", not(target_arch = "wasm32")))]
pub mod native;
mod raw;
mod space;

pub use answer::{Answer, Refused, run, run_handler};
pub use bezant_tuple::{Field, Kind, Template, Tuple, Value, codec};
pub use encoded::{ExactFields, Fields, TemplateBytes, TupleBytes};
pub use space::{Lease, Page, Space};

/// Writes a line to the replica's log, for debugging. It costs fuel, listened to or not.
pub fn log(text: &str) {
    raw::log(text.as_bytes());
}

/// Exports an entry point: `entry!(name = function)`.
///
/// `name` is what the manifest says; `function` is a `fn() -> Result<Answer, Refused>`.
#[macro_export]
macro_rules! entry {
    ($name:ident = $function:path) => {
        #[doc = concat!("Entry point `", stringify!($name), "`.")]
        #[allow(
            unsafe_code,
            reason = "an export must keep its name; nothing else has it"
        )]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name() {
            $crate::run($function)
        }
    };
}

/// Exports an entry point that answers nobody: `handler!(name = function)`.
///
/// For events, and for policies, which refuse or let pass; `function` is a
/// `fn() -> Result<(), Refused>`.
#[macro_export]
macro_rules! handler {
    ($name:ident = $function:path) => {
        #[doc = concat!("Entry point `", stringify!($name), "`.")]
        #[allow(
            unsafe_code,
            reason = "an export must keep its name; nothing else has it"
        )]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name() {
            $crate::run_handler($function)
        }
    };
}
