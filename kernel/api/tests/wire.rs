//! The wire form of calls and answers: one spelling, nothing lost, nothing else accepted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

use bezant_api::codec::{self, DecodeError};
use bezant_api::limits::MAX_CALL_BYTES;
use bezant_api::{
    Access, Act, AdminCommand, Answer, Audience, Call, Capability, Condition, EventKind,
    ExtensionFailure, ExtensionHash, FailureCode, Genesis, Group, GroupName, Installed, Lists,
    Manifest, ManifestError, Permissions, Principal, Refused, Rejection, Right, Rule, SpaceInfo,
    Step, Subscription, Trigger,
};
use bezant_manifest::limits::{MAX_FUEL, MAX_MEMORY_PAGES, MAX_MODULE_BYTES};
use bezant_tuple::{Field, Kind, Template, Tuple, Value};
use bezant_tuplespace::{
    Account, Cursor, Lease, Operation, OperationKind, Outcome, Quota, Refusal, SpaceName, TupleId,
};
use proptest::prelude::*;

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        "[a-zäß]{0,9}".prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        proptest::collection::vec(inner, 0..3).prop_map(Value::List)
    })
}

fn tuples() -> impl Strategy<Value = Tuple> {
    proptest::collection::vec(values(), 0..5).prop_map(|fields| Tuple::new(fields).unwrap())
}

fn templates() -> impl Strategy<Value = Template> {
    let field = prop_oneof![
        values().prop_map(Field::Exact),
        Just(Field::Any),
        Just(Field::OfKind(Kind::Int)),
        any::<i64>().prop_map(|from| Field::Range {
            from: Some(from),
            to: None
        }),
        "[a-z]{0,4}".prop_map(Field::TextPrefix),
    ];
    proptest::collection::vec(field, 0..5).prop_map(|fields| Template::new(fields).unwrap())
}

fn spaces() -> impl Strategy<Value = SpaceName> {
    "[a-z0-9._/-]{1,12}".prop_map(|name| SpaceName::new(&name).unwrap())
}

fn leases() -> impl Strategy<Value = Lease> {
    prop_oneof![
        Just(Lease::Forever),
        any::<u64>().prop_map(Lease::Ms),
        Just(Lease::Session)
    ]
}

fn operations() -> impl Strategy<Value = Operation> {
    let pair = (templates(), tuples());
    prop_oneof![
        (tuples(), leases()).prop_map(|(tuple, lease)| Operation::Out { tuple, lease }),
        (templates(), any::<u64>())
            .prop_map(|(template, lease_ms)| Operation::Renew { template, lease_ms }),
        templates().prop_map(|template| Operation::Rdp { template }),
        (templates(), proptest::option::of(any::<u64>())).prop_map(|(template, within_ms)| {
            Operation::In {
                template,
                within_ms,
            }
        }),
        pair.prop_map(|(template, tuple)| Operation::Cas {
            template,
            tuple,
            lease: Lease::Forever
        }),
        (
            templates(),
            any::<u32>(),
            prop::option::of((spaces(), any::<u64>()))
        )
            .prop_map(|(template, limit, after)| Operation::RdAll {
                template,
                limit,
                after: after.map(|(space, after)| Cursor {
                    space,
                    after: TupleId(after),
                }),
            }),
        templates().prop_map(|template| Operation::Count { template }),
        (tuples(), audiences()).prop_map(|(tuple, audience)| Operation::OutTo {
            tuple,
            lease: Lease::Session,
            audience: Box::new(audience),
        }),
    ]
}

fn manifests() -> impl Strategy<Value = Manifest> {
    (
        spaces(),
        templates(),
        "[a-z]{1,8}",
        1..MAX_FUEL,
        1..=MAX_MEMORY_PAGES,
        1..8u8,
    )
        .prop_map(
            |(space, template, entry, fuel, memory_pages, access)| Manifest {
                name: "some-name".into(),
                version: 3,
                abi: (1, 1),
                subscriptions: vec![Subscription {
                    space: space.clone(),
                    on: Trigger::Operations(vec![OperationKind::Rdp, OperationKind::Inp]),
                    template,
                    entry,
                }],
                capabilities: vec![Capability {
                    space,
                    access: codec::decode(&[access]).unwrap(),
                }],
                fuel,
                memory_pages,
            },
        )
}

fn groups() -> impl Strategy<Value = Group> {
    let act = || (spaces(), operations()).prop_map(|(space, operation)| Act { space, operation });
    let condition = (spaces(), templates(), any::<u64>(), any::<u64>(), 0..3).prop_map(
        |(space, template, at_least, at_most, kind)| match kind {
            0 => Condition::Present { space, template },
            1 => Condition::Absent { space, template },
            _ => Condition::Counted {
                space,
                template,
                at_least,
                at_most,
            },
        },
    );
    let step = prop_oneof![condition.prop_map(Step::Require), act().prop_map(Step::Do)];
    let steps = proptest::collection::vec(step, 0..4);
    let otherwise = proptest::collection::vec(act(), 0..3);
    (steps, otherwise).prop_map(|(steps, otherwise)| Group { steps, otherwise })
}

fn calls() -> impl Strategy<Value = Call> {
    let module = proptest::collection::vec(any::<u8>(), 0..99);
    prop_oneof![
        (spaces(), any::<[u8; 32]>(), any::<bool>()).prop_map(|(space, hash, detaches)| {
            let hash = hash.into();
            if detaches {
                Call::Detach { space, hash }
            } else {
                Call::Attach { space, hash }
            }
        }),
        (manifests(), any::<[u8; 32]>(), any::<u64>()).prop_map(|(manifest, from, at)| {
            Call::Upgrade {
                from: from.into(),
                manifest,
                module: vec![1, 2, 3],
                at,
            }
        }),
        any::<[u8; 32]>().prop_map(|hash| Call::Rollback { hash: hash.into() }),
        any::<[u8; 32]>().prop_map(|hash| Call::Follow { hash: hash.into() }),
        any::<(u64, Option<u64>)>().prop_map(|(nonce, ttl_ms)| Call::OpenSession { nonce, ttl_ms }),
        Just(Call::KeepAlive),
        Just(Call::CloseSession),
        spaces().prop_map(|space| Call::CreateSpace { space }),
        Just(Call::ListSpaces),
        (spaces(), operations()).prop_map(|(space, operation)| Call::Space { space, operation }),
        (manifests(), module).prop_map(|(manifest, module)| Call::Register { manifest, module }),
        any::<[u8; 32]>().prop_map(|hash| Call::Acknowledge { hash: hash.into() }),
        groups().prop_map(Call::Group),
        (spaces(), lists()).prop_map(|(space, lists)| Call::CreateSpaceFor { space, lists }),
        (spaces(), rights(), principal()).prop_map(|(space, right, principal)| Call::Grant {
            space,
            right,
            principal
        }),
        (spaces(), rights(), principal()).prop_map(|(space, right, principal)| Call::Revoke {
            space,
            right,
            principal
        }),
        spaces().prop_map(|space| Call::RemoveSpace { space }),
        spaces().prop_map(|space| Call::Inspect { space }),
        proptest::option::of(spaces()).prop_map(|after| Call::Permissions { after }),
        admin_commands().prop_map(Call::AdminCommand),
        (spaces(), quotas()).prop_map(|(space, quota)| Call::SetQuota { space, quota }),
        (spaces(), any::<u32>()).prop_map(|(space, limit)| Call::Purge { space, limit }),
        any::<[u8; 32]>().prop_map(|hash| Call::Unregister { hash: hash.into() }),
        any::<[u8; 32]>().prop_map(|hash| Call::Withdraw { hash: hash.into() }),
        Just(Call::Extensions),
    ]
}

fn quotas() -> impl Strategy<Value = Quota> {
    any::<(u64, u64)>().prop_map(|(tuples, bytes)| Quota { tuples, bytes })
}

fn rights() -> impl Strategy<Value = Right> {
    proptest::sample::select(Right::ALL.to_vec())
}

fn group_names() -> impl Strategy<Value = GroupName> {
    "[a-z0-9._/-]{1,12}".prop_map(|name| name.parse().unwrap())
}

fn principal() -> impl Strategy<Value = Principal> {
    prop_oneof![
        Just(Principal::Anyone),
        any::<[u8; 32]>().prop_map(Principal::Client),
        group_names().prop_map(Principal::Members),
    ]
}

fn lists() -> impl Strategy<Value = Lists> {
    let list = || proptest::collection::btree_set(principal(), 0..4);
    (list(), list(), list(), list()).prop_map(|(insert, read, take, administer)| Lists {
        insert,
        read,
        take,
        administer,
    })
}

fn audiences() -> impl Strategy<Value = Audience> {
    let list = || proptest::option::of(proptest::collection::btree_set(principal(), 0..4));
    (list(), list()).prop_map(|(readers, takers)| Audience { readers, takers })
}

fn admin_commands() -> impl Strategy<Value = AdminCommand> {
    let member = || (group_names(), any::<[u8; 32]>());
    prop_oneof![
        any::<[u8; 32]>().prop_map(AdminCommand::Enrol),
        any::<[u8; 32]>().prop_map(AdminCommand::Expel),
        member().prop_map(|(group, client)| AdminCommand::Join(group, client)),
        member().prop_map(|(group, client)| AdminCommand::Leave(group, client)),
        (any::<[u8; 32]>(), quotas())
            .prop_map(|(client, quota)| AdminCommand::Allot(client, quota)),
        any::<(u32, u64)>().prop_map(|(version, at)| AdminCommand::Engine(version, at)),
    ]
}

fn failures() -> impl Strategy<Value = FailureCode> {
    prop_oneof![
        Just(FailureCode::Trap),
        any::<u32>().prop_map(FailureCode::Refused),
        any::<u16>().prop_map(FailureCode::Space),
    ]
}

fn refusals() -> impl Strategy<Value = Refused> {
    let place = (any::<Option<u32>>(), any::<Option<u32>>());
    prop_oneof![
        proptest::sample::select(Refusal::ALL.to_vec()).prop_map(Refused::Space),
        proptest::sample::select(every_refusal()),
        place.prop_map(|(function, offset)| {
            Refused::Rejected(Rejection {
                rule: Rule::NoFloats,
                function,
                offset,
            })
        }),
        (failures(), any::<u64>()).prop_map(|(code, fuel)| {
            Refused::Extension(ExtensionFailure {
                code,
                name: "queue".into(),
                version: 1,
                fuel,
            })
        }),
    ]
}

fn answers() -> impl Strategy<Value = Answer> {
    let page = (
        proptest::collection::vec(tuples(), 0..4),
        any::<Option<u64>>(),
    );
    prop_oneof![
        any::<(u64, u32)>().prop_map(|(session, window)| Answer::Opened { session, window }),
        Just(Answer::Created),
        proptest::collection::vec(spaces(), 0..4).prop_map(Answer::Spaces),
        proptest::option::of(tuples()).prop_map(|tuple| Answer::Outcome(Outcome::Match(tuple))),
        page.prop_map(|(tuples, next)| {
            Answer::Outcome(Outcome::Page {
                tuples,
                next: next.map(TupleId),
            })
        }),
        any::<u64>().prop_map(|count| Answer::Outcome(Outcome::Count(count))),
        any::<[u8; 32]>().prop_map(|hash| Answer::Registered { hash: hash.into() }),
        refusals().prop_map(Answer::Refused),
        any::<bool>().prop_map(Answer::Changed),
        Just(Answer::Removed),
        (any::<([u8; 32], [u8; 32], u32, bool)>(), "[a-z]{1,8}").prop_map(
            |((hash, owner, version, applies), name)| {
                Answer::Extensions(vec![Installed {
                    hash: hash.into(),
                    owner,
                    name,
                    version,
                    applies,
                    in_force: !applies,
                    replaces: applies.then_some(owner.into()),
                    from: Some(7),
                    attached: vec!["a".parse().unwrap()],
                }])
            }
        ),
        (any::<Option<[u8; 32]>>(), lists(), quotas()).prop_map(|(creator, lists, quota)| {
            Answer::Space(SpaceInfo {
                creator,
                lists,
                tuples: 7,
                bytes: 70,
                quota,
                attached: vec![[7; 32].into()],
            })
        }),
        (any::<bool>(), spaces(), group_names(), quotas()).prop_map(
            |(operator, space, group, quota)| {
                Answer::Permissions(Permissions {
                    operator,
                    groups: vec![group],
                    spaces: vec![(space.clone(), Right::ALL.to_vec())],
                    next: Some(space),
                    account: operator.then_some(Account {
                        quota,
                        tuples: 1,
                        bytes: 2,
                    }),
                })
            }
        ),
        (any::<u32>(), refusals()).prop_map(|(step, why)| Answer::GroupRefused { step, why }),
        (any::<Option<u32>>(), any::<u64>()).prop_map(|(unmet, count)| Answer::Group {
            unmet,
            outcomes: vec![Outcome::Count(count), Outcome::Done],
        }),
    ]
}

/// One of each kind of refusal.
fn every_refusal() -> Vec<Refused> {
    let rejection = |rule| {
        Refused::Rejected(Rejection {
            rule,
            function: Some(3),
            offset: Some(0x1f),
        })
    };
    let failure = |code| {
        Refused::Extension(ExtensionFailure {
            code,
            name: "counter".into(),
            version: 2,
            fuel: 77,
        })
    };
    let mut all = vec![
        Refused::NoSession,
        Refused::WindowExceeded,
        Refused::Malformed,
        Refused::NotEnrolled,
        Refused::TooManySessions,
        Refused::NoSuchExtension,
        Refused::TooManyExtensions,
        Refused::TooManyAcknowledgements,
        Refused::GroupTooLong,
        Refused::GroupTooBroad,
        Refused::WaitInGroup,
        Refused::NotOperator,
        Refused::TooManyGrants,
        Refused::Attached,
        Refused::NoVersionBefore,
        Refused::TooManyAttached,
        Refused::NoSuchEngine,
    ];
    all.extend(Refusal::ALL.map(Refused::Space));
    all.extend(
        [
            Rule::Manifest(ManifestError::Name),
            Rule::Size,
            Rule::Valid,
            Rule::NoFloats,
            Rule::NoProposal,
            Rule::NoStart,
            Rule::Imports,
            Rule::Exports,
            Rule::Memory,
            Rule::Count,
            Rule::Names,
        ]
        .map(rejection),
    );
    all.extend(
        [
            FailureCode::Trap,
            FailureCode::OutOfFuel,
            FailureCode::Limit,
            FailureCode::Capability,
            FailureCode::Refused(4),
            FailureCode::NoReply,
            FailureCode::BadReply,
            FailureCode::BadArgument,
            FailureCode::Space(1),
            FailureCode::Start,
        ]
        .map(failure),
    );
    all
}

proptest! {
    #[test]
    fn calls_come_back(call in calls()) {
        prop_assert_eq!(Call::decode(&call.encode()), Ok(call));
    }

    #[test]
    fn answers_come_back(answer in answers()) {
        prop_assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
    }

    /// Whatever is accepted is the one spelling of what it means.
    #[test]
    fn accepted_bytes_are_canonical(call in calls(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = call.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Call::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn noise_is_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Call::decode(&bytes);
        let _ = Answer::decode(&bytes);
        let _ = Manifest::decode(&bytes);
    }

    #[test]
    fn truncated_calls_are_refused(call in calls(), at in any::<prop::sample::Index>()) {
        let bytes = call.encode();
        prop_assert!(Call::decode(&bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn generated_manifests_pass_their_check(manifest in manifests()) {
        prop_assert_eq!(manifest.check(), Ok(()));
        prop_assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
    }
}

#[test]
fn the_wire_form_is_fixed() {
    let call = Call::Space {
        space: SpaceName::new("jobs").unwrap(),
        operation: Operation::Inp {
            template: Template::new(vec![Field::from("head"), Field::Any]).unwrap(),
        },
    };
    let bytes = b"\x04\x04jobs\x02\x02\x00\x03\x04head\x01";
    assert_eq!(call.encode(), bytes);
    assert_eq!(Call::decode(bytes), Ok(call));
}

#[test]
fn another_spelling_is_refused() {
    assert_eq!(
        Call::decode(&[0, 0x80, 0x00, 0]),
        Err(DecodeError::NotCanonical),
        "a number longer than need be"
    );
    assert_eq!(
        Call::decode(&[1, 0]),
        Err(DecodeError::NotCanonical),
        "a byte too many"
    );
    assert_eq!(Call::decode(&[]), Err(DecodeError::Malformed));
    assert_eq!(
        Call::decode(&[200]),
        Err(DecodeError::Malformed),
        "an unknown call"
    );
}

#[test]
fn a_call_has_a_longest_length() {
    let register = |length: usize| Call::Register {
        manifest: sound(),
        module: vec![0; length],
    };
    let full = register(MAX_MODULE_BYTES).encode();
    assert!(full.len() <= MAX_CALL_BYTES);
    assert!(Call::decode(&full).is_ok());
    let over = register(MAX_CALL_BYTES).encode();
    assert_eq!(Call::decode(&over), Err(DecodeError::Malformed));
}

fn sound() -> Manifest {
    let space = SpaceName::new("jobs").unwrap();
    Manifest {
        name: "queue".into(),
        version: 1,
        abi: (1, 1),
        subscriptions: vec![Subscription {
            space: space.clone(),
            on: Trigger::Operations(vec![OperationKind::Inp]),
            template: Template::new(vec![Field::from("head")]).unwrap(),
            entry: "head".into(),
        }],
        capabilities: vec![Capability {
            space,
            access: Access::READ.and(Access::TAKE),
        }],
        fuel: 1000,
        memory_pages: 1,
    }
}

type Change = fn(&mut Manifest);

#[test]
fn every_rule_of_a_manifest_can_be_broken() {
    assert_eq!(sound().check(), Ok(()));
    let broken: [(ManifestError, Change); 17] = [
        (ManifestError::Name, |m| m.name.clear()),
        (ManifestError::Name, |m| m.name = "Queue".into()),
        (ManifestError::Name, |m| m.name = "q".repeat(65)),
        (ManifestError::Abi, |m| m.abi = (2, 3)),
        (ManifestError::Abi, |m| m.abi = (2, 0)),
        (ManifestError::Subscriptions, |m| m.subscriptions.clear()),
        (ManifestError::Subscriptions, |m| {
            m.subscriptions = vec![m.subscriptions[0].clone(); 17];
        }),
        (ManifestError::Kinds, |m| {
            m.subscriptions[0].on = Trigger::Operations(Vec::new());
        }),
        (ManifestError::Kinds, |m| {
            m.subscriptions[0].on = Trigger::Judges(vec![OperationKind::Inp, OperationKind::Rdp]);
        }),
        (ManifestError::Kinds, |m| {
            m.subscriptions[0].on = Trigger::Events(vec![EventKind::Taken; 2]);
        }),
        (ManifestError::Entry, |m| {
            m.subscriptions[0].entry = "é".into()
        }),
        (ManifestError::Capabilities, |m| {
            m.capabilities[0].access = Access::NONE
        }),
        (ManifestError::Capabilities, |m| {
            m.capabilities = vec![m.capabilities[0].clone(); 2];
        }),
        (ManifestError::ReservedSpace, |m| {
            m.capabilities[0].space = SpaceName::reserved("$extensions").unwrap();
        }),
        (ManifestError::ReservedSpace, |m| {
            m.subscriptions[0].space = SpaceName::reserved("$extensions").unwrap();
        }),
        (ManifestError::Fuel, |m| m.fuel = 0),
        (ManifestError::Memory, |m| {
            m.memory_pages = MAX_MEMORY_PAGES + 1
        }),
    ];
    for (error, change) in broken {
        let mut manifest = sound();
        change(&mut manifest);
        assert_eq!(manifest.check(), Err(error), "{manifest:?}");
    }
    let mut long = sound();
    let bytes = Field::from(vec![0u8; 60_000]);
    long.subscriptions[0].template = Template::new(vec![bytes]).unwrap();
    long.subscriptions.push(long.subscriptions[0].clone());
    assert_eq!(long.check(), Err(ManifestError::Size));
}

#[test]
fn rights_are_looked_up_by_space() {
    let manifest = sound();
    let here = manifest.access(&SpaceName::new("jobs").unwrap());
    assert!(here.includes(Access::TAKE) && !here.includes(Access::INSERT));
    assert!(!here.includes(Access::ALL));
    assert!(
        manifest
            .access(&SpaceName::new("other").unwrap())
            .is_empty()
    );
    assert!(
        codec::decode::<Access>(&[8]).is_err(),
        "an unknown right is granted to nobody"
    );
}

#[test]
fn refusals_say_what_and_what_next() {
    for refused in every_refusal() {
        let text = refused.to_string();
        assert!(text.len() > 30, "{refused:?} says too little: {text}");
        assert!(!text.ends_with('.') && !text.contains("  "), "{text}");
    }
    let rejection = Rejection {
        rule: Rule::NoFloats,
        function: Some(3),
        offset: Some(0x1f),
    };
    assert!(
        rejection
            .to_string()
            .ends_with("(function 3, at byte 0x1f)")
    );
}

#[test]
fn only_passing_lack_of_room_is_worth_a_retry() {
    assert!(Refused::WindowExceeded.is_retryable());
    assert!(Refused::Space(Refusal::TooManyTuples).is_retryable());
    assert!(!Refused::Space(Refusal::NoSuchSpace).is_retryable());
    assert!(!Refused::NotEnrolled.is_retryable());
}

fn genesis() -> Genesis {
    Genesis {
        keys: vec![[1; 32], [2; 32], [3; 32], [4; 32]],
        open_enrolment: true,
        spaces_on_first_out: false,
        clients: vec![[9; 32]],
        checkpoint_interval: 128,
        salt: [7; 16],
    }
}

#[test]
fn the_cluster_id_is_the_protocols_digest_of_the_genesis() {
    let body = codec::encode(&genesis());
    let expected = bezant_bft::crypto::digest("bezant cluster", &[&body]);
    assert_eq!(genesis().cluster_id(), expected.0);
}

#[test]
fn every_parameter_is_part_of_the_cluster_id() {
    let changes: [fn(&mut Genesis); 6] = [
        |g| g.keys[3][0] ^= 1,
        |g| g.open_enrolment = false,
        |g| g.spaces_on_first_out = true,
        |g| g.clients.clear(),
        |g| g.checkpoint_interval += 1,
        |g| g.salt[15] ^= 1,
    ];
    for change in changes {
        let mut other = genesis();
        change(&mut other);
        assert_ne!(other.cluster_id(), genesis().cluster_id());
    }
}

#[test]
fn hashes_are_bare_bytes_on_the_wire() {
    let hash = ExtensionHash([5; 32]);
    assert_eq!(codec::encode(&hash), [5; 32]);
}
