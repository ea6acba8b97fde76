//! Extensions, as a client installs them, agrees to those of others, and removes them.

use bezant_api::{Answer, Call, ExtensionHash, Installed, Manifest};

use crate::{client::Client, error::Error, reply::Reply};

impl Client {
    /// Installs an extension; it applies to this client at once and to others once they
    /// acknowledge it.
    ///
    /// # Errors
    /// [`Error::Refused`] with the rule it breaks, and the others.
    pub async fn register(
        &self,
        manifest: Manifest,
        module: Vec<u8>,
    ) -> Result<Reply<ExtensionHash>, Error> {
        self.call(Call::Register { manifest, module })
            .await?
            .try_map(|answer| match answer {
                Answer::Registered { hash } => Ok(hash),
                _ => Err(Error::Unexpected),
            })
    }

    /// Agrees that an extension of another client applies to this one.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn acknowledge(&self, hash: ExtensionHash) -> Result<Reply<()>, Error> {
        self.call(Call::Acknowledge { hash })
            .await?
            .try_map(|answer| match answer {
                Answer::Acknowledged => Ok(()),
                _ => Err(Error::Unexpected),
            })
    }

    /// Lets an extension of another client not apply to this one any more; whether it did.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such extension, and the others.
    pub async fn withdraw(&self, hash: ExtensionHash) -> Result<Reply<bool>, Error> {
        self.change(Call::Withdraw { hash }).await
    }

    /// Removes an extension: it applies to nobody any more. Only its owner and operators can.
    ///
    /// # Errors
    /// [`Error::Refused`] for all others or if there is no such extension, and the others.
    pub async fn unregister(&self, hash: ExtensionHash) -> Result<Reply<()>, Error> {
        self.change(Call::Unregister { hash })
            .await?
            .try_map(|_| Ok(()))
    }

    /// All extensions that are installed, in the order in which they were.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn extensions(&self) -> Result<Reply<Vec<Installed>>, Error> {
        let answered = self.call(Call::Extensions).await?;
        answered.try_map(|answer| match answer {
            Answer::Extensions(installed) => Ok(installed),
            _ => Err(Error::Unexpected),
        })
    }
}
