//! The pure Linda tuple space: spaces, operations, waiting, undo
