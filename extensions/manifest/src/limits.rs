//! Bounds on an extension's manifest and module.
//!
//! They are part of the agreed behaviour: every replica of a cluster must have the same ones.
//! What a running extension may use is bounded in bezant-extensions; that a full registration
//! fits into a call is checked in bezant-api.

/// Longest extension module, in bytes. The recipes shipped with the service need a
/// twentieth of it.
pub const MAX_MODULE_BYTES: usize = 128 * 1024;

/// Longest encoded [`Manifest`](crate::Manifest), in bytes.
pub const MAX_MANIFEST_BYTES: usize = 64 * 1024;

/// Most characters of an extension's name.
pub const MAX_NAME_CHARS: usize = 64;

/// Most characters of the name of an entry point.
pub const MAX_ENTRY_CHARS: usize = 64;

/// Most subscriptions of one extension.
pub const MAX_SUBSCRIPTIONS: usize = 16;

/// Most spaces one extension may touch.
pub const MAX_CAPABILITIES: usize = 16;

/// Most fuel one call of an extension may burn. About ten milliseconds of a replica's time.
pub const MAX_FUEL: u64 = 10_000_000;

/// Most memory of an extension's instance, in WebAssembly pages of 64 KiB.
pub const MAX_MEMORY_PAGES: u32 = 16;
