//! A message sequence chart of a run as one self-contained HTML file.

use std::fmt::Write as _;

use bezant_bft::{codec, message::PeerMessage};

use crate::{
    report::Report,
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
            let said = said.map_or_else(|_| "garbage".to_owned(), |m| describe(&m).2);
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
        let drawn = &frames[..frames.len().min(MAX_DRAWN)];
        let mut rows = String::new();
        for frame in drawn {
            let _ = writeln!(rows, "{},", row(frame));
        }
        let title = format!("seed {}, n = {}", report.seed, report.n);
        let outcome = escape(&report.outcome.to_string());
        let note = format!("{} of {} messages drawn", drawn.len(), frames.len());
        PAGE.replace("@TITLE@", &title)
            .replace("@OUTCOME@", &outcome)
            .replace("@NOTE@", &note)
            .replace("@N@", &report.n.to_string())
            .replace("@LANE@", &LANE.to_string())
            .replace("@ROWS@", &rows)
    }
}

/// A message as a row of the page's table: sent, arrived or -1, from, to, kind, number, text.
fn row(frame: &Frame) -> String {
    let arrived = frame
        .arrived
        .map_or_else(|| "-1".to_owned(), |at| at.to_string());
    let (kind, number, text) = match codec::decode::<PeerMessage>(&frame.bytes) {
        Ok(message) => describe(&message),
        Err(_) => ("garbage", None, format!("{} bytes", frame.bytes.len())),
    };
    let number = number.map_or_else(|| "-1".to_owned(), |number| number.to_string());
    let text = escape(&text).replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "[{},{arrived},{},{},\"{kind}\",{number},\"{text}\"]",
        frame.sent, frame.from, frame.to
    )
}

fn describe(message: &PeerMessage) -> (&'static str, Option<u64>, String) {
    match message {
        PeerMessage::PrePrepare(m) => {
            let vote = &m.vote.body;
            let text = format!(
                "pre-prepare {} {} {} ({} requests)",
                vote.view,
                vote.number,
                vote.digest,
                m.proposal.requests.len()
            );
            ("pre-prepare", Some(vote.number.0), text)
        }
        PeerMessage::Prepare(m) => {
            let vote = &m.body;
            let text = format!("prepare {} {} {}", vote.view, vote.number, vote.digest);
            ("prepare", Some(vote.number.0), text)
        }
        PeerMessage::Commit(m) => {
            let vote = &m.body;
            let text = format!("commit {} {} {}", vote.view, vote.number, vote.digest);
            ("commit", Some(vote.number.0), text)
        }
        PeerMessage::Checkpoint(m) => {
            let text = format!("checkpoint {} {}", m.body.number, m.body.digest);
            ("checkpoint", Some(m.body.number.0), text)
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
        other => {
            let text: String = format!("{other:?}").chars().take(200).collect();
            ("view-change", None, text)
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\n', " ")
}

const PAGE: &str = include_str!("chart.html");
