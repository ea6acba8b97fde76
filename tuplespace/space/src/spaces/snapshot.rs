//! All spaces as bytes, and back.
//!
//! The bytes say what future answers depend on and nothing of how it came
//! about: waiters stand in their order of arrival without its numbers, indices
//! and sums are left out and made anew. One content has one spelling, so whatever
//! [`Spaces::decode`] takes, [`Spaces::encode_into`] gives back.

use std::{collections::BTreeMap, sync::Arc};

use bezant_tuple::{
    Tuple,
    codec::{self, DecodeError, Reader},
};

use super::Spaces;
use crate::{
    Audience, Change, ClientKey, Limits, MAX_ACCOUNTS, Parts, Payer, Quota, SpaceName, TupleId,
    WaiterId, Wants, broken,
    clock::End,
    history::{Entry, History},
    leases::Hold,
    limits::MAX_LEASE_MS,
    space::{Incoming, Space, Ties},
    waiting::Waiter,
};

/// Why bytes are no content that a replica could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadContent {
    /// A part of it is not in the one canonical spelling.
    #[error(transparent)]
    Encoding(#[from] DecodeError),
    /// Every part is spelled well, but together they break what always holds.
    #[error("{0}")]
    Contradiction(&'static str),
}

/// More ids than any run gives out, few enough that counting on from here never ends.
const MAX_ID: TupleId = TupleId(1 << 62);

impl BadContent {
    /// A [contradiction](Self::Contradiction), unless what must hold does.
    ///
    /// # Errors
    /// When `holds` is false.
    pub const fn unless(holds: bool, what: &'static str) -> Result<(), Self> {
        if holds {
            Ok(())
        } else {
            Err(Self::Contradiction(what))
        }
    }
}

impl Spaces {
    /// Appends the whole content but agreed time: spaces, tuples with their places in the order of
    /// insertion, leases with their ends, who waits, and what happened lately. Says how many tuples
    /// had to be encoded, because they or their neighbours changed since the last time.
    ///
    /// Waiters served and not yet [taken](Spaces::take_deliveries), and savepoints, are of the
    /// operation under way and no part of the content.
    pub fn encode_into(&self, parts: &mut Parts) -> u64 {
        let out = parts.open();
        codec::put_varint(out, self.last.0);
        codec::put_varint(out, self.accounts.len() as u64);
        let mut places = BTreeMap::new();
        for (place, (payer, account)) in (0_u64..).zip(self.accounts.all()) {
            places.insert(payer, place);
            codec::put_bytes(out, payer);
            put_quota(out, account.quota);
        }
        codec::put_varint(out, self.spaces.len() as u64);
        let mut anew = 0;
        for (name, space) in &self.spaces {
            let out = parts.open();
            codec::put_bytes(out, name.as_str().as_bytes());
            put_quota(out, space.quota());
            codec::put_varint(out, space.audiences().len() as u64);
            for (id, audience) in space.audiences() {
                codec::put_varint(out, id.0);
                audience.encode_into(out);
            }
            codec::put_varint(out, space.len());
            anew += space.encode_into(parts);
            let out = parts.open();
            codec::put_varint(out, space.holds().len() as u64);
            for (id, hold) in space.holds() {
                codec::put_varint(out, id.0);
                match hold {
                    Hold::Until(end) => codec::put_varint(out, self.clock.due_ms(end)),
                    // Nothing that is still to come is due at time 0.
                    Hold::Owner(owner) => {
                        codec::put_varint(out, 0);
                        codec::put_varint(out, owner);
                    }
                }
            }
            codec::put_varint(out, space.payers().len() as u64);
            for (id, payer) in space.payers() {
                let Some(place) = places.get(payer) else {
                    broken("a tuple counts against somebody without an account");
                };
                codec::put_varint(out, id.0);
                codec::put_varint(out, *place);
            }
        }
        let out = parts.open();
        codec::put_varint(out, self.waiting.len() as u64);
        for waiter in self.waiting.all() {
            codec::put_varint(out, waiter.id.owner);
            codec::put_varint(out, waiter.id.number);
            codec::put_bytes(out, waiter.space.as_str().as_bytes());
            match waiter.wants {
                Wants::Read => out.push(0),
                Wants::Take => out.push(1),
                Wants::Watch { limit } => {
                    out.push(2);
                    codec::put_varint(out, u64::from(limit));
                }
            }
            let due_ms = waiter.end.map_or(0, |end| self.clock.due_ms(end));
            codec::put_varint(out, due_ms);
            codec::put_template(out, &waiter.template);
        }
        self.history.encode_into(out);
        anew
    }

    /// Reads what [`Spaces::encode_into`] wrote at agreed time `now_ms`; `client_of` says whose
    /// an owner's waits are. What it allocates is proportional to
    /// what it has read. That no waiter waits for what is there is not checked: it would
    /// cost a search for each.
    ///
    /// # Errors
    /// [`BadContent`] for anything that spaces within `limits` could not have written.
    pub fn decode(
        limits: Limits,
        now_ms: u64,
        client_of: impl Fn(u64) -> Option<ClientKey>,
        reader: &mut Reader<'_>,
    ) -> Result<Self, BadContent> {
        let mut spaces = Self::new(limits);
        spaces.clock.advance(now_ms);
        spaces.last = TupleId(reader.varint()?);
        BadContent::unless(
            spaces.last <= MAX_ID,
            "more ids given out than any run gives",
        )?;
        let payers = spaces.decode_accounts(reader)?;
        let mut ids = Vec::new();
        for _ in 0..reader.length()? {
            let name = read_name(reader)?;
            let last = spaces.spaces.last_key_value();
            BadContent::unless(
                last.is_none_or(|(last, _)| *last < name),
                "spaces out of order",
            )?;
            BadContent::unless(spaces.spaces.len() < limits.spaces, "too many spaces")?;
            let mut space = Space::default();
            space.allow(read_quota(reader)?);
            spaces.spaces.insert(name.clone(), space);
            let audiences = decode_audiences(reader)?;
            spaces.decode_tuples(&name, audiences, reader, &mut ids)?;
            spaces.decode_holds(&name, reader)?;
            spaces.decode_payers(&name, &payers, reader)?;
        }
        ids.sort_unstable();
        let within = ids.first().is_none_or(|id| id.0 > 0) && ids.last() <= Some(&spaces.last);
        BadContent::unless(within, "a tuple's id that was not given out")?;
        BadContent::unless(
            ids.is_sorted_by(|a, b| a < b),
            "a tuple's id given out twice",
        )?;
        for _ in 0..reader.length()? {
            spaces.decode_waiter(&client_of, reader)?;
        }
        spaces.decode_history(reader)?;
        Ok(spaces)
    }

    /// The accounts, all empty, and whose they are.
    fn decode_accounts(&mut self, reader: &mut Reader<'_>) -> Result<Vec<Payer>, BadContent> {
        let count = reader.length()?;
        BadContent::unless(count <= MAX_ACCOUNTS, "too many accounts")?;
        let mut payers: Vec<Payer> = Vec::new();
        for _ in 0..count {
            let payer = reader.bytes()?.try_into();
            let payer = payer.map_err(|_| BadContent::Contradiction("a key that is none"))?;
            BadContent::unless(payers.last() < Some(&payer), "accounts out of order")?;
            let quota = read_quota(reader)?;
            BadContent::unless(quota != Quota::NONE, "an account without a bound")?;
            self.accounts.open(payer, quota);
            payers.push(payer);
        }
        Ok(payers)
    }

    fn decode_payers(
        &mut self,
        name: &SpaceName,
        payers: &[Payer],
        reader: &mut Reader<'_>,
    ) -> Result<(), BadContent> {
        let mut before = TupleId(0);
        for _ in 0..reader.length()? {
            let id = TupleId(reader.varint()?);
            BadContent::unless(before < id, "payers out of order")?;
            before = id;
            let place = usize::try_from(reader.varint()?).ok();
            let payer = place.and_then(|place| payers.get(place)).copied();
            let payer = payer.ok_or(BadContent::Contradiction("a payer without an account"))?;
            let bytes = self.space(name).weight_of(id);
            let bytes = bytes.ok_or(BadContent::Contradiction("a payer of no tuple"))?;
            self.charge(name, id, payer, bytes);
        }
        Ok(())
    }

    fn decode_history(&mut self, reader: &mut Reader<'_>) -> Result<(), BadContent> {
        let last = reader.varint()?;
        let count = reader.length()?;
        BadContent::unless(last <= MAX_ID.0, "more events than any run makes")?;
        BadContent::unless(count <= self.limits.events, "too many events")?;
        let before = last.checked_sub(count as u64);
        let before = before.ok_or(BadContent::Contradiction("events without numbers"))?;
        let mut history = History::after(before);
        for _ in 0..count {
            let space = read_name(reader)?;
            let change = Change::ALL.get(usize::from(reader.byte()?)).copied();
            let change = change.ok_or(BadContent::Contradiction("an event of no kind"))?;
            let id = TupleId(reader.varint()?);
            let given_out = (TupleId(1)..=self.last).contains(&id);
            BadContent::unless(given_out, "an event of a tuple that was not given out")?;
            let tuple = reader.tuple()?;
            let audience = Audience::decode(reader)?;
            let entry = Entry {
                space,
                change,
                id,
                tuple,
                audience: (!audience.is_everybody()).then(|| Arc::new(audience)),
                with_session: false,
            };
            history.push(entry, &self.limits);
        }
        BadContent::unless(history.len() == count, "too many bytes of events")?;
        self.history = history;
        Ok(())
    }

    fn decode_tuples(
        &mut self,
        name: &SpaceName,
        mut audiences: BTreeMap<TupleId, Arc<Audience>>,
        reader: &mut Reader<'_>,
        ids: &mut Vec<TupleId>,
    ) -> Result<(), BadContent> {
        let mut before = (0, TupleId(0));
        for _ in 0..reader.length()? {
            let id = TupleId(reader.varint()?);
            let tuple = reader.tuple()?;
            let place = (tuple.arity(), id);
            BadContent::unless(before < place, "tuples out of order")?;
            before = place;
            ids.push(id);
            let ties = Ties {
                audience: audiences.remove(&id),
                ..Ties::default()
            };
            self.put(name, id, Incoming::new(tuple, ties));
        }
        BadContent::unless(audiences.is_empty(), "an audience of no tuple")?;
        BadContent::unless(self.tuples <= self.limits.tuples, "too many tuples")?;
        BadContent::unless(self.bytes <= self.limits.bytes, "too many bytes of tuples")
    }

    fn decode_holds(
        &mut self,
        name: &SpaceName,
        reader: &mut Reader<'_>,
    ) -> Result<(), BadContent> {
        let mut before = TupleId(0);
        for _ in 0..reader.length()? {
            let id = TupleId(reader.varint()?);
            BadContent::unless(before < id, "leases out of order")?;
            before = id;
            let hold = match reader.varint()? {
                0 => Hold::Owner(reader.varint()?),
                due_ms => Hold::Until(self.end_to_come(due_ms)?),
            };
            let arity = self.space(name).get(id).map(Tuple::arity);
            let arity = arity.ok_or(BadContent::Contradiction("a lease of no tuple"))?;
            self.attach(name, arity, id, hold);
        }
        Ok(())
    }

    /// The end of a lease or a wait at an agreed time, which must be still to come.
    fn end_to_come(&self, due_ms: u64) -> Result<End, BadContent> {
        let left_ms = due_ms.saturating_sub(self.clock.now_ms());
        BadContent::unless(left_ms > 0, "a lease or a wait that was over")?;
        BadContent::unless(
            left_ms <= MAX_LEASE_MS,
            "a lease or a wait that is too long",
        )?;
        Ok(self.clock.end_at(due_ms))
    }

    fn decode_waiter(
        &mut self,
        client_of: impl Fn(u64) -> Option<ClientKey>,
        reader: &mut Reader<'_>,
    ) -> Result<(), BadContent> {
        let id = WaiterId {
            owner: reader.varint()?,
            number: reader.varint()?,
        };
        let space = read_name(reader)?;
        let wants = match reader.byte()? {
            0 => Wants::Read,
            1 => Wants::Take,
            2 => {
                let limit = u32::try_from(reader.varint()?).unwrap_or(0);
                BadContent::unless(limit > 0, "a watch for no events")?;
                Wants::Watch { limit }
            }
            _ => return Err(BadContent::Contradiction("a wait of no kind")),
        };
        let end = match reader.varint()? {
            0 => None,
            due_ms => Some(self.end_to_come(due_ms)?),
        };
        let template = reader.template()?;
        BadContent::unless(self.contains(&space), "a wait in a space that is not there")?;
        let applied = self.wait(Waiter {
            id,
            space,
            template,
            wants,
            client: client_of(id.owner),
            end,
        });
        BadContent::unless(applied.is_ok(), "a wait too many")
    }
}

/// For whom the tuples of a space are that are not for everybody.
fn decode_audiences(
    reader: &mut Reader<'_>,
) -> Result<BTreeMap<TupleId, Arc<Audience>>, BadContent> {
    let mut audiences = BTreeMap::new();
    for _ in 0..reader.length()? {
        let id = TupleId(reader.varint()?);
        let before = audiences.last_key_value();
        BadContent::unless(
            before.is_none_or(|(before, _)| *before < id),
            "audiences out of order",
        )?;
        let audience = Audience::decode(reader)?;
        BadContent::unless(!audience.is_everybody(), "an audience of everybody")?;
        audiences.insert(id, Arc::new(audience));
    }
    Ok(audiences)
}

/// The bound that is none comes to 0.
fn put_quota(out: &mut Vec<u8>, quota: Quota) {
    codec::put_varint(out, quota.tuples.wrapping_add(1));
    codec::put_varint(out, quota.bytes.wrapping_add(1));
}

fn read_quota(reader: &mut Reader<'_>) -> Result<Quota, BadContent> {
    Ok(Quota {
        tuples: reader.varint()?.wrapping_sub(1),
        bytes: reader.varint()?.wrapping_sub(1),
    })
}

fn read_name(reader: &mut Reader<'_>) -> Result<SpaceName, BadContent> {
    let name = reader.text()?.parse();
    name.map_err(|_| BadContent::Contradiction("a space's name that is none"))
}
