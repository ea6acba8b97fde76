//! A service with clients whose requests are signed and checked as in a replica.

use std::sync::Arc;

use bezant_api::{Access, Answer, Call, Capability, Genesis, Manifest, Subscription, Trigger};
use bezant_bft::{
    crypto::{Checker, SigningKey},
    effects::Input,
    ids::{ClientId, ClusterId, Epoch, OrderedTime, RequestNumber, SeqNo, SessionId},
    keyring::Keyring,
    message::{Reply, Request},
    service::{Replies, Service},
    verification::{Batch, CheckedProposal, CheckedRequest, Unverified},
};
use bezant_kernel::Kernel;
use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{Lease, Operation, OperationKind, SpaceName};
use bytes::Bytes;

const CLUSTER: ClusterId = ClusterId([7; 32]);

pub(crate) fn genesis() -> Genesis {
    Genesis {
        keys: (0..4).map(|i| [i; 32]).collect(),
        open_enrolment: false,
        spaces_on_first_out: true,
        clients: (0..4).map(|client| client_key(client).client().0).collect(),
        checkpoint_interval: 8,
        salt: [0; 16],
    }
}

pub(crate) fn new_kernel() -> Kernel {
    Kernel::new(genesis())
}

/// Clients 0 to 3 are enrolled, 4 and 5 are not.
pub(crate) fn client_key(client: u8) -> SigningKey {
    SigningKey::from_seed([100 + client; 32])
}

pub(crate) fn client_id(client: u8) -> ClientId {
    client_key(client).client()
}

/// Makes what only a checked signature can make.
pub(crate) struct AdmissionCheck {
    keys: Vec<SigningKey>,
    keyring: Keyring,
    checker: Checker,
}

impl AdmissionCheck {
    pub(crate) fn new() -> Self {
        let replicas = (0..4).map(|i| SigningKey::from_seed([i; 32]).public());
        Self {
            keys: (0..8).map(client_key).collect(),
            keyring: Keyring::new(CLUSTER, Epoch(0), replicas.collect()).unwrap(),
            checker: Checker::default(),
        }
    }

    /// The request of client number `client`, checked.
    pub(crate) fn check(&mut self, request: Request) -> Arc<CheckedRequest> {
        let mut keys = self.keys.iter();
        let key = keys.find(|key| key.client() == request.client).unwrap();
        let signed = request.sign(&CLUSTER, key);
        let mut batch = Batch::new(&self.keyring);
        let unverified = Unverified::from_client(key.client(), signed);
        batch.add(unverified, |_| None).unwrap();
        match batch.check(&mut self.checker).pop() {
            Some(Ok(Input::Request { request, .. })) => Arc::clone(request.get()),
            other => panic!("{other:?}"),
        }
    }
}

/// One kernel and the log that brought it here.
pub(crate) struct Bench {
    pub(crate) kernel: Kernel,
    pub(crate) admission_check: AdmissionCheck,
    pub(crate) number: u64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            kernel: new_kernel(),
            admission_check: AdmissionCheck::new(),
            number: 0,
        }
    }

    pub(crate) fn execute(&mut self, time: u64, requests: Vec<Request>) -> Replies {
        let requests = requests
            .into_iter()
            .map(|r| self.admission_check.check(r))
            .collect();
        let proposal = Arc::new(CheckedProposal::new(OrderedTime(time), requests));
        self.number += 1;
        let mut replies = Replies::new();
        self.kernel
            .execute(SeqNo(self.number), &proposal, &mut replies);
        replies
    }

    /// Opens a session of `client` by the request with this nonce.
    pub(crate) fn open(&mut self, client: u8, nonce: u64) -> SessionId {
        let replies = self.execute(1, vec![opening(client, nonce)]);
        match answer(&replies[0].1) {
            Answer::Opened { session, .. } => SessionId(session),
            other => panic!("{other:?}"),
        }
    }

    /// One call in a proposal of its own; its answers, in order.
    pub(crate) fn call(
        &mut self,
        (client, session, number): (u8, SessionId, u64),
        call: &Call,
    ) -> Vec<Answer> {
        self.at(1, (client, session, number), call)
    }

    /// The same at a time.
    pub(crate) fn at(
        &mut self,
        time: u64,
        (client, session, number): (u8, SessionId, u64),
        call: &Call,
    ) -> Vec<Answer> {
        let request = asking(client, session, number, &[], call);
        let replies = self.execute(time, vec![request]);
        replies.iter().map(|(_, reply)| answer(reply)).collect()
    }

    pub(crate) fn snapshot(&self) -> Vec<u8> {
        self.kernel.snapshot().content()
    }

    /// The same log, seen from a replica that was given the state.
    pub(crate) fn restored(&self) -> Self {
        let mut kernel = new_kernel();
        kernel.restore(&self.snapshot()).unwrap();
        assert!(
            kernel.snapshot() == self.kernel.snapshot(),
            "divided otherwise"
        );
        Self {
            kernel,
            admission_check: AdmissionCheck::new(),
            number: self.number,
        }
    }
}

pub(crate) fn answer(reply: &Reply) -> Answer {
    Answer::decode(&reply.result).unwrap()
}

pub(crate) fn opening(client: u8, nonce: u64) -> Request {
    asking(
        client,
        SessionId::NONE,
        nonce,
        &[],
        &Call::OpenSession {
            nonce,
            ttl_ms: None,
        },
    )
}

pub(crate) fn asking(
    client: u8,
    session: SessionId,
    number: u64,
    acked: &[u64],
    call: &Call,
) -> Request {
    Request {
        client: client_id(client),
        session,
        number: RequestNumber(number),
        acked: acked.iter().copied().map(RequestNumber).collect(),
        op: Bytes::from(call.encode()),
    }
}

pub(crate) fn space(name: &str) -> SpaceName {
    name.parse().unwrap()
}

pub(crate) fn tuple(text: &str) -> Tuple {
    text.parse().unwrap()
}

pub(crate) fn template(text: &str) -> Template {
    text.parse().unwrap()
}

/// An operation on space `a`.
pub(crate) const fn on(space: SpaceName, operation: Operation) -> Call {
    Call::Space { space, operation }
}

pub(crate) fn out(text: &str) -> Call {
    let tuple = tuple(text);
    on(
        space("a"),
        Operation::Out {
            tuple,
            lease: Lease::Forever,
        },
    )
}

pub(crate) fn leased(text: &str, lease_ms: u64) -> Call {
    let (tuple, lease) = (tuple(text), Lease::Ms(lease_ms));
    on(space("a"), Operation::Out { tuple, lease })
}

pub(crate) fn inp(text: &str) -> Call {
    let template = template(text);
    on(space("a"), Operation::Inp { template })
}

pub(crate) fn rd(text: &str) -> Call {
    let template = template(text);
    on(
        space("a"),
        Operation::Rd {
            template,
            within_ms: None,
        },
    )
}

pub(crate) fn take(text: &str) -> Call {
    let template = template(text);
    on(
        space("a"),
        Operation::In {
            template,
            within_ms: None,
        },
    )
}

/// An extension that answers `rdp` of `("ask", version)` in space `a`: with nothing, after
/// no work. Small, so that a snapshot that holds it is.
pub(crate) fn extension(version: u32) -> (Manifest, Vec<u8>) {
    let manifest = Manifest {
        name: "tiny".into(),
        version,
        abi: (1, 1),
        subscriptions: vec![Subscription {
            space: space("a"),
            on: Trigger::Operations(vec![OperationKind::Rdp]),
            template: template(&format!("(\"ask\", {})", version / 2)),
            entry: "run".into(),
        }],
        capabilities: vec![Capability {
            space: space("a"),
            access: Access::READ,
        }],
        fuel: 10_000,
        memory_pages: 1,
    };
    // It gives no answer, which is a failure that names it and its version.
    let module = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "run")))"#);
    (manifest, module.unwrap())
}

pub(crate) fn register(version: u32) -> Call {
    let (manifest, module) = extension(version);
    Call::Register { manifest, module }
}

/// What `rdp` of `("ask", version)` is.
pub(crate) fn ask(version: u32) -> Call {
    let template = template(&format!("(\"ask\", {})", version / 2));
    on(space("a"), Operation::Rdp { template })
}
