//! Extensions, as a client installs them, agrees to those of others, and removes them.

use bezant_api::{Answer, Call, ExtensionHash, Installed, Manifest};

use crate::{
    client::{Client, space},
    error::Error,
    reply::Reply,
};

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
        self.registered(Call::Register { manifest, module }).await
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

    /// Agrees that whichever version is in force of an extension of another client applies to
    /// this one, now and later.
    ///
    /// # Errors
    /// As of [`Self::acknowledge`].
    pub async fn follow(&self, hash: ExtensionHash) -> Result<Reply<()>, Error> {
        self.call(Call::Follow { hash })
            .await?
            .try_map(|answer| match answer {
                Answer::Acknowledged => Ok(()),
                _ => Err(Error::Unexpected),
            })
    }

    /// Installs a new version of an extension of this client's, of which `from` is any version
    /// so far. From the proposal `at` on (0: at once) it is in force, for this client and for
    /// whoever follows it; whoever acknowledged a version keeps that.
    ///
    /// # Errors
    /// As of [`Self::register`].
    pub async fn upgrade(
        &self,
        from: ExtensionHash,
        manifest: Manifest,
        module: Vec<u8>,
        at: u64,
    ) -> Result<Reply<ExtensionHash>, Error> {
        self.registered(Call::Upgrade {
            from,
            manifest,
            module,
            at,
        })
        .await
    }

    /// Puts the version before back in the place of an extension of this client's, or calls off
    /// an upgrade that is to come; which is in force now.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is none, and the others.
    pub async fn roll_back(&self, hash: ExtensionHash) -> Result<Reply<ExtensionHash>, Error> {
        self.registered(Call::Rollback { hash }).await
    }

    /// Makes an extension apply to everyone in a space that this client administers; whether it
    /// did not before.
    ///
    /// # Errors
    /// [`Error::Refused`] for all others or if there is no such extension, and the others.
    pub async fn attach(&self, name: &str, hash: ExtensionHash) -> Result<Reply<bool>, Error> {
        let space = space(name)?;
        self.change(Call::Attach { space, hash }).await
    }

    /// Ends what [`Self::attach`] began; whether it was so.
    ///
    /// # Errors
    /// As of [`Self::attach`].
    pub async fn detach(&self, name: &str, hash: ExtensionHash) -> Result<Reply<bool>, Error> {
        let space = space(name)?;
        self.change(Call::Detach { space, hash }).await
    }

    async fn registered(&self, call: Call) -> Result<Reply<ExtensionHash>, Error> {
        self.call(call).await?.try_map(|answer| match answer {
            Answer::Registered { hash } => Ok(hash),
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
