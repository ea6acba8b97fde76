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
//! The spaces are the service's own ([`bezant_tuplespace`]): they match, order, lease and refuse
//! as there. What this world does not know: fuel, capabilities, quotas, rights, and other
//! clients. `bezant ext test` runs the module itself.

mod host;
mod store;

use std::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use bezant_tuple::{Template, Tuple};

use host::Host;
pub(crate) use host::with;

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

/// Spaces with tuples, and calls of extensions on them.
#[derive(Debug, Default)]
pub struct World {
    host: Host,
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

    /// Agreed time is so many milliseconds since 1970 from here on: tuples whose lease is over
    /// are gone. It never runs back.
    pub fn set_now(&mut self, ms: i64) {
        self.host.now_ms = ms;
        self.host.store.advance(ms);
    }

    /// Puts a tuple.
    pub fn put(&mut self, space: Space, text: &str) {
        self.host.store.put(space.handle(), tuple(text));
        self.host.store.commit();
    }

    /// All tuples of a space, oldest first.
    #[must_use]
    pub fn all(&self, space: Space) -> Vec<String> {
        let all = self.host.store.all(space.handle());
        all.iter().map(ToString::to_string).collect()
    }

    /// What those got who waited, in order.
    #[must_use]
    pub fn served(&self) -> Vec<String> {
        let served = self.host.store.served().iter();
        served.map(ToString::to_string).collect()
    }

    /// What was logged.
    #[must_use]
    pub fn logs(&self) -> &[String] {
        &self.host.logs
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
        self.host.call = call.clone();
        self.host.found = None;
        let before = self.host.store.savepoint();
        host::swap(&mut self.host);
        let done = entry();
        host::swap(&mut self.host);
        if done.is_err() {
            self.host.store.rollback(before);
        }
        self.host.store.commit();
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
        self.host.found.as_ref().map(ToString::to_string)
    }
}
