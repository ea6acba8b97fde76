//! A queue that many share.

use std::time::Duration;

use bezant_tuple::{Template, Tuple, Value};

use crate::{client::Client, error::Error, template};

/// Most elements one reading asks for.
const PAGE: u32 = 1000;

/// The elements `("element", KEY, PAYLOAD)` of one space. The extension of the same name works
/// on the same tuples.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    space: String,
}

/// What was put into a [`Queue`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its place among others: lower ones are removed first.
    pub key: i64,
    /// What its producer gave it.
    pub payload: Vec<u8>,
}

impl Queue {
    /// The queue that `space` is.
    #[must_use]
    pub fn new(client: &Client, space: &str) -> Self {
        Self {
            client: client.clone(),
            space: space.to_owned(),
        }
    }

    fn elements() -> Template {
        template!("element", ?int, ?bytes)
    }

    /// Adds an element. [`Self::remove`] goes by the key, the others by the order of addition.
    ///
    /// # Errors
    /// [`Error`]; where its [outcome is unknown](Error::outcome_unknown) it may have been
    /// added.
    pub async fn add(&mut self, key: i64, payload: Vec<u8>) -> Result<(), Error> {
        let element = Tuple::new(vec![
            Value::from("element"),
            Value::from(key),
            Value::from(payload),
        ])?;
        self.client.out(&self.space, element).await?;
        Ok(())
    }

    /// Takes the element with the lowest key, or nothing if there is none.
    ///
    /// The paper's conventional queue (EuroSys 2015): read all elements, sort them, try
    /// to take each in order, and read again only if all of them had gone. The longer the
    /// queue and the more clients, the more it costs.
    ///
    /// # Errors
    /// [`Error`]; where its [outcome is unknown](Error::outcome_unknown) an element may be
    /// lost.
    pub async fn remove(&mut self) -> Result<Option<Element>, Error> {
        loop {
            let mut elements = Vec::new();
            let mut after = None;
            loop {
                let read = self
                    .client
                    .rd_all(&self.space, Self::elements(), PAGE, after);
                let page = read.await?.into_inner();
                elements.extend(page.tuples);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            if elements.is_empty() {
                return Ok(None);
            }
            // Stable: among equal keys the older stays first.
            elements.sort_by_key(key);
            for element in elements {
                let taken = self.client.inp(&self.space, element.into()).await?;
                if let Some(taken) = taken.into_inner() {
                    return parts(taken).map(Some);
                }
            }
        }
    }

    /// Takes the oldest element, or nothing if there is none: one call, whoever else does.
    ///
    /// # Errors
    /// As [`Self::remove`].
    pub async fn poll(&mut self) -> Result<Option<Element>, Error> {
        let taken = self.client.inp(&self.space, Self::elements()).await?;
        taken.into_inner().map(parts).transpose()
    }

    /// Takes the oldest element, waiting for one; those who wait are served in the order in
    /// which they came.
    ///
    /// # Errors
    /// As [`Self::remove`].
    pub async fn take(&mut self) -> Result<Element, Error> {
        let taken = self.client.take(&self.space, Self::elements()).await?;
        parts(taken.into_inner())
    }

    /// As [`Self::take`], for no longer than `time`.
    ///
    /// # Errors
    /// [`Error::NoMatchInTime`]: nothing was taken; and as [`Self::remove`].
    pub async fn take_within(&mut self, time: Duration) -> Result<Element, Error> {
        let taken = self
            .client
            .take(&self.space, Self::elements())
            .within(time)
            .await?;
        parts(taken.into_inner())
    }
}

fn key(element: &Tuple) -> i64 {
    match element.get(1) {
        Some(Value::Int(key)) => *key,
        _ => i64::MAX,
    }
}

fn parts(element: Tuple) -> Result<Element, Error> {
    match (key(&element), element.get(2)) {
        (key, Some(Value::Bytes(payload))) => Ok(Element {
            key,
            payload: payload.to_vec(),
        }),
        _ => Err(Error::Unexpected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuple;

    #[test]
    fn an_element_is_a_key_and_a_payload() {
        let element = tuple!("element", 7, vec![1_u8, 2]);
        assert!(Queue::elements().matches(&element));
        assert_eq!(key(&element), 7);
        assert_eq!(
            parts(element).ok(),
            Some(Element {
                key: 7,
                payload: vec![1, 2]
            })
        );
    }
}
