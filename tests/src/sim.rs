//! [`Sim`]: a time of a test's own that runs faster than the real one, and the cron entries that are due in it.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rq_core::{Call, Timestamp};
use rq_cron::{CatchUp, Clock, Cron, Entry};

/// The variable that passes it on to a program.
const VARIABLE: &str = "RQ_TEST_SIM";
/// The longest real sleep.
const SLEEP_MAX: Duration = Duration::from_millis(200);
/// The schedules of the entries: rhythms and times, clocks that are put forward and back, and intervals.
const EXPRESSIONS: [(&str, &str); 12] = [
    ("* * * * *", "UTC"),
    ("*/2 * * * *", "Europe/Berlin"),
    ("*/5 * * * *", "America/New_York"),
    ("1-59/3 * * * *", "Asia/Kolkata"),
    ("0,15,30,45 * * * *", "Australia/Lord_Howe"),
    ("7 * * * *", "UTC"),
    ("30 2 * * *", "Europe/Berlin"),
    ("30 1 * * *", "Europe/Berlin"),
    ("0 */3 * * mon-fri", "UTC"),
    ("*/10 9-17 * * *", "America/New_York"),
    ("15 10 1,15 * *", "UTC"),
    ("*/30 * * * * *", "UTC"),
];
const INTERVALS_S: [u64; 8] = [30, 45, 60, 90, 120, 300, 3600, 86_400];

/// A time that began at some moment, and runs so many times faster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sim {
    /// The real moment at which it began.
    began: Timestamp,
    /// What it was then.
    from: Timestamp,
    factor: u32,
}

impl Sim {
    /// One that begins now with `from`.
    pub fn beginning(from: Timestamp, factor: u32) -> Sim {
        Sim { began: Timestamp::now(), from, factor }
    }

    /// The one that this program was given.
    ///
    /// # Panics
    /// If it was given none.
    pub fn of_env() -> Sim {
        let text = std::env::var(VARIABLE).expect("a program that is simulated is given its time");
        let numbers: Vec<i64> = text.split(' ').map(|number| number.parse().expect("a number")).collect();
        let [began, from, factor] = numbers[..] else { panic!("three numbers, not {text}") };
        Sim {
            began: Timestamp::from_epoch_us(began),
            from: Timestamp::from_epoch_us(from),
            factor: u32::try_from(factor).expect("a small number"),
        }
    }

    /// What a program is given to have the same.
    pub fn env(&self) -> (&'static str, String) {
        (VARIABLE, format!("{} {} {}", self.began.epoch_us(), self.from.epoch_us(), self.factor))
    }

    /// Twenty entries, each of another schedule, that make up for all of their ticks.
    pub fn cron() -> Cron {
        let call = || Call::<()>::to("sim.tick");
        let at = EXPRESSIONS.iter().map(|(text, zone)| Entry::at(*text, call()).zone(*zone));
        let every = INTERVALS_S.iter().map(|interval| Entry::every(Duration::from_secs(*interval), call()));
        let entries = at.chain(every).enumerate();
        entries
            .map(|(number, entry)| entry.named(format!("e{number}")).queue("sim").catch_up(CatchUp::All))
            .collect()
    }
}

impl Clock for Sim {
    fn now(&self) -> Timestamp {
        self.from.after(Timestamp::now().since(self.began) * self.factor)
    }

    fn wait_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        tokio::time::sleep((at.since(self.now()) / self.factor).min(SLEEP_MAX)).boxed()
    }
}
