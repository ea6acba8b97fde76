//! Reads the arguments that several commands take: spaces, tuples, templates, and whom.
//!
//! What cannot be read is a usage error that says how to write it. Nothing is asked of a
//! cluster here.

use bezant_codec::hex::from_hex;
use std::{str::FromStr, time::Duration};

use bezant_api::{GroupName, Principal};
use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{NameError, SpaceName};

use crate::exit::{Exit, Failure};

/// Parses the name of a space; those of the service itself may be read.
pub(crate) fn space_name(text: &str) -> Result<SpaceName, Failure> {
    text.parse()
        .map_err(|error: NameError| Failure::sentence(Exit::Usage, &error.to_string()))
}

/// Parses a tuple.
pub(crate) fn tuple(text: &str) -> Result<Tuple, Failure> {
    parsed(
        text,
        "tuple",
        "write it like '(\"build\", 42)', quoted for the shell",
    )
}

/// Parses a template.
pub(crate) fn template(text: &str) -> Result<Template, Failure> {
    parsed(
        text,
        "template",
        "write it like '(\"build\", ?int, _)', quoted for the shell",
    )
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(
    text: &str,
    what: &str,
    next: &str,
) -> Result<T, Failure> {
    text.parse()
        .map_err(|error: T::Err| Failure::usage(format!("this is no {what}\n{error}")).next(next))
}

/// Reads `anyone`, a key or `group:NAME`.
pub(crate) fn principal(text: &str) -> Result<Principal, Failure> {
    if text == "anyone" {
        return Ok(Principal::Anyone);
    }
    match text.strip_prefix("group:") {
        Some(name) => group(name).map(Principal::Members),
        None => client(text).map(Principal::Client),
    }
}

/// Reads the name of a group.
pub(crate) fn group(name: &str) -> Result<GroupName, Failure> {
    name.parse().map_err(|_| {
        Failure::usage(format!("{name:?} is no name of a group")).next("use a-z 0-9 . _ / -")
    })
}

/// Reads a client's key.
pub(crate) fn client(text: &str) -> Result<[u8; 32], Failure> {
    from_hex(text).ok_or_else(|| {
        Failure::usage(format!("{text:?} names no client"))
            .next("write anyone, group:NAME, or a client's public key: 64 hexadecimal digits")
    })
}

/// Whole milliseconds; what is more than can be said is refused by the service.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
