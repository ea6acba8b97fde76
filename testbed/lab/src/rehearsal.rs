//! An extension before it is installed anywhere: a script of calls, on four replicas of which
//! three have a hard time.
//!
//! All four execute the same proposals. One just does; one is given its state anew before each
//! proposal; one crashes now and then and comes back from its last checkpoint; one is only
//! there from the middle on, with what the first one has by then. Every request is ordered
//! twice, as if its client had sent it again. After each step all must have given the same
//! replies, burnt the same fuel and have the same state.

use std::{collections::BTreeMap, sync::Arc};

use bezant_api::{Answer, Call, Genesis};
use bezant_bft::{
    crypto::{Checker, SigningKey},
    effects::Input,
    ids::{ClusterId, Epoch, OrderedTime, RequestNumber, SeqNo, SessionId},
    keyring::Keyring,
    message::Request,
    service::{Replies, Service},
    verification::{Batch, CheckedProposal, CheckedRequest, Unverified},
};
use bezant_kernel::{Kernel, Traced};
use bytes::Bytes;

/// Proposals between two checkpoints of the replica that crashes, and between two crashes.
const INTERVAL: u64 = 4;

/// Agreed time at the beginning, in milliseconds since 1970.
const DAWN_MS: u64 = 1_700_000_000_000;

/// Two replicas that should be the same are not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at proposal {number} {which} has other {what} than the replica that just ran")]
pub struct Divergence {
    /// The proposal.
    pub number: u64,
    /// Which replica.
    pub which: &'static str,
    /// What of it differs.
    pub what: &'static str,
}

/// A client of the rehearsal.
#[derive(Debug)]
struct Party {
    key: SigningKey,
    session: SessionId,
    next: u64,
    acked: u64,
}

/// A request that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked(SessionId, RequestNumber);

/// A replica in the rehearsal.
struct Stage {
    kernel: Kernel,
    checkpoint: (u64, Vec<u8>),
    since: Vec<Arc<CheckedProposal>>,
}

/// Four replicas and their clients.
pub struct Rehearsal {
    genesis: Genesis,
    keyring: Keyring,
    checker: Checker,
    steady: Stage,
    restored: Stage,
    crashing: Stage,
    late: Option<Stage>,
    parties: BTreeMap<String, Party>,
    answers: BTreeMap<Asked, Answer>,
    number: u64,
    now_ms: u64,
    fuel: u64,
}

impl core::fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Rehearsal({} proposals)", self.number)
    }
}

fn seed(byte: u8) -> SigningKey {
    SigningKey::from_seed([byte; 32])
}

impl Stage {
    fn new(genesis: &Genesis) -> Self {
        let kernel = Kernel::new(genesis.clone());
        let checkpoint = (0, kernel.snapshot().content());
        Self {
            kernel,
            checkpoint,
            since: Vec::new(),
        }
    }

    fn state(&self) -> Vec<u8> {
        self.kernel.snapshot().content()
    }

    /// Forgets everything but the checkpoint, and what was ordered since is executed again.
    fn come_back(&mut self, genesis: &Genesis) {
        self.kernel = Kernel::new(genesis.clone());
        let (mut seq_no, state) = self.checkpoint.clone();
        if self.kernel.restore(&state).is_err() {
            return;
        }
        for proposal in &self.since {
            seq_no += 1;
            self.kernel
                .execute(SeqNo(seq_no), proposal, &mut Replies::new());
        }
    }

    /// Executes a proposal; its replies and the fuel burnt.
    fn execute(&mut self, seq_no: u64, proposal: &Arc<CheckedProposal>) -> (Replies, u64) {
        let before = self.burnt();
        let mut replies = Replies::new();
        self.kernel.execute(SeqNo(seq_no), proposal, &mut replies);
        self.since.push(Arc::clone(proposal));
        (replies, self.burnt().saturating_sub(before))
    }

    fn burnt(&self) -> u64 {
        let tallied = self.kernel.tallied();
        tallied.iter().map(|one| one.tally.fuel).sum()
    }

    fn checkpoint(&mut self, number: u64) {
        self.checkpoint = (number, self.state());
        self.since.clear();
    }
}

impl Rehearsal {
    /// Four replicas with nothing in them; everybody is a client.
    #[must_use]
    pub fn new() -> Option<Self> {
        let keys: Vec<SigningKey> = (1..=4).map(seed).collect();
        let genesis = Genesis {
            keys: keys.iter().map(|key| key.public().0).collect(),
            open_enrolment: true,
            spaces_on_first_out: false,
            clients: Vec::new(),
            checkpoint_interval: INTERVAL,
            salt: [0; 16],
        };
        let public = keys.iter().map(SigningKey::public).collect();
        let keyring = Keyring::new(ClusterId(genesis.cluster_id()), Epoch(0), public)?;
        Some(Self {
            steady: Stage::new(&genesis),
            restored: Stage::new(&genesis),
            crashing: Stage::new(&genesis),
            late: None,
            genesis,
            keyring,
            checker: Checker::default(),
            parties: BTreeMap::new(),
            answers: BTreeMap::new(),
            number: 0,
            now_ms: DAWN_MS,
            fuel: 0,
        })
    }

    /// The fuel that extensions have burnt so far, at the replica that just runs.
    #[must_use]
    pub const fn fuel(&self) -> u64 {
        self.fuel
    }

    /// The digest of the state, as all replicas have it.
    #[must_use]
    pub fn state_digest(&self) -> [u8; 32] {
        bezant_bft::crypto::digest("bezant rehearsal", &[&self.steady.state()]).0
    }

    /// Proposals so far.
    #[must_use]
    pub const fn proposals(&self) -> u64 {
        self.number
    }

    /// Begins or ends keeping how calls of extensions go.
    pub fn trace(&mut self, wanted: bool) {
        self.steady.kernel.trace(wanted);
    }

    /// The calls of extensions since the last question.
    pub fn take_trace(&mut self) -> Vec<Traced> {
        self.steady.kernel.take_trace()
    }

    /// What extensions logged since the last question.
    pub fn take_logs(&mut self) -> Vec<String> {
        let logs = self.steady.kernel.take_logs();
        logs.into_iter().map(|line| line.text).collect()
    }

    /// The answer to a request, if there is one by now.
    #[must_use]
    pub fn answer(&self, asked: Asked) -> Option<&Answer> {
        self.answers.get(&asked)
    }

    /// Time passes, and nobody asks anything.
    ///
    /// # Errors
    /// [`Divergence`].
    pub fn tick(&mut self, ms: u64) -> Result<(), Divergence> {
        self.now_ms = self.now_ms.saturating_add(ms);
        self.propose(Vec::new())
    }

    /// A client's session ends, and with it all it had; it opens another.
    ///
    /// # Errors
    /// [`Divergence`].
    pub fn end(&mut self, client: &str) -> Result<(), Divergence> {
        self.ask(client, &Call::CloseSession)?;
        if let Some(party) = self.parties.get_mut(client) {
            party.session = SessionId::NONE;
        }
        Ok(())
    }

    /// A client asks; one that nobody heard of opens a session first.
    ///
    /// # Errors
    /// [`Divergence`].
    pub fn ask(&mut self, client: &str, call: &Call) -> Result<Asked, Divergence> {
        if self
            .parties
            .get(client)
            .is_none_or(|party| party.session == SessionId::NONE)
        {
            self.open(client)?;
        }
        let Some(party) = self.parties.get_mut(client) else {
            return Ok(Asked(SessionId::NONE, RequestNumber(0)));
        };
        let (session, number) = (party.session, RequestNumber(party.next));
        party.next += 1;
        // What waits is never acknowledged; so only the answers up to the first wait are.
        let mut acked = Vec::new();
        while self
            .answers
            .contains_key(&Asked(session, RequestNumber(party.acked + 1)))
        {
            party.acked += 1;
            acked.push(RequestNumber(party.acked));
        }
        let request = Request {
            client: party.key.client(),
            session,
            number,
            acked,
            op: Bytes::from(call.encode()),
        };
        let key = party.key.clone();
        self.order(&key, request)?;
        Ok(Asked(session, number))
    }

    fn open(&mut self, client: &str) -> Result<(), Divergence> {
        let nonce = self.number + 1;
        let place = u8::try_from(self.parties.len()).unwrap_or(u8::MAX);
        let known = self.parties.get(client).map(|party| party.key.clone());
        let key = known.unwrap_or_else(|| seed(100_u8.saturating_add(place)));
        let call = Call::OpenSession {
            nonce,
            ttl_ms: None,
        };
        let request = Request {
            client: key.client(),
            session: SessionId::NONE,
            number: RequestNumber(nonce),
            acked: Vec::new(),
            op: Bytes::from(call.encode()),
        };
        let asked = Asked(SessionId::NONE, request.number);
        self.order(&key, request)?;
        if let Some(Answer::Opened { session, .. }) = self.answers.get(&asked) {
            let party = Party {
                key,
                session: SessionId(*session),
                next: 1,
                acked: 0,
            };
            self.parties.insert(client.to_owned(), party);
        }
        Ok(())
    }

    /// Orders a request, and once more in the next proposal.
    fn order(&mut self, key: &SigningKey, request: Request) -> Result<(), Divergence> {
        let signed = request.sign(&ClusterId(self.genesis.cluster_id()), key);
        let mut batch = Batch::new(&self.keyring);
        let mut checked: Vec<Arc<CheckedRequest>> = Vec::new();
        if batch
            .add(Unverified::from_client(key.client(), signed), |_| None)
            .is_ok()
        {
            for input in batch.check(&mut self.checker).into_iter().flatten() {
                if let Input::Request { request, .. } = input {
                    checked.push(Arc::clone(request.get()));
                }
            }
        }
        self.propose(checked.clone())?;
        self.propose(checked)
    }

    fn propose(&mut self, requests: Vec<Arc<CheckedRequest>>) -> Result<(), Divergence> {
        self.number += 1;
        self.now_ms += 1;
        let number = self.number;
        let proposal = Arc::new(CheckedProposal::new(OrderedTime(self.now_ms), requests));
        let (replies, fuel) = self.steady.execute(number, &proposal);
        self.fuel += fuel;
        let state = self.steady.state();
        let mut hard: Vec<(&'static str, &mut Stage)> = Vec::new();
        // It knows nothing but the state it is given.
        self.restored.checkpoint(number - 1);
        self.restored.come_back(&self.genesis);
        hard.push((
            "the replica that is given its state anew",
            &mut self.restored,
        ));
        if number % INTERVAL == 2 {
            self.crashing.come_back(&self.genesis);
        }
        hard.push(("the replica that crashes", &mut self.crashing));
        if let Some(late) = &mut self.late {
            hard.push(("the replica that came late", late));
        }
        for (which, stage) in hard {
            let differs = |what| Divergence {
                number,
                which,
                what,
            };
            let (others, burnt) = stage.execute(number, &proposal);
            if others != replies {
                return Err(differs("replies"));
            }
            if burnt != fuel {
                return Err(differs("fuel"));
            }
            if stage.state() != state {
                return Err(differs("state"));
            }
        }
        if number.is_multiple_of(INTERVAL) {
            self.crashing.checkpoint(number);
        }
        if self.late.is_none() && number == 3 * INTERVAL {
            let mut late = Stage::new(&self.genesis);
            late.checkpoint = (number, state);
            late.come_back(&self.genesis);
            self.late = Some(late);
        }
        for (_, reply) in replies {
            if let Ok(answer) = Answer::decode(&reply.result) {
                self.answers
                    .insert(Asked(reply.session, reply.number), answer);
            }
        }
        Ok(())
    }
}
