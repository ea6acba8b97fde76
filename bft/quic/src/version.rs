//! What the two ends of a link must both speak: the version and its name in TLS.

/// The version of the link protocol this crate speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// The TLS application protocol of these links (RFC 7301).
pub const ALPN: &[u8] = ALPN_TEXT.as_bytes();

/// [`ALPN`] as text, for messages.
pub(crate) const ALPN_TEXT: &str = "bezant/1";
