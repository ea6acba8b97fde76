//! The calls of clients and their answers.

use bezant_tuplespace::{Operation, Outcome, Quota, SpaceName};
use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::limits::MAX_CALL_BYTES;
use crate::{
    AdminCommand, ExtensionHash, Group, Installed, Lists, Manifest, Permissions, Principal,
    Refused, Right, SpaceInfo,
};

/// Everything a client can ask of the service. The order of the variants is the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Call {
    /// Opens a session for the client's key; the only call made outside one.
    OpenSession {
        /// Chosen by the client at random, so that a repeated request opens one session, not two.
        nonce: u64,
        /// The session ends when so many milliseconds of agreed time pass without a request
        /// of it; without one it ends when it is closed, or when its client opens too many.
        ttl_ms: Option<u64>,
    },
    /// Closes the session the call is made in: its waits and its ephemeral tuples end, its
    /// results are forgotten.
    CloseSession,
    /// Makes an empty space.
    CreateSpace {
        /// Its name.
        space: SpaceName,
    },
    /// Asks for the names of all spaces.
    ListSpaces,
    /// One operation on one space; what the service is for.
    Space {
        /// The space.
        space: SpaceName,
        /// The operation.
        operation: Operation,
    },
    /// Installs an extension. It applies to its owner, the caller, from the next operation on.
    Register {
        /// What it is and may do.
        manifest: Manifest,
        /// The WebAssembly module.
        module: Vec<u8>,
    },
    /// Agrees that an extension of another client applies to the caller.
    Acknowledge {
        /// The extension's hash, from the answer to its registration.
        hash: ExtensionHash,
    },
    /// Ends a waiting `rd` or `in` of the same session, which then answers
    /// [`Refused::Cancelled`] unless it was served before.
    Cancel {
        /// The number of the request that waits.
        number: u64,
    },
    /// Several operations, all or nothing, on conditions.
    Group(Group),
    /// Does nothing but keep its session alive.
    KeepAlive,
    /// Makes an empty space in which those listed may do what is listed. One made by
    /// [`Call::CreateSpace`] is open to anyone.
    CreateSpaceFor {
        /// Its name.
        space: SpaceName,
        /// Who may do what; each list has at most
        /// [`MAX_LIST`](crate::limits::MAX_LIST) entries.
        lists: Lists,
    },
    /// Gives a right in a space.
    Grant {
        /// The space.
        space: SpaceName,
        /// The right.
        right: Right,
        /// To whom.
        principal: Principal,
    },
    /// Takes a right in a space from those who have it by this entry of its list. Waits of
    /// clients that have lost the right for it end refused.
    Revoke {
        /// The space.
        space: SpaceName,
        /// The right.
        right: Right,
        /// The entry.
        principal: Principal,
    },
    /// Removes an empty space; who waits in it is told that there is none.
    RemoveSpace {
        /// Its name.
        space: SpaceName,
    },
    /// Asks what is known of a space.
    Inspect {
        /// Its name.
        space: SpaceName,
    },
    /// Asks what the caller may do.
    Permissions {
        /// Tells of the spaces after this one.
        after: Option<SpaceName>,
    },
    /// Says who is a client, and who is in which group: an operator's word.
    AdminCommand(AdminCommand),
    /// Lets a space hold so much and no more; what it holds already stays.
    SetQuota {
        /// The space.
        space: SpaceName,
        /// How much.
        quota: Quota,
    },
    /// Takes the oldest tuples of every number of fields out of a space, whoever they are for:
    /// what its administrator does before it removes it. The answer counts them.
    Purge {
        /// The space.
        space: SpaceName,
        /// Most tuples wanted, at least 1; the service's page size bounds it too.
        limit: u32,
    },
    /// Removes an extension, which then applies to nobody: its owner's word, or an operator's.
    Unregister {
        /// The extension.
        hash: ExtensionHash,
    },
    /// Lets an extension of another client not apply to the caller any more, nor any other
    /// version of it that it only follows.
    Withdraw {
        /// The extension.
        hash: ExtensionHash,
    },
    /// Asks which extensions there are.
    Extensions,
    /// Makes an extension apply to everyone in a space: the word of whoever administers it.
    /// Its policies are asked before operations in the space, and its operations are run
    /// instead of everyone's.
    Attach {
        /// The space.
        space: SpaceName,
        /// The extension.
        hash: ExtensionHash,
    },
    /// Ends what [`Call::Attach`] began.
    Detach {
        /// The space.
        space: SpaceName,
        /// The extension.
        hash: ExtensionHash,
    },
    /// Installs a new version of an extension of the caller's, which takes the place of the
    /// one in force for it and for whoever follows it.
    Upgrade {
        /// Any version so far.
        from: ExtensionHash,
        /// What the new one is and may do.
        manifest: Manifest,
        /// Its module.
        module: Vec<u8>,
        /// From the proposal with this number on; from the next operation on, if that is
        /// past.
        at: u64,
    },
    /// Puts the version before back in the place of an extension of the caller's, from the
    /// next operation on. An upgrade that is to come is called off.
    Rollback {
        /// The version in force.
        hash: ExtensionHash,
    },
    /// Agrees that whichever version is in force of an extension of another client applies to
    /// the caller, now and later.
    Follow {
        /// Any version.
        hash: ExtensionHash,
    },
}

/// What the service says to a [`Call`]. The order of the variants is the wire format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer {
    /// A session was opened.
    Opened {
        /// Its number.
        session: u64,
        /// How many requests it may have unanswered at a time.
        window: u32,
    },
    /// The session is closed.
    Closed,
    /// The space exists now.
    Created,
    /// The names of all spaces, ascending.
    Spaces(Vec<SpaceName>),
    /// The result of an operation, from the space itself or from the extension that ran instead.
    Outcome(Outcome),
    /// The extension is installed (or was already: the same content is one extension); or, after
    /// a roll-back, in force.
    Registered {
        /// Its hash.
        hash: ExtensionHash,
    },
    /// The extension applies to the caller from now on.
    Acknowledged,
    /// The call was refused and changed nothing.
    Refused(Refused),
    /// Whether there was such a wait to cancel.
    Cancelled(bool),
    /// A group was carried out.
    Group {
        /// The step (from 0) whose condition did not hold, if one did not: then nothing of
        /// the steps happened, and `otherwise` did.
        unmet: Option<u32>,
        /// What each operation answered that was carried out, in order.
        outcomes: Vec<Outcome>,
    },
    /// A step of a group was refused, and so the whole; nothing changed.
    GroupRefused {
        /// Which, from 0; those of `otherwise` count on behind the steps.
        step: u32,
        /// Why.
        why: Refused,
    },
    /// The session lives on.
    Alive,
    /// Whether a right, an enrolment, a membership or a quota is otherwise than before.
    Changed(bool),
    /// The space is gone.
    Removed,
    /// What is known of a space.
    Space(SpaceInfo),
    /// What the caller may do.
    Permissions(Permissions),
    /// All extensions, in the order of their registration.
    Extensions(Vec<Installed>),
}

impl Call {
    /// The canonical bytes: the operation of an ordered request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads the operation of an ordered request.
    ///
    /// # Errors
    /// When the bytes are longer than [`MAX_CALL_BYTES`], no call, or not the
    /// canonical spelling of one. The service answers each with [`Refused::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_CALL_BYTES {
            return Err(DecodeError::Malformed);
        }
        codec::decode(bytes)
    }
}

impl Answer {
    /// The canonical bytes: the result in a reply.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads the result in a reply.
    ///
    /// # Errors
    /// When the bytes are no answer or not the canonical spelling of one; f+1
    /// replicas would never agree on such bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes)
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
