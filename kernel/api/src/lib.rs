//! The words of the service: what a client may ask and what it is told
