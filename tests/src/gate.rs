//! [`Gate`]: where a job waits until the test lets it go on. Both sides are here.

use std::time::Duration;

use crate::Scratch;

/// How long the test waits for a job to arrive.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);
/// How long the job looks at the gate before it looks at its own time limit again.
const LOOK: Duration = Duration::from_millis(50);
/// How long a connection of the job's may be silent beyond that.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The test's side of a gate: a list in its Redis that a job pops from.
///
/// The job is [`test.gate`](crate::jobs), or one like it, with [`Gate::key`] as its argument.
pub struct Gate<'a> {
    scratch: &'a Scratch,
    key: String,
}

impl<'a> Gate<'a> {
    /// A closed gate.
    pub fn new(scratch: &'a Scratch, name: &str) -> Self {
        Self { scratch, key: scratch.key(format_args!("gate:{name}")) }
    }

    /// What the job is given.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Waits until one more job stands at the gate, and returns its id.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn wait_for_arrival(&self) -> String {
        let limit_s = ARRIVAL_LIMIT.as_secs().to_string();
        let mut connection = self.scratch.connection();
        connection.set_read_timeout(Some(ARRIVAL_LIMIT + ANSWER_LIMIT)).expect("a time limit can be set");
        let popped: Option<(String, String)> =
            redis::cmd("BLPOP").arg(arrivals(&self.key)).arg(limit_s).query(&mut connection).expect("BLPOP");
        popped.unwrap_or_else(|| panic!("no job came to {} within {ARRIVAL_LIMIT:?}", self.key)).1
    }

    /// Lets so many jobs through, waiting ones and later ones.
    pub fn open(&self, jobs: usize) {
        let permits = vec!["go".to_string(); jobs];
        self.scratch.query::<()>("RPUSH", std::iter::once(self.key.clone()).chain(permits));
    }
}

/// The job's side: a connection to the Redis of the scratch its worker serves.
pub(crate) struct Door {
    connection: redis::Connection,
    key: String,
}

impl Door {
    /// Says that the job `id` has arrived.
    pub(crate) fn arrive(key: &str, id: &str) -> anyhow::Result<Self> {
        let url = std::env::var("RQ_REDIS_URL")?;
        let mut connection = redis::Client::open(url)?.get_connection()?;
        connection.set_read_timeout(Some(ANSWER_LIMIT))?;
        redis::cmd("RPUSH").arg(arrivals(key)).arg(id).exec(&mut connection)?;
        Ok(Self { connection, key: key.to_string() })
    }

    /// Waits a moment for the gate to open. `false`: not yet.
    pub(crate) fn look(&mut self) -> anyhow::Result<bool> {
        let popped: Option<(String, String)> =
            redis::cmd("BLPOP").arg(&self.key).arg(LOOK.as_secs_f64()).query(&mut self.connection)?;
        Ok(popped.is_some())
    }
}

fn arrivals(key: &str) -> String {
    format!("{key}:arrivals")
}
