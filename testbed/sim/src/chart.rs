//! A message sequence chart of a run as one self-contained HTML file.

use std::fmt::Write as _;

use bezant_bft::{codec, message::PeerMessage};

use crate::{
    report::{Outcome, Report},
    trace::{Frame, Trace},
};

/// Most messages drawn: a browser has to show them.
const MAX_DRAWN: usize = 20_000;

/// Distance of two replicas, in pixels.
const LANE: u64 = 140;

impl Trace {
    /// The messages as lines of text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for frame in self.frames.as_deref().unwrap_or_default() {
            let said = codec::decode::<PeerMessage>(&frame.bytes);
            let said = said.map_or_else(|_| "garbage".to_owned(), |m| describe(&m).text);
            let arrived = frame
                .arrived
                .map_or_else(|| "lost".to_owned(), |at| at.to_string());
            let _ = writeln!(
                text,
                "{} {arrived} {}->{} {said}",
                frame.sent, frame.from, frame.to
            );
        }
        text
    }

    /// The chart. Time runs down, a line a message, lost ones end in a cross; the page
    /// filters by kind and by number and shows a message's text under the mouse.
    #[must_use]
    pub fn chart(&self, report: &Report) -> String {
        let frames = self.frames.as_deref().unwrap_or_default();
        let drawn = drawn(frames, MAX_DRAWN, &report.outcome);
        let mut rows = String::new();
        for frame in drawn {
            let _ = writeln!(rows, "{},", row(frame));
        }
        let title = format!("seed {}, n = {}", report.seed, report.n);
        let outcome = escape(&report.outcome.to_string());
        let note = match (drawn.len() < frames.len(), &report.outcome) {
            (false, _) => format!("all {} messages", frames.len()),
            (true, Outcome::Passed) => {
                format!("the first {MAX_DRAWN} of {} messages", frames.len())
            }
            (true, _) => format!("the last {MAX_DRAWN} of {} messages", frames.len()),
        };
        PAGE.replace("@TITLE@", &title)
            .replace("@OUTCOME@", &outcome)
            .replace("@NOTE@", &note)
            .replace("@N@", &report.n.to_string())
            .replace("@LANE@", &LANE.to_string())
            .replace("@ROWS@", &rows)
    }
}

/// The frames to draw, if there are too many: a run that failed is looked at from its end.
fn drawn<'a>(frames: &'a [Frame], most: usize, outcome: &Outcome) -> &'a [Frame] {
    let few = frames.len().min(most);
    match outcome {
        Outcome::Passed => &frames[..few],
        Outcome::Violated(_) | Outcome::Stuck(_) => &frames[frames.len() - few..],
    }
}

/// A message as a row of the page's table: sent, arrived or -1, from, to, kind, number, text.
fn row(frame: &Frame) -> String {
    let arrived = frame
        .arrived
        .map_or_else(|| "-1".to_owned(), |at| at.to_string());
    let Described { kind, number, text } = match codec::decode::<PeerMessage>(&frame.bytes) {
        Ok(message) => describe(&message),
        Err(_) => Described {
            kind: "garbage",
            number: None,
            text: format!("{} bytes", frame.bytes.len()),
        },
    };
    let number = number.map_or_else(|| "-1".to_owned(), |number| number.to_string());
    let text = escape(&text).replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "[{},{arrived},{},{},\"{kind}\",{number},\"{text}\"]",
        frame.sent, frame.from, frame.to
    )
}

/// A message as the page tells of it.
struct Described {
    kind: &'static str,
    /// The number of the log it is about.
    number: Option<u64>,
    text: String,
}

fn describe(message: &PeerMessage) -> Described {
    let (kind, number, text) = match message {
        PeerMessage::PrePrepare(m) => {
            let vote = &m.vote.body;
            let text = format!(
                "pre-prepare {} {} {} ({} requests)",
                vote.view,
                vote.seq_no,
                vote.digest,
                m.proposal.requests.len()
            );
            ("pre-prepare", Some(vote.seq_no.0), text)
        }
        PeerMessage::Prepare(m) => {
            let vote = &m.body;
            let text = format!("prepare {} {} {}", vote.view, vote.seq_no, vote.digest);
            ("prepare", Some(vote.seq_no.0), text)
        }
        PeerMessage::Commit(m) => {
            let vote = &m.body;
            let text = format!("commit {} {} {}", vote.view, vote.seq_no, vote.digest);
            ("commit", Some(vote.seq_no.0), text)
        }
        PeerMessage::Checkpoint(m) => {
            let text = format!("checkpoint {} {}", m.body.seq_no, m.body.digest);
            ("checkpoint", Some(m.body.seq_no.0), text)
        }
        PeerMessage::Forward(m) => {
            let text = format!("forward {} {}", m.request.session, m.request.number);
            ("forward", None, text)
        }
        PeerMessage::Status(m) => {
            let text = format!(
                "status {} executed {} wants {}",
                m.view, m.executed, m.wants
            );
            ("status", Some(m.executed.0), text)
        }
        PeerMessage::Stable(votes) => {
            let seq_no = votes.first().map(|vote| vote.body.seq_no);
            let text = format!("stable {seq_no:?}, {} votes", votes.len());
            ("checkpoint", seq_no.map(|seq_no| seq_no.0), text)
        }
        PeerMessage::Decided(m) => ("catch-up", Some(m.seq_no.0), brief(m)),
        PeerMessage::AskProposals(m) => ("catch-up", None, brief(m)),
        PeerMessage::Content(m) => ("catch-up", None, brief(m)),
        PeerMessage::AskState(m) => ("catch-up", Some(m.seq_no.0), brief(m)),
        PeerMessage::State(m) => {
            let (from, of) = (m.offset, m.total);
            let text = format!("state {} from byte {from} of {of}", m.seq_no);
            ("catch-up", Some(m.seq_no.0), text)
        }
        PeerMessage::Rejoin(m) => ("rejoin", None, brief(&m.body)),
        PeerMessage::ViewChange(m) => ("view-change", None, brief(&m.body)),
        PeerMessage::NewView(m) => ("view-change", None, brief(&m.body)),
        other => ("other", None, brief(other)),
    };
    Described { kind, number, text }
}

fn brief(message: &impl std::fmt::Debug) -> String {
    format!("{message:?}").chars().take(200).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\n', " ")
}

const PAGE: &str = include_str!("chart.html");

#[cfg(test)]
mod tests {
    use bezant_bft::ids::ReplicaId;

    use super::*;

    #[test]
    fn a_run_that_failed_is_drawn_from_its_end() {
        let frame = |sent| Frame {
            sent,
            arrived: None,
            from: ReplicaId(0),
            to: ReplicaId(1),
            bytes: bytes::Bytes::new(),
        };
        let frames: Vec<_> = (0..10).map(frame).collect();
        let sent = |most, outcome: &Outcome| -> Vec<u64> {
            let drawn = drawn(&frames, most, outcome).iter();
            drawn.map(|frame| frame.sent).collect()
        };
        let stuck = Outcome::Stuck(String::new());
        assert_eq!(sent(3, &Outcome::Passed), [0, 1, 2]);
        assert_eq!(sent(3, &stuck), [7, 8, 9]);
        assert_eq!(sent(30, &stuck).len(), 10);
    }
}
