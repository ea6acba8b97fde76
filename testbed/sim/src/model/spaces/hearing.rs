//! What [extensions](super::super::extensions) hear of: what happened and who was served.

use bezant_tuple::Tuple;
use bezant_tuplespace::Change;

use super::Spaces;

impl Spaces {
    /// The number of a tuple is given out.
    pub(in super::super) const fn number(&mut self) {
        self.last += 1;
    }

    /// How much happened since the last publication, and how many were served.
    pub(in super::super) const fn counts(&self) -> (usize, usize) {
        (self.happening.len(), self.served.len())
    }

    /// What happened in a space since the last publication, but for the first of all.
    pub(in super::super) fn happened_in<'a>(
        &'a self,
        space: &'a str,
        skipped: usize,
    ) -> impl Iterator<Item = (Change, Tuple)> + 'a {
        let happened = self.happening.iter().skip(skipped);
        let here = happened.filter(move |happened| happened.space.as_str() == space);
        here.map(|happened| (happened.change, happened.tuple.clone()))
    }

    /// What those got who were served in a space, but for the first of all.
    pub(in super::super) fn served_in<'a>(
        &'a self,
        space: &'a str,
        skipped: usize,
    ) -> impl Iterator<Item = Tuple> + 'a {
        let served = self.served.iter().skip(skipped);
        let here = served.filter(move |served| served.space.as_str() == space);
        here.map(|served| served.tuple.clone())
    }
}
