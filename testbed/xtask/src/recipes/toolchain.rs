//! A compiler for wasm32-unknown-unknown: found, or installed, or an error.
//!
//! Debian's packages come first, because the committed modules are built with them: they
//! bring the sources of `core` and `alloc`, which are built along. Otherwise rustup's
//! target will do. Where neither is there but one can be had, it is installed, and
//! whether that works or not is said.

use std::path::Path;
use std::process::Command;

use crate::Outcome;

/// Debian's packages with compiler, sources and linker.
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];

/// What those packages put where.
const FILES: [&str; 4] = [
    "/usr/bin/cargo",
    "/usr/bin/rustc",
    "/usr/bin/wasm-ld-22",
    "/usr/lib/rustlib/src/rust/library/core/Cargo.toml",
];

const TARGET: &str = "wasm32-unknown-unknown";

/// A way to build guests.
#[derive(Debug)]
pub(super) struct Toolchain {
    kind: Kind,
    /// What the compiler says of itself.
    pub(super) compiler: String,
    /// What the linker says of itself.
    pub(super) linker: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Debian's, in /usr/bin, which builds `core` and `alloc` itself.
    Debian,
    /// The one that runs this program, with rustup's target added.
    Rustup,
}

impl Toolchain {
    /// The toolchain of this machine, installed now if need be.
    pub(super) fn find_or_install() -> Outcome<Self> {
        if let Some(found) = Self::find()? {
            return Ok(found);
        }
        eprintln!("no compiler for {TARGET} here; installing one");
        let tried = install();
        Self::find()?.ok_or_else(|| {
            let why = tried.err().unwrap_or_else(|| "it is still missing after that".into());
            format!(
                "no compiler for {TARGET}: {why}; install the Debian packages {} or run `rustup target add {TARGET}`",
                PACKAGES.join(" ")
            )
        })
    }

    fn find() -> Outcome<Option<Self>> {
        if FILES.iter().all(|file| Path::new(file).exists()) {
            return Ok(Some(Self {
                kind: Kind::Debian,
                compiler: says(Command::new("/usr/bin/rustc").arg("--version"))?,
                linker: says(Command::new("/usr/bin/wasm-ld-22").arg("--version"))?,
            }));
        }
        let sysroot = says(Command::new("rustc").args(["--print", "sysroot"]))?;
        if Path::new(&sysroot)
            .join("lib/rustlib")
            .join(TARGET)
            .exists()
        {
            return Ok(Some(Self {
                kind: Kind::Rustup,
                compiler: says(Command::new("rustc").arg("--version"))?,
                linker: "rust-lld of the compiler".into(),
            }));
        }
        Ok(None)
    }

    /// Builds the workspace in `recipes`, in release, into `target`.
    pub(super) fn build(&self, root: &Path, recipes: &Path, target: &Path) -> Outcome {
        let mut command = match self.kind {
            Kind::Debian => {
                let mut command = Command::new("/usr/bin/cargo");
                let path = std::env::var("PATH").unwrap_or_default();
                command
                    .env("PATH", format!("/usr/bin:{path}"))
                    // Building `core` along is not a stable feature of cargo.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-22")
                    .arg("-Zbuild-std=core,alloc");
                command
            }
            Kind::Rustup => Command::new("cargo"),
        };
        // What the caller's cargo set for itself, and what would push aside the flags in
        // the workspace's own configuration.
        for variable in [
            "CARGO",
            "CARGO_BUILD_TARGET",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTDOC",
            "RUSTFLAGS",
        ] {
            command.env_remove(variable);
        }
        if self.kind == Kind::Debian {
            command.env_remove("RUSTUP_TOOLCHAIN");
        }
        // Added to the configured flags: no path of this machine may get into a module.
        let remap = format!(
            "target.{TARGET}.rustflags=[\"--remap-path-prefix={}=/bezant\"]",
            root.display()
        );
        command
            .current_dir(recipes)
            .args(["build", "--release", "--locked", "--config", &remap])
            .env("CARGO_TARGET_DIR", target);
        run(&mut command, "the recipes do not build")
    }
}

fn install() -> Outcome {
    let apt = Path::new("/usr/bin/apt-get");
    if apt.exists() {
        let mut command = Command::new(apt);
        command
            .args(["install", "-y", "--no-install-recommends"])
            .args(PACKAGES)
            .env("DEBIAN_FRONTEND", "noninteractive");
        return run(&mut command, "apt-get could not install the packages");
    }
    run(
        Command::new("rustup").args(["target", "add", TARGET]),
        "rustup could not add the target",
    )
}

/// Runs a command to its end; what it prints goes to stderr as far as it does itself.
pub(super) fn run(command: &mut Command, failure: &str) -> Outcome {
    let status = command
        .status()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{failure} ({status})"))
    }
}

/// The first line a command prints.
fn says(command: &mut Command) -> Outcome<String> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program} failed ({})", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
