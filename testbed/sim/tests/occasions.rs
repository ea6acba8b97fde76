//! Every rule that the simulator claims to test is exercised, in few seeds.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::path::Path;

use bezant_sim::{occasions::Occasion, run_seeds};

/// Seeds in which each must come.
const SEEDS: u64 = 200;

/// The floor: none of them comes in fewer of these seeds than this.
const FLOOR: u64 = 1;

#[test]
fn every_occasion_comes_in_few_seeds() {
    let jobs = std::thread::available_parallelism().map_or(1, Into::into);
    let batch = run_seeds(0..SEEDS, jobs, false, &|_| {});
    assert!(batch.failed.is_empty(), "{:?}", batch.failed);
    let rare: Vec<_> = Occasion::ALL
        .into_iter()
        .map(|occasion| (occasion, batch.occasions.of(occasion)))
        .filter(|(_, came)| came.seeds < FLOOR)
        .collect();
    assert!(rare.is_empty(), "{rare:?}");
}

/// How often each comes is documented.
#[test]
fn every_occasion_is_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/simulation-log.md");
    let page = std::fs::read_to_string(page).unwrap();
    for occasion in Occasion::ALL {
        let mut name = String::new();
        for letter in format!("{occasion:?}").chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.extend(letter.to_lowercase());
        }
        assert!(page.contains(&format!("| {name} |")), "{name} is missing");
    }
}
