//! Lines: whoever wants something stands in one, as a tuple that lives as long as its session.
//!
//! A place in a line is the tuple `(LINE, NAME, TOKEN, N)`; the oldest is the first. Who stands
//! far enough in front has what it wants. Who does not waits for a tuple that begins like its
//! own question, and whenever somebody leaves a line (it takes its place back, or its session
//! ends) those who have come far enough in front are woken.

#![no_std]

extern crate alloc;

use alloc::vec::Vec;

use bezant_sdk::{Kind, Lease, Refused, Space, TemplateBytes, TupleBytes};

/// Most places that are looked at; nobody behind is ever in front.
pub const PAGE: u32 = 256;

/// The question does not name all that it has to.
pub const NOT_EXACT: Refused = Refused(1);

/// One place, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose it is.
    pub token: Vec<u8>,
    /// What it was put with.
    pub number: i64,
}

/// A line.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// What sort of line.
    pub sort: &'a str,
    /// Which of them.
    pub name: &'a str,
}

impl Line<'_> {
    fn place(&self, token: &str) -> TemplateBytes {
        self.start().text(token).of_kind(Kind::Int)
    }

    fn start(&self) -> TemplateBytes {
        TemplateBytes::new().text(self.sort).text(self.name)
    }

    /// Stands in line under a token, with a number, if nobody does yet under it; the number it
    /// was put with first.
    pub fn stand(&self, token: &str, number: i64) -> i64 {
        if let Some(there) = Space::HERE.rdp(&self.place(token)) {
            return number_of(&there);
        }
        let place = TupleBytes::new().text(self.sort).text(self.name);
        Space::HERE.out_leased(&place.text(token).int(number), Lease::Session);
        number
    }

    /// Those in front, in order.
    #[must_use]
    pub fn front(&self, most: u32) -> Vec<Place> {
        let all = self.start().of_kind(Kind::Text).of_kind(Kind::Int);
        let page = Space::HERE.rd_all(&all, most.clamp(1, PAGE), None);
        let places = page.tuples.iter().map(|place| {
            let mut fields = place.fields();
            fields.text();
            fields.text();
            Place {
                token: fields.text().unwrap_or_default().as_bytes().to_vec(),
                number: fields.int().unwrap_or(0),
            }
        });
        places.collect()
    }
}

impl Place {
    /// Its token as text.
    #[must_use]
    pub fn token(&self) -> &str {
        core::str::from_utf8(&self.token).unwrap_or_default()
    }
}

fn number_of(place: &TupleBytes) -> i64 {
    let mut fields = place.fields();
    for _ in 0..3 {
        fields.text();
    }
    fields.int().unwrap_or(0)
}

/// The name of the line that somebody left, from the tuple of the event.
#[must_use]
pub fn left(place: &TupleBytes) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut fields = place.fields();
    let sort = fields.text()?.as_bytes().to_vec();
    Some((sort, fields.text()?.as_bytes().to_vec()))
}

/// The next number of a sequence that is kept in the space as `("next", SORT, NAME, N)`.
pub fn next(sort: &str, name: &str) -> i64 {
    let sequence = TemplateBytes::new().text("next").text(sort).text(name);
    let taken = Space::HERE.inp(&sequence.of_kind(Kind::Int));
    let next = taken.map_or(0, |taken| number_of(&taken)).saturating_add(1);
    let sequence = TupleBytes::new().text("next").text(sort).text(name);
    Space::HERE.out(&sequence.int(next));
    next
}
