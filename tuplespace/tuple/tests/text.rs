//! The text form: printing and parsing are inverse, and errors point.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop"
)]

mod common;

use bezant_tuple::{Field, Kind, Template, Tuple, Value, limits::MAX_FIELDS, text::ParseError};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_printed_parses_to_the_same(
        value in common::value(),
        tuple in common::tuple(),
        template in common::template(),
    ) {
        prop_assert_eq!(value.to_string().parse(), Ok(value));
        prop_assert_eq!(tuple.to_string().parse(), Ok(tuple));
        prop_assert_eq!(template.to_string().parse(), Ok(template));
    }

    #[test]
    fn what_is_printed_is_plain(tuple in common::tuple()) {
        let hidden = |c: char| c.is_control() || (c.is_whitespace() && c != ' ');
        prop_assert!(!tuple.to_string().contains(hidden));
    }

    #[test]
    fn a_tuple_is_a_template(tuple in common::tuple()) {
        let template: Template = tuple.to_string().parse().unwrap();
        prop_assert!(template.matches(&tuple));
        prop_assert_eq!(template, Template::exact(tuple));
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn nearly_right_text_is_parsed_or_refused(
        text in r#"[(\[]?("[a\\"]{0,3}"?|0x"[0-9a-g]{0,3}"?|[-0-9.]{1,4}|[?_a-z]{1,4}|[,\*\)\] é\n]){0,8}[\])]?"#
    ) {
        check(&text);
    }

    #[test]
    fn a_mutated_print_is_parsed_or_refused(
        template in common::template(),
        at in any::<prop::sample::Index>(),
        c in prop_oneof![prop::sample::select("()[]\",.*_?\\0x1u{} ".chars().collect::<Vec<_>>()), any::<char>()],
    ) {
        let mut text: Vec<char> = template.to_string().chars().collect();
        let at = at.index(text.len());
        text[at] = c;
        check(&text.iter().collect::<String>());
    }
}

/// Whatever is accepted is printed in a canonical spelling that means the same;
/// whatever is refused is refused at a place inside the text.
fn check(text: &str) {
    match text.parse::<Template>() {
        Ok(template) => {
            let printed = template.to_string();
            let again: Template = printed.parse().unwrap();
            assert_eq!(again, template);
            assert_eq!(again.to_string(), printed);
        }
        Err(error) => check_error(text, &error),
    }
    match text.parse::<Tuple>() {
        Ok(tuple) => assert_eq!(tuple.to_string().parse(), Ok(tuple)),
        Err(error) => check_error(text, &error),
    }
    match text.parse::<Value>() {
        Ok(value) => assert_eq!(value.to_string().parse(), Ok(value)),
        Err(error) => check_error(text, &error),
    }
}

fn check_error(text: &str, error: &ParseError) {
    assert!(text.is_char_boundary(error.column()), "{error:?}");
    assert_eq!(error.to_string().lines().count(), 4, "{error}");
}

#[test]
fn the_form_of_the_documents() {
    let template: Template = r#"("job", 42, ?int, _, "img/"*, 10..20)"#.parse().unwrap();
    assert_eq!(
        template.fields(),
        [
            "job".into(),
            42.into(),
            Field::OfKind(Kind::Int),
            Field::Any,
            Field::TextPrefix("img/".into()),
            Field::from(10..20),
        ]
    );
    let tuple: Tuple = r#"("job", 42, -1, nil, "img/a.png", 10)"#.parse().unwrap();
    assert!(template.matches(&tuple));
}

#[test]
fn spellings_have_one_print() {
    for (text, printed) in [
        ("()", "()"),
        (" ( ) ", "()"),
        (r#"("a",)"#, r#"("a")"#),
        ("(1,2 , 3)", "(1, 2, 3)"),
        ("(-0)", "(0)"),
        ("([ ], [1,[true,],])", "([], [1, [true]])"),
        (r#"(0x"CAfe", 0x"")"#, r#"(0x"cafe", 0x"")"#),
        (r#"("\u{41}\u{0}\u{1f600}")"#, "(\"A\\u{0}\u{1f600}\")"),
        ("(\"a\nb\")", r#"("a\nb")"#),
        ("(\"\u{202e}\")", r#"("\u{202e}")"#),
        (
            "(-9223372036854775808, 9223372036854775807)",
            "(-9223372036854775808, 9223372036854775807)",
        ),
    ] {
        assert_eq!(text.parse::<Tuple>().unwrap().to_string(), printed);
    }
    for (text, printed) in [
        ("(-5..-1, 1.., ..-1)", "(-5..-1, 1.., ..-1)"),
        (
            "(?nil,?bool,?int,?text,?bytes,?list,_)",
            "(?nil, ?bool, ?int, ?text, ?bytes, ?list, _)",
        ),
        (r#"(""*, 0x"CA"*, "*")"#, r#"(""*, 0x"ca"*, "*")"#),
        ("(20..10)", "(20..10)"),
    ] {
        assert_eq!(text.parse::<Template>().unwrap().to_string(), printed);
    }
}

/// A star inside quotes is text, as the predecessor's was not.
#[test]
fn a_wildcard_is_never_a_value() {
    let template: Template = r#"("*", "_", "?int")"#.parse().unwrap();
    assert!(template.matches(&r#"("*", "_", "?int")"#.parse().unwrap()));
    assert!(!template.matches(&r#"("a", 1, 1)"#.parse().unwrap()));
    let any: Template = "(_)".parse().unwrap();
    assert!(any.matches(&r#"("*")"#.parse().unwrap()));
}

#[test]
fn errors_show_the_place_and_the_next_step() {
    let error = r#"("job", job)"#.parse::<Template>().unwrap_err();
    assert_eq!(error.column(), 8);
    assert_eq!(
        error.to_string(),
        "byte 8: expected a value, found `job`\n  \
         (\"job\", job)\n          \
         ^\n\
         text needs double quotes: \"job\"; in a shell put the whole tuple in single quotes"
    );
}

#[test]
fn a_long_or_strange_line_keeps_its_caret() {
    let text = format!(
        "(\"{}é\u{1b}\n\", {}, oops, {})",
        "x".repeat(100),
        "1, ".repeat(20).trim_end_matches(", "),
        "2".repeat(100)
    );
    let error = text.parse::<Tuple>().unwrap_err();
    assert_eq!(&text[error.column()..][..4], "oops");
    let printed = error.to_string();
    let lines: Vec<&str> = printed.lines().collect();
    let caret = lines[2].chars().position(|c| c == '^').unwrap();
    assert_eq!(
        lines[1].chars().skip(caret).take(4).collect::<String>(),
        "oops"
    );
    assert!(
        lines[1].chars().count() < 90 && !printed.contains('\u{1b}'),
        "{printed}"
    );
}

fn refused<T: std::str::FromStr<Err = ParseError>>(
    text: &str,
) -> (usize, &'static str, String, &'static str) {
    match text.parse::<T>() {
        Ok(_) => panic!("{text} was accepted"),
        Err(error) => (
            error.column(),
            error.expected(),
            error.found().into(),
            error.next_step(),
        ),
    }
}

#[test]
fn every_mistake_is_named_at_its_byte() {
    let too_many = format!("({}1)", "1, ".repeat(MAX_FIELDS));
    let too_deep = format!("({}{})", "[".repeat(9), "]".repeat(9));
    for (text, column, expected, next) in [
        ("", 0, "a template, which", "(\"job\", ?int, _)"),
        ("job", 0, "a template, which", "write something"),
        ("(1", 2, "`,` or `)`", "close the bracket"),
        ("(1 2)", 3, "`,` or `)`", "commas"),
        ("(,)", 1, "a value", "write a value"),
        ("(1) x", 4, "the end", "remove"),
        ("('a')", 1, "a value", "double quotes"),
        ("(_a)", 1, "a field", "double quotes"),
        ("(?string)", 2, "the name of a kind", "?text"),
        ("(?)", 2, "the name of a kind", "?text"),
        ("(..)", 3, "an upper bound", "?int"),
        ("(1.5)", 1, "an integer", "floats"),
        ("(1., 2)", 1, "an integer", "floats"),
        ("(1e5)", 1, "an integer", "decimal"),
        ("(0x1F)", 1, "bytes", "0x\"cafe\""),
        ("(007)", 1, "an integer", "leading zeros"),
        ("(-)", 2, "a digit", "-42"),
        (
            "(9223372036854775808)",
            1,
            "an integer from",
            "text or bytes",
        ),
        (
            "(1..9223372036854775808)",
            4,
            "an integer from",
            "text or bytes",
        ),
        (r#"("a)"#, 1, "text with a", "closing"),
        (r#"("a\q")"#, 3, "an escape", "backslash"),
        (r#"("\u{d800}")"#, 2, "a character", "scalar"),
        (r#"("\u{1234567}")"#, 2, "an escape", "escapes"),
        (r#"(0x"abc")"#, 1, "an even number", "leading 0"),
        (r#"(0x"ag")"#, 5, "a hexadecimal digit", "0x\"cafe\""),
        (r#"(["a"*])"#, 5, "`,` or `]`", "templates"),
        ("([_])", 2, "a value", "templates"),
        (r#"("a" *)"#, 5, "`,` or `)`", "right behind"),
        ("(1*)", 2, "`,` or `)`", "prefix"),
        ("((1))", 1, "a value", "do not nest"),
        (too_many.as_str(), 97, "at most 32 fields", "list"),
        (too_deep.as_str(), 9, "at most 8 levels", "flatten"),
    ] {
        let (at, wanted, found, step) = refused::<Template>(text);
        assert_eq!(at, column, "{text}: {wanted}, {found}, {step}");
        assert!(wanted.starts_with(expected), "{text}: {wanted}");
        assert!(step.contains(next), "{text}: {step}");
    }
    let too_large = format!("(\"{}\")", "x".repeat(70_000));
    for (text, column, expected, next) in [
        ("(?int)", 1, "a value", "belong to templates"),
        ("(_)", 1, "a value", "belong to templates"),
        ("(1..2)", 2, "`,` or `)`", "belong to templates"),
        (r#"("a"*)"#, 4, "`,` or `)`", "belong to templates"),
        (too_large.as_str(), 0, "at most 65536", "reference"),
    ] {
        let (at, wanted, _, step) = refused::<Tuple>(text);
        assert_eq!(at, column, "{text}: {wanted}");
        assert!(
            wanted.starts_with(expected) && step.contains(next),
            "{text}: {wanted}, {step}"
        );
    }
    assert_eq!(refused::<Value>("1 2").0, 2);
    assert_eq!(refused::<Value>("").2, "the end of the text");
}
