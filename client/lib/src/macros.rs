//! `tuple!` and `template!`: tuples as they are written.

/// A tuple of the given values: `tuple!("job", 42, true)`. Each is anything that
/// converts into a [`Value`](crate::Value).
///
/// # Panics
/// If there are more than 32 fields or they are too large; use
/// [`Tuple::new`](crate::Tuple::new) for content that is not written here.
#[macro_export]
macro_rules! tuple {
    ($($field:expr),* $(,)?) => {
        $crate::rt::tuple(::std::vec![$($crate::Value::from($field)),*])
    };
}

/// A template: values, `_`, types (`?int`, `?text`, `?bool`, `?bytes`, `?list`,
/// `?nil`), integer ranges `in 10..20` and text prefixes `prefix "img/"`:
/// `template!("job", ?int, _, prefix "img/", in 10..20)`.
///
/// # Panics
/// As [`tuple!`].
#[macro_export]
macro_rules! template {
    (@fields [$($done:expr),*]) => { $crate::rt::template(::std::vec![$($done),*]) };
    (@fields [$($done:expr),*] _ $(, $($rest:tt)*)?) => {
        $crate::template!(@fields [$($done,)* $crate::Field::Any] $($($rest)*)?)
    };
    (@fields [$($done:expr),*] ? $kind:ident $(, $($rest:tt)*)?) => {
        $crate::template!(@fields [$($done,)* $crate::Field::OfKind($crate::rt::kind!($kind))] $($($rest)*)?)
    };
    (@fields [$($done:expr),*] prefix $prefix:expr $(, $($rest:tt)*)?) => {
        $crate::template!(@fields [$($done,)* $crate::Field::TextPrefix(($prefix).into())] $($($rest)*)?)
    };
    (@fields [$($done:expr),*] in $range:expr $(, $($rest:tt)*)?) => {
        $crate::template!(@fields [$($done,)* $crate::rt::range($range)] $($($rest)*)?)
    };
    (@fields [$($done:expr),*] $value:expr $(, $($rest:tt)*)?) => {
        $crate::template!(@fields [$($done,)* $crate::Field::Exact($crate::Value::from($value))] $($($rest)*)?)
    };
    ($($fields:tt)*) => { $crate::template!(@fields [] $($fields)*) };
}

/// What the macros expand to.
pub mod rt {
    use std::ops::Range;

    use crate::{Field, Template, Tuple, Value};

    #[doc(hidden)]
    #[expect(
        clippy::panic,
        reason = "documented: a written tuple that is too large is a mistake in the program"
    )]
    pub fn tuple(fields: Vec<Value>) -> Tuple {
        Tuple::new(fields).unwrap_or_else(|limit| panic!("tuple!: {limit}"))
    }

    #[doc(hidden)]
    #[expect(
        clippy::panic,
        reason = "documented: a written template that is too large is a mistake in the program"
    )]
    pub fn template(fields: Vec<Field>) -> Template {
        Template::new(fields).unwrap_or_else(|limit| panic!("template!: {limit}"))
    }

    #[doc(hidden)]
    #[must_use]
    pub const fn range(range: Range<i64>) -> Field {
        Field::Range {
            from: Some(range.start),
            to: Some(range.end),
        }
    }

    #[doc(hidden)]
    #[macro_export]
    macro_rules! __bezant_kind {
        (nil) => {
            $crate::Kind::Nil
        };
        (bool) => {
            $crate::Kind::Bool
        };
        (int) => {
            $crate::Kind::Int
        };
        (text) => {
            $crate::Kind::Text
        };
        (bytes) => {
            $crate::Kind::Bytes
        };
        (list) => {
            $crate::Kind::List
        };
    }
    pub use crate::__bezant_kind as kind;
}

#[cfg(test)]
mod tests {
    #[test]
    fn macros_write_what_the_text_form_says() {
        let name = String::from("job");
        assert_eq!(tuple!(name, 42, true).to_string(), r#"("job", 42, true)"#);
        assert_eq!(tuple!().to_string(), "()");
        let template = template!("job", ?int, _, prefix "img/", in 10..20, 7);
        assert_eq!(
            template.to_string(),
            r#"("job", ?int, _, "img/"*, 10..20, 7)"#
        );
        assert_eq!(template!(?text).to_string(), "(?text)");
    }
}
