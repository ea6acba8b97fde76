//! What differs between a script and how it was played, for people.

/// Lines shown around a difference.
const AROUND: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Left,
    Right,
}

/// A line of two texts that were made one.
struct Merged<'t> {
    side: Side,
    /// In the left text, counted from 1; of a line that is only in the right one that of the
    /// left line before it.
    number: usize,
    text: &'t str,
}

/// The lines in which two texts differ, those of `left` marked `-` and those of `right`
/// `+`, with a few around them and their numbers in `left`.
#[must_use]
pub fn diff(left: &str, right: &str) -> String {
    let left: Vec<&str> = left.lines().collect();
    let right: Vec<&str> = right.lines().collect();
    let merged = merge(&left, &right);
    let shown = |at: usize| {
        let near = &merged[at.saturating_sub(AROUND)..merged.len().min(at + AROUND + 1)];
        near.iter().any(|line| line.side != Side::Both)
    };
    let mut text = String::new();
    let mut gap = false;
    for (at, line) in merged.iter().enumerate() {
        let Merged {
            side,
            number,
            text: line,
        } = line;
        if !shown(at) {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) && !text.is_empty() {
            text.push_str("   ...\n");
        }
        let row = match side {
            Side::Both => format!("{number:4}   {line}"),
            Side::Left => format!("{number:4} - {line}"),
            Side::Right => format!("     + {line}"),
        };
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// Both texts as one, along a longest common subsequence.
fn merge<'t>(left: &[&'t str], right: &[&'t str]) -> Vec<Merged<'t>> {
    let width = right.len() + 1;
    let mut common = vec![0_usize; (left.len() + 1) * width];
    for (i, one) in left.iter().enumerate().rev() {
        for (j, other) in right.iter().enumerate().rev() {
            common[i * width + j] = if one == other {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let line = |side, number, text| Merged { side, number, text };
    let (mut i, mut j, mut merged) = (0, 0, Vec::new());
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            merged.push(line(Side::Both, i + 1, left[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < left.len()
            && (j == right.len() || common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            merged.push(line(Side::Left, i + 1, left[i]));
            i += 1;
        } else {
            merged.push(line(Side::Right, i, right[j]));
            j += 1;
        }
    }
    merged
}
