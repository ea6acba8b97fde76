//! Documents point at things that exist, and name every command.

use std::path::Path;

use crate::fixture::{World, documents, root};

/// The folders whose files documents name by their path in the repository.
const ROOMS: [&str; 8] = [
    "bft/",
    "client/",
    "docs/",
    "extensions/",
    "kernel/",
    "testbed/",
    "tuplespace/",
    ".ci/",
];

/// The targets of inline links that lie in the repository.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

/// What is spelled as code and looks like a path in the repository.
fn paths(text: &str) -> Vec<&str> {
    let is_path = |code: &&str| {
        ROOMS.iter().any(|room| code.starts_with(room)) && !code.contains(['*', ' ', '…', '<'])
    };
    text.split('`').skip(1).step_by(2).filter(is_path).collect()
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let target = document.parent().unwrap().join(link);
            assert!(target.exists(), "{} links to {link}", document.display());
        }
    }
}

#[test]
fn paths_exist() {
    let mut seen = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for path in paths(&text) {
            assert!(
                root().join(path).exists(),
                "{} names {path}",
                document.display()
            );
            seen += 1;
        }
    }
    assert!(
        seen > 20,
        "the documents name hardly any file; is this test still looking?"
    );
}

#[test]
fn every_command_is_documented() {
    let help = World::new().bezant(["--help"]).ends_with(0).stdout;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 20, "{commands:?}");
    let page = std::fs::read_to_string(root().join("docs/cli.md")).unwrap();
    for command in commands {
        let mentioned = page
            .split('`')
            .skip(1)
            .step_by(2)
            .any(|code| code.split([' ', '|']).any(|word| word == command));
        assert!(mentioned, "docs/cli.md does not mention {command}");
    }
}

#[test]
fn the_gate_runs_the_readme_s_test_command() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("\n## Test it\n```\ncargo test --workspace\n```\n"));
    let gate = std::fs::read_to_string(root().join(Path::new(".ci/run"))).unwrap();
    assert!(gate.contains("^## Test it"));
}
