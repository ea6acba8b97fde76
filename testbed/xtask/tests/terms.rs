//! Holds code and documents to docs/glossary.md: no retired term, and a type for each term.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A term that gave way to another.
struct Retired {
    /// Its words, as they stand in prose or as parts of a name.
    term: &'static str,
    instead: &'static str,
    /// Folders or files in which it is retired; elsewhere it may mean something else.
    within: &'static [&'static str],
    /// Lines with one of these are fine.
    except: &'static [&'static str],
}

const fn term(term: &'static str, instead: &'static str) -> Retired {
    Retired {
        term,
        instead,
        within: &[],
        except: &[],
    }
}

impl Retired {
    const fn within(mut self, within: &'static [&'static str]) -> Self {
        self.within = within;
        self
    }

    const fn except(mut self, except: &'static [&'static str]) -> Self {
        self.except = except;
        self
    }
}

/// Where the ordering protocol is at home.
const ORDERING: &[&str] = &[
    "bft/core/",
    "kernel/replica/",
    "kernel/node/src/",
    "testbed/sim/",
    "docs/protocol.md",
    "docs/wire-format.md",
    "docs/decisions/011-view-changes.md",
    "docs/decisions/012-ordered-rejoin.md",
];
const CORE: &[&str] = &["bft/core/src/", "kernel/replica/src/"];
const SERVICE: &[&str] = &["kernel/service/", "extensions/engine/src/"];
/// Names that are contracts: see docs/glossary.md, "Names that stay".
const COMMANDS: &[&str] = &[
    "ext impose",
    "ext lift",
    "\"impose\"",
    "\"imposed\"",
    "\"lift\"",
    "impose SPACE",
    "`impose`",
    "impose, tick",
    "`imposed`",
    "`lift`",
    "Lift =>",
];

/// Words, in prose or as parts of names.
const WORDS: &[Retired] = &[
    term("life", "incarnation, session lease or restart count")
        .within(ORDERING)
        .except(&["\"life\""]),
    term("life", "session lease")
        .within(&["client/lib/src/"])
        .except(&["its life"]),
    term("lives", "incarnations").within(ORDERING).except(&[
        "lives for",
        "lives on",
        "lives until",
        "lives through",
        "lives_as_long",
        "lives as long",
        "state lives there",
    ]),
    term("wish", "rejoin request").within(ORDERING),
    term("wishes", "rejoin requests").within(ORDERING),
    term("patience", "view-change timeout, or timeout"),
    term("calm down", "relax"),
    term("bundle", "new-view proof").within(CORE),
    term("outline", "new-view plan").within(CORE),
    term("two stories", "equivocation"),
    term("two faced", "equivocator"),
    term("height", "reported progress").within(CORE),
    term("hints", "status heartbeats").within(CORE),
    term("door", "admission").within(&["bft/", "kernel/", "docs/"]),
    term("court", "verifier"),
    term("whom", "principal")
        .within(&["tuplespace/space/src/", "kernel/api/src/"])
        .except(&[
            "for whom",
            "To whom",
            "For whom",
            "to whom",
            "whom each",
            "Of whom",
            "whom it",
            "whom an",
            "from whom",
            "of whom",
        ]),
    term("decree", "admin command"),
    term("decrees", "admin commands"),
    term("imposed", "attached").except(COMMANDS),
    term("impose", "attach").except(COMMANDS),
    term("reactions", "event dispatch").within(SERVICE),
    term("hands", "host context").within(&["kernel/service/src/"]),
    term("fabric", "endpoint").except(&["Hyperledger Fabric"]),
    term("fabrics", "endpoints"),
    term("carrier", "transport"),
    term("guest", "external client").within(&["testbed/sim/", "testbed/lab/"]),
    term("guests", "external clients").within(&["testbed/sim/", "testbed/lab/"]),
    term("stock", "test extension").within(&["testbed/"]),
    term("scribe", "recorder"),
    term("ledger", "simulation log, or inventory"),
    term("ledgers", "inventories"),
];

/// Whole names, in code.
const NAMES: &[(&str, &str)] = &[
    ("Lives", "IncarnationTable"),
    ("Life", "IncarnationNonce or SessionLease"),
    ("Wish", "RejoinRequest"),
    ("patience_us", "view_change_timeout_us"),
    ("lose_patience", "back_off"),
    ("openings", "pending_new_views"),
    ("Bundle", "NewViewProof"),
    ("Outline", "NewViewPlan"),
    ("TwoStories", "ConflictingViewChanges"),
    ("Sealed", "Unverified"),
    ("Linked", "LinkAuthenticated"),
    ("Court", "Verifier"),
    ("Whom", "Principal"),
    ("Decree", "AdminCommand"),
    ("Standing", "Permissions"),
    ("Reactions", "EventDispatch"),
    ("Hands", "HostContext"),
    ("Ground", "HostResources"),
    ("HeldBack", "Revoked"),
    ("Fabric", "Endpoint"),
    ("Carrier", "Transport"),
    ("Guests", "ExternalClients"),
    ("Stock", "TestExtension"),
    ("Scribe", "Recorder"),
    ("Ledger", "Inventory"),
];

/// Pieces of code, as they stand.
const PIECES: &[(&str, &str)] = &[
    ("number: SeqNo", "seq_no: SeqNo"),
    ("number: &SeqNo", "seq_no: &SeqNo"),
    ("number: Option<SeqNo>", "seq_no: Option<SeqNo>"),
    ("position: SeqNo", "seq_no: SeqNo"),
    ("sequence: SeqNo", "seq_no: SeqNo"),
    ("Fault as Wrong", "Offence"),
];

/// Files that name retired terms on purpose.
const FREE: &[&str] = &["docs/glossary.md", "testbed/xtask/tests/terms.rs"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All texts of the project, by their path in it.
fn texts() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
                continue;
            }
            let ends = [".rs", ".md", ".txt", ".toml", ".patch"];
            if ends.iter().any(|end| name.ends_with(end)) {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root()).unwrap();
                found.push((path.to_string_lossy().into_owned(), text));
            }
        }
    }
    found.retain(|(path, _)| !FREE.contains(&path.as_str()));
    found.sort();
    found
}

/// The words of a line, in lower case: those of prose, and the parts of names.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    for c in line.chars() {
        let begins = c.is_uppercase() && before.is_lowercase();
        if (begins || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Whole names of a line of code.
fn names(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// Where a line of a text says something that is retired.
fn offences(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut say = |term: &str, instead: &str| {
            let number = number + 1;
            found.push(format!(
                "{path}:{number}: {term:?}; write {instead}: {}",
                line.trim()
            ));
        };
        let all = words(line);
        for retired in WORDS {
            let here = retired.within.is_empty()
                || retired.within.iter().any(|within| path.starts_with(within));
            if !here || retired.except.iter().any(|except| line.contains(except)) {
                continue;
            }
            let term: Vec<&str> = retired.term.split(' ').collect();
            if all.windows(term.len()).any(|words| words == term) {
                say(retired.term, retired.instead);
            }
        }
        let code = line.split("//").next().unwrap();
        for (name, instead) in NAMES {
            if path.ends_with(".rs") && names(code).any(|one| one == *name) {
                say(name, instead);
            }
        }
        for (piece, instead) in PIECES {
            if line.contains(piece) {
                say(piece, instead);
            }
        }
    }
    found
}

#[test]
fn no_retired_term_is_used() {
    let mut all = Vec::new();
    for (path, text) in texts() {
        all.extend(offences(&path, &text));
    }
    assert!(all.is_empty(), "{} lines:\n{}", all.len(), all.join("\n"));
}

#[test]
fn retired_terms_are_found() {
    let says = |path: &str, line: &str| !offences(path, line).is_empty();
    assert!(says("bft/core/src/a.rs", "//! A new life."));
    assert!(says("bft/core/src/a.rs", "fn begin_life() {"));
    assert!(says("client/cli/src/a.rs", "/// Loses patience."));
    assert!(says("kernel/node/src/a.rs", "fn f(number: SeqNo) {"));
    assert!(says("kernel/service/src/a.rs", "use x::Decree;"));
    assert!(!says(
        "tuplespace/space/src/a.rs",
        "/// For the life of a tuple."
    ));
    assert!(!says(
        "kernel/service/src/a.rs",
        "fn f(number: RequestNumber) {"
    ));
    assert!(!says("docs/cli.md", "`ext impose SPACE HASH`"));
}

/// Names that the sources below a folder declare.
fn declared(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().unwrap() != "target" {
                declared(&path, found);
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for line in text.lines().map(str::trim_start) {
                if !line.starts_with("//") {
                    found.extend(declarations(line));
                }
            }
        }
    }
}

/// What a line declares: a type, a function, a constant, a module, a field or a variant.
fn declarations(line: &str) -> Vec<String> {
    let mut declared = Vec::new();
    let mut before = "";
    for name in names(line).filter(|name| !name.is_empty()) {
        let words = [
            "struct", "enum", "trait", "type", "fn", "const", "mod", "static",
        ];
        if words.contains(&before) {
            declared.push(name.to_owned());
        }
        before = name;
    }
    let bare = line.strip_prefix("pub ").unwrap_or(line);
    let bare = match (bare.strip_prefix("pub("), bare.split_once(") ")) {
        (Some(_), Some((_, rest))) => rest,
        _ => bare,
    };
    let end = bare.find(|c: char| !c.is_alphanumeric() && c != '_');
    let (name, rest) = bare.split_at(end.unwrap_or(bare.len()));
    let field = rest.starts_with(": ");
    let variant = name.starts_with(char::is_uppercase) && rest.starts_with([' ', '(', ',']);
    if field || variant {
        declared.push(name.to_owned());
    }
    declared
}

#[test]
fn every_term_of_the_glossary_has_its_type() {
    let glossary = fs::read_to_string(root().join("docs/glossary.md")).unwrap();
    let mut count = 0;
    let mut missing = Vec::new();
    for line in glossary.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [term, meaning, source, types] = cells.as_slice() else {
            continue;
        };
        if *term == "term" || term.starts_with("---") {
            continue;
        }
        assert!(!meaning.is_empty() && !source.is_empty(), "{line}");
        let mut quoted = types.split('`').skip(1).step_by(2);
        let folder = quoted.next().unwrap_or_else(|| panic!("no folder: {line}"));
        let place = root().join(folder);
        assert!(place.is_dir(), "there is no {folder}: {line}");
        let mut known = BTreeSet::new();
        declared(&place, &mut known);
        let named: Vec<&str> = quoted.collect();
        if named.is_empty() {
            assert!(types.contains("]("), "neither a type nor a page: {line}");
        }
        for name in named {
            if !known.contains(name) {
                missing.push(format!("{term}: there is no {name} in {folder}"));
            }
        }
        count += 1;
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(count > 60, "the tables were not found: {count} rows");
}

/// What the glossary says to write and not to write is what is looked for.
#[test]
fn the_glossary_lists_what_is_retired() {
    let glossary = fs::read_to_string(root().join("docs/glossary.md")).unwrap();
    let (_, table) = glossary.split_once("## Retired terms").unwrap();
    let listed = words(table);
    for retired in WORDS {
        let singular = |word: &str| {
            let short = word.strip_suffix('s').unwrap_or(word);
            listed
                .iter()
                .any(|one| one == word || one == short || *one == format!("{word}s"))
                || listed
                    .iter()
                    .any(|one| Some(one.as_str()) == word.strip_suffix("d"))
                || listed
                    .iter()
                    .any(|one| Some(one.as_str()) == word.strip_suffix("es"))
        };
        for word in retired.term.split(' ') {
            assert!(singular(word), "docs/glossary.md does not list {word:?}");
        }
    }
}
