//! Who may see and take a single tuple.
//!
//! A space's lists say who may read and take there at all, which is not for this crate to
//! judge. Whoever puts a tuple can narrow that for it. To those it is not meant for such a
//! tuple does not exist: no operation finds, counts, takes, awaits or tells of it
//! (docs/decisions/019-single-tuples.md).

use std::{collections::BTreeSet, sync::Arc};

use bezant_tuple::{Tuple, codec::Reader};
use serde::{Deserialize, Serialize};

use crate::{
    BadContent, Groups, Operation, Principal, Refusal,
    principal::{ClientKey, put_list, read_list},
};

/// Most entries of each list of an [`Audience`].
pub const MAX_AUDIENCE: usize = 16;

/// For whom a tuple is, of those who may read or take in its space at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Audience {
    /// Who may see it; without a list, everybody.
    pub readers: Option<BTreeSet<Principal>>,
    /// Who may take it and renew its lease; without a list, everybody. Whoever takes it sees
    /// it, whether or not it is among the readers.
    pub takers: Option<BTreeSet<Principal>>,
}

/// What somebody looks at tuples for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    See,
    Take,
}

/// Somebody who looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer<'a> {
    pub(crate) client: Option<&'a ClientKey>,
    pub(crate) groups: &'a Groups,
    pub(crate) aim: Aim,
}

impl Audience {
    /// Whether it leaves everybody in.
    #[must_use]
    pub const fn is_everybody(&self) -> bool {
        self.readers.is_none() && self.takers.is_none()
    }

    /// Refuses one that is too long.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let mut lists = [&self.readers, &self.takers].into_iter().flatten();
        if lists.any(|list| list.len() > MAX_AUDIENCE) {
            return Err(Refusal::AudienceTooLong);
        }
        Ok(())
    }

    /// Appends it in canonical encoding.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        for list in [&self.readers, &self.takers] {
            out.push(u8::from(list.is_some()));
            list.iter().for_each(|list| put_list(out, list));
        }
    }

    /// Reads what [`Audience::encode_into`] wrote.
    ///
    /// # Errors
    /// [`BadContent`] for anything that could not have been written.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, BadContent> {
        let mut list = || match reader.truth()? {
            false => Ok(None),
            true => read_list(reader, MAX_AUDIENCE).map(Some),
        };
        Ok(Self {
            readers: list()?,
            takers: list()?,
        })
    }
}

impl Viewer<'_> {
    /// Whether a tuple with this audience is there for whoever looks.
    pub(crate) fn meets(&self, audience: &Audience) -> bool {
        let list = match self.aim {
            Aim::See => &audience.readers,
            Aim::Take => &audience.takers,
        };
        let list = list.as_ref();
        list.is_none_or(|list| self.groups.mean(list, self.client))
    }
}

/// For whom the tuple is to be that an operation inserts, unless it is for everybody.
pub(crate) fn narrowed_to(operation: &Operation) -> Result<Option<Arc<Audience>>, Refusal> {
    let Some(audience) = operation.audience() else {
        return Ok(None);
    };
    audience.check()?;
    Ok((!audience.is_everybody()).then(|| Arc::new(audience.clone())))
}

/// What a tuple weighs in all bounds of bytes: its canonical encoding, and that of its
/// audience if it has one.
pub(crate) fn weight(tuple: &Tuple, audience: Option<&Audience>) -> u64 {
    let audience = audience.map_or(0, |audience| {
        let mut out = Vec::new();
        audience.encode_into(&mut out);
        out.len()
    });
    (tuple.encoded_len().saturating_add(audience)) as u64
}
