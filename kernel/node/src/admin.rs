//! The admin endpoint: health, status, metrics, evidence, and faults where allowed.
//!
//! Plain HTTP for an operator's own network; it listens where the node file
//! says and nowhere otherwise. It runs on the replica's own thread and asks the
//! event loop for everything, so that it can tell only the truth.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bezant_api::ExtensionHash;
use bezant_bft::ids::Source;
use bezant_codec::hex::to_hex;
use bezant_kernel::LogLine;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json as value};
use tokio::sync::{mpsc, oneshot};

use crate::{
    evidence::{Archive, Piece},
    metrics,
    node::Control,
    status::NodeStatus,
    strategy::Offered,
};

/// Longest request body that is read, in bytes.
const MAX_BODY_BYTES: usize = 4096;

#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) control: mpsc::Sender<Control>,
    pub(crate) strategies: Offered,
}

#[derive(Deserialize)]
struct FaultOrder {
    fault: String,
}

impl Admin {
    async fn status(&self) -> Option<NodeStatus> {
        let (answer, status) = oneshot::channel();
        let tell = Box::new(move |status| {
            // An asker that went away does not want to know.
            let _gone = answer.send(status);
        });
        self.control.send(Control::Status(tell)).await.ok()?;
        status.await.ok()
    }

    /// Looks into the archive of evidence.
    async fn evidence<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Archive) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, found) = oneshot::channel();
        let show = Box::new(move |archive: &Archive| {
            let _gone = answer.send(look(archive));
        });
        self.control.send(Control::Evidence(show)).await.ok()?;
        found.await.ok()
    }

    /// Has the replica follow the strategy called `name`, or none.
    async fn order(&self, name: Option<String>) -> Response {
        if !self.strategies.is_open() {
            return (
                StatusCode::FORBIDDEN,
                "this replica commits no faults; only a node with allow_faults = true does\n",
            )
                .into_response();
        }
        let conduct = match name.map(|name| self.strategies.make(&name).map(|made| (name, made))) {
            None => None,
            Some(Ok(conduct)) => Some(conduct),
            Some(Err(text)) => {
                return (StatusCode::BAD_REQUEST, format!("{text}\n")).into_response();
            }
        };
        match self.control.send(Control::Conduct(conduct)).await {
            Ok(()) => StatusCode::NO_CONTENT.into_response(),
            Err(_) => stopping(),
        }
    }
}

fn stopping() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the replica is stopping\n").into_response()
}

/// The routes of one replica's endpoint.
pub(crate) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .route("/metrics", get(metrics_text))
        .route("/evidence", get(evidence))
        .route("/evidence/{name}", get(evidence_of))
        .route("/extensions/{hash}/lines", get(lines))
        .route("/fault", get(fault).post(set_fault).delete(clear_fault))
        .with_state(admin)
}

async fn livez(State(admin): State<Admin>) -> Response {
    match admin.status().await {
        Some(_) => "ok\n".into_response(),
        None => stopping(),
    }
}

async fn readyz(State(admin): State<Admin>) -> Response {
    match admin.status().await {
        Some(status) if status.ready => "ok\n".into_response(),
        Some(status) => {
            let links = status.replica_links;
            let text = format!("not ready: links to {links} other replicas are no quorum\n");
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
        None => stopping(),
    }
}

async fn status(State(admin): State<Admin>) -> Response {
    match admin.status().await {
        Some(status) => json(&status),
        None => stopping(),
    }
}

async fn metrics_text(State(admin): State<Admin>) -> Response {
    match admin.status().await {
        Some(status) => {
            let kind = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)];
            (kind, metrics::encode(&status)).into_response()
        }
        None => stopping(),
    }
}

/// What is kept against whom.
async fn evidence(State(admin): State<Admin>) -> Response {
    let list = |archive: &Archive| {
        let pieces = archive.pieces();
        pieces
            .map(|(name, piece)| told(name, piece))
            .collect::<Vec<_>>()
    };
    match admin.evidence(list).await {
        Some(pieces) => json(&pieces),
        None => stopping(),
    }
}

fn told(name: &str, piece: &Piece) -> Value {
    let (replica, client) = match piece.accusation.map(|accusation| accusation.accused) {
        Some(Source::Replica(replica)) => (Some(replica.0), None),
        Some(Source::Client(client)) => (None, Some(to_hex(&client.0))),
        None => (None, None),
    };
    value!({
        "name": name,
        "bytes": piece.bytes,
        "replica": replica,
        "client": client,
        "offence": piece.accusation.map(|accusation| accusation.offence.name()),
    })
}

/// One piece as it is kept, to be saved to a file and audited elsewhere.
async fn evidence_of(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    let content = move |archive: &Archive| archive.content(&name);
    match admin.evidence(content).await {
        Some(Some(content)) => octets(content),
        Some(None) => (StatusCode::NOT_FOUND, "there is no such evidence\n").into_response(),
        None => stopping(),
    }
}

fn octets(content: Bytes) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    (kind, content).into_response()
}

/// What an extension logged lately.
async fn lines(State(admin): State<Admin>, Path(hash): Path<String>) -> Response {
    let hash: ExtensionHash = match hash.parse() {
        Ok(hash) => hash,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let (answer, said) = oneshot::channel();
    let tell = Box::new(move |lines| {
        let _gone = answer.send(lines);
    });
    if admin
        .control
        .send(Control::Lines(hash, tell))
        .await
        .is_err()
    {
        return stopping();
    }
    let told = |line: &LogLine| value!({ "sequence": line.sequence, "text": line.text });
    match said.await {
        Ok(lines) => json(&lines.iter().map(told).collect::<Vec<_>>()),
        Err(_) => stopping(),
    }
}

async fn fault(State(admin): State<Admin>) -> Response {
    match admin.status().await {
        Some(status) => json(&serde_json::json!({ "fault": status.fault })),
        None => stopping(),
    }
}

async fn set_fault(State(admin): State<Admin>, body: Body) -> Response {
    let Ok(bytes) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long\n").into_response();
    };
    let order = serde_json::from_slice::<FaultOrder>(&bytes)
        .map_err(|error| format!("the body is not {{\"fault\": NAME}}: {error}"));
    match order {
        Ok(order) => admin.order(Some(order.fault)).await,
        Err(text) => (StatusCode::BAD_REQUEST, format!("{text}\n")).into_response(),
    }
}

async fn clear_fault(State(admin): State<Admin>) -> Response {
    admin.order(None).await
}

fn json(value: &impl serde::Serialize) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    match serde_json::to_string(value) {
        Ok(text) => (kind, text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
