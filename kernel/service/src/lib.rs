//! One replica's service: sessions, spaces and extensions, driven by decided proposals
