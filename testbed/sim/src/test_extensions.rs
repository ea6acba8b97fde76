//! The extensions that simulated clients install: two recipes, and small ones that do
//! something wrong or something whose order can be seen.
//!
//! They live in one space of their own, where nobody changes rights. The model knows what each
//! of them is to do, and nothing of how.

use std::sync::LazyLock;

use bezant_api::{
    ABI_VERSION, Access, Capability, EventKind, ExtensionHash, Manifest, Subscription, Trigger,
};
use bezant_extensions::{content_hash, recipes};
use bezant_tuple::{Template, Tuple, codec};
use bezant_tuplespace::{OperationKind, SpaceName};

/// The space of the extensions.
pub(crate) const SPACE: &str = "x";

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TestExtension {
    /// The counter of the recipes.
    Counter,
    /// The barrier of the recipes.
    Barrier,
    /// Puts `("heard", "a")` when a `("k", _, _)` comes or is taken.
    EchoA,
    /// Puts `("heard", "b")` when one comes or is got by who waited.
    EchoB,
    /// Puts `("again")` when something is heard.
    EchoAgain,
    /// Puts `("heard", "s")` when one comes, and then traps.
    Spoiler,
    /// Instead of `inp ("steal")`: puts `("heard", "t")`, and then traps.
    Thief,
    /// Instead of `inp ("smuggle")`: puts `("k", 1, 1)` and answers that nothing matched.
    Smuggler,
    /// Instead of `inp ("eat")`: puts `("heard", "g")` again and again, until it has no fuel.
    Glutton,
    /// Refuses with 7 to let anybody put a `("k", _, _)`.
    Judge,
}

impl TestExtension {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::Counter,
        Self::Barrier,
        Self::EchoA,
        Self::EchoB,
        Self::EchoAgain,
        Self::Spoiler,
        Self::Thief,
        Self::Smuggler,
        Self::Glutton,
        Self::Judge,
    ];
}

/// One with its content.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) test_extension: TestExtension,
    pub(crate) manifest: Manifest,
    pub(crate) module: Vec<u8>,
    pub(crate) hash: ExtensionHash,
}

/// All of them, in the order of [`TestExtension::ALL`].
pub(crate) static PROGRAMS: LazyLock<Vec<Program>> = LazyLock::new(|| {
    let made = TestExtension::ALL.into_iter().map(|test_extension| {
        let (manifest, module) = make(test_extension);
        let hash = content_hash(&manifest, &module);
        Program {
            test_extension,
            manifest,
            module,
            hash,
        }
    });
    made.collect()
});

/// The one with this hash.
pub(crate) fn find(hash: ExtensionHash) -> Option<&'static Program> {
    PROGRAMS.iter().find(|program| program.hash == hash)
}

pub(crate) fn space() -> SpaceName {
    match SpaceName::new(SPACE) {
        Ok(name) => name,
        Err(error) => unreachable!("{SPACE} is a name: {error}"),
    }
}

pub(crate) fn tuple(text: &str) -> Tuple {
    match text.parse() {
        Ok(tuple) => tuple,
        Err(error) => unreachable!("{text} is a tuple: {error}"),
    }
}

pub(crate) fn template(text: &str) -> Template {
    match text.parse() {
        Ok(template) => template,
        Err(error) => unreachable!("{text} is a template: {error}"),
    }
}

fn recipe(name: &str) -> (Manifest, Vec<u8>) {
    match recipes::named(name, &space()) {
        Some(recipe) => (recipe.manifest, recipe.module.to_vec()),
        None => unreachable!("there is a recipe {name}"),
    }
}

fn make(test_extension: TestExtension) -> (Manifest, Vec<u8>) {
    let events = |kinds: &[EventKind]| Trigger::Events(kinds.to_vec());
    let inp = || Trigger::Operations(vec![OperationKind::Inp]);
    let key = "(\"k\", ?int, ?int)";
    let says = |text: &str, then: &str| Some((text.to_owned(), then.to_owned()));
    let (on, template, says) = match test_extension {
        TestExtension::Counter => return recipe("counter"),
        TestExtension::Barrier => return recipe("barrier"),
        TestExtension::EchoA => (
            events(&[EventKind::Inserted, EventKind::Taken]),
            key,
            says("(\"heard\", \"a\")", ""),
        ),
        TestExtension::EchoB => (
            events(&[EventKind::Inserted, EventKind::Served]),
            key,
            says("(\"heard\", \"b\")", ""),
        ),
        TestExtension::EchoAgain => (
            events(&[EventKind::Inserted]),
            "(\"heard\", ?text)",
            says("(\"again\")", ""),
        ),
        TestExtension::Spoiler => (
            events(&[EventKind::Inserted]),
            key,
            says("(\"heard\", \"s\")", "unreachable"),
        ),
        TestExtension::Thief => (
            inp(),
            "(\"steal\")",
            says("(\"heard\", \"t\")", "unreachable"),
        ),
        TestExtension::Smuggler => (
            inp(),
            "(\"smuggle\")",
            says("(\"k\", 1, 1)", "i32.const 128 i32.const 2 call $reply"),
        ),
        TestExtension::Glutton => (inp(), "(\"eat\")", says("(\"heard\", \"g\")", "br 0")),
        TestExtension::Judge => (Trigger::Judges(vec![OperationKind::Out]), key, None),
    };
    let body = match says {
        Some((text, then)) => {
            let bytes = codec::encode_tuple(&tuple(&text));
            let data: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
            let length = bytes.len();
            format!(
                "(import \"bezant1\" \"out\" (func $out (param i32 i32 i32)))
                (import \"bezant1\" \"reply\" (func $reply (param i32 i32)))
                (memory (export \"memory\") 1)
                (data (i32.const 0) \"{data}\") (data (i32.const 128) \"\\01\\00\")
                (func (export \"run\") (loop
                    i32.const -1 i32.const 0 i32.const {length} call $out {then}))"
            )
        }
        None => "(import \"bezant1\" \"refuse\" (func $refuse (param i32)))
            (memory (export \"memory\") 1)
            (func (export \"run\") i32.const 7 call $refuse)"
            .to_owned(),
    };
    let module = match wat::parse_str(format!("(module {body})")) {
        Ok(module) => module,
        Err(error) => unreachable!("{test_extension:?} is a module: {error}"),
    };
    let template = self::template(template);
    let manifest = Manifest {
        name: format!("{test_extension:?}").to_lowercase(),
        version: 1,
        abi: (ABI_VERSION, ABI_VERSION),
        subscriptions: vec![Subscription {
            space: space(),
            on,
            template,
            entry: "run".to_owned(),
        }],
        capabilities: vec![Capability {
            space: space(),
            access: Access::ALL,
        }],
        fuel: 50_000,
        memory_pages: 1,
    };
    (manifest, module)
}
