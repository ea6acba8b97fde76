//! Runs the two tasks of a live link: one reads frames into the inbox, one writes queued frames.

use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

use bytes::Bytes;
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, WriteError};
use tokio::time::timeout;

use crate::{
    error::{CloseCode, LinkError, Violation},
    frame::{self, Deframer},
    limits::HEADER_BYTES,
    links::Link,
    outbound::Next,
    seat::Seat,
};

/// How many pieces of the stream are taken from QUIC at a time.
const READ_PIECES: usize = 16;

/// How many frames are handed to the inbox at a time at most.
const BATCH_FRAMES: usize = 64;

/// Frames out of a QUIC stream.
pub(crate) struct FrameReader {
    stream: RecvStream,
    deframer: Deframer,
    pieces: VecDeque<Bytes>,
    scratch: [Bytes; READ_PIECES],
    /// What ended the stream, found after frames that are still to be given out.
    fault: Option<LinkError>,
}

impl FrameReader {
    pub(crate) fn new(stream: RecvStream, bound: usize) -> Self {
        Self {
            stream,
            deframer: Deframer::new(bound),
            pieces: VecDeque::new(),
            scratch: Default::default(),
            fault: None,
        }
    }

    /// Changes the bound for the frames to come.
    pub(crate) fn set_bound(&mut self, bound: usize) {
        self.deframer.set_bound(bound);
    }

    /// Waits for one frame.
    pub(crate) async fn one(&mut self) -> Result<Bytes, LinkError> {
        let mut frames = VecDeque::new();
        self.fill(&mut frames, 1).await?;
        frames
            .pop_front()
            .ok_or(LinkError::Violation(Violation::Truncated))
    }

    /// Waits for frames and appends those at hand, `max` at most and at least one.
    async fn fill(&mut self, frames: &mut VecDeque<Bytes>, max: usize) -> Result<(), LinkError> {
        loop {
            if let Some(fault) = self.fault.take() {
                return Err(fault);
            }
            self.cut(frames, max);
            if !frames.is_empty() {
                return Ok(());
            }
            if self.fault.is_none() {
                self.read().await?;
            }
        }
    }

    /// Cuts the pieces at hand into frames.
    fn cut(&mut self, frames: &mut VecDeque<Bytes>, max: usize) {
        while frames.len() < max
            && let Some(piece) = self.pieces.front_mut()
        {
            match self.deframer.next(piece) {
                Ok(Some(frame)) => frames.push_back(frame),
                Ok(None) => {
                    self.pieces.pop_front();
                }
                Err(violation) => {
                    self.fault = Some(LinkError::Violation(violation));
                    return;
                }
            }
        }
    }

    async fn read(&mut self) -> Result<(), LinkError> {
        match self.stream.read_chunks(&mut self.scratch).await {
            Ok(Some(count)) => {
                self.pieces
                    .extend(self.scratch.iter_mut().take(count).map(mem::take));
                Ok(())
            }
            Ok(None) if self.deframer.is_mid_frame() => {
                Err(LinkError::Violation(Violation::Truncated))
            }
            Ok(None) => Err(LinkError::Closed {
                reason: String::new(),
            }),
            Err(ReadError::ConnectionLost(error)) => Err(error.into()),
            Err(ReadError::Reset(_)) => Err(LinkError::Violation(Violation::StreamBroken)),
            Err(other) => Err(LinkError::Transport(other.to_string())),
        }
    }
}

/// Writes an opening frame.
pub(crate) async fn write_opening(stream: &mut SendStream, frame: &[u8]) -> Result<(), WriteError> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + frame.len());
    bytes.extend_from_slice(&frame::header(frame.len()));
    bytes.extend_from_slice(frame);
    stream.write_all(&bytes).await
}

/// A link whose opening frames were exchanged.
pub(crate) struct OpenLink {
    pub(crate) seat: Seat,
    pub(crate) stream: SendStream,
    pub(crate) reader: FrameReader,
}

impl OpenLink {
    /// Carries frames in both directions until the link ends, and says why it did.
    pub(crate) async fn run(self, linger: Duration) -> LinkError {
        let Self {
            seat,
            stream,
            mut reader,
        } = self;
        let link = seat.link().clone();
        tokio::spawn(write(link.clone(), stream, linger));
        let mut frames = VecDeque::new();
        let error = loop {
            if let Err(error) = reader.fill(&mut frames, BATCH_FRAMES).await {
                break error;
            }
            if seat.deliver(&mut frames).await.is_err() {
                break LinkError::LocallyClosed {
                    reason: "nobody reads the inbox".to_owned(),
                };
            }
        };
        let error = conclude(&link, error, linger).await;
        drop(seat);
        error
    }
}

/// Closes the connection in answer to what ended the reading, and finds the reason to report.
async fn conclude(link: &Arc<Link>, error: LinkError, linger: Duration) -> LinkError {
    let error = match error {
        // The stream has ended; the words of the close follow it.
        LinkError::Closed { .. } => match timeout(linger, link.connection.closed()).await {
            Ok(ConnectionError::LocallyClosed) | Err(_) => error,
            Ok(close) => close.into(),
        },
        other => other,
    };
    match &error {
        LinkError::Violation(violation) => {
            link.shut(violation.code(), &violation.to_string(), error.clone());
        }
        // This side ended it and the reason is known already.
        LinkError::LocallyClosed { .. } => {
            link.shut(CloseCode::Goodbye, "", error.clone());
        }
        _ => link.shut(CloseCode::Goodbye, "goodbye", error.clone()),
    }
    link.end().unwrap_or(error)
}

/// Writes what is queued until the link ends.
async fn write(link: Arc<Link>, mut stream: SendStream, linger: Duration) {
    let mut batch = Vec::new();
    loop {
        batch.clear();
        match link.outbound.next(&mut batch).await {
            Next::Write(depth) => match stream.write_all_chunks(&mut batch).await {
                Ok(()) => link.outbound.written(depth),
                // The reader sees why, and reports it.
                Err(WriteError::ConnectionLost(_)) => return,
                Err(_) => {
                    let broken = Violation::StreamBroken;
                    link.shut(
                        broken.code(),
                        &broken.to_string(),
                        LinkError::Violation(broken.clone()),
                    );
                    return;
                }
            },
            Next::Finish => {
                // All of it must have arrived before the connection closes: a close overtakes data.
                if stream.finish().is_ok() {
                    let _ = timeout(linger, stream.stopped()).await;
                }
                let words = link.parting_words();
                link.shut(
                    CloseCode::Goodbye,
                    &words,
                    LinkError::LocallyClosed {
                        reason: words.clone(),
                    },
                );
                return;
            }
            Next::Stop => return,
        }
    }
}
