//! What a script waits for, and what it insists on.

use bezant_bft::ids::{ReplicaId, RequestNumber, SeqNo, View};

use super::player::Stage;
use crate::world::World;

/// Something that is so or not.
type Condition = Box<dyn Fn(&World) -> bool>;

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("{word:?} is no number"))
}

impl Stage {
    /// A condition that time may bring about.
    pub(super) fn condition(&self, words: &[&str]) -> Result<Condition, String> {
        Ok(match words {
            ["answered"] => Box::new(World::is_answered),
            ["quiet"] => Box::new(World::is_quiet),
            ["decided", last] => {
                let last = SeqNo(number(last)?);
                Box::new(move |world| world.oracle().progress() >= last)
            }
            ["executed", last, by @ ..] => {
                let (last, by) = (SeqNo(number(last)?), self.by(by)?);
                let executed = move |world: &World, replica: &usize| {
                    world.machine(*replica).executed() >= last
                };
                Box::new(move |world| by.iter().all(|replica| executed(world, replica)))
            }
            ["view", view, by @ ..] => {
                let (view, by) = (View(number(view)?), self.by(by)?);
                let is_in = move |world: &World, replica: &usize| {
                    world.machine(*replica).replica().view() >= view
                };
                Box::new(move |world| by.iter().all(|replica| is_in(world, replica)))
            }
            _ => return Err(format!("{:?} is no condition", words.join(" "))),
        })
    }

    /// The replicas after `by`; without it all that are correct and run.
    fn by(&self, words: &[&str]) -> Result<Vec<usize>, String> {
        match words {
            [] => Ok((0..self.world.size())
                .filter(|replica| {
                    let machine = self.world.machine(*replica);
                    machine.is_correct() && machine.runs()
                })
                .collect()),
            ["by", some @ ..] => some.iter().map(|word| self.replica(word)).collect(),
            _ => Err(format!("{:?}: say by whom", words.join(" "))),
        }
    }

    /// Fails unless it is so.
    pub(super) fn expect(&self, words: &[&str]) -> Result<(), String> {
        let is_so = match words {
            ["not", words @ ..] => {
                let condition = self.condition(words)?;
                !condition(&self.world)
            }
            // What stands in a script is what is meant: this view and no later one.
            ["view", view, by @ ..] => {
                let view = View(number(view)?);
                let mut by = self.by(by)?.into_iter();
                by.all(|replica| self.world.machine(replica).replica().view() == view)
            }
            ["null", at] => self.holds(at)?.is_empty(),
            ["holds", at, client, request] => {
                let request = (self.client(client)?, RequestNumber(number(request)?));
                self.holds(at)?.contains(&request)
            }
            ["once", client, request] => {
                let wanted = (self.client(client)?, RequestNumber(number(request)?));
                self.all()
                    .into_iter()
                    .filter(|held| *held == wanted)
                    .count()
                    == 1
            }
            ["no", "blames"] => self.recorder.notes(|notes| notes.blames.is_empty()),
            ["blamed", replica, text @ ..] => {
                let (replica, text) = (self.replica(replica)?, text.join(" "));
                self.recorder.notes(|notes| {
                    notes.blames.iter().any(|blame| {
                        let is_meant = |who: ReplicaId| usize::from(who.0) == replica;
                        blame.who.is_some_and(is_meant) && blame.what.contains(&text)
                    })
                })
            }
            ["messages", "at", "most", most] => {
                self.world.messages() - self.messages_before <= number(most)?
            }
            ["installs", wanted] => {
                let wanted = number(wanted)?;
                self.recorder.notes(|notes| notes.installs == wanted)
            }
            ["open", client, wanted] => {
                let open = self.world.outstanding(self.client(client)?);
                open as u64 == number(wanted)?
            }
            words => self.condition(words)?(&self.world),
        };
        if is_so {
            return Ok(());
        }
        let (expected, stand) = (words.join(" "), self.world.stand_now());
        let messages = self.world.messages() - self.messages_before;
        Err(format!(
            "expected {expected}, and it is not so\n{stand}\n  {messages} messages in the last run"
        ))
    }

    /// The requests at a number of the agreed log: whose, and their numbers.
    fn holds(&self, at: &str) -> Result<Vec<(usize, RequestNumber)>, String> {
        let at = SeqNo(number(at)?);
        self.recorder.notes(|notes| {
            let held = notes.log.get(&at);
            let held = held.ok_or_else(|| format!("nobody executed number {at}"))?;
            Ok(self.named(held))
        })
    }

    fn all(&self) -> Vec<(usize, RequestNumber)> {
        self.recorder.notes(|notes| {
            notes
                .log
                .values()
                .flat_map(|held| self.named(held))
                .collect()
        })
    }

    fn named(&self, held: &[super::recorder::Logged]) -> Vec<(usize, RequestNumber)> {
        let known = held.iter().filter_map(|logged| {
            let client = self.world.client_of_key(&logged.client)?;
            Some((client, logged.number))
        });
        known.collect()
    }
}
