//! The text form, the same in the command line, documents, logs and errors.
