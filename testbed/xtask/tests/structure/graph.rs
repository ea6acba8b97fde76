//! Who knows whom, and who stands in a circle.

use std::collections::{BTreeMap, BTreeSet};

/// Arrows from one name to another, each with what it is for.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    arrows: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

impl Graph {
    /// Notes that `from` knows `to` for the sake of `what`.
    pub(crate) fn add(&mut self, from: &str, to: &str, what: &str) {
        if from == to {
            return;
        }
        let arrows = self.arrows.entry(from.to_owned()).or_default();
        let names = arrows.entry(to.to_owned()).or_default();
        names.insert(what.to_owned());
    }

    fn reach(&self, from: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            for to in self.arrows.get(at).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(to.as_str()) {
                    open.push(to);
                }
            }
        }
        reached
    }

    /// The largest sets of names each of which reaches all the others of its set.
    pub(crate) fn circles(&self) -> Vec<BTreeSet<&str>> {
        let reach: BTreeMap<&str, BTreeSet<&str>> = self
            .arrows
            .keys()
            .map(|name| (name.as_str(), self.reach(name)))
            .collect();
        let mut circles = BTreeSet::new();
        for (name, reached) in &reach {
            if reached.contains(name) {
                let back = |other: &&&str| reach.get(**other).is_some_and(|r| r.contains(name));
                let circle: BTreeSet<&str> = reached.iter().filter(back).copied().collect();
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// The arrows inside of a set, a line each.
    pub(crate) fn inside(&self, circle: &BTreeSet<&str>) -> String {
        let mut lines = String::new();
        for from in circle {
            for (to, names) in self.arrows.get(*from).into_iter().flatten() {
                if circle.contains(to.as_str()) {
                    let names: Vec<_> = names.iter().map(String::as_str).collect();
                    lines.push_str(&format!("  {from} -> {to}: {}\n", names.join(", ")));
                }
            }
        }
        lines
    }
}

#[test]
fn circles_are_found() {
    let mut graph = Graph::default();
    for (from, to) in [
        ("a", "b"),
        ("b", "c"),
        ("c", "b"),
        ("c", "d"),
        ("e", "f"),
        ("f", "e"),
    ] {
        graph.add(from, to, "X");
    }
    assert_eq!(
        graph.circles(),
        [BTreeSet::from(["b", "c"]), BTreeSet::from(["e", "f"])]
    );
}
