//! A script of a scenario: what is for the reader, and blocks of commands with their answers.

use std::fmt;

/// Between commands and answers.
const RULER: &str = "----";

/// Commands, each with its line, and what they answer together.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) commands: Vec<(usize, String)>,
    pub(super) answers: Vec<String>,
}

#[derive(Debug)]
enum Part {
    /// An empty line or a comment.
    Line(String),
    Block(Block),
}

/// A script, in order.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<Part>);

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// The line at fault and what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut parts = Vec::new();
        let mut block: Option<(Block, bool)> = None;
        for (line, text) in (1..).zip(text.lines()) {
            let is_comment = text.starts_with('#');
            match &mut block {
                _ if text.trim().is_empty() => {
                    parts.extend(block.take().map(|(block, _)| Part::Block(block)));
                    parts.push(Part::Line(String::new()));
                }
                Some((_, false)) if is_comment => {
                    let what = "a comment stands between commands and their answers";
                    return Err((line, format!("{what}: put it above the block")));
                }
                None if is_comment => parts.push(Part::Line(text.to_owned())),
                None if text == RULER => {
                    return Err((line, format!("{RULER} without a command above it")));
                }
                Some((_, ruled @ false)) if text == RULER => *ruled = true,
                Some((block, true)) => block.answers.push(text.to_owned()),
                Some((block, false)) => block.commands.push((line, text.to_owned())),
                None => {
                    let commands = vec![(line, text.to_owned())];
                    let answers = Vec::new();
                    block = Some((Block { commands, answers }, false));
                }
            }
        }
        parts.extend(block.map(|(block, _)| Part::Block(block)));
        Ok(Self(parts))
    }

    /// The blocks, in order.
    pub(super) fn blocks(&mut self) -> impl Iterator<Item = &mut Block> {
        self.0.iter_mut().filter_map(|part| match part {
            Part::Block(block) => Some(block),
            Part::Line(_) => None,
        })
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Line(line) => writeln!(f, "{line}")?,
                Part::Block(block) => {
                    for (_, command) in &block.commands {
                        writeln!(f, "{command}")?;
                    }
                    writeln!(f, "{RULER}")?;
                    for answer in &block.answers {
                        writeln!(f, "{answer}")?;
                    }
                }
            }
        }
        Ok(())
    }
}
