//! Carries out the commands of a script.

use bezant_api::Call;
use bezant_bft::{
    ids::{RequestNumber, SeqNo, SessionId},
    message::Reply,
};

use super::{Filter, Recorder, Wire, calls, recorder::Blame};
use crate::{adversaries::Kind, options::SECOND, world::World};

/// How long a condition is waited for.
const TIMEOUT_US: u64 = 60 * SECOND;

/// Most replicas and clients of a script: small enough to read.
const MAX_CLUSTER: u64 = 13;
const MAX_CLIENTS: u64 = 5;

/// What a command answers, line by line.
type Lines = Result<Vec<String>, String>;

/// The cluster of a script.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) recorder: Recorder,
    /// Messages between replicas when the last command that lets time pass began.
    pub(super) messages_before: u64,
}

/// One who carries out commands.
#[derive(Default)]
pub(super) struct Player {
    stage: Option<Stage>,
}

impl Player {
    /// Carries out one command.
    ///
    /// # Errors
    /// Why it cannot be, or what is not as expected.
    pub(super) fn command(&mut self, text: &str) -> Lines {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        if word == "cluster" {
            return self.cluster(rest);
        }
        let Some(stage) = &mut self.stage else {
            return Err("a script begins with a cluster: cluster n=4".to_owned());
        };
        let mut lines = stage.command(word, rest)?;
        lines.extend(stage.answers());
        Ok(lines)
    }

    fn cluster(&mut self, options: &str) -> Lines {
        let (mut n, mut interval, mut clients, mut gather) = (4, 8, 1, 24);
        for option in options.split_whitespace() {
            let wrong =
                || format!("{option:?} is no option; there are n, interval, clients, gather");
            let (name, value) = option.split_once('=').ok_or_else(wrong)?;
            let value: u64 = value.parse().map_err(|_| wrong())?;
            match name {
                "n" => n = value.clamp(1, MAX_CLUSTER),
                "interval" => interval = value.max(1),
                "gather" => gather = usize::try_from(value.max(1)).unwrap_or(1),
                "clients" => clients = value.clamp(1, MAX_CLIENTS),
                _ => return Err(wrong()),
            }
        }
        let recorder = Recorder::default();
        let n = u8::try_from(n).unwrap_or(4);
        let mut world = World::scripted(n, interval, clients, gather, Box::new(recorder.clone()));
        let ready = |world: &World| world.is_answered() && world.is_quiet();
        if !world.advance(TIMEOUT_US, &ready)? {
            return Err("the sessions do not open".to_owned());
        }
        recorder.notes(|notes| notes.answers.clear());
        let names: Vec<String> = (0..world.clients()).map(client_name).collect();
        let line = format!(
            "{n} replicas; sessions of {}; number {} executed",
            names.join(", "),
            world.oracle().progress()
        );
        self.stage = Some(Stage {
            world,
            recorder,
            messages_before: 0,
        });
        Ok(vec![line])
    }
}

/// Clients are named by letters.
pub(super) fn client_name(client: usize) -> String {
    let letter = u8::try_from(client).map_or('?', |client| char::from(b'a' + client));
    letter.to_string()
}

impl Stage {
    fn command(&mut self, word: &str, rest: &str) -> Lines {
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (word, words.as_slice()) {
            ("call", [_, ..]) => self.call(rest),
            ("fill", [client, space, count]) => self.fill(client, space, count),
            ("ask", [_, ..]) => self.ask(rest).map(|_| Vec::new()),
            ("run", ["until", condition @ ..]) => self.run_until(condition),
            ("run", [time]) => {
                let time = calls::duration(time)?;
                let until = self.world.now + u64::try_from(time).unwrap_or(0);
                self.begin();
                self.world.advance(until, &|_| false).map(|_| Vec::new())
            }
            ("drop", filter) => self.filter(filter, false),
            ("hold", filter) => self.filter(filter, true),
            ("release", []) => self.done(World::release),
            ("lift", []) => self.done(|world| world.wire().lift()),
            ("heal", []) => self.done(World::mend),
            ("partition", groups) => self.partition(groups),
            ("crash", [replica]) => self.at(replica, World::crash_now),
            ("forget", [replica]) => self.at(replica, World::forget_now),
            ("restart", [replica]) => self.at(replica, World::restart_now),
            ("freeze", [replica]) => self.at(replica, World::freeze_now),
            ("thaw", [replica]) => self.at(replica, World::thaw_now),
            ("clock", [replica, by]) => {
                let by_ms = calls::duration(by)? / 1000;
                self.at(replica, |world, replica| {
                    world.machine_mut(replica).skew_ms += by_ms;
                })
            }
            ("adversary", [replica, kind]) => {
                let kind = adversary(kind)?;
                self.at(replica, |world, replica| world.corrupt(replica, kind))
            }
            ("show", what) => self.show(what),
            ("expect", condition) => self.expect(condition).map(|()| Vec::new()),
            ("settle", []) => {
                self.begin();
                self.world.settle()?;
                let progress = self.world.oracle().progress();
                Ok(vec![format!("all agree on {progress} numbers")])
            }
            _ => Err(format!("\"{word} {rest}\" is no command")),
        }
    }

    fn done(&mut self, act: impl FnOnce(&mut World)) -> Lines {
        act(&mut self.world);
        self.world.whole()?;
        Ok(Vec::new())
    }

    fn at(&mut self, replica: &str, act: impl FnOnce(&mut World, usize)) -> Lines {
        let replica = self.replica(replica)?;
        self.done(|world| act(world, replica))
    }

    fn begin(&mut self) {
        self.messages_before = self.world.messages();
    }

    /// A replica by its number.
    pub(super) fn replica(&self, word: &str) -> Result<usize, String> {
        let replica = word.parse().ok();
        let replica = replica.filter(|replica| *replica < self.world.size());
        replica.ok_or_else(|| format!("{word:?} is no replica of this cluster"))
    }

    /// A client by its letter.
    pub(super) fn client(&self, word: &str) -> Result<usize, String> {
        let mut clients = 0..self.world.clients();
        let client = clients.find(|client| client_name(*client) == word);
        client.ok_or_else(|| format!("{word:?} is no client of this cluster"))
    }

    /// Asks; whose request it is, and its number.
    fn ask(&mut self, text: &str) -> Result<(usize, RequestNumber), String> {
        let (client, call) = text.split_once(' ').unwrap_or((text, ""));
        let client = self.client(client)?;
        let call = calls::parse(call)?;
        match self.world.script_call(client, call) {
            Some(number) => self.world.whole().map(|()| (client, number)),
            None => Err("this session may have no more open requests".to_owned()),
        }
    }

    fn call(&mut self, text: &str) -> Lines {
        let (client, number) = self.ask(text)?;
        self.begin();
        let until = self.world.now + TIMEOUT_US;
        let answered = |world: &World| !world.awaits(client, number);
        if self.world.advance(until, &answered)? {
            return Ok(Vec::new());
        }
        let seconds = TIMEOUT_US / SECOND;
        Err(format!(
            "no answer within {seconds} s\n{}",
            self.world.stand_now()
        ))
    }

    /// Puts many tuples, one after another, and tells nothing of it.
    fn fill(&mut self, client: &str, space: &str, count: &str) -> Lines {
        let wrong = || format!("{count:?} is no number of tuples");
        let count: u32 = count.parse().map_err(|_| wrong())?;
        for number in 1..=count {
            self.call(&format!("{client} out {space} (\"fill\", {number})"))?;
        }
        self.recorder.notes(|notes| notes.answers.clear());
        Ok(Vec::new())
    }

    fn run_until(&mut self, condition: &[&str]) -> Lines {
        self.begin();
        let until = self.world.now + TIMEOUT_US;
        let condition_is = self.condition(condition)?;
        if self.world.advance(until, &condition_is)? {
            return Ok(Vec::new());
        }
        let seconds = TIMEOUT_US / SECOND;
        let condition = condition.join(" ");
        let stand = self.world.stand_now();
        Err(format!("not {condition} within {seconds} s\n{stand}"))
    }

    fn filter(&mut self, words: &[&str], holds: bool) -> Lines {
        let mut sides = words.splitn(2, |word| *word == "->");
        let (from, rest) = (sides.next().unwrap_or_default(), sides.next());
        let Some(rest) = rest else {
            return Err("say from whom to whom, for example 0 -> 1 2".to_owned());
        };
        let is_end = |word: &&str| *word == "*" || word.parse::<usize>().is_ok();
        let ends = rest.iter().take_while(|word| is_end(word)).count();
        let (to, which) = rest.split_at(ends);
        let (kind, number) = match which {
            [] => (None, None),
            [kind] => (Some(*kind), None),
            [kind, number] => (Some(*kind), Some(*number)),
            _ => return Err("too many words after the kind of message".to_owned()),
        };
        let kind = kind
            .map(|kind| Wire::kind(kind).ok_or_else(|| format!("{kind:?} is no kind of message")));
        let number = number.map(|number| {
            let number = number.parse::<u64>();
            number.map_err(|_| "a number of the log may stand after the kind of message".to_owned())
        });
        let filter = Filter {
            from: self.ends(from)?,
            to: self.ends(to)?,
            kind: kind.transpose()?,
            number: number.transpose()?,
            holds,
        };
        self.world.wire().add(filter);
        Ok(Vec::new())
    }

    /// Replicas by number, or all.
    fn ends(&self, words: &[&str]) -> Result<Option<Vec<usize>>, String> {
        match words {
            [] => Err("nobody is named on one side of the arrow".to_owned()),
            ["*"] => Ok(None),
            some => {
                let some = some.iter().map(|word| self.replica(word));
                some.collect::<Result<_, _>>().map(Some)
            }
        }
    }

    fn partition(&mut self, words: &[&str]) -> Lines {
        let mut machines = vec![None; self.world.size()];
        let mut clients = vec![None; self.world.clients()];
        for (group, members) in words.split(|word| *word == "|").enumerate() {
            for member in members {
                if let Ok(replica) = self.replica(member) {
                    machines[replica] = Some(group);
                } else {
                    let client = self.client(member)?;
                    clients[client] = Some(group);
                }
            }
        }
        self.done(|world| world.split(&machines, &clients))
    }

    /// What clients were told since the last command.
    fn answers(&self) -> Vec<String> {
        let answers = self
            .recorder
            .notes(|notes| std::mem::take(&mut notes.answers));
        let told = answers
            .iter()
            .filter(|reply| reply.session != SessionId::NONE);
        told.map(|reply| self.answer(reply)).collect()
    }

    fn answer(&self, reply: &Reply) -> String {
        let client = self.world.client_of(reply.session);
        let client = client.map_or_else(|| "?".to_owned(), client_name);
        let (number, position) = (reply.number, reply.seq_no);
        let answer = calls::answer(&reply.result);
        format!("{client} {number}: {answer}, at {position}")
    }

    fn show(&self, what: &[&str]) -> Lines {
        match what {
            ["replicas"] => Ok((0..self.world.size())
                .map(|replica| self.replica_line(replica))
                .collect()),
            ["log", replica] => {
                let replica = self.replica(replica)?;
                Ok(self.log(replica))
            }
            ["blames"] => Ok(self.recorder.notes(|notes| {
                let line = |Blame { by, who, what }: &Blame| {
                    let who = who.map_or("a client".to_owned(), |who| format!("replica {who}"));
                    format!("replica {by}: {who} {what}")
                };
                notes.blames.iter().map(line).collect()
            })),
            ["open"] => Ok((0..self.world.clients())
                .map(|client| {
                    let open = self.world.outstanding(client);
                    format!("{} waits for {open} answers", client_name(client))
                })
                .collect()),
            _ => Err("show what? replicas, log 0, blames or open".to_owned()),
        }
    }

    fn replica_line(&self, replica: usize) -> String {
        let machine = self.world.machine(replica);
        let state = match (machine.is_correct(), machine.runs()) {
            (true, true) => "",
            (true, false) => ", does not run",
            (false, _) => ", faulty",
        };
        format!(
            "replica {}: view {}, executed {}, stable {}{state}",
            machine.id,
            machine.replica().view().0,
            machine.executed(),
            machine.replica().stable()
        )
    }

    fn log(&self, replica: usize) -> Vec<String> {
        let id = self.world.machine(replica).id;
        self.recorder.notes(|notes| {
            let executed = notes.executed.get(&id).into_iter().flatten();
            let line = |seq_no: &SeqNo| {
                let held = notes.log.get(seq_no).map(Vec::as_slice).unwrap_or_default();
                let held: Vec<String> = held
                    .iter()
                    .map(|logged| {
                        let client = self.world.client_of_key(&logged.client);
                        let client = client.map_or_else(|| "?".to_owned(), client_name);
                        match Call::decode(&logged.op) {
                            Ok(call @ Call::OpenSession { .. }) => {
                                format!("{client} {}", calls::describe(&call))
                            }
                            Ok(call) => {
                                format!("{client} {}: {}", logged.number, calls::describe(&call))
                            }
                            Err(_) => format!("{client} {}: no call", logged.number),
                        }
                    })
                    .collect();
                if held.is_empty() {
                    format!("{seq_no}  null")
                } else {
                    format!("{seq_no}  {}", held.join("; "))
                }
            };
            executed.map(line).collect()
        })
    }
}

/// A kind of adversary by its name in reports.
fn adversary(name: &str) -> Result<Kind, String> {
    let kebab = |kind: &Kind| {
        let mut text = String::new();
        for sign in format!("{kind:?}").chars() {
            if sign.is_uppercase() && !text.is_empty() {
                text.push('-');
            }
            text.extend(sign.to_lowercase());
        }
        text
    };
    let kinds: Vec<String> = Kind::REPLICAS.iter().map(kebab).collect();
    let at = kinds.iter().position(|kind| kind == name);
    at.map(|at| Kind::REPLICAS[at])
        .ok_or_else(|| format!("{name:?} is no adversary; there are {}", kinds.join(", ")))
}
