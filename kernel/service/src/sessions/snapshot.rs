//! All sessions as bytes, and back.
//!
//! Replies and parked requests repeat whose and which they are; that is left
//! out, as is the index by client.

use std::collections::BTreeMap;

use bezant_bft::{
    ids::{ClientId, RequestNumber, SeqNo, SessionId},
    limits::MAX_OP_BYTES,
    message::{Reply, Request},
};
use bezant_tuple::codec::{self, Reader};
use bezant_tuplespace::BadContent;
use bytes::Bytes;

use super::{Kept, Session, Sessions};
use crate::limits::{MAX_SESSIONS, MAX_SESSIONS_PER_CLIENT, SESSION_MS, WINDOW};

/// More than any run counts to, few enough that counting on from here never ends.
const MAX_COUNT: u64 = 1 << 62;

impl Sessions {
    /// Appends everything that future behaviour depends on.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        codec::put_varint(out, self.last.0);
        codec::put_varint(out, self.sessions.len() as u64);
        for (id, session) in &self.sessions {
            codec::put_varint(out, id.0);
            session.encode_into(out);
        }
    }

    /// Reads what [`Sessions::encode_into`] wrote at agreed time `now_ms`.
    pub(crate) fn decode(now_ms: u64, reader: &mut Reader<'_>) -> Result<Self, BadContent> {
        let mut sessions = Self {
            last: SessionId(reader.varint()?),
            ..Self::default()
        };
        BadContent::unless(
            sessions.last.0 <= MAX_COUNT,
            "more sessions than any run opens",
        )?;
        let count = reader.length()?;
        BadContent::unless(count <= MAX_SESSIONS, "too many sessions")?;
        let mut before = SessionId::NONE;
        for _ in 0..count {
            let id = SessionId(reader.varint()?);
            BadContent::unless(before < id, "sessions out of order")?;
            BadContent::unless(id <= sessions.last, "a session that was not opened")?;
            before = id;
            let session = Session::decode(id, now_ms, reader)?;
            if session.ttl_ms.is_some() {
                sessions.ends.insert((session.end_ms, id));
            }
            let own = sessions.by_client.entry(session.owner).or_default();
            BadContent::unless(
                own.len() < MAX_SESSIONS_PER_CLIENT,
                "too many sessions of a client",
            )?;
            let opened = own.insert(session.nonce, id);
            BadContent::unless(opened.is_none(), "two sessions opened by one request")?;
            sessions.sessions.insert(id, session);
        }
        Ok(sessions)
    }

    /// The owners of all sessions.
    pub(crate) fn owners(&self) -> impl Iterator<Item = &ClientId> {
        self.by_client.keys()
    }

    /// All requests that wait.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (SessionId, RequestNumber)> {
        self.sessions.iter().flat_map(|(id, session)| {
            let waiting = session
                .kept
                .iter()
                .filter(|(_, kept)| **kept == Kept::Waiting);
            waiting.map(|(number, _)| (*id, *number))
        })
    }
}

impl Session {
    fn encode_into(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, &self.owner.0);
        codec::put_varint(out, self.nonce);
        codec::put_varint(out, self.next);
        codec::put_varint(out, self.opened.0);
        codec::put_varint(out, self.used.0);
        // No session lives for no time.
        codec::put_varint(out, self.ttl_ms.unwrap_or(0));
        if self.ttl_ms.is_some() {
            codec::put_varint(out, self.end_ms);
        }
        codec::put_varint(out, self.kept.len() as u64);
        for (number, kept) in &self.kept {
            codec::put_varint(out, number.0);
            match kept {
                Kept::Waiting => out.push(0),
                Kept::Reply(reply) => {
                    out.push(1);
                    codec::put_varint(out, reply.seq_no.0);
                    codec::put_bytes(out, &reply.result);
                }
            }
        }
        codec::put_varint(out, self.parked.len() as u64);
        for (number, request) in &self.parked {
            codec::put_varint(out, number.0);
            codec::put_varint(out, request.acked.len() as u64);
            for acked in &request.acked {
                codec::put_varint(out, acked.0);
            }
            codec::put_bytes(out, &request.op);
        }
    }

    fn decode(id: SessionId, now_ms: u64, reader: &mut Reader<'_>) -> Result<Self, BadContent> {
        let owner = reader.bytes()?.try_into();
        let owner = owner.map_err(|_| BadContent::Contradiction("a key of another length"))?;
        let mut session = Self {
            owner: ClientId(owner),
            nonce: reader.varint()?,
            next: reader.varint()?,
            opened: SeqNo(reader.varint()?),
            used: SeqNo(reader.varint()?),
            ttl_ms: Some(reader.varint()?).filter(|ms| *ms > 0),
            end_ms: 0,
            kept: BTreeMap::new(),
            parked: BTreeMap::new(),
        };
        BadContent::unless(
            (1..=MAX_COUNT).contains(&session.next),
            "a request number out of range",
        )?;
        BadContent::unless(
            session.opened <= session.used,
            "a session used before it was opened",
        )?;
        if let Some(ttl_ms) = session.ttl_ms {
            session.end_ms = reader.varint()?;
            let left_ms = session.end_ms.saturating_sub(now_ms);
            BadContent::unless(
                SESSION_MS.contains(&ttl_ms),
                "a session's time out of range",
            )?;
            BadContent::unless(
                (1..=ttl_ms).contains(&left_ms),
                "a session that was over, or lives too long",
            )?;
        }
        session.decode_kept(id, reader)?;
        session.decode_parked(id, reader)?;
        Ok(session)
    }

    fn decode_kept(&mut self, id: SessionId, reader: &mut Reader<'_>) -> Result<(), BadContent> {
        let count = reader.length()?;
        BadContent::unless(count as u64 <= WINDOW, "more results kept than a window")?;
        let mut before = RequestNumber(0);
        for _ in 0..count {
            let number = RequestNumber(reader.varint()?);
            BadContent::unless(before < number, "kept results out of order")?;
            BadContent::unless(number.0 < self.next, "a result before its request's turn")?;
            before = number;
            let kept = if reader.truth()? {
                let seq_no = SeqNo(reader.varint()?);
                BadContent::unless(self.opened <= seq_no, "a result older than its session")?;
                Kept::Reply(Reply {
                    session: id,
                    number,
                    seq_no,
                    result: Bytes::copy_from_slice(reader.bytes()?),
                })
            } else {
                Kept::Waiting
            };
            self.kept.insert(number, kept);
        }
        Ok(())
    }

    fn decode_parked(&mut self, id: SessionId, reader: &mut Reader<'_>) -> Result<(), BadContent> {
        let count = reader.length()?;
        BadContent::unless(count as u64 <= WINDOW, "more requests parked than a window")?;
        let window = self.next..self.next.saturating_add(WINDOW);
        let mut before = RequestNumber(0);
        for _ in 0..count {
            let number = RequestNumber(reader.varint()?);
            BadContent::unless(before < number, "parked requests out of order")?;
            BadContent::unless(
                window.contains(&number.0),
                "a parked request outside the window",
            )?;
            before = number;
            let acked = decode_acked(reader)?;
            let op = reader.bytes()?;
            BadContent::unless(
                op.len() <= MAX_OP_BYTES,
                "a parked request that is too long",
            )?;
            let request = Request {
                client: self.owner,
                session: id,
                number,
                acked,
                op: Bytes::copy_from_slice(op),
            };
            self.parked.insert(number, request);
        }
        Ok(())
    }
}

fn decode_acked(reader: &mut Reader<'_>) -> Result<Vec<RequestNumber>, BadContent> {
    let count = reader.length()?;
    BadContent::unless(count as u64 <= WINDOW, "more acknowledged than a window")?;
    let mut acked = Vec::with_capacity(count);
    for _ in 0..count {
        acked.push(RequestNumber(reader.varint()?));
    }
    BadContent::unless(
        acked.is_sorted_by(|a, b| a < b),
        "acknowledgements out of order",
    )?;
    Ok(acked)
}
