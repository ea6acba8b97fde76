//! A space in memory, for an author's own tests: an extension's functions run natively against
//! it, with `cargo test`, a debugger, and all that comes with these.
//!
//! ```
//! use bezant_sdk::{Answer, Refused, Space, TemplateBytes, native::{Call, World}};
//!
//! /// Instead of `inp`: gives the smallest of what the template matches.
//! fn smallest() -> Result<Answer, Refused> {
//!     let template = bezant_sdk::invocation::template().ok_or(Refused(1))?;
//!     Ok(Answer::Match(Space::HERE.inp_min(&template, 1)))
//! }
//!
//! let mut world = World::new();
//! world.put(Space::HERE, "(\"element\", 7)");
//! world.put(Space::HERE, "(\"element\", 3)");
//! let answer = world.call(&Call::inp("(\"element\", ?int)"), smallest);
//! assert_eq!(World::spelled(&answer), "(\"element\", 3)");
//! assert_eq!(world.all(Space::HERE), ["(\"element\", 7)"]);
//! ```
//!
//! It matches as the service does and gives the oldest first. What it does not know: fuel,
//! capabilities, quotas, rights, and other clients. `bezant ext test` runs the module itself.

extern crate std;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use bezant_tuple::{Template, Tuple, Value, codec};

use crate::{Answer, Refused, Space};

/// Where the kinds of operation have their numbers.
const KINDS: [&str; 14] = [
    "out", "rdp", "inp", "rd", "in", "cas", "replace", "rd_all", "in_all", "count", "renew",
    "watch", "survey", "out_to",
];

/// What an extension is called for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    kind: i32,
    event: i32,
    template: Option<Template>,
    tuple: Option<Tuple>,
    limit: i64,
    invoker: [u8; 32],
}

/// What is around the extension that runs.
#[derive(Debug, Default)]
struct Around {
    call: Call,
    spaces: BTreeMap<i32, Vec<Tuple>>,
    now_ms: i64,
    sequence: i64,
    /// Who waits: where, for what, and whether to take it.
    waits: Vec<(i32, Template, bool)>,
    /// What those got who waited.
    served: Vec<Tuple>,
    /// The answer that `wait_for` gave at once.
    found: Option<Tuple>,
    /// A result that was longer than the room for it.
    waiting: Option<Vec<u8>>,
    logs: Vec<String>,
}

std::thread_local! {
    static AROUND: RefCell<Around> = RefCell::new(Around::default());
}

/// Spaces with tuples, and calls of extensions on them.
#[derive(Debug, Default)]
pub struct World {
    around: Around,
}

fn tuple(text: &str) -> Tuple {
    text.parse()
        .unwrap_or_else(|error| wrong(&format!("{text} is no tuple: {error}")))
}

fn template(text: &str) -> Template {
    text.parse()
        .unwrap_or_else(|error| wrong(&format!("{text} is no template: {error}")))
}

/// Ends the test that is written so.
#[expect(clippy::panic, reason = "it is for tests, which end so")]
fn wrong(what: &str) -> ! {
    std::panic!("{what}")
}

impl Call {
    fn of(kind: &str) -> Self {
        let kind = KINDS.iter().position(|other| *other == kind);
        Self {
            kind: kind.and_then(|kind| i32::try_from(kind).ok()).unwrap_or(-1),
            event: -1,
            limit: -1,
            ..Self::default()
        }
    }

    fn asking(kind: &str, text: &str) -> Self {
        Self {
            template: Some(template(text)),
            ..Self::of(kind)
        }
    }

    /// Instead of an `out`.
    #[must_use]
    pub fn out(text: &str) -> Self {
        Self {
            tuple: Some(tuple(text)),
            ..Self::of("out")
        }
    }

    /// Instead of an `rdp`.
    #[must_use]
    pub fn rdp(text: &str) -> Self {
        Self::asking("rdp", text)
    }

    /// Instead of an `inp`.
    #[must_use]
    pub fn inp(text: &str) -> Self {
        Self::asking("inp", text)
    }

    /// Instead of an `rd`.
    #[must_use]
    pub fn rd(text: &str) -> Self {
        Self::asking("rd", text)
    }

    /// Instead of an `in`.
    #[must_use]
    pub fn take(text: &str) -> Self {
        Self::asking("in", text)
    }

    /// Instead of a `count`.
    #[must_use]
    pub fn count(text: &str) -> Self {
        Self::asking("count", text)
    }

    /// Instead of a `cas`.
    #[must_use]
    pub fn cas(absent: &str, text: &str) -> Self {
        Self {
            tuple: Some(tuple(text)),
            ..Self::asking("cas", absent)
        }
    }

    /// Instead of a `rd_all`.
    #[must_use]
    pub fn rd_all(text: &str, limit: u32) -> Self {
        Self {
            limit: i64::from(limit),
            ..Self::asking("rd_all", text)
        }
    }

    /// After an event: 0 inserted, 1 taken, 2 expired, 3 session ended, 4 served.
    #[must_use]
    pub fn event(event: i32, text: &str) -> Self {
        Self {
            kind: -1,
            event,
            tuple: Some(tuple(text)),
            limit: -1,
            ..Self::default()
        }
    }

    /// The same by a client with this key.
    #[must_use]
    pub const fn by(mut self, invoker: [u8; 32]) -> Self {
        self.invoker = invoker;
        self
    }
}

impl World {
    /// Empty spaces, at the beginning of 1970.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Agreed time is so many milliseconds since 1970 from here on.
    pub const fn set_now(&mut self, ms: i64) {
        self.around.now_ms = ms;
    }

    /// Puts a tuple.
    pub fn put(&mut self, space: Space, text: &str) {
        self.around.insert(space.handle(), tuple(text));
    }

    /// All tuples of a space, oldest first.
    #[must_use]
    pub fn all(&self, space: Space) -> Vec<String> {
        let here = self.around.spaces.get(&space.handle());
        here.into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect()
    }

    /// What those got who waited, in order.
    #[must_use]
    pub fn served(&self) -> Vec<String> {
        self.around.served.iter().map(ToString::to_string).collect()
    }

    /// What was logged.
    #[must_use]
    pub fn logs(&self) -> &[String] {
        &self.around.logs
    }

    /// Runs an entry point for an operation. What it did is undone if it refuses.
    ///
    /// # Errors
    /// Its refusal.
    pub fn call(
        &mut self,
        call: &Call,
        entry: impl FnOnce() -> Result<Answer, Refused>,
    ) -> Result<Answer, Refused> {
        self.run(call, entry)
    }

    /// Runs an entry point that answers nobody.
    ///
    /// # Errors
    /// Its refusal.
    pub fn handle(
        &mut self,
        call: &Call,
        entry: impl FnOnce() -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        self.run(call, entry)
    }

    fn run<T>(
        &mut self,
        call: &Call,
        entry: impl FnOnce() -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let before = self.around.spaces.clone();
        let (waits, served) = (self.around.waits.clone(), self.around.served.clone());
        self.around.call = call.clone();
        self.around.found = None;
        AROUND.with_borrow_mut(|around| core::mem::swap(around, &mut self.around));
        let done = entry();
        AROUND.with_borrow_mut(|around| core::mem::swap(around, &mut self.around));
        if done.is_err() {
            self.around.spaces = before;
            (self.around.waits, self.around.served) = (waits, served);
        }
        done
    }

    /// An answer as people write it.
    #[must_use]
    pub fn spelled(answer: &Result<Answer, Refused>) -> String {
        match answer {
            Ok(Answer::Done) => "done".to_string(),
            Ok(Answer::Match(None)) => "no match".to_string(),
            Ok(Answer::Match(Some(tuple))) => tuple.decode().to_string(),
            Ok(Answer::Count(count)) => count.to_string(),
            Ok(Answer::Awaited) => "waits, or was answered by wait_for".to_string(),
            Ok(Answer::Page(tuples, _)) => {
                let tuples: Vec<String> = tuples.iter().map(|t| t.decode().to_string()).collect();
                tuples.join(" ")
            }
            Err(Refused(code)) => format!("refused with {code}"),
        }
    }

    /// What `wait_for` answered at once in the last call, if it did.
    #[must_use]
    pub fn found(&self) -> Option<String> {
        self.around.found.as_ref().map(ToString::to_string)
    }
}

impl Around {
    fn here(&mut self, handle: i32) -> &mut Vec<Tuple> {
        self.spaces.entry(handle).or_default()
    }

    fn place(&mut self, handle: i32, template: &Template) -> Option<usize> {
        self.here(handle)
            .iter()
            .position(|tuple| template.matches(tuple))
    }

    fn find(&mut self, handle: i32, template: &Template, take: bool) -> Option<Tuple> {
        let at = self.place(handle, template)?;
        let here = self.here(handle);
        if take {
            Some(here.remove(at))
        } else {
            here.get(at).cloned()
        }
    }

    fn smallest(
        &mut self,
        handle: i32,
        template: &Template,
        position: usize,
        take: bool,
    ) -> Option<Tuple> {
        let here = self.here(handle);
        let numbered =
            here.iter()
                .enumerate()
                .filter_map(|(at, tuple)| match tuple.get(position) {
                    Some(Value::Int(number)) if template.matches(tuple) => Some((*number, at)),
                    _ => None,
                });
        let (_, at) = numbered.min()?;
        if take {
            Some(here.remove(at))
        } else {
            here.get(at).cloned()
        }
    }

    /// Serves those who wait; whether somebody took it.
    fn offer(&mut self, handle: i32, tuple: &Tuple) -> (i32, bool) {
        let (mut count, mut taken) = (0, false);
        self.waits.retain(|(space, template, take)| {
            let suits = *space == handle && template.matches(tuple) && !(*take && taken);
            taken |= suits && *take;
            count += i32::from(suits);
            !suits
        });
        for _ in 0..count {
            self.served.push(tuple.clone());
        }
        (count, taken)
    }

    fn insert(&mut self, handle: i32, tuple: Tuple) {
        let (_, taken) = self.offer(handle, &tuple);
        if !taken {
            self.here(handle).push(tuple);
        }
    }

    /// A result for a guest: its length, and what did not fit is kept.
    fn give(&mut self, data: Option<Vec<u8>>, into: &mut [u8]) -> i32 {
        let Some(data) = data else { return -1 };
        let length = i32::try_from(data.len()).unwrap_or(i32::MAX);
        match into.get_mut(..data.len()) {
            Some(room) => room.copy_from_slice(&data),
            None => self.waiting = Some(data),
        }
        length
    }
}

fn page(tuples: &[Tuple], next: bool) -> Vec<u8> {
    let cursor = if next { 1 } else { -1_i64 };
    let mut page = Vec::from(cursor.to_le_bytes());
    for tuple in tuples {
        let tuple = codec::encode_tuple(tuple);
        let length = u32::try_from(tuple.len()).unwrap_or(u32::MAX);
        page.extend_from_slice(&length.to_le_bytes());
        page.extend_from_slice(&tuple);
    }
    page
}

/// The host calls, with the types that the table gives them.
#[allow(
    unsafe_code,
    reason = "they are called like the imported functions whose place they take"
)]
pub(crate) mod host {
    use super::{AROUND, Around, String, Template, Tuple, Vec, codec, page, wrong};

    /// Lets something be done with what is around.
    fn with<T>(then: impl FnOnce(&mut Around) -> T) -> T {
        AROUND.with_borrow_mut(then)
    }

    /// SAFETY of all below: the callers in `raw` pass the bounds of slices that they hold
    /// during the call, exclusively where it is written to.
    unsafe fn read<'a>(at: *const u8, length: u32) -> &'a [u8] {
        // SAFETY: as above.
        unsafe { core::slice::from_raw_parts(at, usize::try_from(length).unwrap_or(0)) }
    }

    unsafe fn room<'a>(at: *mut u8, length: u32) -> &'a mut [u8] {
        // SAFETY: as above.
        unsafe { core::slice::from_raw_parts_mut(at, usize::try_from(length).unwrap_or(0)) }
    }

    unsafe fn template(at: *const u8, length: u32) -> Template {
        // SAFETY: as above.
        let bytes = unsafe { read(at, length) };
        codec::decode_template(bytes).unwrap_or_else(|_| wrong("these bytes are no template"))
    }

    unsafe fn tuple(at: *const u8, length: u32) -> Tuple {
        // SAFETY: as above.
        let bytes = unsafe { read(at, length) };
        codec::decode_tuple(bytes).unwrap_or_else(|_| wrong("these bytes are no tuple"))
    }

    fn encoded(tuple: Option<Tuple>) -> Option<Vec<u8>> {
        tuple.map(|tuple| codec::encode_tuple(&tuple))
    }

    /// Gives what is found for a template.
    unsafe fn find(
        (at, length): (*const u8, u32),
        (into, most): (*mut u8, u32),
        find: impl FnOnce(&mut Around, &Template) -> Option<Tuple>,
    ) -> i32 {
        // SAFETY: as above.
        let (template, into) = unsafe { (template(at, length), room(into, most)) };
        with(|around| {
            let found = encoded(find(around, &template));
            around.give(found, into)
        })
    }

    pub(crate) unsafe fn operation() -> i32 {
        with(|around| around.call.kind)
    }

    pub(crate) unsafe fn event() -> i32 {
        with(|around| around.call.event)
    }

    pub(crate) unsafe fn argument_template(into: *mut u8, length: u32) -> i32 {
        // SAFETY: as above.
        let into = unsafe { room(into, length) };
        with(|around| {
            let asked = around.call.template.as_ref().map(codec::encode_template);
            around.give(asked, into)
        })
    }

    pub(crate) unsafe fn argument_tuple(into: *mut u8, length: u32) -> i32 {
        // SAFETY: as above.
        let into = unsafe { room(into, length) };
        with(|around| {
            let given = encoded(around.call.tuple.clone());
            around.give(given, into)
        })
    }

    pub(crate) unsafe fn argument_limit() -> i64 {
        with(|around| around.call.limit)
    }

    pub(crate) unsafe fn argument_after() -> i64 {
        -1
    }

    pub(crate) unsafe fn invoker(into: *mut u8) {
        // SAFETY: as above; 32 bytes.
        let into = unsafe { room(into, 32) };
        with(|around| into.copy_from_slice(&around.call.invoker));
    }

    pub(crate) unsafe fn now() -> i64 {
        with(|around| around.now_ms)
    }

    pub(crate) unsafe fn sequence() -> i64 {
        with(|around| around.sequence)
    }

    pub(crate) unsafe fn rdp(
        space: i32,
        at: *const u8,
        length: u32,
        into: *mut u8,
        most: u32,
    ) -> i32 {
        // SAFETY: as above.
        unsafe {
            find((at, length), (into, most), |around, template| {
                around.find(space, template, false)
            })
        }
    }

    pub(crate) unsafe fn inp(
        space: i32,
        at: *const u8,
        length: u32,
        into: *mut u8,
        most: u32,
    ) -> i32 {
        // SAFETY: as above.
        unsafe {
            find((at, length), (into, most), |around, template| {
                around.find(space, template, true)
            })
        }
    }

    pub(crate) unsafe fn rd_all(
        space: i32,
        at: *const u8,
        length: u32,
        limit: u32,
        after: i64,
        into: *mut u8,
        most: u32,
    ) -> i32 {
        // SAFETY: as above.
        let (template, into) = unsafe { (template(at, length), room(into, most)) };
        with(|around| {
            // A cursor counts what was read.
            let skipped = usize::try_from(after).unwrap_or(0);
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let matching = around
                .here(space)
                .iter()
                .filter(|tuple| template.matches(tuple));
            let mut found: Vec<Tuple> = matching
                .skip(skipped)
                .take(limit.saturating_add(1))
                .cloned()
                .collect();
            let more = found.len() > limit;
            found.truncate(limit);
            let mut bytes = page(&found, more);
            if more {
                let next = i64::try_from(skipped.saturating_add(limit)).unwrap_or(i64::MAX);
                bytes.splice(..8, next.to_le_bytes());
            }
            around.give(Some(bytes), into)
        })
    }

    pub(crate) unsafe fn count(space: i32, at: *const u8, length: u32) -> i64 {
        // SAFETY: as above.
        let template = unsafe { template(at, length) };
        with(|around| {
            let matching = around
                .here(space)
                .iter()
                .filter(|tuple| template.matches(tuple));
            i64::try_from(matching.count()).unwrap_or(i64::MAX)
        })
    }

    pub(crate) unsafe fn rdp_min(
        space: i32,
        at: *const u8,
        length: u32,
        position: u32,
        into: *mut u8,
        most: u32,
    ) -> i32 {
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        // SAFETY: as above.
        unsafe {
            find((at, length), (into, most), |around, template| {
                around.smallest(space, template, position, false)
            })
        }
    }

    pub(crate) unsafe fn out(space: i32, at: *const u8, length: u32) {
        // SAFETY: as above.
        let tuple = unsafe { tuple(at, length) };
        with(|around| around.insert(space, tuple));
    }

    pub(crate) unsafe fn out_leased(space: i32, at: *const u8, length: u32, _lease_ms: i64) {
        // SAFETY: as above.
        let tuple = unsafe { tuple(at, length) };
        with(|around| around.insert(space, tuple));
    }

    pub(crate) unsafe fn inp_min(
        space: i32,
        at: *const u8,
        length: u32,
        position: u32,
        into: *mut u8,
        most: u32,
    ) -> i32 {
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        // SAFETY: as above.
        unsafe {
            find((at, length), (into, most), |around, template| {
                around.smallest(space, template, position, true)
            })
        }
    }

    pub(crate) unsafe fn cas(
        space: i32,
        at: *const u8,
        length: u32,
        tuple_at: *const u8,
        tuple_length: u32,
        into: *mut u8,
        most: u32,
    ) -> i32 {
        // SAFETY: as above.
        let (template, into) = unsafe { (template(at, length), room(into, most)) };
        // SAFETY: as above.
        let tuple = unsafe { tuple(tuple_at, tuple_length) };
        with(|around| {
            let found = around.find(space, &template, false);
            if found.is_none() {
                around.insert(space, tuple);
            }
            around.give(encoded(found), into)
        })
    }

    pub(crate) unsafe fn replace(
        space: i32,
        at: *const u8,
        length: u32,
        tuple_at: *const u8,
        tuple_length: u32,
        into: *mut u8,
        most: u32,
    ) -> i32 {
        // SAFETY: as above.
        let (template, into) = unsafe { (template(at, length), room(into, most)) };
        // SAFETY: as above.
        let tuple = unsafe { tuple(tuple_at, tuple_length) };
        with(|around| {
            let found = around.find(space, &template, true);
            if found.is_some() {
                around.insert(space, tuple);
            }
            around.give(encoded(found), into)
        })
    }

    pub(crate) unsafe fn in_all(
        space: i32,
        at: *const u8,
        length: u32,
        limit: u32,
        into: *mut u8,
        most: u32,
    ) -> i32 {
        // SAFETY: as above.
        let (template, into) = unsafe { (template(at, length), room(into, most)) };
        with(|around| {
            let mut found = Vec::new();
            for _ in 0..limit {
                found.extend(around.find(space, &template, true));
            }
            let more = around.place(space, &template).is_some();
            around.give(Some(page(&found, more)), into)
        })
    }

    pub(crate) unsafe fn renew(
        space: i32,
        at: *const u8,
        length: u32,
        _lease_ms: i64,
        into: *mut u8,
        most: u32,
    ) -> i32 {
        // SAFETY: as above.
        unsafe { rdp(space, at, length, into, most) }
    }

    pub(crate) unsafe fn wait_for(space: i32, at: *const u8, length: u32, take: u32) -> i32 {
        // SAFETY: as above.
        let template = unsafe { template(at, length) };
        with(|around| {
            around.found = around.find(space, &template, take == 1);
            if around.found.is_none() {
                around.waits.push((space, template, take == 1));
            }
            i32::from(around.found.is_some())
        })
    }

    pub(crate) unsafe fn wake(space: i32, at: *const u8, length: u32) -> i32 {
        // SAFETY: as above.
        let tuple = unsafe { tuple(at, length) };
        with(|around| around.offer(space, &tuple).0)
    }

    pub(crate) unsafe fn hold_back() -> i32 {
        0
    }

    pub(crate) unsafe fn result(into: *mut u8, most: u32) -> i32 {
        // SAFETY: as above.
        let into = unsafe { room(into, most) };
        with(|around| {
            let waiting = around.waiting.take();
            around.give(waiting, into)
        })
    }

    pub(crate) unsafe fn reply(_at: *const u8, _length: u32) {}

    pub(crate) unsafe fn refuse(_code: u32) {}

    pub(crate) unsafe fn log(at: *const u8, length: u32) {
        // SAFETY: as above.
        let text = unsafe { read(at, length) };
        let text = String::from_utf8_lossy(text).into_owned();
        with(|around| around.logs.push(text));
    }
}
