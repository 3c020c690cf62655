//! [`Clock`]: a clock that a test sets, for a Redis of its own.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use crate::folder::Folder;

/// Shows a program another time than the true one.
const SHIM: &str = include_str!("clock/shim.c");
/// What the shim is told: the file that says by how much.
const AHEAD: &str = "RQ_TEST_CLOCK";

/// For how long a Redis may take a clock's time for granted: Valkey 9.1 asks again after a millisecond.
const TAKEN_FOR_GRANTED: Duration = Duration::from_millis(2);

/// A clock that can be set ahead while a program goes by it. It shows the true time at first.
pub struct Clock {
    folder: Folder,
    ahead: Mutex<Duration>,
}

impl Clock {
    /// A clock that nobody goes by yet.
    ///
    /// # Panics
    /// When there is no C compiler `cc`, which Rust needs for linking, too.
    #[expect(clippy::new_without_default, reason = "it compiles something: a default would hide that")]
    pub fn new() -> Self {
        let clock = Self { folder: Folder::new("clock"), ahead: Mutex::default() };
        clock.show(Duration::ZERO);
        let source = clock.folder.path().join("shim.c");
        std::fs::write(&source, SHIM).expect("a new folder can be written to");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([clock.shim(), source.into()]);
        let compiled = compiler.output().unwrap_or_else(|error| panic!("{compiler:?}: {error}"));
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        clock
    }

    /// Sets it ahead. Whoever goes by it does so when this returns.
    pub fn jump(&self, by: Duration) {
        let mut ahead = self.ahead.lock().expect("nobody panics with a duration in hand");
        *ahead += by;
        self.show(*ahead);
        std::thread::sleep(TAKEN_FOR_GRANTED);
    }

    /// The words before a program that is to go by it.
    pub(crate) fn prefix(&self) -> [OsString; 3] {
        let variable = |name: &str, value: OsString| {
            let mut variable = OsString::from(format!("{name}="));
            variable.push(value);
            variable
        };
        ["env".into(), variable("LD_PRELOAD", self.shim()), variable(AHEAD, self.file())]
    }

    fn show(&self, ahead: Duration) {
        let us = i64::try_from(ahead.as_micros()).expect("a test stays in this age");
        // Written over, not anew: whoever goes by the clock has mapped this file.
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.file());
        file.and_then(|mut file| file.write_all(&us.to_ne_bytes()))
            .expect("the clock's file can be written to");
    }

    fn shim(&self) -> OsString {
        self.folder.path().join("shim.so").into()
    }

    fn file(&self) -> OsString {
        self.folder.path().join("ahead").into()
    }
}
