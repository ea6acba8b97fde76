//! What an extension author links
