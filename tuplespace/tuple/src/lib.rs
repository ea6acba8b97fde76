//! Values, tuples, templates, their text form and their encoding
