//! The documents' console transcripts are run, so that they stay true.
//!
//! In a fenced block marked `console`, `$ ` begins a command; what follows is
//! what it prints, both streams together, with `? N` in front if it ends with
//! another exit code than 0. A command without output shown may print anything.
//! All blocks of a document talk to one fresh `bezant dev`. Only the digits after
//! `seq ` are not compared, since positions in the log depend on what came before, and
//! those after `evidence ev-`, since evidence is named by its content.

use std::{path::Path, process::Command};

use crate::fixture::{BEZANT, World, documents};

/// One command of a transcript.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    line: usize,
    command: String,
    code: i32,
    output: Option<String>,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if !inside {
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                line: index + 1,
                command: command.to_owned(),
                code: 0,
                output: None,
            });
        } else {
            let step = steps
                .last_mut()
                .expect("a transcript begins with a command");
            match (line.strip_prefix("? "), &step.output) {
                (Some(code), None) => step.code = code.parse().unwrap(),
                _ => {
                    let output = step.output.get_or_insert_default();
                    output.push_str(line);
                    output.push('\n');
                }
            }
        }
    }
    steps
}

/// The text without the digits after `seq ` and `evidence ev-`.
fn without_positions(text: &str) -> String {
    let text = without_digits(text, "seq ", 10);
    without_digits(&text, "evidence ev-", 16)
}

fn without_digits(text: &str, before: &str, radix: u32) -> String {
    let mut parts = text.split(before);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        result.push_str(before);
        result.push('N');
        result.push_str(part.trim_start_matches(|c: char| c.is_digit(radix)));
    }
    result
}

fn run(world: &World, document: &Path, step: &Step) {
    let folder = Path::new(BEZANT).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell: Command = world.command("sh");
    let output = shell
        .args(["-c", &format!("{{ {}\n}} 2>&1", step.command)])
        .env("PATH", format!("{}:{path}", folder.display()))
        .current_dir(world.path())
        .output()
        .unwrap();
    let place = format!("{}:{}: $ {}", document.display(), step.line, step.command);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(step.code), "{place}\n{printed}");
    if let Some(expected) = &step.output {
        assert_eq!(
            without_positions(&printed),
            without_positions(expected),
            "{place}"
        );
    }
}

#[test]
fn transcripts_in_documents_are_true() {
    let mut documents_with_transcripts = 0;
    for document in documents() {
        let steps = steps(&std::fs::read_to_string(&document).unwrap());
        if steps.is_empty() {
            continue;
        }
        documents_with_transcripts += 1;
        let world = World::new();
        let _dev = world.dev();
        for step in &steps {
            run(&world, &document, step);
        }
    }
    assert!(documents_with_transcripts > 0);
}

#[test]
fn a_transcript_is_read_as_written() {
    let text = "```console\n$ a b\nx\ny\n$ c\n? 3\nz\n$ d\n```\n$ not one\n```\n$ nor this\n```\n";
    let step = |line, command: &str, code, output: Option<&str>| Step {
        line,
        command: command.to_owned(),
        code,
        output: output.map(str::to_owned),
    };
    assert_eq!(
        steps(text),
        [
            step(2, "a b", 0, Some("x\ny\n")),
            step(5, "c", 3, Some("z\n")),
            step(8, "d", 0, None)
        ]
    );
    assert_eq!(
        without_positions("ok  seq 12  votes 4/4"),
        "ok  seq N  votes 4/4"
    );
}
