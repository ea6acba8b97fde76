//! A counter that many share.

use bezant_tuple::{Field, Kind, Template, Tuple, Value};

use crate::{client::Client, error::Error};

/// Where the tuple has its value.
const VALUE: usize = 2;

/// The tuple `("counter", NAME, VALUE)`, changed by conditional replacement. The extension of
/// the same name works on the same tuple.
///
/// The paper's conventional counter (EuroSys 2015): try to replace the value that is
/// believed to be there, and read it again only if it was not. The more clients, the more
/// often another one was faster.
#[derive(Clone, Debug)]
pub struct Counter {
    client: Client,
    space: String,
    name: String,
    known: Option<i64>,
}

impl Counter {
    /// The counter `name` in `space`.
    #[must_use]
    pub fn new(client: &Client, space: &str, name: &str) -> Self {
        Self {
            client: client.clone(),
            space: space.to_owned(),
            name: name.to_owned(),
            known: None,
        }
    }

    fn any(&self) -> Result<Template, Error> {
        let fields = [
            Field::Exact(Value::from("counter")),
            Field::Exact(Value::from(self.name.as_str())),
            Field::OfKind(Kind::Int),
        ];
        Ok(Template::new(fields.into())?)
    }

    fn at(&self, value: i64) -> Result<Tuple, Error> {
        let name = Value::from(self.name.as_str());
        let fields = vec![Value::from("counter"), name, Value::from(value)];
        Ok(Tuple::new(fields)?)
    }

    /// Makes the counter, with the value 0, unless it is there.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn create(&mut self) -> Result<(), Error> {
        let (any, zero) = (self.any()?, self.at(0)?);
        let there = self.client.cas(&self.space, any, zero).await?;
        self.known = there.value.as_ref().map_or(Some(0), value);
        Ok(())
    }

    /// Its value, or `None` if nobody made it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn get(&mut self) -> Result<Option<i64>, Error> {
        let read = self.client.rdp(&self.space, self.any()?).await?;
        self.known = read.value.as_ref().and_then(value);
        Ok(self.known)
    }

    /// Adds, and says what came of it; makes the counter if nobody did. At its bounds it goes
    /// on at the other end.
    ///
    /// # Errors
    /// [`Error`]; where its [outcome is unknown](Error::outcome_unknown) it may have been
    /// added.
    pub async fn add(&mut self, amount: i64) -> Result<i64, Error> {
        loop {
            let believed = match self.known {
                Some(known) => known,
                None => match self.get().await? {
                    Some(value) => value,
                    None => {
                        self.create().await?;
                        continue;
                    }
                },
            };
            let next = believed.wrapping_add(amount);
            let (old, new) = (self.at(believed)?, self.at(next)?);
            let tried = self.client.replace(&self.space, old.into(), new).await;
            // Another one was faster, or nobody knows.
            self.known = None;
            if tried?.value.is_some() {
                self.known = Some(next);
                return Ok(next);
            }
        }
    }
}

fn value(tuple: &Tuple) -> Option<i64> {
    match tuple.get(VALUE) {
        Some(Value::Int(value)) => Some(*value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuple;

    #[test]
    fn the_value_is_the_third_field() {
        assert_eq!(value(&tuple!("counter", "hits", 7)), Some(7));
        assert_eq!(value(&tuple!("counter", "hits", "7")), None);
    }
}
