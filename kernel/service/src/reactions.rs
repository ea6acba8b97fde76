//! Extensions that hear of events: after what caused these, in the same step.
//!
//! What a request, the passing of time or the end of a session did to tuples is known before
//! it is committed; each of it that an extension subscribes to becomes an event here. An
//! extension deals with an event in a step of its own, by its owner's rights: if it fails, what
//! it did vanishes and nothing else. What it does may be an event again, to a fixed depth and a
//! fixed number; beyond that nobody hears of it. A proposal has fuel for so many calls; what is
//! left then is carried over to the next, which is due at once. So much can be left and no more:
//! whoever makes extensions hear slowly makes them miss something, and no state grow
//! (docs/decisions/021-events-and-policies.md).

use std::{collections::VecDeque, sync::Arc};

use bezant_api::{EventKind, Right};
use bezant_bft::ids::{ClientId, SeqNo, SessionId};
use bezant_extensions::{
    Cause, EventRef, Invocation,
    limits::{
        EVENT_FUEL_PER_PROPOSAL, MAX_CASCADE_DEPTH, MAX_CASCADE_EVENTS, MAX_UNHEARD,
        MAX_UNHEARD_BYTES,
    },
};
use bezant_tuple::{
    Tuple,
    codec::{self, Reader},
};
use bezant_tuplespace::{Actor, Audience, BadContent, SpaceName, WaiterId};

use crate::{
    Kernel,
    extensions::{Extensions, Heard, HostState, Reaction, Recipient},
};

/// What finding out who hears of an event counts as, in fuel: so that a proposal's share is
/// used up by extensions that do nothing, too.
const FUEL_PER_CALL: u64 = 1_000;

/// Something that extensions are to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    space: SpaceName,
    kind: EventKind,
    tuple: Tuple,
    audience: Option<Arc<Audience>>,
    /// Who was served.
    served: Option<Recipient>,
    depth: u8,
    /// The order of the extension registered last when it happened: later ones do not hear it.
    until: u64,
    /// The order of the extension that heard it last.
    after: u64,
}

/// How much has happened in the spaces since the last commit: what comes behind it is new.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    happened: usize,
    served: usize,
}

/// How many events are waiting to be heard, and the bytes of their tuples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Unheard {
    events: usize,
    bytes: usize,
}

/// Events that go back to one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cascade {
    events: VecDeque<Event>,
    /// How many more there may be that extensions cause.
    left: u32,
}

/// What extensions have not heard of yet.
#[derive(Debug, Default)]
pub(crate) struct Reactions {
    /// None of them is empty.
    cascades: VecDeque<Cascade>,
    /// How much is in them; it follows from them.
    unheard: Unheard,
    /// The fuel used up in the proposal being executed; no state.
    spent: u64,
}

impl Reactions {
    /// Whether something was carried over.
    pub(crate) fn are_due(&self) -> bool {
        !self.cascades.is_empty()
    }

    /// Lets in what there is room for, in order.
    fn admit(&mut self, events: VecDeque<Event>) -> VecDeque<Event> {
        let mut admitted = VecDeque::new();
        for event in events {
            let Unheard { events, bytes } = self.unheard;
            let bytes = bytes.saturating_add(event.tuple.encoded_len());
            if events >= MAX_UNHEARD || bytes > MAX_UNHEARD_BYTES {
                break;
            }
            let events = events.saturating_add(1);
            self.unheard = Unheard { events, bytes };
            admitted.push_back(event);
        }
        admitted
    }

    /// An event has been heard by all.
    fn let_go(&mut self, event: &Event) {
        let Unheard { events, bytes } = self.unheard;
        self.unheard = Unheard {
            events: events.saturating_sub(1),
            bytes: bytes.saturating_sub(event.tuple.encoded_len()),
        };
    }

    /// Appends everything in canonical encoding.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        codec::put_varint(out, self.cascades.len() as u64);
        for cascade in &self.cascades {
            codec::put_varint(out, u64::from(cascade.left));
            codec::put_varint(out, cascade.events.len() as u64);
            cascade
                .events
                .iter()
                .for_each(|event| event.encode_into(out));
        }
    }

    /// Reads what [`Reactions::encode_into`] wrote; `registered` extensions there were so far.
    ///
    /// # Errors
    /// [`BadContent`] for anything that could not have been written.
    pub(crate) fn decode(registered: u64, reader: &mut Reader<'_>) -> Result<Self, BadContent> {
        let mut reactions = Self::default();
        for _ in 0..reader.length()? {
            let left = u32::try_from(reader.varint()?).unwrap_or(u32::MAX);
            BadContent::unless(left <= MAX_CASCADE_EVENTS, "a cascade of too many events")?;
            let mut events = VecDeque::new();
            for _ in 0..reader.length()? {
                let event = Event::decode(registered, reader)?;
                let mut event = reactions.admit(VecDeque::from([event]));
                BadContent::unless(!event.is_empty(), "more events than there may be")?;
                events.append(&mut event);
            }
            BadContent::unless(!events.is_empty(), "a cascade without events")?;
            reactions.cascades.push_back(Cascade { events, left });
        }
        Ok(reactions)
    }
}

impl Event {
    fn encode_into(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.space.as_str().as_bytes());
        out.push(self.kind as u8);
        codec::put_tuple(out, &self.tuple);
        let everybody = Audience::default();
        self.audience
            .as_deref()
            .unwrap_or(&everybody)
            .encode_into(out);
        let served = self.served.as_ref();
        codec::put_bytes(out, served.map_or(&[], |served| &served.client.0));
        if let Some(served) = served {
            codec::put_varint(out, served.waiter.owner);
            codec::put_varint(out, served.waiter.number);
        }
        out.push(self.depth);
        codec::put_varint(out, self.until);
        codec::put_varint(out, self.after);
    }

    fn decode(registered: u64, reader: &mut Reader<'_>) -> Result<Self, BadContent> {
        let space = reader.text()?.parse();
        let space = space.map_err(|_| BadContent::Contradiction("a name that is none"))?;
        let kind = EventKind::ALL.get(usize::from(reader.byte()?)).copied();
        let kind = kind.ok_or(BadContent::Contradiction("an event of no kind"))?;
        let tuple = reader.tuple()?;
        let audience = Audience::decode(reader)?;
        let served = match reader.bytes()? {
            [] => None,
            key => {
                let client = key
                    .try_into()
                    .map_err(|_| BadContent::Contradiction("a key that is none"))?;
                let (owner, number) = (reader.varint()?, reader.varint()?);
                Some(Recipient {
                    client: ClientId(client),
                    waiter: WaiterId { owner, number },
                })
            }
        };
        let (depth, until, after) = (reader.byte()?, reader.varint()?, reader.varint()?);
        BadContent::unless(
            depth < MAX_CASCADE_DEPTH && after <= until && until <= registered,
            "an event that nobody would hear of",
        )?;
        Ok(Self {
            space,
            kind,
            tuple,
            audience: (!audience.is_everybody()).then(|| Arc::new(audience)),
            served,
            depth,
            until,
            after,
        })
    }
}

impl Kernel {
    /// A proposal begins: it has its share of fuel, and what was carried over comes first.
    pub(crate) fn begin_reactions(&mut self, position: SeqNo) {
        self.reactions.spent = 0;
        if self.reactions.are_due() {
            self.react(position);
            self.spaces.commit();
        }
    }

    /// Lets extensions hear of everything since the last commit.
    pub(crate) fn tell_extensions(&mut self, position: SeqNo) {
        let events = self.heard(Mark::default(), 0);
        let events = self.reactions.admit(events);
        if !events.is_empty() {
            self.reactions.cascades.push_back(Cascade {
                events,
                left: MAX_CASCADE_EVENTS,
            });
        }
        if self.reactions.are_due() {
            self.react(position);
        }
    }

    /// What happened, without so much that did before, as far as extensions subscribe to it.
    fn heard(&self, before: Mark, depth: u8) -> VecDeque<Event> {
        let registry = self.extensions.registry();
        let mut events = VecDeque::new();
        if depth >= MAX_CASCADE_DEPTH || !registry.hears() {
            return events;
        }
        let until = registry.registered();
        let is_heard = |space: &SpaceName, kind: EventKind, tuple: &Tuple| {
            let event = EventRef { space, kind, tuple };
            registry.hearer(event, 0, until).is_some()
        };
        for happened in self.spaces.happened(before.happened) {
            let kind = EventKind::from(happened.what);
            if is_heard(happened.space, kind, happened.tuple) {
                events.push_back(Event {
                    space: happened.space.clone(),
                    kind,
                    tuple: happened.tuple.clone(),
                    audience: happened.audience.cloned(),
                    served: None,
                    depth,
                    until,
                    after: 0,
                });
            }
        }
        for served in self.spaces.served().iter().skip(before.served) {
            if is_heard(&served.space, EventKind::Served, &served.tuple) {
                let client = self.sessions.owner(SessionId(served.waiter.owner));
                events.push_back(Event {
                    space: served.space.clone(),
                    kind: EventKind::Served,
                    tuple: served.tuple.clone(),
                    audience: None,
                    served: client.map(|client| Recipient {
                        client,
                        waiter: served.waiter,
                    }),
                    depth,
                    until,
                    after: 0,
                });
            }
        }
        events
    }

    /// Lets extensions deal with events as long as there is fuel for it.
    fn react(&mut self, position: SeqNo) {
        while self.reactions.spent < EVENT_FUEL_PER_PROPOSAL {
            let Some(mut cascade) = self.reactions.cascades.pop_front() else {
                break;
            };
            while self.reactions.spent < EVENT_FUEL_PER_PROPOSAL {
                let Some(mut event) = cascade.events.pop_front() else {
                    break;
                };
                if self.react_to(&mut event, &mut cascade, position) {
                    cascade.events.push_front(event);
                } else {
                    self.reactions.let_go(&event);
                }
            }
            if !cascade.events.is_empty() {
                self.reactions.cascades.push_front(cascade);
            }
        }
    }

    /// Lets the next extension deal with an event; whether there was one.
    fn react_to(&mut self, event: &mut Event, cascade: &mut Cascade, position: SeqNo) -> bool {
        let (registry, machine) = self.extensions.parts();
        let about = EventRef {
            space: &event.space,
            kind: event.kind,
            tuple: &event.tuple,
        };
        let Some(found) = registry.hearer(about, event.after, event.until) else {
            return false;
        };
        event.after = found.extension.order;
        self.reactions.spent = self.reactions.spent.saturating_add(FUEL_PER_CALL);
        let owner = ClientId(found.extension.owner);
        if !self.access.is_client(&owner)
            || !self.spaces.contains(&event.space)
            || !self.access.may(&owner, &event.space, Right::Read)
            || !self.spaces.shows(event.audience.as_deref(), &owner.0)
        {
            return true;
        }
        let savepoint = self.spaces.savepoint();
        let before = Mark {
            happened: self.spaces.happenings(),
            served: self.spaces.served().len(),
        };
        let heard = Heard {
            found,
            invocation: Invocation {
                space: &event.space,
                cause: Cause::Event(event.kind, &event.tuple),
                invoker: event.served.map_or(owner.0, |served| served.client.0),
                now_ms: self.time.0,
                sequence: position.0,
                engine: registry.engine(),
            },
            served: event.served,
            // Nobody called it: it has no session, and its owner pays.
            actor: Actor {
                session: None,
                payer: Some(&owner.0),
                viewer: Some(&owner.0),
            },
        };
        let state = HostState {
            spaces: &mut self.spaces,
            access: &self.access,
        };
        let Reaction { fuel, succeeded } = Extensions::react(registry, machine, state, heard);
        self.reactions.spent = self.reactions.spent.saturating_add(fuel);
        if succeeded {
            let mut caused = self.heard(before, event.depth.saturating_add(1));
            caused.truncate(usize::try_from(cascade.left).unwrap_or(usize::MAX));
            let mut caused = self.reactions.admit(caused);
            let count = u32::try_from(caused.len()).unwrap_or(u32::MAX);
            cascade.left = cascade.left.saturating_sub(count);
            cascade.events.append(&mut caused);
        } else {
            self.spaces.rollback(savepoint);
        }
        true
    }
}
