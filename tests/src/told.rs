//! [`Told`]: what the callbacks of a test's jobs were called with. Both sides are here.

use crate::Scratch;

/// What is set before a key here, and what a gate for callbacks is called.
const TOLD: &str = "told";

/// What the [callbacks](crate::jobs::callbacks) of jobs were called with: a list in the test's Redis for each job.
pub struct Told<'a>(&'a Scratch);

impl<'a> Told<'a> {
    /// The name of the [`Gate`](crate::Gate) where callbacks wait.
    pub const GATE: &'static str = TOLD;

    /// What the callbacks on workers of this scratch note.
    pub fn new(scratch: &'a Scratch) -> Self {
        Self(scratch)
    }

    /// What those of a job noted, in order: how it ended, and its status at that moment.
    pub fn of(&self, id: &str) -> Vec<String> {
        let key = self.0.key(format_args!("{TOLD}:{id}"));
        self.0.query("LRANGE", [key, "0".to_owned(), "-1".to_owned()])
    }
}

/// The callback's side: notes how the job ended, and its status at this moment.
pub(crate) fn note(id: &str, what: &str) -> anyhow::Result<()> {
    let mut connection = redis::Client::open(std::env::var("RQ_REDIS_URL")?)?.get_connection()?;
    let status: Option<String> =
        redis::cmd("HGET").arg(key(&format!("job:{id}"))?).arg("status").query(&mut connection)?;
    let noted = format!("{what}, {}", status.as_deref().unwrap_or("gone"));
    Ok(redis::cmd("RPUSH").arg(key(&format!("{TOLD}:{id}"))?).arg(noted).exec(&mut connection)?)
}

/// The callback's side: where those wait that are asked to.
pub(crate) fn gate_key() -> anyhow::Result<String> {
    key(&format!("gate:{}", Told::GATE))
}

fn key(name: &str) -> anyhow::Result<String> {
    Ok(format!("{}:{name}", std::env::var("RQ_KEY_PREFIX")?))
}
