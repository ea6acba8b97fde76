//! `bezant attack NAME`: clients that attack, for `bezant bench pair --attack`.
//!
//! Not for people: what it may do it is told on standard input (`begin`, `begin RATE`, `end`),
//! and it ends when nobody gives orders any more. It attacks a cluster that was named by flag
//! or environment; a current context is not enough.

use std::io::BufRead as _;

use bezant_lab::{
    attacker::{Attackers, ClientAttack, Order},
    local::view,
};
use clap::Args;
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    event_loop::block_on,
    exit::{Exit, Failure},
    flags::Global,
    print::Printer,
    target::Target,
};

/// Flags of `bezant attack`.
#[derive(Debug, Args)]
pub(crate) struct Attack {
    /// What to do
    attack: ClientAttack,
    /// The share of one processor to take at most
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=100))]
    share: u8,
}

impl Attack {
    pub(crate) fn run(&self, global: &Global, printer: &Printer) -> Result<Exit, Failure> {
        if global.cluster.is_none() {
            return Err(Failure::usage("no cluster to attack is named")
                .next("this command is for bezant bench pair --attack, which names its own"));
        }
        let target = Target::resolve(global)?;
        let tally = block_on(async {
            let prepared = Attackers::prepare(&view(&target.cluster), self.attack).await;
            let attackers = prepared.map_err(|error| Failure::error(error.to_string()))?;
            printer.json_line(&json!({ "ready": self.attack }))?;
            let (orders, mut given) = mpsc::channel(8);
            std::thread::spawn(move || read(&orders));
            Ok::<_, Failure>(attackers.attack(self.share, &mut given).await)
        })?;
        printer.json_line(&tally)?;
        Ok(Exit::Ok)
    }
}

/// Passes on the orders that are typed; what is none ends it, as the end of input does.
fn read(orders: &mpsc::Sender<Order>) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let order = line.parse().unwrap_or(Order::End);
        if orders.blocking_send(order).is_err() {
            return;
        }
    }
}
