//! Pure text: sizes, times, identifiers, names.
