//! Event dispatch: runs subscribed extensions after events, in the same step.
//!
//! What a request, the passing of time or the end of a session did to tuples is known before
//! it is committed; each of it that an extension subscribes to becomes an event here. An
//! extension deals with an event in a step of its own, by its owner's rights: if it fails, what
//! it did vanishes and nothing else. What it does may be an event again, to a fixed depth and a
//! fixed number; beyond that no extension is told. A proposal has fuel for so many calls; what is
//! left then is carried over to the next, which is due at once. So much can be left and no more:
//! whoever makes dispatch slow makes them miss something, and no state grow
//! (docs/decisions/021-events-and-policies.md).

use std::{collections::VecDeque, sync::Arc};

use bezant_api::{EventKind, Right};
use bezant_bft::ids::{ClientId, SeqNo, SessionId};
use bezant_extensions::{
    Cause, EventRef, Invocation,
    limits::{
        EVENT_FUEL_PER_PROPOSAL, MAX_CASCADE_DEPTH, MAX_CASCADE_EVENTS, MAX_PENDING_EVENT_BYTES,
        MAX_PENDING_EVENTS,
    },
};
use bezant_tuple::{
    Tuple,
    codec::{self, Reader},
};
use bezant_tuplespace::{Actor, Audience, BadContent, SpaceName, WaiterId};

use crate::{
    Kernel,
    extensions::{Extensions, HostState, Reaction, Recipient, Subscribed},
};

/// What finding the subscribers of an event counts as, in fuel: so that a proposal's share is
/// used up by extensions that do nothing, too.
const FUEL_PER_CALL: u64 = 1_000;

/// An event that subscribers are to be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    space: SpaceName,
    kind: EventKind,
    tuple: Tuple,
    audience: Option<Arc<Audience>>,
    /// Who got a delivery.
    delivered: Option<Recipient>,
    depth: u8,
    /// The order of the extension registered last when it happened: later ones are not told.
    until: u64,
    /// The order of the extension that was told last.
    after: u64,
}

/// How much has happened in the spaces since the last commit: what comes behind it is new.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    happened: usize,
    delivered: usize,
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

/// Events that are still to be dispatched.
#[derive(Debug, Default)]
pub(crate) struct EventDispatch {
    /// None of them is empty.
    cascades: VecDeque<Cascade>,
    /// How much is in them; it follows from them.
    pending: Unheard,
    /// The fuel used up in the proposal being executed; no state.
    spent: u64,
}

impl EventDispatch {
    /// Whether something was carried over.
    pub(crate) fn are_due(&self) -> bool {
        !self.cascades.is_empty()
    }

    /// Lets in what there is room for, in order.
    fn admit(&mut self, events: VecDeque<Event>) -> VecDeque<Event> {
        let mut admitted = VecDeque::new();
        for event in events {
            let Unheard { events, bytes } = self.pending;
            let bytes = bytes.saturating_add(event.tuple.encoded_len());
            if events >= MAX_PENDING_EVENTS || bytes > MAX_PENDING_EVENT_BYTES {
                break;
            }
            let events = events.saturating_add(1);
            self.pending = Unheard { events, bytes };
            admitted.push_back(event);
        }
        admitted
    }

    /// An event has been dispatched to all.
    fn let_go(&mut self, event: &Event) {
        let Unheard { events, bytes } = self.pending;
        self.pending = Unheard {
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

    /// Reads what [`EventDispatch::encode_into`] wrote; `registered` extensions there were so far.
    ///
    /// # Errors
    /// [`BadContent`] for anything that could not have been written.
    pub(crate) fn decode(registered: u64, reader: &mut Reader<'_>) -> Result<Self, BadContent> {
        let mut dispatch = Self::default();
        for _ in 0..reader.length()? {
            let left = u32::try_from(reader.varint()?).unwrap_or(u32::MAX);
            BadContent::unless(left <= MAX_CASCADE_EVENTS, "a cascade of too many events")?;
            let mut events = VecDeque::new();
            for _ in 0..reader.length()? {
                let event = Event::decode(registered, reader)?;
                let mut event = dispatch.admit(VecDeque::from([event]));
                BadContent::unless(!event.is_empty(), "more events than there may be")?;
                events.append(&mut event);
            }
            BadContent::unless(!events.is_empty(), "a cascade without events")?;
            dispatch.cascades.push_back(Cascade { events, left });
        }
        Ok(dispatch)
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
        let delivered = self.delivered.as_ref();
        codec::put_bytes(out, delivered.map_or(&[], |delivered| &delivered.client.0));
        if let Some(delivered) = delivered {
            codec::put_varint(out, delivered.waiter.owner);
            codec::put_varint(out, delivered.waiter.number);
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
        let delivered = match reader.bytes()? {
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
            "an event without a subscriber",
        )?;
        Ok(Self {
            space,
            kind,
            tuple,
            audience: (!audience.is_everybody()).then(|| Arc::new(audience)),
            delivered,
            depth,
            until,
            after,
        })
    }
}

impl Kernel {
    /// A proposal begins: it has its share of fuel, and what was carried over comes first.
    pub(crate) fn begin_dispatch(&mut self, seq_no: SeqNo) {
        self.dispatch.spent = 0;
        if self.dispatch.are_due() {
            self.dispatch_events(seq_no);
            self.spaces.commit();
        }
    }

    /// Dispatches everything since the last commit.
    pub(crate) fn tell_extensions(&mut self, seq_no: SeqNo) {
        let events = self.subscribed(Mark::default(), 0);
        let events = self.dispatch.admit(events);
        if !events.is_empty() {
            self.dispatch.cascades.push_back(Cascade {
                events,
                left: MAX_CASCADE_EVENTS,
            });
        }
        if self.dispatch.are_due() {
            self.dispatch_events(seq_no);
        }
    }

    /// What happened, without so much that did before, as far as extensions subscribe to it.
    fn subscribed(&self, before: Mark, depth: u8) -> VecDeque<Event> {
        let registry = self.extensions.registry();
        let mut events = VecDeque::new();
        if depth >= MAX_CASCADE_DEPTH || !registry.has_subscribers() {
            return events;
        }
        let until = registry.registered();
        let is_heard = |space: &SpaceName, kind: EventKind, tuple: &Tuple| {
            let event = EventRef { space, kind, tuple };
            registry.subscriber(event, 0, until).is_some()
        };
        for happened in self.spaces.happened(before.happened) {
            let kind = EventKind::from(happened.what);
            if is_heard(happened.space, kind, happened.tuple) {
                events.push_back(Event {
                    space: happened.space.clone(),
                    kind,
                    tuple: happened.tuple.clone(),
                    audience: happened.audience.cloned(),
                    delivered: None,
                    depth,
                    until,
                    after: 0,
                });
            }
        }
        for delivered in self.spaces.deliveries().iter().skip(before.delivered) {
            if is_heard(&delivered.space, EventKind::Served, &delivered.tuple) {
                let client = self.sessions.owner(SessionId(delivered.waiter.owner));
                events.push_back(Event {
                    space: delivered.space.clone(),
                    kind: EventKind::Served,
                    tuple: delivered.tuple.clone(),
                    audience: None,
                    delivered: client.map(|client| Recipient {
                        client,
                        waiter: delivered.waiter,
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
    fn dispatch_events(&mut self, seq_no: SeqNo) {
        while self.dispatch.spent < EVENT_FUEL_PER_PROPOSAL {
            let Some(mut cascade) = self.dispatch.cascades.pop_front() else {
                break;
            };
            while self.dispatch.spent < EVENT_FUEL_PER_PROPOSAL {
                let Some(mut event) = cascade.events.pop_front() else {
                    break;
                };
                if self.dispatch_event(&mut event, &mut cascade, seq_no) {
                    cascade.events.push_front(event);
                } else {
                    self.dispatch.let_go(&event);
                }
            }
            if !cascade.events.is_empty() {
                self.dispatch.cascades.push_front(cascade);
            }
        }
    }

    /// Lets the next extension deal with an event; whether there was one.
    fn dispatch_event(&mut self, event: &mut Event, cascade: &mut Cascade, seq_no: SeqNo) -> bool {
        let (registry, machine) = self.extensions.parts();
        let about = EventRef {
            space: &event.space,
            kind: event.kind,
            tuple: &event.tuple,
        };
        let Some(found) = registry.subscriber(about, event.after, event.until) else {
            return false;
        };
        event.after = found.extension.order;
        self.dispatch.spent = self.dispatch.spent.saturating_add(FUEL_PER_CALL);
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
            delivered: self.spaces.deliveries().len(),
        };
        let subscribed = Subscribed {
            found,
            invocation: Invocation {
                space: &event.space,
                cause: Cause::Event(event.kind, &event.tuple),
                invoker: event
                    .delivered
                    .map_or(owner.0, |delivered| delivered.client.0),
                now_ms: self.time.0,
                sequence: seq_no.0,
                engine: registry.engine(),
            },
            delivered: event.delivered,
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
        let Reaction { fuel, succeeded } =
            Extensions::dispatch_events(registry, machine, state, subscribed);
        self.dispatch.spent = self.dispatch.spent.saturating_add(fuel);
        if succeeded {
            let mut caused = self.subscribed(before, event.depth.saturating_add(1));
            caused.truncate(usize::try_from(cascade.left).unwrap_or(usize::MAX));
            let mut caused = self.dispatch.admit(caused);
            let count = u32::try_from(caused.len()).unwrap_or(u32::MAX);
            cascade.left = cascade.left.saturating_sub(count);
            cascade.events.append(&mut caused);
        } else {
            self.spaces.rollback(savepoint);
        }
        true
    }
}
