//! A faulty client: floods, reused numbers, foreign sessions, nonsense.

use std::collections::BTreeMap;

use bezant_api::Call;
use bezant_bft::{
    crypto::SigningKey,
    ids::{ClientId, ClusterId, RequestNumber, SessionId},
    message::{Attach, ClientMessage, Request},
};
use bezant_tuple::{Field, Template, Value};
use bezant_tuplespace::{Operation, SpaceName};
use bytes::Bytes;

use crate::rng::Rng;

/// A client that keeps to no rule but has a key.
pub(crate) struct Flood {
    key: SigningKey,
    pub(crate) client: usize,
    next: BTreeMap<SessionId, u64>,
    pub(crate) hits: u64,
}

impl Flood {
    pub(crate) const fn new(key: SigningKey, client: usize) -> Self {
        Self {
            key,
            client,
            next: BTreeMap::new(),
            hits: 0,
        }
    }

    /// Who it is.
    pub(crate) fn key(&self) -> ClientId {
        self.key.client()
    }

    /// Asks for another's replies over its own link, with a signature of its own.
    pub(crate) fn forged_attach(&self, cluster: &ClusterId, victim: ClientId) -> Attach {
        let mut attach = Attach::new(&self.key, cluster, &self.key.client());
        attach.client = victim;
        attach
    }

    /// The next message, and the replicas it goes to, as bits.
    pub(crate) fn next(&mut self, cluster: &ClusterId, rng: &mut Rng) -> (ClientMessage, u64) {
        self.hits += 1;
        let session = SessionId(rng.below(6));
        let next = self.next.entry(session).or_insert(0);
        let number = RequestNumber(match rng.below(6) {
            0 => rng.number(),
            1 | 2 => rng.below(100),
            // In order now and then, so that something is carried out.
            3 => *next,
            _ => {
                *next += 1;
                *next
            }
        });
        let op = match rng.below(6) {
            0 => Bytes::from(rng.number().to_le_bytes().to_vec()),
            1 => Bytes::from(
                Call::OpenSession {
                    nonce: number.0,
                    ttl_ms: None,
                }
                .encode(),
            ),
            2 if rng.chance(300) => Bytes::from(Call::CloseSession.encode()),
            3 => Bytes::from(Call::ListSpaces.encode()),
            _ => Bytes::from(hostile(rng).encode()),
        };
        let acked = (0..rng.below(4)).map(RequestNumber).collect();
        let request = Request {
            client: self.key.client(),
            session,
            number,
            acked,
            op,
        };
        let mut signed = request.sign(cluster, &self.key);
        if rng.chance(200) {
            signed.signature.0[0] ^= 1;
        }
        let message = if rng.chance(100) {
            ClientMessage::AskSigned { session, number }
        } else {
            ClientMessage::Request(signed)
        };
        // To all, or to a few only: what some know and the primary does not.
        let to = if rng.chance(500) {
            u64::MAX
        } else {
            rng.number()
        };
        (message, to)
    }
}

/// A template that costs a search and takes nothing: waits that nobody ends, ranges in
/// which nothing lies, pages without end.
fn hostile(rng: &mut Rng) -> Call {
    let nothing = Field::Range {
        from: Some(500),
        to: Some(-500),
    };
    let fields = match rng.below(4) {
        0 => vec![Field::Any; 3],
        1 => vec![Field::Any, nothing, Field::Any],
        2 => vec![Field::Exact(Value::from("k")); 3],
        _ => vec![Field::Any; 16],
    };
    let waits_for = vec![
        Field::Exact(Value::from("nothing of this kind")),
        Field::Any,
    ];
    let (fields, waits_for) = match (Template::new(fields), Template::new(waits_for)) {
        (Ok(fields), Ok(waits_for)) => (fields, waits_for),
        _ => return Call::ListSpaces,
    };
    let Ok(space) = SpaceName::new("a") else {
        return Call::ListSpaces;
    };
    let operation = match rng.below(5) {
        0 => Operation::In {
            template: waits_for,
            within_ms: None,
        },
        1 => Operation::Rd {
            template: fields,
            within_ms: Some(rng.between(1, 5_000)),
        },
        2 => Operation::Count { template: fields },
        3 => Operation::Rdp { template: fields },
        _ => Operation::RdAll {
            template: fields,
            limit: u32::MAX,
            after: None,
        },
    };
    Call::Space { space, operation }
}
