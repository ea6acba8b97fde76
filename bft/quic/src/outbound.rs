//! The send queue of one link: bounded, with one writer task.
//!
//! [`push`](Outbound::push) never blocks. Small frames are appended to one
//! growing buffer, large ones are queued as they are, so that everything queued
//! in one turn of the event loop reaches QUIC as a few long pieces: one wake-up
//! of the writer, one write, as few packets as fit.

use std::{
    future::poll_fn,
    mem,
    sync::Mutex,
    task::{Poll, Waker},
};

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::{
    error::SendError,
    frame,
    limits::{HEADER_BYTES, LinkLimits},
    sync::lock,
};

/// Frames up to this many bytes are copied behind one another; above it the copy would cost more
/// than a piece of its own.
const COPY_BYTES: usize = 2048;

/// How much is allocated at a time for small frames.
const BLOCK_BYTES: usize = 8 << 10;

/// What is queued on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Frames accepted and not yet handed to QUIC.
    pub frames: usize,
    /// Their bytes, prefixes included.
    pub bytes: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nothing more is accepted; what is queued still goes out.
    Draining,
    Dead,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    pieces: Vec<Bytes>,
    tail: BytesMut,
    /// Everything accepted and not written yet, the writer's current batch included.
    depth: QueueDepth,
    /// What of `depth` lies in `pieces` and `tail`.
    queued: QueueDepth,
    writer: Option<Waker>,
}

/// The queue of one link.
#[derive(Debug)]
pub(crate) struct Outbound {
    max_frames: usize,
    max_bytes: usize,
    frame_bytes: usize,
    state: Mutex<State>,
}

/// What the writer does next.
pub(crate) enum Next {
    /// Write these pieces, then report them [`written`](Outbound::written).
    Write(QueueDepth),
    /// All is written and nothing more will come: finish the stream.
    Finish,
    /// The link is gone.
    Stop,
}

impl Outbound {
    /// A queue within `limits` for frames of at most `frame_bytes`.
    pub(crate) fn new(limits: &LinkLimits, frame_bytes: usize) -> Self {
        Self {
            max_frames: limits.outbound_frames,
            max_bytes: limits.outbound_bytes,
            frame_bytes,
            state: Mutex::new(State {
                phase: Phase::Open,
                pieces: Vec::new(),
                tail: BytesMut::new(),
                depth: QueueDepth::default(),
                queued: QueueDepth::default(),
                writer: None,
            }),
        }
    }

    /// Says whether a frame of so many bytes would be queued now, or why not. More than the largest
    /// frame has counts as that: [`Self::push`] judges the frame itself.
    pub(crate) fn room(&self, bytes: usize) -> Result<(), SendError> {
        let bytes = bytes.min(self.frame_bytes) + HEADER_BYTES;
        lock(&self.state).room(bytes, self.max_frames, self.max_bytes)
    }

    /// Queues a frame, or says at once why not.
    pub(crate) fn push(&self, frame: Bytes) -> Result<(), SendError> {
        if frame.is_empty() || frame.len() > self.frame_bytes {
            return Err(SendError::TooLarge {
                bytes: frame.len(),
                limit: self.frame_bytes,
            });
        }
        let bytes = frame.len() + HEADER_BYTES;
        let writer = {
            let mut state = lock(&self.state);
            state.room(bytes, self.max_frames, self.max_bytes)?;
            state.append(frame);
            state.depth.add(1, bytes);
            state.queued.add(1, bytes);
            state.writer.take()
        };
        if let Some(writer) = writer {
            writer.wake();
        }
        Ok(())
    }

    /// Waits for something to write and moves all of it into `batch`.
    pub(crate) async fn next(&self, batch: &mut Vec<Bytes>) -> Next {
        poll_fn(|cx| {
            let mut state = lock(&self.state);
            if state.phase == Phase::Dead {
                return Poll::Ready(Next::Stop);
            }
            if state.queued.frames > 0 {
                state.cut_tail();
                mem::swap(&mut state.pieces, batch);
                return Poll::Ready(Next::Write(mem::take(&mut state.queued)));
            }
            if state.phase == Phase::Draining {
                return Poll::Ready(Next::Finish);
            }
            state.writer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Makes room for what QUIC has taken over.
    pub(crate) fn written(&self, batch: QueueDepth) {
        let mut state = lock(&self.state);
        state.depth.frames = state.depth.frames.saturating_sub(batch.frames);
        state.depth.bytes = state.depth.bytes.saturating_sub(batch.bytes);
    }

    /// Accepts nothing more, and lets the writer finish what is queued.
    pub(crate) fn drain(&self) {
        self.enter(Phase::Draining);
    }

    /// Drops everything.
    pub(crate) fn kill(&self) {
        self.enter(Phase::Dead);
    }

    fn enter(&self, phase: Phase) {
        let writer = {
            let mut state = lock(&self.state);
            if phase == Phase::Dead {
                state.pieces = Vec::new();
                state.tail = BytesMut::new();
                state.queued = QueueDepth::default();
                state.depth = QueueDepth::default();
            }
            if state.phase != Phase::Dead {
                state.phase = phase;
            }
            state.writer.take()
        };
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// What is queued, the writer's current batch included.
    pub(crate) fn depth(&self) -> QueueDepth {
        lock(&self.state).depth
    }
}

impl QueueDepth {
    fn add(&mut self, frames: usize, bytes: usize) {
        self.frames += frames;
        self.bytes += bytes;
    }
}

impl State {
    /// Whether one more frame of so many bytes, prefix included, is accepted.
    fn room(&self, bytes: usize, max_frames: usize, max_bytes: usize) -> Result<(), SendError> {
        if self.phase != Phase::Open {
            return Err(SendError::Down);
        }
        if self.depth.frames >= max_frames || self.depth.bytes + bytes > max_bytes {
            return Err(SendError::Full);
        }
        Ok(())
    }

    fn append(&mut self, frame: Bytes) {
        let header = frame::header(frame.len());
        if frame.len() <= COPY_BYTES {
            let need = HEADER_BYTES + frame.len();
            if self.tail.capacity() - self.tail.len() < need {
                self.tail.reserve(need.max(BLOCK_BYTES));
            }
            self.tail.put_slice(&header);
            self.tail.put_slice(&frame);
        } else {
            self.tail.put_slice(&header);
            self.cut_tail();
            self.pieces.push(frame);
        }
    }

    /// Moves the small frames gathered so far into the list of pieces.
    fn cut_tail(&mut self) {
        if !self.tail.is_empty() {
            let piece = self.tail.split().freeze();
            self.pieces.push(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(frames: usize, bytes: usize) -> Outbound {
        let limits = LinkLimits {
            outbound_frames: frames,
            outbound_bytes: bytes,
            ..crate::Limits::default().client
        };
        Outbound::new(&limits, 10_000)
    }

    async fn take(queue: &Outbound) -> (Vec<Bytes>, QueueDepth) {
        let mut batch = Vec::new();
        match queue.next(&mut batch).await {
            Next::Write(depth) => (batch, depth),
            Next::Finish | Next::Stop => panic!("nothing to write"),
        }
    }

    fn frame(len: usize, fill: u8) -> Bytes {
        Bytes::from(vec![fill; len])
    }

    #[tokio::test]
    async fn everything_queued_comes_out_at_once_in_order_and_in_few_pieces() {
        let queue = queue(1000, 1 << 20);
        let mut expected = Vec::new();
        for (len, fill) in [(3, 1), (500, 2), (5000, 3), (7, 4), (2048, 5)] {
            queue.push(frame(len, fill)).unwrap();
            expected.extend_from_slice(&frame::header(len));
            expected.extend_from_slice(&frame(len, fill));
        }
        let (batch, depth) = take(&queue).await;
        assert_eq!(batch.concat(), expected);
        assert!(batch.len() <= 3, "{} pieces", batch.len());
        assert_eq!(depth.frames, 5);
        assert_eq!(depth.bytes, expected.len());
        queue.written(depth);
        assert_eq!(queue.depth(), QueueDepth::default());
    }

    #[tokio::test]
    async fn the_bound_counts_what_the_writer_holds() {
        let queue = queue(2, 1 << 20);
        queue.push(frame(1, 0)).unwrap();
        queue.push(frame(1, 0)).unwrap();
        assert_eq!(queue.push(frame(1, 0)), Err(SendError::Full));
        let (_batch, depth) = take(&queue).await;
        assert_eq!(queue.push(frame(1, 0)), Err(SendError::Full));
        queue.written(depth);
        assert_eq!(queue.push(frame(1, 0)), Ok(()));
    }

    #[test]
    fn bytes_are_bounded_too_and_frames_have_a_size() {
        let queue = queue(100, 3000);
        assert_eq!(queue.push(frame(2000, 0)), Ok(()));
        assert_eq!(queue.push(frame(2000, 0)), Err(SendError::Full));
        assert!(matches!(
            queue.push(frame(10_001, 0)),
            Err(SendError::TooLarge { .. })
        ));
        assert!(matches!(
            queue.push(Bytes::new()),
            Err(SendError::TooLarge { .. })
        ));
    }

    #[tokio::test]
    async fn draining_finishes_what_is_queued_and_killing_does_not() {
        let queue = queue(100, 3000);
        queue.push(frame(1, 0)).unwrap();
        queue.drain();
        assert_eq!(queue.push(frame(1, 0)), Err(SendError::Down));
        let (_, depth) = take(&queue).await;
        queue.written(depth);
        assert!(matches!(queue.next(&mut Vec::new()).await, Next::Finish));
        queue.kill();
        assert!(matches!(queue.next(&mut Vec::new()).await, Next::Stop));
    }
}
