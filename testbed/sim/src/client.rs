//! Clients at work: real sessions, drawn operations, and what they saw.

mod extending;
mod names;
mod rare;

use std::collections::BTreeMap;

use bezant_api::{
    AdminCommand, Answer, Audience, Call, Condition, Group, Lists, Principal, Refused, Right,
};
use bezant_bft::{
    ids::{ClientId, Instant, RequestNumber, SessionId},
    message::{ClientMessage, Reply},
};
use bezant_session::{Event, Session, Target, Token};
use bezant_tuple::{Field, Template, Tuple, Value};
use bezant_tuplespace::{Cursor, Lease, Operation, Outcome, Quota, SpaceName, TupleId};
use bytes::Bytes;

use names::{RULED, name, team};

use crate::{
    linear::Seen,
    options::{MS, Work},
    rng::Rng,
};

/// Open waits a session has at most before it ends the oldest.
const MAX_WAITS: usize = 3;

/// What a session asks its world to do.
#[derive(Debug, Default)]
pub(crate) struct ActorOutput {
    pub(crate) sends: Vec<(Target, ClientMessage)>,
    /// Answers that f+1 replicas gave alike.
    pub(crate) accepted: Vec<Reply>,
    /// When to act again.
    pub(crate) act_at: Option<u64>,
}

/// One session and the program that uses it.
pub(crate) struct Actor {
    /// The client whose key it uses.
    pub(crate) client: usize,
    /// Its key.
    key: ClientId,
    pub(crate) session: Session,
    work: Work,
    /// Operations not begun yet.
    left: u64,
    opening: Option<Token>,
    /// Everything asked, in order.
    pub(crate) seen: Vec<Seen>,
    open: BTreeMap<RequestNumber, usize>,
    /// Open waits, and whether their end was asked for.
    waits: BTreeMap<RequestNumber, bool>,
    /// Waits given up at their deadline: they go on in the service until they are ended.
    given_up: Vec<RequestNumber>,
    /// The newest event that it was told of.
    newest: u64,
    /// Makes no more waits and ends those it has.
    draining: bool,
    pub(crate) timer: Option<u64>,
}

impl Actor {
    pub(crate) fn new(client: usize, key: ClientId, session: Session, work: Work) -> Self {
        Self {
            client,
            key,
            session,
            work,
            left: work.operations,
            opening: None,
            seen: Vec::new(),
            open: BTreeMap::new(),
            waits: BTreeMap::new(),
            given_up: Vec::new(),
            newest: 0,
            draining: false,
            timer: None,
        }
    }

    /// Requests without an answer, and operations not begun.
    pub(crate) fn unfinished(&self) -> (usize, u64) {
        (self.session.outstanding(), self.left)
    }

    /// Whether this request has no answer yet.
    pub(crate) fn awaits(&self, number: RequestNumber) -> bool {
        self.open.contains_key(&number)
    }

    /// Begins nothing new but one last operation, and ends all waits.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        self.left = 1;
    }

    /// Does what is next.
    pub(crate) fn act(&mut self, now: u64, rng: &mut Rng, output: &mut ActorOutput) {
        let mut events = Vec::new();
        if self.session.id() == SessionId::NONE {
            if self.opening.is_none() {
                let nonce = self.session.nonce();
                // The same again if it is asked again. Some are over before their work is.
                let ttl_ms = self.work.leases.then_some(2_000 + nonce % 30_000);
                let op = Bytes::from(Call::OpenSession { nonce, ttl_ms }.encode());
                self.opening = Some(self.session.open(Instant(now), op, None, &mut events));
            }
            self.absorb(now, events, rng, output);
            return;
        }
        while let Some(call) = self.next_call(rng) {
            let deadline = rng
                .chance(30)
                .then(|| Instant(now + rng.between(1, 500) * MS));
            if self.begin(now, call, deadline, &mut events).is_none() {
                break;
            }
        }
        self.absorb(now, events, rng, output);
    }

    /// Asks for `call`, if the session may have another request open.
    pub(crate) fn begin(
        &mut self,
        now: u64,
        call: Call,
        deadline: Option<Instant>,
        events: &mut Vec<Event>,
    ) -> Option<RequestNumber> {
        let op = Bytes::from(call.encode());
        let token = self
            .session
            .submit(Instant(now), op, deadline, events)
            .ok()?;
        match &call {
            Call::Space { operation, .. } if operation.waits() => {
                self.waits.insert(token.0, false);
            }
            Call::Cancel { number } => {
                let number = RequestNumber(*number);
                self.given_up.retain(|other| *other != number);
                if let Some(ended) = self.waits.get_mut(&number) {
                    *ended = true;
                }
            }
            _ => self.left = self.left.saturating_sub(1),
        }
        self.open.insert(token.0, self.seen.len());
        self.seen.push(Seen {
            session: self.session.id(),
            number: token.0,
            call,
            invoked: now,
            returned: None,
            answer: None,
        });
        Some(token.0)
    }

    /// The next call, if another may be under way.
    fn next_call(&self, rng: &mut Rng) -> Option<Call> {
        if let Some(number) = self.given_up.first() {
            return Some(Call::Cancel { number: number.0 });
        }
        let first_wait = self.waits.iter().find(|(_, ended)| !**ended);
        if let Some((number, _)) =
            first_wait.filter(|_| self.draining || self.waits.len() >= MAX_WAITS)
        {
            return Some(Call::Cancel { number: number.0 });
        }
        let busy = self.open.len().saturating_sub(self.waits.len());
        if self.left == 0 || busy >= self.work.pipeline {
            return None;
        }
        if self.work.rare && rng.chance(400) {
            return Some(rare::draw(rng, self.key, self.newest, self.draining));
        }
        if self.work.leases && rng.chance(200) {
            return Some(extending::draw(rng, self.draining));
        }
        if self.work.leases && rng.chance(30) {
            return Some(draw_ruling(rng, self.key));
        }
        Some(draw_call(rng, &self.work, self.key, self.draining))
    }

    /// Takes what the session reports.
    pub(crate) fn absorb(
        &mut self,
        now: u64,
        events: Vec<Event>,
        rng: &mut Rng,
        output: &mut ActorOutput,
    ) {
        for event in events {
            match event {
                Event::Send { to, message } => output.sends.push((to, message)),
                Event::Completed { token, accepted } => {
                    self.completed(now, token, &accepted.reply);
                    output.accepted.push(accepted.reply);
                    output.act_at = Some(now + rng.below(self.work.think_us + 1));
                }
                // What became of it stays unknown; its number is no longer in the way.
                Event::Failed { token, .. } => {
                    if self.opening == Some(token) && self.session.id() == SessionId::NONE {
                        // Opening again opens no second session.
                        self.opening = None;
                    }
                    self.open.remove(&token.0);
                    if self.waits.remove(&token.0) == Some(false) {
                        self.given_up.push(token.0);
                    }
                    output.act_at = Some(now + rng.below(self.work.think_us + 1));
                }
                Event::Disagreed { .. } | Event::Proven(_) => {}
            }
        }
    }

    fn completed(&mut self, now: u64, token: Token, reply: &Reply) {
        let answer = Answer::decode(&reply.result).ok();
        if self.opening == Some(token) && self.session.id() == SessionId::NONE {
            if let Some(Answer::Opened { session, .. }) = answer {
                self.session.opened(SessionId(session));
            }
            return;
        }
        self.waits.remove(&token.0);
        if let Some(seen) = self
            .open
            .remove(&token.0)
            .and_then(|at| self.seen.get_mut(at))
        {
            // Its session is over: whether it was carried out before is not known.
            if answer == Some(Answer::Refused(Refused::NoSession)) {
                return;
            }
            if let Some(Answer::Outcome(Outcome::Events { newest, .. })) = &answer {
                self.newest = self.newest.max(*newest);
            }
            seen.returned = Some(now);
            seen.answer = answer;
        }
    }
}

fn space(rng: &mut Rng, work: &Work) -> SpaceName {
    if work.leases && rng.chance(150) {
        return name(RULED);
    }
    let plain = *rng.pick(&["a", "a", "a", "b"]);
    name(plain)
}

fn draw_principal(rng: &mut Rng, key: ClientId) -> Principal {
    match rng.below(3) {
        0 => Principal::Anyone,
        1 => Principal::Client(key.0),
        _ => Principal::Members(team()),
    }
}

/// Somebody, nobody or everybody, of those who see and of those who take.
fn draw_audience(rng: &mut Rng, key: ClientId) -> Box<Audience> {
    let mut list = || {
        let count = rng.below(3);
        rng.chance(700)
            .then(|| (0..count).map(|_| draw_principal(rng, key)).collect())
    };
    Box::new(Audience {
        readers: list(),
        takers: list(),
    })
}

/// Gives or takes a right, or says who is in a group, or makes or removes the space that all
/// of this is about.
fn draw_ruling(rng: &mut Rng, key: ClientId) -> Call {
    let space = name(RULED);
    let group = team();
    let right = *rng.pick(&Right::ALL);
    let principal = draw_principal(rng, key);
    match rng.below(16) {
        0 => Call::CreateSpaceFor {
            space,
            lists: if rng.chance(500) {
                Lists::closed()
            } else {
                Lists::open()
            },
        },
        1..=5 => Call::Grant {
            space,
            right,
            principal,
        },
        6..=9 => Call::Revoke {
            space,
            right,
            principal,
        },
        10 => Call::AdminCommand(AdminCommand::Join(group, key.0)),
        11 => Call::AdminCommand(AdminCommand::Allot(
            key.0,
            match rng.below(3) {
                0 => Quota::NONE,
                _ => Quota {
                    tuples: rng.between(1, 12),
                    bytes: rng.between(1, 300),
                },
            },
        )),
        12 => Call::AdminCommand(AdminCommand::Leave(group, key.0)),
        13 => Call::Inspect { space },
        14 if rng.chance(500) => Call::Permissions { after: None },
        14 => Call::SetQuota {
            space,
            quota: Quota {
                tuples: rng.below(8),
                bytes: 10 * rng.below(20),
            },
        },
        _ if rng.chance(400) => Call::Purge {
            space,
            limit: u32::try_from(rng.below(6)).unwrap_or(0),
        },
        _ => Call::RemoveSpace { space },
    }
}

fn tuple(rng: &mut Rng, work: &Work) -> Tuple {
    let fields = vec![
        Value::from("k"),
        Value::from(i64::try_from(rng.below(work.keys)).unwrap_or(0)),
        Value::from(i64::try_from(rng.below(1000)).unwrap_or(0)),
    ];
    match Tuple::new(fields) {
        Ok(tuple) => tuple,
        Err(limit) => unreachable!("three small fields make a tuple: {limit}"),
    }
}

fn template(rng: &mut Rng, work: &Work) -> Template {
    let exact = tuple(rng, work);
    let mut fields: Vec<Field> = exact.into_fields().into_iter().map(Field::Exact).collect();
    fields[2] = match rng.below(4) {
        0 => Field::Range {
            from: None,
            to: Some(500),
        },
        _ => Field::Any,
    };
    if rng.chance(300) {
        fields[1] = Field::Any;
    }
    match Template::new(fields) {
        Ok(template) => template,
        Err(limit) => unreachable!("three small fields make a template: {limit}"),
    }
}

/// Moves a tuple from one space to another if there is one, and perhaps only if another
/// condition holds; else it looks, or puts a tuple.
fn draw_group(rng: &mut Rng, work: &Work) -> Group {
    let (from, to) = (space(rng, work), space(rng, work));
    let template = template(rng, work);
    let (moved, instead) = (tuple(rng, work), tuple(rng, work));
    let mut group = Group::new()
        .present(from.clone(), template.clone())
        .act(
            from.clone(),
            Operation::Inp {
                template: template.clone(),
            },
        )
        .act(
            to.clone(),
            Operation::Out {
                tuple: moved,
                lease: Lease::Forever,
            },
        );
    if rng.chance(300) {
        group = group.require(Condition::Counted {
            space: to.clone(),
            template: template.clone(),
            at_least: 0,
            at_most: rng.below(4),
        });
    }
    if rng.chance(500) {
        return group.otherwise(from, Operation::Count { template });
    }
    group.otherwise(
        to,
        Operation::Out {
            tuple: instead,
            lease: Lease::Forever,
        },
    )
}

fn draw_call(rng: &mut Rng, work: &Work, key: ClientId, draining: bool) -> Call {
    let space = space(rng, work);
    let template = template(rng, work);
    let tuple = tuple(rng, work);
    let limit = u32::try_from(rng.between(1, 4)).unwrap_or(1);
    // Some end while the clients are at work, some when they have long done.
    let lease = rng.between(1, 2_000) * rng.between(1, 5);
    let tuple_lease = match rng.below(8) {
        0 | 1 if work.leases => Lease::Ms(lease),
        2 => Lease::Session,
        _ => Lease::Forever,
    };
    let within_ms = (rng.chance(250) && work.leases).then_some(lease);
    let operation = match rng.below(100) {
        0..=4 if work.leases => Operation::OutTo {
            tuple,
            lease: tuple_lease,
            audience: draw_audience(rng, key),
        },
        0..=31 => Operation::Out {
            tuple,
            lease: tuple_lease,
        },
        32..=39 => Operation::Rdp { template },
        40..=53 => Operation::Inp { template },
        54..=59 if !draining => Operation::Rd {
            template,
            within_ms,
        },
        60..=69 if !draining => Operation::In {
            template,
            within_ms,
        },
        70..=77 => Operation::Cas {
            template,
            tuple,
            lease: tuple_lease,
        },
        78..=85 => Operation::Replace {
            template,
            tuple,
            lease: tuple_lease,
        },
        86..=88 => Operation::RdAll {
            template,
            limit,
            after: None,
        },
        89..=91 => Operation::InAll { template, limit },
        92 => return Call::ListSpaces,
        93 if rng.chance(500) => return Call::KeepAlive,
        93 => return Call::CreateSpace { space },
        94 => return Call::Group(draw_group(rng, work)),
        95 if work.leases && !draining => Operation::Watch {
            template,
            after: rng.chance(900).then(|| rng.below(150)),
            limit,
            within_ms: Some(lease),
        },
        96 if work.leases => Operation::Survey {
            template,
            limit,
            after: rng.chance(300).then(|| Cursor {
                space: name(if rng.chance(700) { "a" } else { "b" }),
                after: TupleId(rng.below(200)),
            }),
        },
        95..=97 => Operation::Renew {
            template,
            lease_ms: lease,
        },
        _ => Operation::Count { template },
    };
    Call::Space { space, operation }
}
