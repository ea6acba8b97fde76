//! The async client library.
//!
//! A [`Client`] is one session with the service: cheap to clone, used through `&self`, and
//! believing nothing that fewer than f+1 replicas say alike. `network` is the links and the task
//! behind them, `transport` what they are made of, `builder` how a client comes to be, `client` the
//! calls, `insertion` and `waiting` the operations with options, `watch` what happens to tuples,
//! `alive` and `keeping` how long a session lives, `error` what can go wrong; [`recipes`] are
//! locks, elections and the like, made of these. All decisions about answers are made by the pure
//! `bezant_session::Session`.
//!
//! ```no_run
//! use bezant_client::{Client, ClusterView, SigningKey, template, tuple};
//! # async fn example(cluster: ClusterView, key: SigningKey) -> Result<(), bezant_client::Error> {
//! let client = Client::builder(cluster).identity(key).connect().await?;
//! client.out("jobs", tuple!("build", 42)).await?;
//! let job = client.take("jobs", template!("build", ?int)).await?;
//! println!("{} at {} by {} votes", *job, job.seq, job.votes);
//! # Ok(())
//! # }
//! ```
//!
//! # Cancel safety
//! Dropping the future of an operation does not undo it: it may still be
//! executed, and its answer is thrown away. Dropping `rd` or `take` cancels the
//! wait, but a tuple that was taken just before is lost to this client; use
//! [`Wait::within`] where that matters: it says for certain whether
//! something was taken.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test may stop"
    )
)]

mod alive;
mod builder;
mod client;
mod error;
mod extensions;
mod inner;
mod insertion;
mod keeping;
mod macros;
mod network;
pub mod recipes;
mod reply;
mod transport;
mod waiting;
mod watch;

pub use bezant_api::{
    Act, AdminCommand, Answer, Audience, Call, Condition, ExtensionHash, Group, GroupName,
    Installed, Lists, Manifest, Permissions, Principal, Refused, Right, SpaceInfo, Step,
};
pub use bezant_bft::{
    crypto::{PublicKey, SigningKey},
    evidence::Evidence,
    ids::{ClientId, ClusterId, ReplicaId, SeqNo},
};
pub use bezant_tuple::{Field, Kind, Template, Tuple, Value};
pub use bezant_tuplespace::{
    Change, Cursor, Event, Lease, MAX_AUDIENCE, Operation, Outcome, Quota, SpaceName, TupleId,
};
pub use builder::Builder;
pub use client::Client;
pub use error::Error;
pub use insertion::{Exchange, Insertion};
pub use network::{ClusterView, Network};
pub use reply::{Grouped, Page, Reply};
pub use transport::{Brought, Transport};
pub use waiting::Wait;
pub use watch::{Sight, Since, Watch};

#[doc(hidden)]
pub use macros::rt;
