//! The whole service as bytes, and back: what checkpoints are taken of.
//!
//! Everything replicas agree on stands here once, in the one spelling of `bezant_tuple::codec`,
//! after the version of this layout: agreed time, who may do what, sessions, spaces with who waits
//! in them, extensions and the events they are still to be told of. What follows from these
//! (indices, sums, compiled modules) and what is no part of the agreement (the genesis, logs) does
//! not (docs/decisions/010-whole-state-checkpoints.md).

use std::sync::Arc;

use bezant_bft::{
    ids::{Digest, OrderedTime, SessionId},
    state::{self, BadSnapshot, State},
};
use bezant_extensions::Registry;
use bezant_tuple::codec::{self, Reader};
use bezant_tuplespace::{BadContent, Limits, Part, Parts, Spaces, WaiterId};

use crate::{Kernel, access::Access, dispatch::EventDispatch, sessions::Sessions};

/// The version of the layout; a replica restores no other.
const VERSION: u8 = 8;

/// A part of the content as a part of the state: what the spaces keep is hashed once.
fn state_part(part: Part) -> Option<state::Part> {
    match part {
        Part::Fresh(bytes) => state::Part::new(bytes),
        Part::Kept(kept) => {
            let digest = kept.mark(|bytes| state::Part::digest_of(bytes).0);
            state::Part::known(Arc::clone(kept.bytes()), Digest(digest))
        }
    }
}

/// A state that was read and found possible.
struct Read {
    time: OrderedTime,
    access: Access,
    sessions: Sessions,
    spaces: Spaces,
    registry: Registry,
    dispatch: EventDispatch,
}

impl Kernel {
    pub(crate) fn encode(&self) -> State {
        let mut parts = Parts::default();
        let out = parts.open();
        out.push(VERSION);
        codec::put_varint(out, self.time.0);
        self.access.encode_into(out);
        self.sessions.encode_into(out);
        self.spaces.encode_into(&mut parts);
        let out = parts.open();
        self.extensions.registry().encode_into(out);
        self.dispatch.encode_into(out);
        let parts = parts.into_parts().into_iter();
        State::new(parts.filter_map(state_part).collect())
    }

    pub(crate) fn decode(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot> {
        let read = self.read(snapshot);
        let Read {
            time,
            access,
            sessions,
            spaces,
            registry,
            dispatch,
        } = read.map_err(|bad| BadSnapshot(bad.to_string()))?;
        self.time = time;
        self.access = access;
        self.sessions = sessions;
        self.spaces = spaces;
        self.extensions.replace(registry);
        self.dispatch = dispatch;
        Ok(())
    }

    fn read(&self, snapshot: &[u8]) -> Result<Read, BadContent> {
        let mut reader = Reader::new(snapshot);
        BadContent::unless(reader.byte()? == VERSION, "written by another version")?;
        let time = OrderedTime(reader.varint()?);
        let access = Access::decode(&self.genesis, &mut reader)?;
        let sessions = Sessions::decode(time.0, &mut reader)?;
        let client_of = |owner| sessions.owner(SessionId(owner)).map(|client| client.0);
        let mut spaces = Spaces::decode(Limits::DEFAULT, time.0, client_of, &mut reader)?;
        spaces.know(access.groups());
        let registry = Registry::decode(&mut reader)?;
        let read = Read {
            time,
            access,
            sessions,
            spaces,
            dispatch: EventDispatch::decode(registry.registered(), &mut reader)?,
            registry,
        };
        reader.finish()?;
        let enrolled = read
            .sessions
            .owners()
            .all(|owner| read.access.is_client(owner));
        BadContent::unless(enrolled, "a session of a client that is not enrolled")?;
        // Every space that is not the service's own was made by somebody.
        let made = read.spaces.names().filter(|name| !name.is_reserved());
        BadContent::unless(made.eq(read.access.spaces()), "rights in no space")?;
        let mut spaces_with_attached = read.registry.spaces_with_attached();
        let attached =
            spaces_with_attached.all(|space| !space.is_reserved() && read.spaces.contains(space));
        BadContent::unless(attached, "an extension attached in no space")?;
        drop(spaces_with_attached);
        // A request that waits does so in a space, and nobody else waits there.
        let mut waiting = 0;
        for (session, number) in read.sessions.waiting() {
            let waiter = WaiterId {
                owner: session.0,
                number: number.0,
            };
            BadContent::unless(read.spaces.is_waiting(waiter), "a wait in no space")?;
            waiting += 1;
        }
        let mut owners = read.spaces.owners();
        let owned = owners.all(|owner| read.sessions.contains(SessionId(owner)));
        BadContent::unless(owned, "an ephemeral tuple of no session")?;
        drop(owners);
        BadContent::unless(waiting == read.spaces.waiters(), "a wait of no request")?;
        Ok(read)
    }
}
