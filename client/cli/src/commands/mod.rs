//! The commands, one file each; a family with one subject shares a file.
//!
//! No command knows the list of commands: `args` declares it and `dispatch` runs it.

pub(crate) mod access;
pub(crate) mod attack;
pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod cluster;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod export;
pub(crate) mod ext;
pub(crate) mod fault;
pub(crate) mod group;
pub(crate) mod hold;
pub(crate) mod node;
pub(crate) mod operation;
pub(crate) mod shell;
pub(crate) mod sim;
pub(crate) mod space;
pub(crate) mod status;
pub(crate) mod watch;
