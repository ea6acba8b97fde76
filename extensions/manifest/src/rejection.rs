//! Why an extension is not accepted: the rule it breaks and where, or what the registry of a
//! service says no to.
//!
//! Rules travel in replies that replicas must agree on, so they are codes; the text is made
//! where it is shown.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    limits::{MAX_MEMORY_PAGES, MAX_MODULE_BYTES},
    manifest::ManifestError,
};

/// Which rule an extension broke, and where. Made by `bezant_extensions::check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The rule.
    pub rule: Rule,
    /// The index of the function at fault, imported ones counted first, where it lies in one.
    pub function: Option<u32>,
    /// The offset in the module of the byte at fault, where it is known.
    pub offset: Option<u32>,
}

/// A rule that every extension must keep. The order of the variants is the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Rule {
    /// The manifest is sound.
    Manifest(ManifestError),
    /// The module is at most [`MAX_MODULE_BYTES`] long.
    Size,
    /// The module is valid WebAssembly.
    Valid,
    /// No floating point: its results may differ between machines.
    NoFloats,
    /// Nothing beyond the first version of WebAssembly and the few proposals that are on.
    NoProposal,
    /// No start function: an instance does nothing before it is called.
    NoStart,
    /// Imports are functions of module `bezant1` that exist, with their types.
    Imports,
    /// `memory` and every entry point of the manifest are exported with their types.
    Exports,
    /// One memory of its own that needs no more than the manifest's cap.
    Memory,
    /// Not too many functions, types, globals, tables, segments, locals or parameters.
    Count,
    /// Names that are part of the module are not too long.
    Names,
}

/// Why the registry of a service's extensions refused a change. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The extension breaks a rule.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// No extension has this hash.
    #[error("no extension has this hash")]
    NoSuchExtension,
    /// The service or this owner has as many extensions as it may have.
    #[error("there are as many extensions as there may be, of this owner or of all")]
    TooManyExtensions,
    /// The client has acknowledged as many extensions as it may, or there is no room for more.
    #[error("as many extensions are acknowledged as may be, by this client or by all")]
    TooManyAcknowledgements,
    /// The extension is another client's.
    #[error("the extension is another client's")]
    Forbidden,
    /// The extension applies to everyone in a space.
    #[error("the extension applies to everyone in a space")]
    Attached,
    /// The extension is not in force, or took the place of none that is still installed.
    #[error("the extension is not in force, or no version before it is installed")]
    NoVersionBefore,
    /// A space, or the service, has as many extensions attached as it may have.
    #[error("as many extensions are attached as may be, in this space or in all")]
    TooManyAttached,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the extension was rejected: {}", self.rule)?;
        if let Some(function) = self.function {
            write!(f, " (function {function}")?;
            if let Some(offset) = self.offset {
                write!(f, ", at byte {offset:#x}")?;
            }
            return f.write_str(")");
        }
        self.offset
            .map_or(Ok(()), |offset| write!(f, " (at byte {offset:#x})"))
    }
}

impl core::error::Error for Rejection {}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(error) => write!(f, "its manifest is wrong: {error}"),
            Self::Size => write!(f, "its module is longer than {MAX_MODULE_BYTES} bytes; build it for size and strip it"),
            Self::Valid => f.write_str("its module is not valid WebAssembly; build it anew"),
            Self::NoFloats => f.write_str("it uses floating point, whose results may differ between replicas; use integers"),
            Self::NoProposal => f.write_str("it uses a WebAssembly feature that is off here; build it for the plain `mvp` processor"),
            Self::NoStart => f.write_str("it has a start function; do that work in the entry point"),
            Self::Imports => f.write_str("it imports something that is not a function of `bezant1`, or with another type; docs/extensions/abi.md lists them"),
            Self::Exports => f.write_str("it does not export its memory as `memory` and every entry point of its manifest as a function without parameters and results"),
            Self::Memory => write!(f, "it does not have one memory of its own that starts within its manifest's cap of at most {MAX_MEMORY_PAGES} pages; lower its stack or raise the cap"),
            Self::Count => f.write_str("it has more functions, types, globals, tables, segments, locals or parameters than a module may have; make it smaller"),
            Self::Names => f.write_str("it has a name that is too long; shorten its exports"),
        }
    }
}
