//! A copy of the tree, in which bugs may be planted.
//!
//! Files that are the same already are left alone, so that what was built of
//! them need not be built again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;

/// The copy.
#[derive(Debug)]
pub(super) struct Tree {
    original: PathBuf,
    pub(super) root: PathBuf,
}

impl Tree {
    /// Makes the copy in `root` equal to the files of `original` that git knows or would add.
    pub(super) fn copy(original: &Path, root: &Path) -> Outcome<Self> {
        let listed = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(original)
            .output()
            .map_err(|error| format!("git cannot be run: {error}"))?;
        if !listed.status.success() {
            return Err(format!(
                "git does not list the files of {}; the command needs a clone",
                original.display()
            ));
        }
        let tree = Self {
            original: original.to_path_buf(),
            root: root.to_path_buf(),
        };
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        let names: Vec<&Path> = names
            .split('\0')
            .filter(|name| !name.is_empty())
            .map(Path::new)
            .filter(|name| original.join(name).is_file())
            .collect();
        for name in &names {
            tree.restore(name)?;
        }
        tree.remove_others(&names)?;
        Ok(tree)
    }

    /// Makes one file what it is in the original.
    pub(super) fn restore(&self, name: &Path) -> Outcome {
        let (from, to) = (self.original.join(name), self.root.join(name));
        let at = |path: &Path, error| format!("{}: {error}", path.display());
        let wanted = fs::read(&from).map_err(|error| at(&from, error))?;
        if fs::read(&to).is_ok_and(|here| here == wanted) {
            return Ok(());
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
        }
        fs::write(&to, wanted).map_err(|error| at(&to, error))
    }

    /// What is not in the original any more must not be built either.
    fn remove_others(&self, names: &[&Path]) -> Outcome {
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let entries =
                fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            for entry in entries.flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(name) = path.strip_prefix(&self.root)
                    && !names.contains(&name)
                {
                    fs::remove_file(&path)
                        .map_err(|error| format!("{}: {error}", path.display()))?;
                }
            }
        }
        Ok(())
    }
}
