//! What an entry point returns.

use alloc::vec::Vec;

use bezant_tuple::codec;

use crate::{TupleBytes, raw};

/// The answer to the operation, of the operation's own result type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To `out`.
    Done,
    /// To `rdp`, `inp`, `cas`, `replace`; with a tuple to `rd` and `in`.
    Match(Option<TupleBytes>),
    /// To `rd_all` and `in_all`: the tuples, and the cursor of the next page.
    Page(Vec<TupleBytes>, Option<u64>),
    /// To `count`.
    Count(u64),
    /// To `rd` and `in`: [`Space::wait_for`](crate::Space::wait_for) has seen to it.
    Awaited,
}

/// A refusal with a code of the extension's own. Everything the call did is undone and
/// the client is told the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub u32);

/// Runs an entry point; what [`entry!`](crate::entry) makes an export of.
pub fn run(function: impl FnOnce() -> Result<Answer, Refused>) {
    match function() {
        Ok(Answer::Awaited) => {}
        Ok(answer) => raw::reply(&answer.encode()),
        Err(Refused(code)) => raw::refuse(code),
    }
}

/// Runs an entry point that answers nobody; what [`handler!`](crate::handler) makes an export
/// of.
pub fn run_handler(function: impl FnOnce() -> Result<(), Refused>) {
    if let Err(Refused(code)) = function() {
        raw::refuse(code);
    }
}

impl Answer {
    /// The canonical encoding, as an outcome has it on the wire.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        match self {
            Self::Done => out.push(0),
            // Nothing is sent for it.
            Self::Awaited => {}
            Self::Match(None) => out.extend_from_slice(&[1, 0]),
            Self::Match(Some(tuple)) => {
                out.extend_from_slice(&[1, 1]);
                out.extend_from_slice(tuple.as_bytes());
            }
            Self::Page(tuples, next) => {
                out.push(2);
                codec::put_varint(&mut out, tuples.len() as u64);
                for tuple in tuples {
                    out.extend_from_slice(tuple.as_bytes());
                }
                out.push(u8::from(next.is_some()));
                if let Some(id) = next {
                    codec::put_varint(&mut out, *id);
                }
            }
            Self::Count(count) => {
                out.push(3);
                codec::put_varint(&mut out, *count);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn answers_are_encoded_as_outcomes_are() {
        let tuple = || TupleBytes::new().int(42);
        for (answer, bytes) in [
            (Answer::Done, &[0][..]),
            (Answer::Match(None), &[1, 0]),
            (Answer::Match(Some(tuple())), &[1, 1, 1, 2, 84]),
            (
                Answer::Page(vec![tuple()], Some(300)),
                &[2, 1, 1, 2, 84, 1, 0xac, 2],
            ),
            (Answer::Page(Vec::new(), None), &[2, 0, 0]),
            (Answer::Count(128), &[3, 0x80, 1]),
        ] {
            assert_eq!(answer.encode(), bytes);
        }
    }
}
