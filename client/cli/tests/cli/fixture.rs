//! Running `bezant` in a world of its own: its own contexts, temporary folder and clusters.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// The program under test.
pub(crate) const BEZANT: &str = env!("CARGO_BIN_EXE_bezant");

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Standard output as one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Requires an exit code.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// A place where nothing of the user's or of other tests is seen.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A new file of this world; its path.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// A command in this world; variables of the user's own shell do not reach it.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BEZANT_") {
                command.env_remove(name);
            }
        }
        command
            .env("BEZANT_CONFIG", self.path().join("contexts.toml"))
            .env("TMPDIR", self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs `bezant` to its end.
    pub(crate) fn bezant<S: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Ran {
        let output = self.command(BEZANT).args(args).output().unwrap();
        Ran {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts `bezant dev` and waits until it is ready.
    pub(crate) fn dev(&self) -> Running {
        Running::start(self.command(BEZANT).args(["dev", "-o", "jsonl"]))
    }
}

/// A process that runs until this is dropped.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// Starts a command and waits for the line that says it is ready.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(!line.is_empty(), "it ended before it was ready");
        Self { child }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The documents for people: every Markdown file at the root and under docs/.
pub(crate) fn documents() -> Vec<PathBuf> {
    fn collect(folder: &Path, deep: bool, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if deep && path.is_dir() {
                collect(&path, deep, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(&root(), false, &mut found);
    collect(&root().join("docs"), true, &mut found);
    found.sort();
    assert!(found.len() > 5, "{found:?}");
    found
}
