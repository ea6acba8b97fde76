//! A state put together by hand, part by part, so that a test can spoil any one of them.

use bezant_tuple::codec::{put_bytes, put_tuple, put_varint};

use crate::fixture::{client_id, extension, template, tuple};

/// Space, kind, who got a delivery, depth, and the orders of who hears last and who heard it.
pub(crate) type Heard = (&'static str, u8, Vec<u8>, u8, u64, u64);

pub(crate) type Rights = (&'static str, Vec<u8>, Vec<(u8, Vec<u8>)>);

/// A state put together by hand, part by part.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) version: u8,
    pub(crate) enrolled: Vec<Vec<u8>>,
    pub(crate) expelled: Vec<Vec<u8>>,
    /// With their members.
    pub(crate) groups: Vec<(&'static str, Vec<Vec<u8>>)>,
    /// Space, creator, and the list of those who may insert: a kind and what names them.
    pub(crate) rights: Vec<Rights>,
    pub(crate) last_session: u64,
    pub(crate) sessions: Vec<Session>,
    pub(crate) last_tuple: u64,
    /// Clients that are bounded, and how much they may hold and one, 0 for all.
    pub(crate) accounts: Vec<(Vec<u8>, [u64; 2])>,
    pub(crate) spaces: Vec<(&'static str, Vec<(u64, &'static str)>)>,
    /// Spaces, tuples and for whom they are.
    pub(crate) audiences: Vec<(&'static str, u64, Vec<u8>)>,
    /// Spaces, tuples and ends.
    pub(crate) leases: Vec<(&'static str, u64, u64)>,
    /// Of tuples whose lease ends at 0.
    pub(crate) owner: u64,
    /// Spaces, tuples and places of accounts.
    pub(crate) payers: Vec<(&'static str, u64, u64)>,
    /// Owner, number, space, whether it takes, and when it ends; 0 for never.
    pub(crate) waiters: Vec<(u64, u64, &'static str, u8, u64)>,
    pub(crate) last_event: u64,
    /// Space, kind and tuple.
    pub(crate) events: Vec<(&'static str, u8, u64)>,
    /// The engine's version in force, and the one to come, 0 for none.
    pub(crate) engine: (u64, u64),
    pub(crate) registered: u64,
    /// Owner, version, order, line, and the order of the version before.
    pub(crate) extensions: Vec<(u8, u32, u64, u64, u64)>,
    /// Lines, what is in force in them, and what comes; 0 for nothing.
    pub(crate) lines: Vec<(u64, u64, u64)>,
    /// Clients, the orders of what they agreed to, and lines.
    pub(crate) acknowledgements: Vec<(u8, Vec<u64>, Vec<u64>)>,
    pub(crate) attached: Vec<(&'static str, Vec<u64>)>,
    /// How many more there may be, and the events.
    pub(crate) heard: Vec<(u64, Vec<Heard>)>,
}

#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) owner: Vec<u8>,
    pub(crate) nonce: u64,
    pub(crate) next: u64,
    pub(crate) opened: u64,
    pub(crate) used: u64,
    /// How long it lives without a request, if not for ever, and when it ends.
    pub(crate) life: (u64, u64),
    /// Numbers, and the position of the reply unless the request waits.
    pub(crate) kept: Vec<(u64, Option<u64>)>,
    pub(crate) parked: Vec<(u64, Vec<u64>, usize)>,
}

pub(crate) fn session(id: u64, client: u8) -> Session {
    Session {
        id,
        owner: client_id(client).0.to_vec(),
        nonce: 7,
        next: 4,
        opened: 2,
        used: 5,
        life: (500, 505),
        kept: vec![(1, Some(3)), (3, None)],
        parked: vec![(5, vec![1, 2], 3)],
    }
}

pub(crate) fn key(client: u8) -> Vec<u8> {
    client_id(client).0.to_vec()
}

/// The keys of clients, in order.
pub(crate) fn keys(clients: &[u8]) -> Vec<Vec<u8>> {
    let mut keys: Vec<_> = clients.iter().copied().map(key).collect();
    keys.sort();
    keys
}

pub(crate) fn put_keys(out: &mut Vec<u8>, keys: &[Vec<u8>]) {
    put_varint(out, keys.len() as u64);
    keys.iter().for_each(|key| put_bytes(out, key));
}

/// Lists of readers and takers, each of clients' keys if there is one.
pub(crate) fn audience(lists: &[Option<&[&[u8]]>]) -> Vec<u8> {
    let mut out = Vec::new();
    for list in lists {
        out.push(u8::from(list.is_some()));
        if let Some(list) = list {
            put_varint(&mut out, list.len() as u64);
            for key in *list {
                out.push(1);
                put_bytes(&mut out, key);
            }
        }
    }
    out
}

pub(crate) fn sound() -> Parts {
    Parts {
        version: 8,
        enrolled: vec![key(4)],
        expelled: vec![key(3)],
        groups: vec![("t", keys(&[0, 4])), ("u", vec![key(1)])],
        rights: vec![
            (
                "a",
                key(0),
                vec![(0, vec![]), (1, key(4)), (2, b"t".to_vec())],
            ),
            ("b", key(4), vec![(2, b"x".to_vec())]),
        ],
        last_session: 9,
        sessions: vec![session(2, 0), session(6, 1)],
        last_tuple: 40,
        accounts: keys(&[0, 4]).into_iter().zip([[2, 0], [1, 9]]).collect(),
        spaces: vec![
            ("a", vec![(3, "(1)"), (9, "(1)"), (4, "(1, 2)")]),
            ("b", vec![(5, "()")]),
        ],
        audiences: vec![
            // Clients with this key see it, nobody takes it.
            ("a", 3, audience(&[Some(&[&key(4)]), Some(&[])])),
            ("a", 4, audience(&[None, Some(&[&key(1)])])),
        ],
        leases: vec![("a", 4, 600), ("a", 9, 6), ("b", 5, 0)],
        owner: 6,
        payers: vec![("a", 3, 0), ("a", 9, 1), ("b", 5, 0)],
        waiters: vec![(6, 3, "a", 1, 0), (2, 3, "b", 0, 6)],
        last_event: 12,
        events: vec![("a", 0, 9), ("gone", 1, 2), ("b", 2, 40)],
        engine: (1, 2),
        registered: 5,
        extensions: vec![(0, 1, 1, 1, 0), (1, 2, 3, 3, 0), (0, 3, 4, 1, 1)],
        lines: vec![(1, 4, 1), (3, 3, 0)],
        acknowledgements: vec![(2, vec![1, 3], vec![1]), (3, vec![3], vec![])],
        attached: vec![("a", vec![1, 3]), ("b", vec![4])],
        heard: vec![
            (
                256,
                vec![("a", 0, vec![], 0, 5, 0), ("gone", 4, key(1), 3, 5, 5)],
            ),
            (0, vec![("a", 2, vec![], 1, 4, 3)]),
        ],
    }
}

impl Parts {
    /// One client has more than it may.
    pub(crate) fn many_extensions(&mut self) {
        let numbers = 1..18_u32;
        let own = numbers.map(|number| (0, number, u64::from(number), u64::from(number), 0));
        self.registered = 17;
        self.extensions = own.collect();
    }

    /// Nothing hangs on the last tuple any more.
    pub(crate) fn untie(&mut self) {
        self.leases.pop();
        self.payers.pop();
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.version, 5];
        let put = &mut out;
        self.encode_access(put);
        put_varint(put, self.last_session);
        put_varint(put, self.sessions.len() as u64);
        for session in &self.sessions {
            session.encode(put);
        }
        put_varint(put, self.last_tuple);
        put_varint(put, self.accounts.len() as u64);
        for (client, quota) in &self.accounts {
            put_bytes(put, client);
            quota.iter().for_each(|bound| put_varint(put, *bound));
        }
        put_varint(put, self.spaces.len() as u64);
        for (name, tuples) in &self.spaces {
            put_bytes(put, name.as_bytes());
            // No quota.
            put.extend([0, 0]);
            let here = |(space, ..): &&(&str, u64, Vec<u8>)| space == name;
            put_varint(put, self.audiences.iter().filter(here).count() as u64);
            for (_, id, audience) in self.audiences.iter().filter(here) {
                put_varint(put, *id);
                put.extend(audience);
            }
            put_varint(put, tuples.len() as u64);
            for (id, text) in tuples {
                put_varint(put, *id);
                put_tuple(put, &tuple(text));
            }
            let here = |(space, ..): &&(&str, u64, u64)| space == name;
            put_varint(put, self.leases.iter().filter(here).count() as u64);
            for (_, id, due) in self.leases.iter().filter(here) {
                put_varint(put, *id);
                put_varint(put, *due);
                if *due == 0 {
                    put_varint(put, self.owner);
                }
            }
            put_varint(put, self.payers.iter().filter(here).count() as u64);
            for (_, id, place) in self.payers.iter().filter(here) {
                put_varint(put, *id);
                put_varint(put, *place);
            }
        }
        put_varint(put, self.waiters.len() as u64);
        for (owner, number, space, takes, due) in &self.waiters {
            put_varint(put, *owner);
            put_varint(put, *number);
            put_bytes(put, space.as_bytes());
            put.push(*takes);
            put_varint(put, *due);
            bezant_tuple::codec::put_template(put, &template("(\"w\")"));
        }
        put_varint(put, self.last_event);
        put_varint(put, self.events.len() as u64);
        for (space, change, id) in &self.events {
            put_bytes(put, space.as_bytes());
            put.push(*change);
            put_varint(put, *id);
            put_tuple(put, &tuple("(1)"));
            put.extend(audience(&[None, None]));
        }
        self.encode_extensions(put);
        out
    }

    pub(crate) fn encode_access(&self, put: &mut Vec<u8>) {
        put_keys(put, &self.enrolled);
        put_keys(put, &self.expelled);
        put_varint(put, self.groups.len() as u64);
        for (name, members) in &self.groups {
            put_bytes(put, name.as_bytes());
            put_keys(put, members);
        }
        put_varint(put, self.rights.len() as u64);
        for (space, creator, insert) in &self.rights {
            put_bytes(put, space.as_bytes());
            put_bytes(put, creator);
            put_varint(put, insert.len() as u64);
            for (kind, name) in insert {
                put.push(*kind);
                if *kind > 0 {
                    put_bytes(put, name);
                }
            }
            // Nobody may read, take or administer.
            put.extend([0, 0, 0]);
        }
    }

    pub(crate) fn encode_extensions(&self, put: &mut Vec<u8>) {
        // Sorted by keys, unless a client of the second round says that they shall not be.
        let mut acknowledgements = self.acknowledgements.clone();
        acknowledgements.sort_by_key(|(client, ..)| client_id(*client % 4));
        if self
            .acknowledgements
            .iter()
            .any(|(client, ..)| *client >= 4)
        {
            acknowledgements.reverse();
        }
        put_varint(put, self.engine.0);
        put_varint(put, u64::from(self.engine.1 > 0));
        if self.engine.1 > 0 {
            put_varint(put, 99);
            put_varint(put, self.engine.1);
        }
        put_varint(put, self.registered);
        put_varint(put, self.extensions.len() as u64);
        for (owner, version, order, line, before) in &self.extensions {
            let (mut manifest, module) = extension(*version);
            if *version > 100 {
                manifest.name = "Not a name".to_owned();
            }
            put_varint(put, *order);
            put_bytes(put, &client_id(*owner).0);
            put_bytes(put, &manifest.encode());
            put_bytes(put, &module);
            put_varint(put, *line);
            put_varint(put, *before);
        }
        put_varint(put, self.lines.len() as u64);
        for (line, active, next) in &self.lines {
            put_varint(put, *line);
            put_varint(put, *active);
            put_varint(put, *next);
            if *next > 0 {
                put_varint(put, 77);
            }
        }
        let numbers = |put: &mut Vec<u8>, numbers: &[u64]| {
            put_varint(put, numbers.len() as u64);
            numbers.iter().for_each(|number| put_varint(put, *number));
        };
        put_varint(put, acknowledgements.len() as u64);
        for (client, exactly, lines) in &acknowledgements {
            put_bytes(put, &client_id(*client % 4).0);
            numbers(put, exactly);
            numbers(put, lines);
        }
        put_varint(put, self.attached.len() as u64);
        for (space, here) in &self.attached {
            put_bytes(put, space.as_bytes());
            numbers(put, here);
        }
        put_varint(put, self.heard.len() as u64);
        for (left, events) in &self.heard {
            put_varint(put, *left);
            put_varint(put, events.len() as u64);
            for (space, kind, client, depth, until, after) in events {
                put_bytes(put, space.as_bytes());
                put.push(*kind);
                put_tuple(put, &tuple("(1)"));
                put.extend([0, 0]);
                put_bytes(put, client);
                if !client.is_empty() {
                    put_varint(put, 2);
                    put_varint(put, 9);
                }
                put.push(*depth);
                put_varint(put, *until);
                put_varint(put, *after);
            }
        }
    }
}

impl Session {
    pub(crate) fn encode(&self, put: &mut Vec<u8>) {
        put_varint(put, self.id);
        put_bytes(put, &self.owner);
        for number in [self.nonce, self.next, self.opened, self.used] {
            put_varint(put, number);
        }
        let (ttl, end) = self.life;
        put_varint(put, ttl);
        if ttl > 0 {
            put_varint(put, end);
        }
        put_varint(put, self.kept.len() as u64);
        for (number, position) in &self.kept {
            put_varint(put, *number);
            put.push(u8::from(position.is_some()));
            if let Some(position) = position {
                put_varint(put, *position);
                put_bytes(put, b"result");
            }
        }
        put_varint(put, self.parked.len() as u64);
        for (number, acked, op) in &self.parked {
            put_varint(put, *number);
            put_varint(put, acked.len() as u64);
            for acked in acked {
                put_varint(put, *acked);
            }
            put_bytes(put, &vec![0; *op]);
        }
    }
}
