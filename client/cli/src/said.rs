//! Prints an answer with its votes, for people and as JSON.

use bezant_api::Answer;
use serde_json::{Map, Value, json};

/// What the replicas said to one call.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// The answer that enough replicas gave alike.
    pub(crate) answer: Answer,
    /// The position of the call in the agreed log.
    pub(crate) seq: u64,
    /// How many replicas gave this answer.
    pub(crate) votes: usize,
    /// How many replicas there are.
    pub(crate) of: usize,
    /// Replicas that gave another answer.
    pub(crate) dissent: Vec<u8>,
    /// What is kept against them.
    pub(crate) evidence: Vec<Kept>,
}

/// Evidence that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its name, for example `ev-41c2a7e09d5b3f68`.
    pub(crate) id: String,
    /// The replica it convicts.
    pub(crate) replica: u8,
}

impl Said {
    /// `ok  seq 7  votes 4/4`, for what has no data of its own to show.
    pub(crate) fn done(&self, verbose: u8) -> String {
        if verbose > 0 {
            format!("ok  seq {}  {}", self.seq, self.details())
        } else {
            format!("ok  seq {}  votes {}/{}", self.seq, self.votes, self.of)
        }
    }

    /// `votes 3/4  replica 2 disagrees  evidence ev-0001 (signed)`.
    pub(crate) fn details(&self) -> String {
        let mut text = format!("votes {}/{}", self.votes, self.of);
        for replica in &self.dissent {
            text.push_str(&format!("  replica {replica} disagrees"));
            for kept in self.evidence.iter().filter(|kept| kept.replica == *replica) {
                text.push_str(&format!("  evidence {} (signed)", kept.id));
            }
        }
        text
    }

    /// The fields that every JSON object of an answer ends with.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let evidence: Vec<&str> = self.evidence.iter().map(|kept| kept.id.as_str()).collect();
        Map::from_iter([
            ("seq".to_owned(), json!(self.seq)),
            ("votes".to_owned(), json!(self.votes)),
            ("of".to_owned(), json!(self.of)),
            ("dissent".to_owned(), json!(self.dissent)),
            ("evidence".to_owned(), json!(evidence)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disagreement_is_told_with_its_evidence() {
        let mut said = Said {
            answer: Answer::Created,
            seq: 7,
            votes: 4,
            of: 4,
            dissent: Vec::new(),
            evidence: Vec::new(),
        };
        assert_eq!(said.done(0), "ok  seq 7  votes 4/4");
        assert_eq!(said.details(), "votes 4/4");
        said.votes = 3;
        said.dissent = vec![2];
        assert_eq!(said.done(0), "ok  seq 7  votes 3/4");
        assert_eq!(said.done(1), "ok  seq 7  votes 3/4  replica 2 disagrees");
        said.evidence = vec![Kept {
            id: "ev-0001".to_owned(),
            replica: 2,
        }];
        assert_eq!(
            said.details(),
            "votes 3/4  replica 2 disagrees  evidence ev-0001 (signed)"
        );
        assert_eq!(said.fields()["evidence"], json!(["ev-0001"]));
    }
}
