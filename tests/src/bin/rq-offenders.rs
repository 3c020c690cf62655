//! A Manager of processes that offend against each limit: `rq-offenders KIND.. [key=value ..]`.
//!
//! A kind is one of [`OFFENCES`], and takes the keys that follow it: `count`, `max_requests`, `soft`, `hard` (MB),
//! `timeout_ms`, `check_point_ms`, `ballast` (MB that it holds from the beginning). Before the first kind the Manager's own: `check_point_ms`, `wait_ms`, `control`.
//! It logs lines of `LEVEL message` to standard output.

use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::Duration;

use rq_manager::{BoxError, Context, Kind, Manager, Process};

/// What a run leaks.
const LEAK_BYTES: usize = 5 << 20;
/// How long a quick run takes.
const QUICK: Duration = Duration::from_millis(20);
/// The role of a program that a process starts.
const LEAKER: &str = "leaker";

/// What a process does in a run.
type Offence = fn(&mut Memory, &Context) -> Result<bool, BoxError>;

/// What a process does, by name.
const OFFENCES: [(&str, Offence); 12] = [
    ("quick", |_, context| {
        context.sleep(QUICK)?;
        Ok(true)
    }),
    ("idles", |_, context| {
        context.sleep(QUICK)?;
        Ok(false)
    }),
    ("leaks", |memory, _| {
        memory.leak();
        sleep(QUICK);
        Ok(true)
    }),
    // Its own memory stays as it is.
    ("leaks-in-child", |memory, _| {
        memory.start_leaker()?;
        sleep(QUICK);
        Ok(true)
    }),
    ("spins", |_, _| {
        loop {
            black_box(());
        }
    }),
    ("sleeps", |_, _| {
        loop {
            sleep(Duration::from_secs(3600));
        }
    }),
    // Asks for its deadline.
    ("waits", |_, context| {
        context.sleep(Duration::from_secs(3600))?;
        Ok(true)
    }),
    ("fails", |_, _| Err("no luck".into())),
    ("panics", |_, _| panic!("no such luck")),
    ("exits", |_, _| {
        sleep(QUICK);
        std::process::exit(3)
    }),
    // In a session of its own, which outlives who started it.
    ("grandchildren", |memory, _| {
        memory.start_once("setsid sleep 1000 & sleep 1000 &")?;
        sleep(QUICK);
        Ok(true)
    }),
    // One request takes a second.
    ("slow", |_, _| {
        sleep(Duration::from_secs(1));
        tracing::info!("a slow run has ended");
        Ok(true)
    }),
];

#[derive(Default)]
struct Memory {
    leaked: Vec<Vec<u8>>,
    has_started: bool,
}

impl Memory {
    fn leak(&mut self) {
        self.leaked.push(vec![1; LEAK_BYTES]);
    }

    fn start_leaker(&mut self) -> Result<(), BoxError> {
        if !self.has_started {
            Command::new(std::env::current_exe()?).arg(LEAKER).spawn()?;
            self.has_started = true;
        }
        Ok(())
    }

    fn start_once(&mut self, script: &str) -> Result<(), BoxError> {
        if !self.has_started {
            Command::new("sh").args(["-c", script]).status()?;
            self.has_started = true;
        }
        Ok(())
    }
}

struct Offender {
    offence: Offence,
    dies_at_boot: Option<fn()>,
    /// Megabytes that it holds from the beginning.
    ballast: usize,
    memory: Memory,
}

impl Process for Offender {
    fn init(&mut self, _: &Context) -> Result<(), BoxError> {
        self.memory.leaked.push(vec![1; self.ballast << 20]);
        match self.dies_at_boot {
            Some(die) => {
                die();
                Err("there is no such file".into())
            }
            None => Ok(()),
        }
    }

    fn run(&mut self, context: &Context) -> Result<bool, BoxError> {
        (self.offence)(&mut self.memory, context)
    }

    fn after_run(&mut self, context: &Context) {
        tracing::info!("{} after_run behind {} requests", context.name(), context.requests());
    }
}

/// What can be told of a kind, or of the Manager.
#[derive(Default)]
struct Told {
    name: String,
    pairs: Vec<(String, String)>,
}

impl Told {
    fn number(&self, key: &str) -> Option<u64> {
        let (_, value) = self.pairs.iter().find(|(known, _)| known == key)?;
        Some(value.parse().expect("a number"))
    }

    fn time(&self, key: &str) -> Option<Duration> {
        self.number(key).map(Duration::from_millis)
    }

    fn kind(&self) -> Kind {
        let dies_at_boot: Option<fn()> = match self.name.as_str() {
            "dies-at-boot" => Some(|| {}),
            "exits-at-boot" => Some(|| std::process::exit(7)),
            _ => None,
        };
        let offence = OFFENCES.iter().find(|(name, _)| *name == self.name);
        let (_, offence) = *offence.unwrap_or(&OFFENCES[0]);
        let ballast = usize::try_from(self.number("ballast").unwrap_or(0)).expect("a small number");
        let kind = Kind::new(&self.name, move |_| Offender {
            offence,
            dies_at_boot,
            ballast,
            memory: Memory::default(),
        });
        kind.count(self.number("count").map_or(1, |count| usize::try_from(count).expect("a small number")))
            .max_requests(self.number("max_requests"))
            .soft_memory_limit(self.number("soft").or(Some(200)))
            .hard_memory_limit(self.number("hard").or(Some(300)))
            .timeout(self.time("timeout_ms"))
            .check_point(self.time("check_point_ms"))
    }
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(LEAKER) {
        let mut memory = Memory::default();
        loop {
            memory.leak();
            sleep(QUICK);
        }
    }
    tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .with_writer(std::io::stdout)
        .init();
    let mut told = vec![Told::default()];
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some((key, value)) => {
                let last = told.last_mut().expect("the Manager's own is there");
                last.pairs.push((key.to_owned(), value.to_owned()));
            }
            None => told.push(Told { name: argument, pairs: Vec::new() }),
        }
    }
    let own = told.remove(0);
    let mut manager = Manager::new(told.iter().map(Told::kind))
        .title("Offenders")
        .check_point(own.time("check_point_ms").unwrap_or(Duration::from_millis(200)))
        .wait_time(own.time("wait_ms").unwrap_or(Duration::from_secs(5)));
    if let Some((_, path)) = own.pairs.iter().find(|(key, _)| key == "control") {
        manager = manager.control(PathBuf::from(path));
    }
    match manager.start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
