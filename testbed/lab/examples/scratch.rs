//! scratch
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
use bezant_lab::{LocalCluster, LocalOptions, bench::*};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let clients: usize = args[1].parse().unwrap();
    let shared = args.get(2).is_some_and(|a| a == "shared");
    let cluster = LocalCluster::start(&LocalOptions::default()).unwrap();
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let options = Options {
        op: Op::Pair,
        mode: Mode::Plain,
        clients,
        seconds: 4.0,
        warmup: 1.0,
        size: 100,
        connections: if shared {
            Connections::Shared
        } else {
            Connections::Each
        },
    };
    let report = rt.block_on(run(&cluster.view(), &options)).unwrap();
    println!("{report:?}");
    for n in &cluster.nodes {
        println!("{:?}", n.status().unwrap());
    }
}
