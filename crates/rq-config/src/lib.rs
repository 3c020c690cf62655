//! Settings files, read and never executed: TOML with the line of each value, and Python where it is plain.
//!
//! A [`Document`] is a file in TOML, of which only what is taken out of it is looked at. [`python::read`] reads the
//! assignments of a file in Python; which calls it may make is said by a [`python::Dialect`]. What cannot be read is a
//! [`Fault`]: a line, and a sentence.
//!
//! [`settings_of_python`] and [`settings_of_toml`] read the settings of a program, as `rq -c` takes them (docs/cli.md
//! §1.3). Nothing here knows Redis, a runtime, or what settings mean.
//!
//! # What may come in
//!
//! Anything: depth, the number of values and the bytes of text are limited ([`FILE_BYTES_MAX`], [`DEPTH_MAX`],
//! [`VALUES_MAX`], [`TEXT_BYTES_MAX`]), and the time is proportional to them.

#![forbid(unsafe_code)]

mod document;
mod fault;
mod file;
pub mod python;
mod settings;
mod words;

pub use document::{Document, Given, Item, Table};
pub use fault::Fault;
pub use file::{FileError, read_file};
pub use settings::{Setting, settings_of_python, settings_of_toml};
pub use words::{listed, nearest, plain, slip, unknown};

/// The most bytes of a file that is read.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// How many values may be within each other.
pub const DEPTH_MAX: usize = 64;
/// How many values a file may have, those of a constant counted each time that it is named, and those that methods make.
pub const VALUES_MAX: usize = 100_000;
/// How many bytes of text they may have, counted the same, with those of variables of the environment.
pub const TEXT_BYTES_MAX: usize = 10_000_000;
