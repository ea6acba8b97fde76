//! One client session as a pure state machine: votes, retransmission, evidence
