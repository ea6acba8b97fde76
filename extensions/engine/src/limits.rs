//! Bounds on modules, calls and the registry, and how they depend on each other.
//!
//! All of them are agreed behaviour: a replica with other limits would reject
//! what the others accept. Bounds on what a client may send are in
//! [`bezant_manifest::limits`].

use bezant_manifest::limits::MAX_MODULE_BYTES;

/// Most types, and most functions, of a module.
pub const MAX_FUNCTIONS: u32 = 1000;
/// Most parameters of a function. WebAssembly's own limit is a thousand.
pub const MAX_PARAMETERS: usize = 16;
/// Most locals of a function, parameters not counted. A few bytes can declare
/// billions, each of which the engine would give a place on its stack.
pub const MAX_LOCALS: u32 = 500;
/// Most globals of a module.
pub const MAX_GLOBALS: u32 = 100;
/// Most entries of the module's table.
pub const MAX_TABLE_ENTRIES: u64 = 1000;
/// Most element segments, and most data segments, of a module.
pub const MAX_SEGMENTS: u32 = 100;
/// Most imports, and most exports, of a module.
pub const MAX_IMPORTS_EXPORTS: u32 = 100;
/// Most bytes of an exported name.
pub const MAX_EXPORT_NAME_BYTES: usize = 128;

/// The interpreter's value stack in bytes, reserved as a whole before the call.
pub const STACK_BYTES: usize = 256 * 1024;
/// Most calls of functions inside one another.
pub const MAX_RECURSION: usize = 256;
/// Most tuples of a page that an extension reads.
pub const MAX_PAGE_TUPLES: u32 = 256;
/// Most bytes one call may write to the log; more is dropped.
pub const MAX_LOG_BYTES: usize = 4096;

/// Most extensions of the service.
pub const MAX_EXTENSIONS: usize = 256;
/// Most extensions of one client.
pub const MAX_EXTENSIONS_PER_OWNER: usize = 16;
/// Most bytes of all modules together.
pub const MAX_TOTAL_MODULE_BYTES: usize = 16 * 1024 * 1024;
/// Most extensions one client may have acknowledged.
pub const MAX_ACKNOWLEDGEMENTS_PER_CLIENT: usize = 64;
/// Most acknowledgements of all clients together.
pub const MAX_ACKNOWLEDGEMENTS: usize = 65_536;

/// Most extensions attached in one space.
pub const MAX_ATTACHED_PER_SPACE: usize = 8;
/// Most attachments of all spaces together.
pub const MAX_ATTACHED: usize = 4_096;

/// Most fuel one call may burn that is made for an event: everyone who does something in a
/// space pays for those in time, whether or not it agreed to the extension.
pub const MAX_EVENT_FUEL: u64 = 1_000_000;
/// The fuel after which calls for events wait for the next proposal.
pub const EVENT_FUEL_PER_PROPOSAL: u64 = 10_000_000;
/// How deep events may cascade: what a call for an event of this depth does is an event for
/// those who watch, but for no extension.
pub const MAX_CASCADE_DEPTH: u8 = 4;
/// Most events that calls for events may cause, all those together that go back to one
/// request; the rest is no event for extensions.
pub const MAX_CASCADE_EVENTS: u32 = 256;

/// Most events that wait for their dispatch, and most bytes of their tuples; what happens
/// while there are so many is no event for extensions.
pub const MAX_PENDING_EVENTS: usize = 65_536;
/// See [`MAX_PENDING_EVENTS`].
pub const MAX_PENDING_EVENT_BYTES: usize = 16 * 1024 * 1024;

const _: () = assert!(
    MAX_EVENT_FUEL <= EVENT_FUEL_PER_PROPOSAL,
    "one call must fit into what a proposal allows"
);
const _: () = assert!(
    MAX_EXTENSIONS_PER_OWNER <= MAX_EXTENSIONS,
    "one owner's share is part of the whole"
);
const _: () = assert!(
    MAX_TOTAL_MODULE_BYTES >= MAX_EXTENSIONS_PER_OWNER * MAX_MODULE_BYTES,
    "one owner must be able to use its share"
);
const _: () = assert!(
    MAX_LOCALS as usize * 8 <= STACK_BYTES / 2,
    "one function with all its locals must fit on the stack"
);
const _: () = assert!(
    MAX_ACKNOWLEDGEMENTS_PER_CLIENT <= MAX_ACKNOWLEDGEMENTS,
    "one client's share is part of the whole"
);
