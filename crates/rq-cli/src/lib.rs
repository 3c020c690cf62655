//! The rq command line, as a library and as a binary.
