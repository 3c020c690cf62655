//! [`make_log`]: a log that is a file, which is set aside when it has grown.

mod line;
mod rotating_file;

use std::io;
use std::path::PathBuf;

use tracing::{Dispatch, Level};

use self::line::Lines;
use self::rotating_file::RotatingFile;
use crate::log::Log;

/// Bytes that a file has before it is set aside.
const MAX_BYTES_DEFAULT: usize = 50 << 20;
/// How many are kept that were set aside, unless said, and at most.
const BACKUP_COUNT_DEFAULT: usize = 5;
const BACKUP_COUNT_MAX: usize = 1000;
/// Python's, with its milliseconds.
const DATE_FORMAT_DEFAULT: &str = "%Y-%m-%d %H:%M:%S,%3f";

/// A file to log to, before it is opened.
#[derive(Clone, Debug)]
#[must_use = "it is a log when it is opened"]
pub struct LogFile {
    path: PathBuf,
    max_bytes: usize,
    backup_count: usize,
    date_format: String,
    level: Level,
}

/// A log that is a file: level, time, file and line, message.
///
/// ```text
/// INFO 2026-11-28 12:00:00,123 clock.rs:12 Clock-1 is at work
/// ```
///
/// It is set aside as `FILE.1` when it has 50 MB, what was `FILE.1` becomes `FILE.2`, and five such are kept. Several
/// processes may share it, such as a Manager and its children; a child whose log is to be its own opens it in
/// [`init`](crate::Process::init), under its own name. What cannot be written, to a full disk say, is dropped: nobody who
/// logs fails or waits.
pub fn make_log(path: impl Into<PathBuf>) -> LogFile {
    LogFile {
        path: path.into(),
        max_bytes: MAX_BYTES_DEFAULT,
        backup_count: BACKUP_COUNT_DEFAULT,
        date_format: DATE_FORMAT_DEFAULT.to_owned(),
        level: Level::INFO,
    }
}

impl LogFile {
    /// How many bytes it has at most before it is set aside; 0: it grows without end.
    pub fn max_bytes(mut self, bytes: usize) -> LogFile {
        self.max_bytes = bytes;
        self
    }

    /// How many files are kept that were set aside, up to 1,000; 0: none, the file is removed.
    pub fn backup_count(mut self, count: usize) -> LogFile {
        self.backup_count = count.min(BACKUP_COUNT_MAX);
        self
    }

    /// How its times look, as `strftime` has it; as `2026-11-28 12:00:00,123` unless said. `%3f` is milliseconds.
    pub fn date_format(mut self, format: impl Into<String>) -> LogFile {
        self.date_format = format.into();
        self
    }

    /// The least important level that it takes; INFO unless said.
    pub fn level(mut self, level: Level) -> LogFile {
        self.level = level;
        self
    }

    /// Opens it, and makes its folder where there is none.
    ///
    /// # Errors
    /// Where the file or its folder cannot be made, and where the format of times is none.
    pub fn open(self) -> io::Result<Log> {
        let lines = Lines::new(self.date_format)?;
        let file = RotatingFile::open(self.path, self.max_bytes, self.backup_count)?;
        let subscriber = tracing_subscriber::fmt()
            // They would be printed, and fail who logs where standard error is closed.
            .log_internal_errors(false)
            .event_format(lines)
            .with_writer(file)
            .with_max_level(self.level)
            .finish();
        Ok(Log::to(Dispatch::new(subscriber)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tracing::{debug, error, info, warn};

    use super::*;
    use crate::scratch::Scratch;

    fn logged(file: LogFile, log: impl FnOnce()) -> String {
        let path = file.path.clone();
        file.open().unwrap().with(log);
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_line_is_level_time_place_and_message() {
        let scratch = Scratch::new();
        let text = logged(make_log(scratch.path("folder/log")), || info!("Name-1 is at work"));
        let words: Vec<&str> = text.split(' ').collect();
        let [level, date, time, place, ..] = words[..] else { panic!("{text}") };
        assert_eq!(level, "INFO");
        let time = format!("{date} {time}").replace(',', ".");
        assert!(time.parse::<jiff::civil::DateTime>().is_ok(), "{time}");
        assert_eq!(time.len(), "2026-11-28 12:00:00.123".len());
        let (file, line) = place.split_once(':').unwrap();
        assert_eq!(file, "make_log.rs");
        assert!(line.parse::<u32>().is_ok(), "{line}");
        assert!(text.ends_with(" Name-1 is at work\n"), "{text}");
    }

    #[test]
    fn levels_have_pythons_names() {
        let scratch = Scratch::new();
        let log_all = || {
            error!("a");
            warn!("b");
            info!("c");
            debug!("d");
        };
        let levels = |text: String| -> Vec<String> {
            text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
        };
        let text = logged(make_log(scratch.path("default")), log_all);
        assert_eq!(levels(text), ["ERROR", "WARNING", "INFO"]);
        let text = logged(make_log(scratch.path("debug")).level(Level::DEBUG), log_all);
        assert_eq!(levels(text), ["ERROR", "WARNING", "INFO", "DEBUG"]);
    }

    #[test]
    fn nobody_can_forge_a_line() {
        let scratch = Scratch::new();
        let file = make_log(scratch.path("log")).date_format("%Y");
        let text = logged(file, || {
            info!(rows = 3, text = "a\nb", "loaded\nINFO 2026 forged\r\x1b[2J\n");
        });
        let (_, message) = text.split_once(".rs:").unwrap();
        let (_, message) = message.split_once(' ').unwrap();
        assert_eq!(message, "loaded\n    INFO 2026 forged\\r\\x1b[2J\n     rows=3 text=\"a\\nb\"\n");
    }

    #[test]
    fn what_is_no_format_or_no_file_is_an_error() {
        let scratch = Scratch::new();
        let error = make_log(scratch.path("log")).date_format("%!").open().unwrap_err();
        assert!(error.to_string().contains("'%!' is no format of a time"), "{error}");
        assert!(!scratch.path("log").exists());

        fs::write(scratch.path("file"), "").unwrap();
        assert!(make_log(scratch.path("file/log")).open().is_err());
        assert!(make_log(scratch.path("")).open().is_err());
        assert!(make_log("/").open().is_err());
    }

    #[test]
    fn a_full_disk_fails_nobody() {
        let log = make_log("/dev/full").open().unwrap();
        log.with(|| info!("lost"));
        assert!(Path::new("/dev/full").exists());
    }
}
