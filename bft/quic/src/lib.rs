//! Authenticated QUIC links between pinned Ed25519 identities
