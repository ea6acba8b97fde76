//! Extensions, on the dumb spaces: what each of the [test extensions](crate::test_extensions) is to
//! do, written once more in plain words; what fails is undone by keeping a copy of everything.

use std::{collections::VecDeque, sync::Arc};

use bezant_api::{
    Answer, Call, ExtensionFailure, ExtensionHash, FailureCode, Installed, Refused, Right,
};
use bezant_model::{Caller, Placed};
use bezant_tuple::{Field, Kind, Template, Tuple, Value};
use bezant_tuplespace::{Change, Lease, Operation, Outcome, Refusal, SpaceName};

use super::Spaces;
use crate::test_extensions::{self, PROGRAMS, Program, TestExtension};

type ClientKey = [u8; 32];

/// Where extensions are to be read.
const OBJECTS: &str = "$extensions";

/// How deep events cascade, as in the real service.
const DEPTH: u8 = 4;

/// The extensions there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    /// In the order of registration, with their owners.
    installed: Vec<(TestExtension, ClientKey)>,
    agreed: Vec<(ClientKey, TestExtension)>,
    /// In the one space that they are for.
    attached: Vec<TestExtension>,
}

/// What a part of a request failed with.
type Failed = FailureCode;

impl Programs {
    fn owner(&self, test_extension: TestExtension) -> Option<ClientKey> {
        let mut installed = self.installed.iter();
        let found = installed.find(|(other, _)| *other == test_extension);
        found.map(|(_, owner)| *owner)
    }

    fn applies(&self, client: ClientKey, test_extension: TestExtension) -> bool {
        self.owner(test_extension) == Some(client)
            || self.agreed.contains(&(client, test_extension))
    }
}

/// A failure, whose fuel the model does not know: it says what nobody can have burnt.
fn failure(test_extension: TestExtension, code: FailureCode) -> Refused {
    let program = PROGRAMS
        .iter()
        .find(|program| program.test_extension == test_extension);
    Refused::Extension(ExtensionFailure {
        code,
        name: program.map_or_else(String::new, |program| program.manifest.name.clone()),
        version: 1,
        fuel: u64::MAX,
    })
}

/// The same answer, but for the fuel that a failed extension burnt: the model does not know how
/// much that is, only that all replicas say the same.
#[must_use]
pub fn without_fuel(answer: &Answer) -> Answer {
    let forget = |refused: &Refused| match refused {
        Refused::Extension(failure) => Refused::Extension(ExtensionFailure {
            fuel: 0,
            ..failure.clone()
        }),
        other => other.clone(),
    };
    match answer {
        Answer::Refused(refused) => Answer::Refused(forget(refused)),
        Answer::GroupRefused { step, why } => Answer::GroupRefused {
            step: *step,
            why: forget(why),
        },
        other => other.clone(),
    }
}

/// Whether a failed extension can have burnt what the answer says: something, no more than its
/// manifest gives it, and, where it ran out of it, all but what its next step would have cost.
#[must_use]
pub fn fuel_is_possible(answer: &Answer) -> bool {
    let (Answer::Refused(Refused::Extension(failure))
    | Answer::GroupRefused {
        why: Refused::Extension(failure),
        ..
    }) = answer
    else {
        return true;
    };
    let mut programs = PROGRAMS.iter().map(|program| &program.manifest);
    let supply = programs
        .find(|manifest| manifest.name == failure.name)
        .map_or(0, |manifest| manifest.fuel);
    let least = match failure.code {
        FailureCode::OutOfFuel => supply - supply / 10,
        _ => 1,
    };
    (least..=supply).contains(&failure.fuel)
}

/// A template of exact texts, and integers at the end.
fn texts(texts: &[&str], integers: usize) -> Template {
    let texts = texts.iter().map(|text| Field::Exact(Value::from(*text)));
    let integers = (0..integers).map(|_| Field::OfKind(Kind::Int));
    match Template::new(texts.chain(integers).collect()) {
        Ok(template) => template,
        Err(limit) => unreachable!("a few small fields make a template: {limit}"),
    }
}

/// Whether something is a `("k", _, _)` of two integers.
fn is_key(tuple: &Tuple) -> bool {
    texts(&["k"], 2).matches(tuple)
}

/// The exact fields of a template.
fn exact(template: &Template) -> Vec<Value> {
    let fields = template.fields().iter().map(|field| match field {
        Field::Exact(value) => Some(value.clone()),
        _ => None,
    });
    fields.collect::<Option<Vec<Value>>>().unwrap_or_default()
}

impl Spaces {
    /// Carries out a call about extensions; `None` if it is about something else.
    pub(super) fn install(&mut self, session: u64, call: &Call) -> Option<Result<Answer, Refused>> {
        let client = self.access.client(session).unwrap_or_default();
        let known = |hash: &ExtensionHash| test_extensions::find(*hash);
        Some(match call {
            Call::Register { manifest, module } => {
                let hash = bezant_extensions::content_hash(manifest, module);
                let program = known(&hash)?;
                let registered = Ok(Answer::Registered { hash });
                if self.programs.owner(program.test_extension).is_some() {
                    self.agree(client, program.test_extension);
                    return Some(registered);
                }
                let programs = Arc::make_mut(&mut self.programs);
                programs.installed.push((program.test_extension, client));
                self.show(program, client);
                registered
            }
            Call::Acknowledge { hash } => self.about(*hash, |spaces, test_extension| {
                spaces.agree(client, test_extension);
                Ok(Answer::Acknowledged)
            }),
            Call::Withdraw { hash } => self.about(*hash, |spaces, test_extension| {
                let programs = Arc::make_mut(&mut spaces.programs);
                let before = programs.agreed.len();
                programs
                    .agreed
                    .retain(|other| *other != (client, test_extension));
                Ok(Answer::Changed(programs.agreed.len() < before))
            }),
            Call::Unregister { hash } => self.about(*hash, |spaces, test_extension| {
                if spaces.programs.owner(test_extension) != Some(client)
                    && !spaces.is_operator(client)
                {
                    return Err(Refusal::Forbidden.into());
                }
                if spaces.programs.attached.contains(&test_extension) {
                    return Err(Refused::Attached);
                }
                let programs = Arc::make_mut(&mut spaces.programs);
                programs
                    .installed
                    .retain(|(other, _)| *other != test_extension);
                programs
                    .agreed
                    .retain(|(_, other)| *other != test_extension);
                spaces.hide(test_extension);
                Ok(Answer::Changed(true))
            }),
            Call::Attach { space, hash } => self.administer(session, space).and_then(|()| {
                self.about(*hash, |spaces, test_extension| {
                    Ok(spaces.attach(test_extension, true))
                })
            }),
            Call::Detach { space, hash } => self.administer(session, space).map(|()| {
                known(hash).map_or(Answer::Changed(false), |program| {
                    self.attach(program.test_extension, false)
                })
            }),
            Call::Extensions => Ok(self.listed(client)),
            _ => return None,
        })
    }

    fn about(
        &mut self,
        hash: ExtensionHash,
        then: impl FnOnce(&mut Self, TestExtension) -> Result<Answer, Refused>,
    ) -> Result<Answer, Refused> {
        let installed = test_extensions::find(hash).filter(|program| {
            let owner = self.programs.owner(program.test_extension);
            owner.is_some()
        });
        let program = installed.ok_or(Refused::NoSuchExtension)?;
        then(self, program.test_extension)
    }

    fn agree(&mut self, client: ClientKey, test_extension: TestExtension) {
        if !self.programs.applies(client, test_extension) {
            Arc::make_mut(&mut self.programs)
                .agreed
                .push((client, test_extension));
        }
    }

    fn attach(&mut self, test_extension: TestExtension, attached_to: bool) -> Answer {
        let changed = self.programs.attached.contains(&test_extension) != attached_to;
        let attached = &mut Arc::make_mut(&mut self.programs).attached;
        if attached_to && changed {
            attached.push(test_extension);
        } else if changed {
            attached.retain(|other| *other != test_extension);
        }
        Answer::Changed(changed)
    }

    fn listed(&self, client: ClientKey) -> Answer {
        let all = self
            .programs
            .installed
            .iter()
            .filter_map(|(test_extension, owner)| {
                let program = PROGRAMS
                    .iter()
                    .find(|program| program.test_extension == *test_extension)?;
                let attached = self.programs.attached.contains(test_extension);
                Some(Installed {
                    hash: program.hash,
                    owner: *owner,
                    name: program.manifest.name.clone(),
                    version: program.manifest.version,
                    applies: self.programs.applies(client, *test_extension),
                    in_force: true,
                    replaces: None,
                    from: None,
                    attached: attached.then(test_extensions::space).into_iter().collect(),
                })
            });
        Answer::Extensions(all.collect())
    }

    /// The object of an extension, which counts against nobody.
    fn show(&mut self, program: &Program, owner: ClientKey) {
        let Ok(objects) = SpaceName::reserved(OBJECTS) else {
            return;
        };
        let tuple = Tuple::new(vec![
            Value::from("extension"),
            Value::from(program.manifest.name.clone()),
            Value::from(program.manifest.version),
            Value::from(program.hash.0.to_vec()),
            Value::from(owner.to_vec()),
        ]);
        if let Ok(tuple) = tuple {
            let arriving = self.model.arriving(Caller::default(), &objects, &tuple);
            self.model.insert(arriving);
        }
    }

    fn hide(&mut self, test_extension: TestExtension) {
        let program = PROGRAMS
            .iter()
            .find(|program| program.test_extension == test_extension);
        let hash = program.map(|program| Value::from(program.hash.0.to_vec()));
        self.model.withdraw(|placed| {
            placed.space.as_str() == OBJECTS && placed.tuple.get(3) == hash.as_ref()
        });
    }

    /// What policies say to an operation.
    pub(super) fn judge(&self, space: &SpaceName, operation: &Operation) -> Result<(), Refused> {
        if self.is_judged(space, operation) {
            return Err(failure(TestExtension::Judge, FailureCode::Refused(7)));
        }
        Ok(())
    }

    fn is_judged(&self, space: &SpaceName, operation: &Operation) -> bool {
        space.as_str() == test_extensions::SPACE
            && self.programs.attached.contains(&TestExtension::Judge)
            && matches!(operation, Operation::Out { tuple, .. } if is_key(tuple))
    }

    /// What an extension does instead of an operation, if one does; undone if it fails.
    pub(super) fn run_instead(
        &mut self,
        who: (u64, u64),
        space: &SpaceName,
        operation: &Operation,
    ) -> Option<Result<Option<Outcome>, Refused>> {
        if space.as_str() != test_extensions::SPACE {
            return None;
        }
        let client = self.access.client(who.0).unwrap_or_default();
        let asked = operation.template().map(exact).unwrap_or_default();
        let test_extension = match (operation, &asked[..]) {
            (Operation::Inp { .. }, [Value::Text(word), Value::Text(_), Value::Int(_)])
                if word == "increment" =>
            {
                TestExtension::Counter
            }
            (Operation::Rd { .. }, [Value::Text(word), Value::Text(_), Value::Int(_)])
                if word == "barrier" =>
            {
                TestExtension::Barrier
            }
            (Operation::Inp { .. }, [Value::Text(word)]) if word == "steal" => TestExtension::Thief,
            (Operation::Inp { .. }, [Value::Text(word)]) if word == "smuggle" => {
                TestExtension::Smuggler
            }
            (Operation::Inp { .. }, [Value::Text(word)]) if word == "eat" => TestExtension::Glutton,
            _ => return None,
        };
        if !self.programs.applies(client, test_extension)
            && !self.programs.attached.contains(&test_extension)
        {
            return None;
        }
        let before = self.clone();
        let done = match test_extension {
            TestExtension::Counter => self.count_on(who, space, &asked),
            TestExtension::Barrier => self.pass(who, space, operation, &asked),
            TestExtension::Thief => self
                .says(who, space, "(\"heard\", \"t\")")
                .and(Err(FailureCode::Trap)),
            // Unless there is no room even for the first one.
            TestExtension::Glutton => self.glut(who, space),
            _ => self.smuggle(who, space),
        };
        Some(done.map_err(|code| {
            *self = before;
            failure(test_extension, code)
        }))
    }

    /// Puts tuples until there is no more room, or no more fuel: for some sixty.
    fn glut(&mut self, who: (u64, u64), space: &SpaceName) -> Result<Option<Outcome>, Failed> {
        for _ in 0..64 {
            self.says(who, space, "(\"heard\", \"g\")")?;
        }
        Err(FailureCode::OutOfFuel)
    }

    /// Puts a tuple for whoever has this session.
    fn says(&mut self, who: (u64, u64), space: &SpaceName, text: &str) -> Result<(), Failed> {
        self.puts(who, space, test_extensions::tuple(text), Lease::Forever)
    }

    fn puts(
        &mut self,
        who: (u64, u64),
        space: &SpaceName,
        tuple: Tuple,
        lease: Lease,
    ) -> Result<(), Failed> {
        let put = self.apply((who.0, 0), space, &Operation::Out { tuple, lease });
        put.map(|_| ()).map_err(code_of)
    }

    fn count_on(
        &mut self,
        who: (u64, u64),
        space: &SpaceName,
        asked: &[Value],
    ) -> Result<Option<Outcome>, Failed> {
        let [_, Value::Text(name), Value::Int(by)] = asked else {
            return Err(FailureCode::Refused(1));
        };
        let template = texts(&["counter", name], 1);
        let taken = self.apply((who.0, 0), space, &Operation::Inp { template });
        let value = match taken.map_err(code_of)? {
            Some(Outcome::Match(Some(counter))) => match counter.get(2) {
                Some(Value::Int(value)) => *value,
                _ => 0,
            },
            _ => 0,
        };
        let value = value.checked_add(*by).ok_or(FailureCode::Refused(2))?;
        let counter = test_extensions::tuple(&format!("(\"counter\", \"{name}\", {value})"));
        self.puts(who, space, counter.clone(), Lease::Forever)?;
        Ok(Some(Outcome::Match(Some(counter))))
    }

    fn pass(
        &mut self,
        who: (u64, u64),
        space: &SpaceName,
        operation: &Operation,
        asked: &[Value],
    ) -> Result<Option<Outcome>, Failed> {
        let [_, Value::Text(name), Value::Int(parties)] = asked else {
            return Err(FailureCode::Refused(1));
        };
        if *parties < 1 {
            return Err(FailureCode::Refused(2));
        }
        let came = texts(&["came", name], 0);
        let is_here = |placed: &Placed| placed.space == *space && came.matches(&placed.tuple);
        let there = self.model.sum(is_here).tuples;
        if i64::try_from(there).unwrap_or(i64::MAX) + 1 < *parties {
            let tuple = test_extensions::tuple(&format!("(\"came\", \"{name}\")"));
            self.puts(who, space, tuple, Lease::Session)?;
            return self.apply(who, space, operation).map_err(code_of);
        }
        while self.model.withdraw(is_here).is_some() {}
        let passed = test_extensions::tuple(&format!("(\"barrier\", \"{name}\", {parties})"));
        let woken = self.model.wake(space, &passed);
        woken.map_err(|refusal| FailureCode::Space(refusal.code()))?;
        Ok(Some(Outcome::Match(Some(passed))))
    }

    fn smuggle(&mut self, who: (u64, u64), space: &SpaceName) -> Result<Option<Outcome>, Failed> {
        let put = Operation::Out {
            tuple: test_extensions::tuple("(\"k\", 1, 1)"),
            lease: Lease::Forever,
        };
        let owner = self
            .programs
            .owner(TestExtension::Smuggler)
            .unwrap_or_default();
        let governs = self
            .session_of(owner)
            .is_some_and(|session| self.demand(session, space, Right::Administer).is_ok());
        if self.is_judged(space, &put)
            && !governs
            && !self.programs.attached.contains(&TestExtension::Smuggler)
        {
            return Err(FailureCode::Space(Refusal::Forbidden.code()));
        }
        self.apply((who.0, 0), space, &put).map_err(code_of)?;
        Ok(Some(Outcome::Match(None)))
    }

    /// A session by which a client is known.
    fn session_of(&self, client: ClientKey) -> Option<u64> {
        self.access.session(client)
    }

    /// What happened since events were published last is dispatched to extensions.
    pub(super) fn dispatch(&mut self) {
        let mut events: VecDeque<Heard> = self.heard(Counts::default(), 0);
        while let Some(heard) = events.pop_front() {
            for (test_extension, owner) in self.programs.installed.clone() {
                let Some(text) = says_of(test_extension, &heard) else {
                    continue;
                };
                let Some(session) = self.session_of(owner) else {
                    continue;
                };
                let before = self.clone();
                let counts = Counts {
                    happened: self.model.happening().len(),
                    deliveries: self.model.deliveries().len(),
                };
                let said = self.says((session, 0), &test_extensions::space(), text);
                if said.is_err() || test_extension == TestExtension::Spoiler {
                    *self = before;
                    continue;
                }
                events.extend(self.heard(counts, heard.depth + 1));
            }
        }
    }

    /// What happened in the extensions' space behind so much, as of this depth.
    fn heard(&self, counts: Counts, depth: u8) -> VecDeque<Heard> {
        if depth >= DEPTH {
            return VecDeque::new();
        }
        let happened = self.model.happening().iter().skip(counts.happened);
        let happened =
            happened.filter(|happened| happened.placed.space.as_str() == test_extensions::SPACE);
        let happened = happened.map(|happened| Heard {
            what: Event::Happened(happened.change),
            tuple: happened.placed.tuple.clone(),
            depth,
        });
        let deliveries = self.model.deliveries().iter().skip(counts.deliveries);
        let deliveries =
            deliveries.filter(|deliveries| deliveries.space.as_str() == test_extensions::SPACE);
        let deliveries = deliveries.map(|deliveries| Heard {
            what: Event::Delivery,
            tuple: deliveries.tuple.clone(),
            depth,
        });
        happened.chain(deliveries).collect()
    }
}

/// What an extension hears of.
#[derive(Clone, Copy, Debug)]
enum Event {
    Happened(Change),
    /// Somebody who waited got the tuple.
    Delivery,
}

/// An event on its way to the extensions.
#[derive(Clone, Debug)]
struct Heard {
    what: Event,
    tuple: Tuple,
    /// How many extensions it came through.
    depth: u8,
}

/// How much happened since events were published last, and how many got a delivery.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    happened: usize,
    deliveries: usize,
}

/// The tuple that an extension puts because of an event, if it hears of it.
fn says_of(test_extension: TestExtension, heard: &Heard) -> Option<&'static str> {
    let came = matches!(heard.what, Event::Happened(Change::Inserted));
    let went = matches!(heard.what, Event::Happened(Change::Taken));
    let was_got = matches!(heard.what, Event::Delivery);
    match test_extension {
        TestExtension::EchoA if (came || went) && is_key(&heard.tuple) => {
            Some("(\"heard\", \"a\")")
        }
        TestExtension::EchoB if (came || was_got) && is_key(&heard.tuple) => {
            Some("(\"heard\", \"b\")")
        }
        TestExtension::Spoiler if came && is_key(&heard.tuple) => Some("(\"heard\", \"s\")"),
        TestExtension::EchoAgain if came && is_marker(&heard.tuple) => Some("(\"again\")"),
        _ => None,
    }
}

fn is_marker(tuple: &Tuple) -> bool {
    let fields = tuple.fields();
    fields.len() == 2
        && fields.first() == Some(&Value::from("heard"))
        && matches!(fields.get(1), Some(Value::Text(_)))
}

/// The code with which the spaces refused.
fn code_of(refused: Refused) -> FailureCode {
    match refused {
        Refused::Space(refusal) => FailureCode::Space(refusal.code()),
        other => unreachable!("the spaces refuse by codes of their own, not {other:?}"),
    }
}
