//! The ordered index of one field: keys to tuples, oldest first in any interval.
//!
//! A B+-tree that keeps, beside every child, how many tuples lie below it and
//! which is the oldest (an augmented search tree: Cormen et al., Introduction to
//! Algorithms, ch. 14). Counting the tuples of an interval and finding its
//! oldest take logarithmic time however wide it is, which an ordered map of sets
//! cannot do. Nodes are freed when they are empty and never merged, which keeps
//! height and occupancy fine in practice (Johnson and Shasha, B-trees with
//! inserts and deletes: why free-at-empty is better than merge-at-half, 1993).

use std::{cmp::Ordering, collections::BinaryHeap};

use crate::{
    TupleId,
    key::{Key, Run},
    posting::{Posting, Removal},
};

/// Most entries of a leaf and most children of an inner node.
const FANOUT: usize = 32;

/// Keys to the ids of the tuples that have them.
#[derive(Debug)]
pub(crate) struct Index {
    root: Node,
}

#[derive(Debug)]
enum Node {
    /// Sorted by key.
    Leaf(Vec<Entry>),
    Inner(Inner),
}

/// Children, and apart from them what is summed up over all of them whenever one changes or
/// an interval is counted: there it fits a few cache lines.
#[derive(Debug, Default)]
struct Inner {
    /// Sorted by `least`; no child is empty.
    children: Vec<Child>,
    /// One for each child.
    sums: Vec<Sum>,
}

/// What lies below a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sum {
    count: u64,
    oldest: TupleId,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    posting: Posting,
}

#[derive(Debug)]
struct Child {
    /// No key below is smaller, every key of the child before is.
    least: Key,
    node: Node,
}

impl Index {
    pub(crate) const fn new() -> Self {
        Self {
            root: Node::Leaf(Vec::new()),
        }
    }

    /// Puts `id` under `key`.
    pub(crate) fn insert(&mut self, key: Key, id: TupleId) {
        if let Some(right) = self.root.insert(key, id) {
            let left = std::mem::replace(&mut self.root, Node::Leaf(Vec::new()));
            let mut root = Inner::default();
            [left, right].into_iter().for_each(|node| root.push(node));
            self.root = Node::Inner(root);
        }
    }

    /// Removes `id` from under `key`; says whether it was there.
    pub(crate) fn remove(&mut self, key: &Key, id: TupleId) -> bool {
        let removed = self.root.remove(key, id);
        // A root with one child is that child.
        while let Node::Inner(inner) = &mut self.root
            && inner.children.len() <= 1
        {
            let only = inner.children.pop();
            self.root = only.map_or(Node::Leaf(Vec::new()), |child| child.node);
        }
        removed
    }

    /// The tuples under `key`.
    pub(crate) fn get(&self, key: &Key) -> Option<&Posting> {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let found = entries.binary_search_by(|entry| entry.key.cmp(key));
                    return entries.get(found.ok()?).map(|entry| &entry.posting);
                }
                Node::Inner(inner) => node = &inner.children.get(inner.place(key))?.node,
            }
        }
    }

    /// How many tuples have a key of `run`.
    pub(crate) fn count(&self, run: &Run) -> u64 {
        match run {
            Run::One(key) => self.get(key).map_or(0, Posting::len),
            Run::Span(from, to) => self.before(to).saturating_sub(self.before(from)),
        }
    }

    /// How many tuples have a key smaller than `key`.
    fn before(&self, key: &Key) -> u64 {
        let mut count = 0;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let smaller = entries.iter().take_while(|entry| entry.key < *key);
                    return count + smaller.map(|entry| entry.posting.len()).sum::<u64>();
                }
                Node::Inner(inner) => {
                    let at = inner.place(key);
                    let before = inner.sums.iter().take(at);
                    count += before.map(|sum| sum.count).sum::<u64>();
                    match inner.children.get(at) {
                        Some(child) => node = &child.node,
                        None => return count,
                    }
                }
            }
        }
    }

    /// The tuples with keys from `from` up to but not including `to` and ids
    /// after `after`, oldest first. Costs about a logarithm for each one taken,
    /// and something for each one skipped because of `after`.
    pub(crate) fn oldest_first(
        &self,
        from: &Key,
        to: &Key,
        after: Option<TupleId>,
    ) -> OldestFirst<'_> {
        let mut parts = Vec::new();
        if from < to {
            self.root.gather(from, to, after, &mut parts);
        }
        OldestFirst {
            parts: BinaryHeap::from(parts),
            after,
        }
    }
}

impl Inner {
    /// The child below which `key` is or would be.
    fn place(&self, key: &Key) -> usize {
        self.children
            .partition_point(|child| child.least <= *key)
            .saturating_sub(1)
    }

    fn each(&self) -> impl Iterator<Item = (&Child, &Sum)> {
        self.children.iter().zip(&self.sums)
    }

    /// Adds a child behind the others, unless it is empty.
    fn push(&mut self, node: Node) {
        self.insert(self.children.len(), node);
    }

    fn insert(&mut self, at: usize, node: Node) {
        if let (Some(least), Some(sum)) = (node.least().cloned(), node.sum()) {
            self.children.insert(at, Child { least, node });
            self.sums.insert(at, sum);
        }
    }

    /// Sums up anew what lies below a child.
    fn refresh(&mut self, at: usize) {
        let sum = self.children.get(at).and_then(|child| child.node.sum());
        if let (Some(sum), Some(kept)) = (sum, self.sums.get_mut(at)) {
            *kept = sum;
        }
    }

    /// Cuts it in two where it has too many children.
    fn split(&mut self, grown_at: usize) -> Option<Self> {
        let children = split(&mut self.children, grown_at)?;
        let sums = self.sums.split_off(self.children.len());
        Some(Self { children, sums })
    }
}

impl Node {
    fn least(&self) -> Option<&Key> {
        match self {
            Self::Leaf(entries) => entries.first().map(|entry| &entry.key),
            Self::Inner(inner) => inner.children.first().map(|child| &child.least),
        }
    }

    /// How many tuples there are and which is the oldest; nothing if there is none.
    fn sum(&self) -> Option<Sum> {
        let count = match self {
            Self::Leaf(entries) => entries.iter().map(|entry| entry.posting.len()).sum(),
            Self::Inner(inner) => inner.sums.iter().map(|sum| sum.count).sum(),
        };
        let oldest = self.oldest()?;
        Some(Sum { count, oldest })
    }

    fn oldest(&self) -> Option<TupleId> {
        match self {
            Self::Leaf(entries) => entries.iter().map(|entry| entry.posting.oldest()).min(),
            Self::Inner(inner) => inner.sums.iter().map(|sum| sum.oldest).min(),
        }
    }

    /// Inserts below; what no longer fits comes back as the next sibling.
    fn insert(&mut self, key: Key, id: TupleId) -> Option<Self> {
        match self {
            Self::Leaf(entries) => {
                let at = match entries.binary_search_by(|entry| entry.key.cmp(&key)) {
                    Ok(at) => {
                        if let Some(entry) = entries.get_mut(at) {
                            entry.posting.insert(id);
                        }
                        return None;
                    }
                    Err(at) => at,
                };
                let posting = Posting::new(id);
                entries.insert(at, Entry { key, posting });
                split(entries, at).map(Self::Leaf)
            }
            Self::Inner(inner) => {
                let at = inner.place(&key);
                if let Some(sum) = inner.sums.get_mut(at) {
                    sum.count += 1;
                    sum.oldest = sum.oldest.min(id);
                }
                let child = inner.children.get_mut(at)?;
                if key < child.least {
                    child.least = key.clone();
                }
                let right = child.node.insert(key, id)?;
                inner.refresh(at);
                inner.insert(at + 1, right);
                inner.split(at + 1).map(Self::Inner)
            }
        }
    }

    fn remove(&mut self, key: &Key, id: TupleId) -> bool {
        match self {
            Self::Leaf(entries) => {
                let Ok(at) = entries.binary_search_by(|entry| entry.key.cmp(key)) else {
                    return false;
                };
                match entries.get_mut(at).map(|entry| entry.posting.remove(id)) {
                    None | Some(Removal::Absent) => return false,
                    Some(Removal::Done) => {}
                    Some(Removal::Last) => {
                        entries.remove(at);
                    }
                }
                true
            }
            Self::Inner(inner) => {
                let at = inner.place(key);
                let (Some(child), Some(sum)) = (inner.children.get_mut(at), inner.sums.get_mut(at))
                else {
                    return false;
                };
                if !child.node.remove(key, id) {
                    return false;
                }
                sum.count -= 1;
                if sum.count == 0 {
                    inner.children.remove(at);
                    inner.sums.remove(at);
                } else if sum.oldest == id
                    && let Some(oldest) = child.node.oldest()
                {
                    sum.oldest = oldest;
                }
                true
            }
        }
    }

    /// Collects the parts that make up the interval: whole children where they
    /// lie inside it, single entries at its two ends.
    fn gather<'a>(
        &'a self,
        from: &Key,
        to: &Key,
        after: Option<TupleId>,
        parts: &mut Vec<Part<'a>>,
    ) {
        match self {
            Self::Leaf(entries) => {
                let start = entries.partition_point(|entry| entry.key < *from);
                let inside = entries
                    .iter()
                    .skip(start)
                    .take_while(|entry| entry.key < *to);
                parts.extend(inside.filter_map(|entry| Part::of_posting(&entry.posting, after)));
            }
            Self::Inner(inner) => {
                let start = inner.place(from);
                let mut rest = inner.each().skip(start).peekable();
                while let Some((child, sum)) = rest.next()
                    && child.least < *to
                {
                    let ends_inside = rest.peek().is_some_and(|(next, _)| next.least <= *to);
                    if child.least >= *from && ends_inside {
                        parts.push(Part::of_node((child, sum)));
                    } else {
                        child.node.gather(from, to, after, parts);
                    }
                }
            }
        }
    }
}

/// Cuts what is too long in two. Where it grew at its end, as it does under
/// ascending keys, the left part stays full.
fn split<T>(items: &mut Vec<T>, grown_at: usize) -> Option<Vec<T>> {
    if items.len() <= FANOUT {
        return None;
    }
    let at_end = grown_at + 1 == items.len();
    Some(items.split_off(if at_end { FANOUT } else { FANOUT / 2 }))
}

/// The tuples of an interval, oldest first: a best-first walk over the parts of
/// the interval, each known by its oldest id.
pub(crate) struct OldestFirst<'a> {
    parts: BinaryHeap<Part<'a>>,
    after: Option<TupleId>,
}

/// A part of an interval. Orders so that the one with the oldest id is greatest.
struct Part<'a> {
    next: TupleId,
    content: Content<'a>,
}

enum Content<'a> {
    Node(&'a Node),
    Posting(&'a Posting),
}

impl<'a> Part<'a> {
    const fn of_node((child, sum): (&'a Child, &Sum)) -> Self {
        Self {
            next: sum.oldest,
            content: Content::Node(&child.node),
        }
    }

    fn of_posting(posting: &'a Posting, after: Option<TupleId>) -> Option<Self> {
        Some(Self {
            next: posting.next(after)?,
            content: Content::Posting(posting),
        })
    }
}

impl Ord for Part<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.next.cmp(&self.next)
    }
}

impl PartialOrd for Part<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Part<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.next == other.next
    }
}

impl Eq for Part<'_> {}

impl Iterator for OldestFirst<'_> {
    type Item = TupleId;

    fn next(&mut self) -> Option<TupleId> {
        loop {
            let part = self.parts.pop()?;
            match part.content {
                Content::Posting(posting) => {
                    self.parts
                        .extend(Part::of_posting(posting, Some(part.next)));
                    return Some(part.next);
                }
                Content::Node(Node::Leaf(entries)) => {
                    let after = self.after;
                    self.parts.extend(
                        entries
                            .iter()
                            .filter_map(|entry| Part::of_posting(&entry.posting, after)),
                    );
                }
                Content::Node(Node::Inner(inner)) => {
                    self.parts.extend(inner.each().map(Part::of_node));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bezant_tuple::Value;
    use proptest::prelude::*;

    use super::*;

    impl Index {
        /// Stops unless every summary is true and every key in its place.
        fn check(&self) {
            fn walk(node: &Node, least: Option<&Key>, below: Option<&Key>) {
                assert!(
                    node.least()
                        .is_none_or(|key| least.is_none_or(|least| least <= key))
                );
                match node {
                    Node::Leaf(entries) => {
                        assert!(entries.len() <= FANOUT);
                        assert!(entries.is_sorted_by(|a, b| a.key < b.key));
                        let last = entries.last().map(|entry| &entry.key);
                        assert!(last.is_none_or(|last| below.is_none_or(|below| last < below)));
                    }
                    Node::Inner(inner) => {
                        let children = &inner.children;
                        assert!(children.len() <= FANOUT && !children.is_empty());
                        assert!(children.is_sorted_by(|a, b| a.least < b.least));
                        assert_eq!(children.len(), inner.sums.len());
                        for (at, (child, sum)) in inner.each().enumerate() {
                            assert_eq!(Some(*sum), child.node.sum());
                            assert!(sum.count > 0);
                            let next = children.get(at + 1).map(|next| &next.least);
                            walk(&child.node, Some(&child.least), next.or(below));
                        }
                    }
                }
            }
            walk(&self.root, None, None);
        }
    }

    fn key(number: i64) -> Key {
        Key::of(&Value::Int(number))
    }

    fn ids(posting: &Posting) -> Vec<TupleId> {
        std::iter::successors(posting.next(None), |id| posting.next(Some(*id))).collect()
    }

    /// A small generator of numbers, so that long runs need no long inputs.
    fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
        move |bound| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % bound
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn it_answers_as_a_plain_set_does(seed in any::<u64>(), keys in 1u64..3_000, growth in 1u64..8) {
            let mut draw = numbers(seed);
            let mut index = Index::new();
            let mut model: BTreeSet<(i64, TupleId)> = BTreeSet::new();
            let mut removed = Vec::new();
            for step in 1..4_000u64 {
                // Grows for the first half, shrinks in the second.
                let grow = draw(8) < if step < 2_000 { 8 - growth / 4 } else { growth / 3 };
                if grow {
                    let number = if growth % 2 == 0 { draw(keys) } else { step } as i64;
                    index.insert(key(number), TupleId(step));
                    model.insert((number, TupleId(step)));
                } else if !model.is_empty() {
                    let at = draw(model.len() as u64);
                    let (number, id) = *model.iter().nth(at.try_into().unwrap()).unwrap();
                    assert!(index.remove(&key(number), id));
                    assert!(!index.remove(&key(number), id));
                    model.remove(&(number, id));
                    removed.push((number, id));
                }
                // Old ones come back, as they do when something is undone.
                if step.is_multiple_of(5)
                    && let Some((number, id)) = removed.pop()
                {
                    index.insert(key(number), id);
                    model.insert((number, id));
                }
                if step % 97 == 0 || model.is_empty() {
                    index.check();
                    let from = draw(keys) as i64 - 1;
                    let to = draw(keys) as i64 + 1;
                    let after = (draw(2) == 0).then(|| TupleId(draw(step)));
                    let inside = |number: i64| from <= number && number < to;
                    let mut expected: Vec<TupleId> =
                        model.iter().filter(|(number, _)| inside(*number)).map(|(_, id)| *id).collect();
                    expected.sort_unstable();
                    let run = Run::Span(key(from), key(to));
                    prop_assert_eq!(index.count(&run), expected.len() as u64);
                    expected.retain(|id| after.is_none_or(|after| *id > after));
                    let found: Vec<_> = index.oldest_first(&key(from), &key(to), after).collect();
                    prop_assert_eq!(found, expected);
                    let one: Vec<_> = model.iter().filter(|(number, _)| *number == from).map(|(_, id)| *id).collect();
                    prop_assert_eq!(index.count(&Run::One(key(from))), one.len() as u64);
                    let posting = index.get(&key(from));
                    prop_assert_eq!(posting.map_or(vec![], ids), one);
                }
            }
            for (number, id) in std::mem::take(&mut model) {
                assert!(index.remove(&key(number), id));
            }
            index.check();
            prop_assert!(matches!(&index.root, Node::Leaf(entries) if entries.is_empty()));
        }
    }

    /// Younger tuples under smaller keys: the oldest lies at the far end.
    #[test]
    fn ascending_and_descending_keys_keep_it_shallow() {
        for descending in [false, true] {
            let mut index = Index::new();
            for id in 1..=40_000 {
                let number = if descending { -id } else { id };
                index.insert(key(number), TupleId(id.cast_unsigned()));
            }
            index.check();
            let mut height = 0;
            let mut node = &index.root;
            while let Node::Inner(inner) = node {
                node = &inner.children[0].node;
                height += 1;
            }
            assert!(height <= 3, "{height}");
            let all = index.oldest_first(&key(i64::MIN), &key(i64::MAX), None);
            assert!(all.map(|id| id.0).eq(1..=40_000));
        }
    }
}
