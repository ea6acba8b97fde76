//! The process of clients that attack, and the orders it is given.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::BenchError;
use crate::attacker::{ClientAttack, Tally};

/// A process of attacking clients; it ends with this value.
#[derive(Debug)]
pub(super) struct AttackerProcess {
    child: Child,
    orders: Option<ChildStdin>,
    said: Option<BufReader<ChildStdout>>,
}

fn failed(why: impl std::fmt::Display) -> BenchError {
    BenchError::Fault(format!("the attacking clients: {why}"))
}

impl AttackerProcess {
    /// Starts `binary attack NAME` and waits until its sessions are open.
    pub(super) async fn start(
        binary: &Path,
        cluster: &Path,
        attack: ClientAttack,
        share: u8,
    ) -> Result<Self, BenchError> {
        let mut child = Command::new(binary)
            .args(["attack", &attack.to_string(), "-o", "json"])
            .args(["--share", &share.to_string(), "--cluster"])
            .arg(cluster)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (orders, said) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        let this = Self {
            child,
            orders,
            said,
        };
        let (this, line) = this.next_line().await?;
        if line.trim().is_empty() {
            return Err(failed("they were not ready"));
        }
        Ok(this)
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has it begin, with so many requests a second if a rate is given.
    pub(super) fn begin(&mut self, rate: Option<u64>) -> Result<(), BenchError> {
        let order = rate.map_or_else(|| "begin".to_owned(), |rate| format!("begin {rate}"));
        self.order(&order)
    }

    fn order(&mut self, order: &str) -> Result<(), BenchError> {
        let Some(orders) = &mut self.orders else {
            return Err(failed("they take no orders"));
        };
        writeln!(orders, "{order}")
            .and_then(|()| orders.flush())
            .map_err(failed)
    }

    /// Has it end; says what it did.
    pub(super) async fn end(mut self) -> Result<Tally, BenchError> {
        self.order("end")?;
        let (_ended, line) = self.next_line().await?;
        serde_json::from_str(&line).map_err(failed)
    }

    /// What it says next, waited for where it may take its time.
    async fn next_line(mut self) -> Result<(Self, String), BenchError> {
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            let read = match &mut self.said {
                Some(said) => said.read_line(&mut line).map(|_| ()),
                None => Ok(()),
            };
            read.map(|()| (self, line))
        });
        read.await.map_err(failed)?.map_err(failed)
    }
}

impl Drop for AttackerProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
