//! The host calls: what each does once its own fuel is paid.
//!
//! Everything a guest passes is suspect. A pointer is checked against its memory,
//! bytes are decoded strictly, a space must be among its capabilities; what fails
//! ends the call with a [`FailureCode`] and never a panic. Types and fuel of the
//! calls stand in `extensions/abi/bezant1.rs` and nowhere else.

use core::fmt;

use bezant_codec as wire;
use bezant_manifest::{Access, EventKind, FailureCode, Manifest};
use bezant_tuple::{Template, Tuple, codec};
use bezant_tuplespace::{Cursor, Lease, Operation, OperationKind, Outcome, SpaceName, TupleId};
use wasmi::errors::{HostError, MemoryError};
use wasmi::{Caller, Error, Memory, ResourceLimiter};
use wasmi_core::LimiterError;

use crate::host::{Cause, Host, Invocation};
use crate::limits::{MAX_LOG_BYTES, MAX_PAGE_TUPLES};
use crate::report::Conclusion;
use crate::version::Prices;

/// What one call of an extension has around it.
pub(crate) struct State<'a> {
    pub(crate) host: &'a mut dyn Host,
    pub(crate) manifest: &'a Manifest,
    pub(crate) invocation: Invocation<'a>,
    prices: Prices,
    /// The guest's memory; known once it is instantiated.
    pub(crate) memory: Option<Memory>,
    pub(crate) cap: MemoryCap,
    /// The answer, or that the client waits, once either is so.
    concluded: Option<Conclusion>,
    /// A result that was longer than the room given for it.
    waiting: Option<Vec<u8>>,
    log_room: usize,
}

/// Keeps a guest's memory within its manifest's cap, and notices a machine that
/// could not provide even that.
#[derive(Debug)]
pub(crate) struct MemoryCap {
    bytes: usize,
    pub(crate) exhausted: bool,
}

/// The error by which a host call ends the guest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop(pub(crate) FailureCode);

type Guest<'c, 's, 'a> = &'c mut Caller<'s, State<'a>>;

const NONE: i32 = -1;

impl<'a> State<'a> {
    pub(crate) fn new(
        host: &'a mut dyn Host,
        manifest: &'a Manifest,
        invocation: Invocation<'a>,
    ) -> Self {
        let pages = usize::try_from(manifest.memory_pages).unwrap_or(usize::MAX);
        Self {
            host,
            manifest,
            invocation,
            prices: invocation.engine.prices(),
            memory: None,
            cap: MemoryCap {
                bytes: pages.saturating_mul(65_536),
                exhausted: false,
            },
            concluded: None,
            waiting: None,
            log_room: MAX_LOG_BYTES,
        }
    }

    /// How a call ends that came to its end.
    pub(crate) fn conclusion(&mut self) -> Result<Conclusion, FailureCode> {
        match self.invocation.cause {
            Cause::Operation(_) => self.concluded.take().ok_or(FailureCode::NoReply),
            Cause::Judged(_) | Cause::Event(..) => Ok(Conclusion::Done),
        }
    }

    /// The operation that is still to be answered.
    fn unanswered(&self) -> Result<&'a Operation, Error> {
        match self.invocation.cause {
            // Two answers leave it open which was meant.
            Cause::Operation(operation) if self.concluded.is_none() => Ok(operation),
            _ => Err(stop(FailureCode::BadReply)),
        }
    }

    /// The space a guest names, if its manifest allows it what it is about to do there.
    fn space(&self, handle: i32, needed: Access) -> Result<&'a SpaceName, Error> {
        let (space, access) = if handle == -1 {
            let here = self.invocation.space;
            (here, self.manifest.access(here))
        } else {
            usize::try_from(handle)
                .ok()
                .and_then(|index| self.manifest.capabilities.get(index))
                .map(|capability| (&capability.space, capability.access))
                .ok_or_else(|| stop(FailureCode::Capability))?
        };
        // Whoever is only asked changes nothing.
        let is_asked = matches!(self.invocation.cause, Cause::Judged(_));
        if access.includes(needed) && !(is_asked && needed != Access::READ) {
            Ok(space)
        } else {
            Err(stop(FailureCode::Capability))
        }
    }
}

impl ResourceLimiter for MemoryCap {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(desired <= self.bytes)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        // Tables are bounded by the module check and cannot grow without reference types.
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: &MemoryError) -> Result<(), LimiterError> {
        self.exhausted |= matches!(error, MemoryError::OutOfSystemMemory);
        Ok(())
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl HostError for Stop {}

fn stop(code: FailureCode) -> Error {
    Error::host(Stop(code))
}

fn bad_argument<E>(_: E) -> Error {
    stop(FailureCode::BadArgument)
}

/// Takes `fuel` from the guest's supply, or ends it.
pub(crate) fn charge(guest: Guest<'_, '_, '_>, fuel: u64) -> Result<(), Error> {
    let left = guest.get_fuel()?;
    guest.set_fuel(left.saturating_sub(fuel))?;
    if fuel > left {
        return Err(stop(FailureCode::OutOfFuel));
    }
    Ok(())
}

fn charge_bytes(guest: Guest<'_, '_, '_>, bytes: usize) -> Result<(), Error> {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    let price = guest.data().prices.per_byte;
    charge(guest, bytes.saturating_mul(price))
}

/// Lets the host do something and charges for the tuples it looked at.
fn working<'a, T>(
    guest: Guest<'_, '_, 'a>,
    work: impl FnOnce(&mut State<'a>) -> Result<T, Error>,
) -> Result<T, Error> {
    let left = guest.get_fuel()?;
    guest.data_mut().host.note_fuel(left);
    let before = guest.data().host.examined();
    let done = work(guest.data_mut());
    let examined = guest.data().host.examined().saturating_sub(before);
    let price = guest.data().prices.per_tuple;
    charge(guest, examined.saturating_mul(price))?;
    done
}

/// The `len` bytes at `at`, paid for.
fn bytes<'g>(guest: &'g mut Caller<'_, State<'_>>, at: u32, len: u32) -> Result<&'g [u8], Error> {
    let (at, len) = (index(at), index(len));
    charge_bytes(guest, len)?;
    let memory = memory(guest)?;
    at.checked_add(len)
        .and_then(|end| memory.data(&*guest).get(at..end))
        .ok_or_else(|| stop(FailureCode::BadArgument))
}

fn template(guest: Guest<'_, '_, '_>, at: u32, len: u32) -> Result<Template, Error> {
    codec::decode_template(bytes(guest, at, len)?).map_err(bad_argument)
}

fn tuple(guest: Guest<'_, '_, '_>, at: u32, len: u32) -> Result<Tuple, Error> {
    codec::decode_tuple(bytes(guest, at, len)?).map_err(bad_argument)
}

/// Writes `data` to `into`, already paid for.
fn write(guest: Guest<'_, '_, '_>, into: u32, data: &[u8]) -> Result<(), Error> {
    let at = index(into);
    let memory = memory(guest)?;
    at.checked_add(data.len())
        .and_then(|end| memory.data_mut(&mut *guest).get_mut(at..end))
        .ok_or_else(|| stop(FailureCode::BadArgument))?
        .copy_from_slice(data);
    Ok(())
}

/// Where in its memory a guest has room for an answer: `len` bytes at `at`.
#[derive(Clone, Copy, Debug)]
struct Buffer {
    at: u32,
    len: u32,
}

/// Gives `data` to the guest if there is room, and keeps it for `result` if not.
fn deliver(guest: Guest<'_, '_, '_>, data: Vec<u8>, into: Buffer) -> Result<i32, Error> {
    charge_bytes(guest, data.len())?;
    // Longer than a page can be; the guest could not address it.
    let len = i32::try_from(data.len()).map_err(|_| stop(FailureCode::Limit))?;
    if data.len() <= index(into.len) {
        write(guest, into.at, &data)?;
    } else {
        guest.data_mut().waiting = Some(data);
    }
    Ok(len)
}

fn deliver_tuple(
    guest: Guest<'_, '_, '_>,
    tuple: Option<&Tuple>,
    into: Buffer,
) -> Result<i32, Error> {
    match tuple {
        Some(tuple) => deliver(guest, codec::encode_tuple(tuple), into),
        None => Ok(NONE),
    }
}

fn memory(guest: Guest<'_, '_, '_>) -> Result<Memory, Error> {
    // Absent only while the instance is being made, when no guest code runs.
    guest.data().memory.ok_or_else(|| stop(FailureCode::Start))
}

fn index(number: u32) -> usize {
    // Lossless on every machine a replica runs on.
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Applies `operation` in the space the guest named.
fn apply(
    guest: Guest<'_, '_, '_>,
    space: i32,
    needed: Access,
    operation: Operation,
) -> Result<Outcome, Error> {
    working(guest, |state| {
        let space = state.space(space, needed)?;
        let applied = state.host.apply(space, operation);
        applied.map_err(|refusal| stop(FailureCode::Space(refusal.code())))
    })
}

/// As [`apply`], for operations that give one tuple or none.
fn apply_for_tuple(
    guest: Guest<'_, '_, '_>,
    space: i32,
    needed: Access,
    operation: Operation,
    into: Buffer,
) -> Result<i32, Error> {
    match apply(guest, space, needed, operation)? {
        Outcome::Match(found) => deliver_tuple(guest, found.as_ref(), into),
        // A host that answers in another type than the operation's is broken.
        _ => Err(stop(FailureCode::Start)),
    }
}

pub(crate) fn operation(guest: Guest<'_, '_, '_>) -> Result<i32, Error> {
    let operation = guest.data().invocation.cause.operation();
    let kind = operation.map(Operation::kind);
    let number = kind.and_then(|kind| OperationKind::ALL.iter().position(|other| *other == kind));
    Ok(number.and_then(|n| i32::try_from(n).ok()).unwrap_or(NONE))
}

pub(crate) fn event(guest: Guest<'_, '_, '_>) -> Result<i32, Error> {
    let number = match guest.data().invocation.cause {
        Cause::Event(kind, _) => EventKind::ALL.iter().position(|other| *other == kind),
        Cause::Operation(_) | Cause::Judged(_) => None,
    };
    Ok(number.and_then(|n| i32::try_from(n).ok()).unwrap_or(NONE))
}

pub(crate) fn argument_template(
    guest: Guest<'_, '_, '_>,
    into: u32,
    room: u32,
) -> Result<i32, Error> {
    let operation = guest.data().invocation.cause.operation();
    match operation.and_then(Operation::template) {
        Some(template) => {
            let data = codec::encode_template(template);
            deliver(
                guest,
                data,
                Buffer {
                    at: into,
                    len: room,
                },
            )
        }
        None => Ok(NONE),
    }
}

pub(crate) fn argument_tuple(guest: Guest<'_, '_, '_>, into: u32, room: u32) -> Result<i32, Error> {
    let tuple = match guest.data().invocation.cause {
        Cause::Operation(operation) | Cause::Judged(operation) => operation.tuple(),
        Cause::Event(_, tuple) => Some(tuple),
    };
    deliver_tuple(
        guest,
        tuple,
        Buffer {
            at: into,
            len: room,
        },
    )
}

pub(crate) fn argument_limit(guest: Guest<'_, '_, '_>) -> Result<i64, Error> {
    Ok(match guest.data().invocation.cause.operation() {
        Some(Operation::RdAll { limit, .. } | Operation::InAll { limit, .. }) => i64::from(*limit),
        _ => i64::from(NONE),
    })
}

pub(crate) fn argument_after(guest: Guest<'_, '_, '_>) -> Result<i64, Error> {
    Ok(match guest.data().invocation.cause.operation() {
        Some(Operation::RdAll { after, .. }) => cursor(after.as_ref().map(|cursor| cursor.after)),
        _ => i64::from(NONE),
    })
}

pub(crate) fn invoker(guest: Guest<'_, '_, '_>, into: u32) -> Result<(), Error> {
    let key = guest.data().invocation.invoker;
    write(guest, into, &key)
}

pub(crate) fn now(guest: Guest<'_, '_, '_>) -> Result<i64, Error> {
    Ok(i64::try_from(guest.data().invocation.now_ms).unwrap_or(i64::MAX))
}

pub(crate) fn sequence(guest: Guest<'_, '_, '_>) -> Result<i64, Error> {
    Ok(i64::try_from(guest.data().invocation.sequence).unwrap_or(i64::MAX))
}

pub(crate) fn rdp(
    guest: Guest<'_, '_, '_>,
    space: i32,
    at: u32,
    len: u32,
    into: u32,
    room: u32,
) -> Result<i32, Error> {
    let template = template(guest, at, len)?;
    let operation = Operation::Rdp { template };
    apply_for_tuple(
        guest,
        space,
        Access::READ,
        operation,
        Buffer {
            at: into,
            len: room,
        },
    )
}

pub(crate) fn inp(
    guest: Guest<'_, '_, '_>,
    space: i32,
    at: u32,
    len: u32,
    into: u32,
    room: u32,
) -> Result<i32, Error> {
    let template = template(guest, at, len)?;
    let operation = Operation::Inp { template };
    apply_for_tuple(
        guest,
        space,
        Access::TAKE,
        operation,
        Buffer {
            at: into,
            len: room,
        },
    )
}

#[expect(clippy::too_many_arguments, reason = "the guest passes numbers only")]
pub(crate) fn rd_all(
    guest: Guest<'_, '_, '_>,
    space: i32,
    at: u32,
    len: u32,
    limit: u32,
    after: i64,
    into: u32,
    room: u32,
) -> Result<i32, Error> {
    if !(1..=MAX_PAGE_TUPLES).contains(&limit) {
        return Err(stop(FailureCode::BadArgument));
    }
    let after = match after {
        -1 => None,
        id => Some(TupleId(u64::try_from(id).map_err(bad_argument)?)),
    };
    let template = template(guest, at, len)?;
    let here = guest.data().space(space, Access::READ)?;
    let operation = Operation::RdAll {
        template,
        limit,
        after: after.map(|after| Cursor {
            space: here.clone(),
            after,
        }),
    };
    apply_for_page(
        guest,
        space,
        Access::READ,
        operation,
        Buffer {
            at: into,
            len: room,
        },
    )
}

/// As [`apply`], for operations that give a page.
fn apply_for_page(
    guest: Guest<'_, '_, '_>,
    space: i32,
    needed: Access,
    operation: Operation,
    into: Buffer,
) -> Result<i32, Error> {
    let Outcome::Page { tuples, next } = apply(guest, space, needed, operation)? else {
        return Err(stop(FailureCode::Start));
    };
    let mut page = Vec::from(cursor(next).to_le_bytes());
    for tuple in &tuples {
        let tuple = codec::encode_tuple(tuple);
        let len = u32::try_from(tuple.len()).map_err(bad_argument)?;
        page.extend_from_slice(&len.to_le_bytes());
        page.extend_from_slice(&tuple);
    }
    deliver(guest, page, into)
}

/// A cursor as guests see it: -1 is none. Ids are counted up from 1 and never get
/// near the top.
fn cursor(id: Option<TupleId>) -> i64 {
    id.and_then(|id| i64::try_from(id.0).ok()).unwrap_or(-1)
}

pub(crate) fn count(guest: Guest<'_, '_, '_>, space: i32, at: u32, len: u32) -> Result<i64, Error> {
    let template = template(guest, at, len)?;
    let Outcome::Count(count) = apply(guest, space, Access::READ, Operation::Count { template })?
    else {
        return Err(stop(FailureCode::Start));
    };
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(crate) fn rdp_min(
    guest: Guest<'_, '_, '_>,
    space: i32,
    at: u32,
    len: u32,
    position: u32,
    into: u32,
    room: u32,
) -> Result<i32, Error> {
    let template = template(guest, at, len)?;
    smallest(
        guest,
        space,
        &template,
        position,
        false,
        Buffer {
            at: into,
            len: room,
        },
    )
}

pub(crate) fn inp_min(
    guest: Guest<'_, '_, '_>,
    space: i32,
    at: u32,
    len: u32,
    position: u32,
    into: u32,
    room: u32,
) -> Result<i32, Error> {
    let template = template(guest, at, len)?;
    smallest(
        guest,
        space,
        &template,
        position,
        true,
        Buffer {
            at: into,
            len: room,
        },
    )
}

fn smallest(
    guest: Guest<'_, '_, '_>,
    space: i32,
    template: &Template,
    position: u32,
    take: bool,
    into: Buffer,
) -> Result<i32, Error> {
    let position = index(position);
    if position >= template.arity() {
        return Err(stop(FailureCode::BadArgument));
    }
    let needed = if take { Access::TAKE } else { Access::READ };
    let found = working(guest, |state| {
        let space = state.space(space, needed)?;
        let found = state.host.smallest(space, template, position, take);
        found.map_err(|refusal| stop(FailureCode::Space(refusal.code())))
    })?;
    deliver_tuple(guest, found.as_ref(), into)
}

pub(crate) fn out(guest: Guest<'_, '_, '_>, space: i32, at: u32, len: u32) -> Result<(), Error> {
    let tuple = tuple(guest, at, len)?;
    insert(guest, space, tuple, Lease::Forever)
}

pub(crate) fn out_leased(
    guest: Guest<'_, '_, '_>,
    space: i32,
    at: u32,
    len: u32,
    lease_ms: i64,
) -> Result<(), Error> {
    let lease = match lease_ms {
        0 => Lease::Session,
        ms => Lease::Ms(u64::try_from(ms).map_err(bad_argument)?),
    };
    let tuple = tuple(guest, at, len)?;
    insert(guest, space, tuple, lease)
}

fn insert(guest: Guest<'_, '_, '_>, space: i32, tuple: Tuple, lease: Lease) -> Result<(), Error> {
    let operation = Operation::Out { tuple, lease };
    apply(guest, space, Access::INSERT, operation).map(|_| ())
}

pub(crate) fn in_all(
    guest: Guest<'_, '_, '_>,
    space: i32,
    at: u32,
    len: u32,
    limit: u32,
    into: u32,
    room: u32,
) -> Result<i32, Error> {
    if !(1..=MAX_PAGE_TUPLES).contains(&limit) {
        return Err(stop(FailureCode::BadArgument));
    }
    let template = template(guest, at, len)?;
    let operation = Operation::InAll { template, limit };
    apply_for_page(
        guest,
        space,
        Access::TAKE,
        operation,
        Buffer {
            at: into,
            len: room,
        },
    )
}

pub(crate) fn renew(
    guest: Guest<'_, '_, '_>,
    space: i32,
    at: u32,
    len: u32,
    lease_ms: i64,
    into: u32,
    room: u32,
) -> Result<i32, Error> {
    let operation = Operation::Renew {
        template: template(guest, at, len)?,
        lease_ms: u64::try_from(lease_ms).map_err(bad_argument)?,
    };
    apply_for_tuple(
        guest,
        space,
        Access::TAKE,
        operation,
        Buffer {
            at: into,
            len: room,
        },
    )
}

pub(crate) fn wait_for(
    guest: Guest<'_, '_, '_>,
    space: i32,
    at: u32,
    len: u32,
    take: u32,
) -> Result<i32, Error> {
    let template = template(guest, at, len)?;
    let (take, needed) = match take {
        0 => (false, Access::READ),
        1 => (true, Access::TAKE),
        _ => return Err(stop(FailureCode::BadArgument)),
    };
    // Whoever asked with another operation awaits an answer at once.
    if !guest.data().unanswered()?.waits() {
        return Err(stop(FailureCode::BadReply));
    }
    let found = working(guest, |state| {
        let space = state.space(space, needed)?;
        let found = state.host.wait(space, template, take);
        found.map_err(|refusal| stop(FailureCode::Space(refusal.code())))
    })?;
    let waits = found.is_none();
    guest.data_mut().concluded = Some(match found {
        Some(tuple) => Conclusion::Answered(Outcome::Match(Some(tuple))),
        None => Conclusion::Waiting,
    });
    Ok(i32::from(!waits))
}

pub(crate) fn wake(guest: Guest<'_, '_, '_>, space: i32, at: u32, len: u32) -> Result<i32, Error> {
    let tuple = tuple(guest, at, len)?;
    let served = working(guest, |state| {
        let space = state.space(space, Access::INSERT)?;
        let served = state.host.wake(space, &tuple);
        served.map_err(|refusal| stop(FailureCode::Space(refusal.code())))
    })?;
    Ok(i32::try_from(served).unwrap_or(i32::MAX))
}

#[expect(clippy::too_many_arguments, reason = "the guest passes numbers only")]
pub(crate) fn cas(
    guest: Guest<'_, '_, '_>,
    space: i32,
    template_at: u32,
    template_len: u32,
    tuple_at: u32,
    tuple_len: u32,
    into: u32,
    room: u32,
) -> Result<i32, Error> {
    let operation = Operation::Cas {
        template: template(guest, template_at, template_len)?,
        tuple: tuple(guest, tuple_at, tuple_len)?,
        lease: Lease::Forever,
    };
    let needed = Access::READ.and(Access::INSERT);
    apply_for_tuple(
        guest,
        space,
        needed,
        operation,
        Buffer {
            at: into,
            len: room,
        },
    )
}

#[expect(clippy::too_many_arguments, reason = "the guest passes numbers only")]
pub(crate) fn replace(
    guest: Guest<'_, '_, '_>,
    space: i32,
    template_at: u32,
    template_len: u32,
    tuple_at: u32,
    tuple_len: u32,
    into: u32,
    room: u32,
) -> Result<i32, Error> {
    let operation = Operation::Replace {
        template: template(guest, template_at, template_len)?,
        tuple: tuple(guest, tuple_at, tuple_len)?,
        lease: Lease::Forever,
    };
    let needed = Access::TAKE.and(Access::INSERT);
    apply_for_tuple(
        guest,
        space,
        needed,
        operation,
        Buffer {
            at: into,
            len: room,
        },
    )
}

pub(crate) fn hold_back(guest: Guest<'_, '_, '_>) -> Result<i32, Error> {
    let held = guest.data_mut().host.hold_back();
    let held = held.map_err(|refusal| stop(FailureCode::Space(refusal.code())))?;
    Ok(i32::from(held))
}

pub(crate) fn result(guest: Guest<'_, '_, '_>, into: u32, room: u32) -> Result<i32, Error> {
    match guest.data_mut().waiting.take() {
        Some(data) => deliver(
            guest,
            data,
            Buffer {
                at: into,
                len: room,
            },
        ),
        None => Ok(NONE),
    }
}

pub(crate) fn reply(guest: Guest<'_, '_, '_>, at: u32, len: u32) -> Result<(), Error> {
    let bad_reply = || stop(FailureCode::BadReply);
    let outcome = wire::decode::<Outcome>(bytes(guest, at, len)?).map_err(|_| bad_reply())?;
    let state = guest.data_mut();
    if !answers(state.unanswered()?, &outcome) {
        return Err(bad_reply());
    }
    state.concluded = Some(Conclusion::Answered(outcome));
    Ok(())
}

/// Whether `outcome` is of `operation`'s own result type.
fn answers(operation: &Operation, outcome: &Outcome) -> bool {
    match (operation, outcome) {
        (Operation::Out { .. } | Operation::OutTo { .. }, Outcome::Done)
        | (
            Operation::Rdp { .. }
            | Operation::Inp { .. }
            | Operation::Cas { .. }
            | Operation::Replace { .. }
            | Operation::Renew { .. },
            Outcome::Match(_),
        )
        // These wait until there is a match, so "none" is no answer of theirs.
        | (Operation::Rd { .. } | Operation::In { .. }, Outcome::Match(Some(_)))
        | (Operation::Count { .. }, Outcome::Count(_)) => true,
        (
            Operation::RdAll { limit, .. } | Operation::InAll { limit, .. },
            Outcome::Page { tuples, .. },
        ) => tuples.len() <= index(*limit),
        _ => false,
    }
}

pub(crate) fn refuse(_guest: Guest<'_, '_, '_>, code: u32) -> Result<(), Error> {
    Err(stop(FailureCode::Refused(code)))
}

pub(crate) fn log(guest: Guest<'_, '_, '_>, at: u32, len: u32) -> Result<(), Error> {
    // Decoded and paid for whether or not it is kept: what a replica does with its
    // log must not be visible to the guest.
    let text = core::str::from_utf8(bytes(guest, at, len)?)
        .map_err(bad_argument)?
        .to_owned();
    let state = guest.data_mut();
    if let Some(room) = state.log_room.checked_sub(text.len()) {
        state.log_room = room;
        state.host.log(&text);
    } else {
        state.log_room = 0;
    }
    Ok(())
}
