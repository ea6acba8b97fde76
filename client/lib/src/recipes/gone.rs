//! Waiting until tuples have gone: what whoever stands in a line does, and whoever guards a
//! claim.

use std::time::Duration;

use bezant_tuple::{Template, Tuple};
use bezant_tuplespace::{Change, SpaceName, TupleId};

use crate::{
    client::Client,
    error::Error,
    watch::{Sight, Since},
};

/// How long whoever waits lets the service be after an error that may pass.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// What is waited for: that so many matches go which are older than some tuple.
#[derive(Debug)]
pub(super) struct Goes {
    pub(super) template: Template,
    pub(super) below: TupleId,
    pub(super) count: usize,
    /// After the event with this number.
    pub(super) after: u64,
}

impl Goes {
    /// That this very tuple goes, which was there at the event with this number.
    pub(super) fn of(id: &TupleId, tuple: &Tuple, after: u64) -> Self {
        Self {
            template: tuple.clone().into(),
            below: TupleId(id.0.saturating_add(1)),
            count: 1,
            after,
        }
    }
}

/// Waits until as many have gone, or so long ago that it is no longer known.
pub(super) async fn wait_until_gone(
    client: &Client,
    space: &SpaceName,
    goes: Goes,
) -> Result<(), Error> {
    let mut left = goes.count;
    let since = Since::Event(goes.after);
    let mut watch = client.watch(space.as_str(), goes.template, since);
    while left > 0 {
        match watch.next().await {
            Ok(Sight::Happened(event)) => {
                if event.change != Change::Inserted && event.id < goes.below {
                    left -= 1;
                }
            }
            Ok(Sight::There { .. }) => {}
            Err(Error::Compacted { .. }) => return Ok(()),
            // The service is slow, away or full, and the watch goes on where it was.
            Err(error) if error.is_retryable() => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
