//! What matches what, field by field and as a whole.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

use bezant_tuple::{Template, Tuple};

fn matches(template: &str, tuple: &str) -> bool {
    let template: Template = template.parse().unwrap();
    let tuple: Tuple = tuple.parse().unwrap();
    template.matches(&tuple)
}

#[test]
fn arity_must_be_equal() {
    assert!(matches("()", "()"));
    for (template, tuple) in [
        ("(_)", "()"),
        ("(_)", "(1, 2)"),
        ("()", "(1)"),
        ("(1)", "(1, 1)"),
    ] {
        assert!(!matches(template, tuple), "{template} {tuple}");
    }
}

#[test]
fn ranges_are_half_open_and_of_integers() {
    for (template, inside, outside) in [
        (
            "(10..20)",
            vec!["(10)", "(19)"],
            vec!["(9)", "(20)", "(nil)", "(\"15\")"],
        ),
        ("(10..)", vec!["(10)", "(9223372036854775807)"], vec!["(9)"]),
        (
            "(..10)",
            vec!["(9)", "(-9223372036854775808)"],
            vec!["(10)", "(false)"],
        ),
        ("(20..10)", vec![], vec!["(10)", "(15)", "(20)"]),
        ("(10..10)", vec![], vec!["(10)"]),
    ] {
        for tuple in inside {
            assert!(matches(template, tuple), "{template} {tuple}");
        }
        for tuple in outside {
            assert!(!matches(template, tuple), "{template} {tuple}");
        }
    }
}

#[test]
fn prefixes_are_of_one_kind() {
    for (template, inside, outside) in [
        (
            "(\"ab\"*)",
            vec!["(\"ab\")", "(\"abc\")"],
            vec!["(\"a\")", "(\"Ab\")", "(0x\"6162\")"],
        ),
        (
            "(\"\"*)",
            vec!["(\"\")", "(\"x\")"],
            vec!["(0x\"\")", "(nil)"],
        ),
        (
            "(0x\"6162\"*)",
            vec!["(0x\"6162\")", "(0x\"616263\")"],
            vec!["(0x\"61\")", "(\"ab\")"],
        ),
    ] {
        for tuple in inside {
            assert!(matches(template, tuple), "{template} {tuple}");
        }
        for tuple in outside {
            assert!(!matches(template, tuple), "{template} {tuple}");
        }
    }
}

#[test]
fn every_field_must_match() {
    assert!(matches("(\"job\", ?int, _)", "(\"job\", 1, nil)"));
    assert!(!matches("(\"job\", ?int, _)", "(\"job\", \"1\", nil)"));
    assert!(!matches("(\"job\", ?int, _)", "(\"jobs\", 1, nil)"));
    assert!(matches("([1, [2]])", "([1, [2]])"));
    assert!(!matches("([1, [2]])", "([1, 2])"));
}
