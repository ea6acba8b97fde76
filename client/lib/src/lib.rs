//! The async client library
