//! [`Title`]: what `ps` shows of a process.

use std::fmt;
use std::io::Write;

use crate::SingleThreaded;
use crate::listing::name_and_fields;

/// Where this process's command line lies, and how many bytes it has (`arg_start` and `arg_end` in proc_pid_stat(5)).
fn command_line() -> Option<(usize, usize)> {
    /// The place of `arg_start` among the fields behind the name.
    const ARG_START: usize = 45;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = name_and_fields(&stat)?;
    let mut fields = fields.split(' ').skip(ARG_START);
    let start: usize = fields.next()?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    Some((start, end.checked_sub(start)?))
}

/// The title of this process and of those it forks: what `ps` shows in the place of the command line.
#[derive(Clone, Copy, Debug)]
pub struct Title {
    start: usize,
    length: usize,
}

impl Title {
    /// The title of this process, which has room for as many bytes as its command line had; `None` where the system
    /// does not say where that lies.
    ///
    /// From the first [`set`](Title::set) on, what the program was called with can be read no more.
    pub fn of_this_process() -> Option<Title> {
        command_line().filter(|(_, length)| *length > 0).map(|(start, length)| Title { start, length })
    }

    /// Shows `text`, as far as there is room. Terminals show it as it is: what comes from others has to be made safe before.
    pub fn set(self, _: &SingleThreaded, text: impl fmt::Display) {
        // SAFETY: the system has put the strings of the command line there, into memory that may be written to and
        // stays for the life of the process, and that no object of Rust's lies in; with one thread nobody reads it
        // meanwhile. That a program reads these strings again and finds others is harmless: they end within it, as the
        // last byte stays zero.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(
                std::ptr::with_exposed_provenance_mut::<u8>(self.start),
                self.length,
            )
        };
        bytes.fill(0);
        let mut room = &mut bytes[..self.length - 1];
        // What is too long is cut off.
        let _ = write!(room, "{text}");
    }
}
