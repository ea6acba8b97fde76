//! What a strategy sees of the agreement, without being its replica.

use bezant_bft::{
    ids::{SeqNo, View},
    message::PeerMessage,
};

/// The highest view and sequence number that votes spoke of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) view: View,
    pub(crate) seq_no: SeqNo,
    /// The last number that somebody voted for as a checkpoint.
    pub(crate) checkpoint: SeqNo,
}

impl Seen {
    /// Notes what a message that came or leaves tells.
    pub(crate) fn note(&mut self, message: &PeerMessage) {
        match message {
            PeerMessage::PrePrepare(first) => {
                self.vote(first.vote.body.view, first.vote.body.seq_no)
            }
            PeerMessage::Prepare(vote) | PeerMessage::Commit(vote) => {
                self.vote(vote.body.view, vote.body.seq_no);
            }
            PeerMessage::Checkpoint(vote) => {
                self.checkpoint = self.checkpoint.max(vote.body.seq_no);
            }
            _ => {}
        }
    }

    fn vote(&mut self, view: View, seq_no: SeqNo) {
        self.view = self.view.max(view);
        self.seq_no = self.seq_no.max(seq_no);
    }

    /// The first view after the one it saw that replica `me` of `n` leads.
    pub(crate) const fn next_led_by(&self, me: u8, n: u8) -> View {
        let (n, next) = (n as u64, self.view.0 + 1);
        View(next + (n + me as u64 - next % n) % n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_view_that_one_leads_comes_after_the_one_it_saw() {
        let led = |view, me| {
            let seen = Seen {
                view: View(view),
                ..Seen::default()
            };
            seen.next_led_by(me, 4).0
        };
        assert_eq!((led(0, 0), led(0, 1), led(0, 3)), (4, 1, 3));
        assert_eq!((led(5, 1), led(5, 2), led(7, 0)), (9, 6, 8));
    }
}
