//! Opens a session for one command, and maps errors to exit codes.

use std::time::{Duration, Instant};

use bezant_api::{Answer, Call, Refused};
use bezant_client::{Builder, Client, ClusterView, Error, Reply};
use bezant_lab::local::view;
use bezant_tuplespace::{Operation, Outcome, Refusal};

use crate::{
    evidence,
    exit::{Exit, Failure},
    flags::Global,
    said::Said,
    target::Target,
};

/// How long an agreed answer is held back to see the votes of the other replicas:
/// a person does not notice, and sees all of them.
const LINGER: Duration = Duration::from_millis(250);

/// How long a command waits for a liar's signed answer. The session investigates for
/// two seconds; what has not come by then stays a suspicion.
const EVIDENCE_WAIT: Duration = Duration::from_millis(2_500);

/// How often it looks.
const EVIDENCE_POLL: Duration = Duration::from_millis(20);

/// A session with the service of the chosen cluster.
pub(crate) struct Service {
    client: Client,
    view: ClusterView,
    timeout: Duration,
}

impl Service {
    /// Opens a session as the flags say.
    pub(crate) async fn connect(global: &Global) -> Result<Self, Failure> {
        Self::open(global, |builder| builder.linger(LINGER)).await
    }

    /// Opens a session that ends so long after this process was last heard of, for what is
    /// held meanwhile.
    pub(crate) async fn steady(global: &Global, time: Duration) -> Result<Self, Failure> {
        Self::open(global, |builder| builder.session_ttl(Some(time))).await
    }

    async fn open(
        global: &Global,
        set_up: impl FnOnce(Builder) -> Builder,
    ) -> Result<Self, Failure> {
        let target = Target::resolve(global)?;
        let view = view(&target.cluster);
        let builder = Client::builder(view.clone())
            .identity(target.identity()?)
            .timeout(global.timeout);
        let client = set_up(builder)
            .connect()
            .await
            .map_err(|error| failure(&error, &target))?;
        Ok(Self {
            client,
            view,
            timeout: global.timeout,
        })
    }

    /// Makes one call and closes the session. With `prove`, replicas that disagree
    /// are asked for a signed answer, which is kept as evidence.
    pub(crate) async fn call(self, call: Call, prove: bool) -> Result<Said, Failure> {
        let answered = self.answer(call).await.map_err(|error| failure_of(&error));
        let said = match answered {
            Ok(reply) => self.told(reply, prove).await,
            Err(failure) => Err(failure),
        };
        self.close().await;
        said
    }

    /// For commands that make many calls.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Closes the session. What was asked is settled; a session that could not be closed is
    /// the service's to forget.
    pub(crate) async fn close(self) {
        if let Err(error) = self.client.close().await {
            tracing::debug!(%error, "session not closed");
        }
    }

    /// The reply with what is kept against those who disagreed.
    async fn told(&self, reply: Reply<Answer>, prove: bool) -> Result<Said, Failure> {
        let dissent: Vec<u8> = reply.dissent.iter().map(|replica| replica.0).collect();
        let mut kept = Vec::new();
        if prove && !dissent.is_empty() {
            self.wait_for_evidence(dissent.len()).await;
            kept = evidence::keep(&self.view, &self.client.evidence())?;
        }
        Ok(Said {
            seq: reply.seq.0,
            votes: reply.votes,
            of: reply.of,
            dissent,
            evidence: kept,
            answer: reply.value,
        })
    }

    async fn answer(&self, call: Call) -> Result<Reply<Answer>, Error> {
        let matched = |tuple| Answer::Outcome(Outcome::Match(Some(tuple)));
        match call {
            Call::Space {
                space,
                operation: Operation::Rd { template, .. },
            } => {
                let reply = self
                    .client
                    .rd(space.as_str(), template)
                    .within(self.timeout)
                    .await?;
                Ok(reply.map(matched))
            }
            Call::Space {
                space,
                operation: Operation::In { template, .. },
            } => {
                let reply = self
                    .client
                    .take(space.as_str(), template)
                    .within(self.timeout)
                    .await?;
                Ok(reply.map(matched))
            }
            call => self.client.call(call).await,
        }
    }

    /// Waits until as many lies are proven as replicas disagreed, or long enough.
    async fn wait_for_evidence(&self, disagreed: usize) {
        let deadline = Instant::now() + EVIDENCE_WAIT;
        while self.client.evidence().len() < disagreed && Instant::now() < deadline {
            tokio::time::sleep(EVIDENCE_POLL).await;
        }
    }
}

/// The failure to connect to a cluster: names it, and for a development cluster the likely cause.
fn failure(error: &Error, target: &Target) -> Failure {
    let mut failure = failure_of(error);
    if matches!(error, Error::Unreachable { .. }) {
        failure = failure.at(format!("cluster {:?}", target.cluster.name));
        if target.dev {
            failure = failure
                .next("is bezant dev still running? start it again, or choose another context");
        }
    }
    failure
}

/// Whether the service refused this client, and not just this operation.
const fn is_denial(refused: &Refused) -> bool {
    matches!(
        refused,
        Refused::NotEnrolled
            | Refused::ReservedSpace
            | Refused::NotOperator
            | Refused::Space(Refusal::Forbidden)
    )
}

/// The failure that `error` is: its exit code, and its sentence cut into what happened
/// and what to do.
pub(crate) fn failure_of(error: &Error) -> Failure {
    let exit = match error {
        Error::NoQuorum { .. } | Error::Unreachable { .. } => Exit::NoQuorum,
        Error::NoMatchInTime(_) => Exit::NoMatch,
        Error::Refused(refused) | Error::GroupRefused { why: refused, .. }
            if is_denial(refused) =>
        {
            Exit::Denied
        }
        Error::Name(_) | Error::TooLarge { .. } | Error::Limit(_) => Exit::Usage,
        error if error.outcome_unknown() => Exit::OutcomeUnknown,
        _ => Exit::Error,
    };
    let failure = Failure::sentence(exit, &error.to_string());
    match error {
        Error::Refused(Refused::Space(Refusal::NoSuchSpace))
        | Error::GroupRefused {
            why: Refused::Space(Refusal::NoSuchSpace),
            ..
        } => failure.next("bezant space create NAME makes it; bezant space ls lists what there is"),
        Error::Refused(Refused::Space(Refusal::Forbidden)) => failure.next(
            "bezant space show NAME tells who may do what; whoever may administer it can bezant space grant",
        ),
        Error::Refused(Refused::Space(Refusal::SpaceNotEmpty)) => {
            failure.next("bezant space rm NAME --all takes them first")
        }
        Error::TimedOut(_) => failure.next(
            "read the space to see what happened; bezant status shows which replicas are there",
        ),
        Error::NoMatchInTime(_) => {
            failure.next("wait longer with --timeout, or put a matching tuple")
        }
        _ => failure,
    }
}

/// The service answered something that does not fit what was asked.
pub(crate) fn unexpected(answer: &Answer) -> Failure {
    Failure::error(format!(
        "the service's answer does not fit the question: {answer:?}"
    ))
    .next("use a bezant of the service's version")
}
