//! [`WorkerError`]: why a worker did not start, or ended before it should; [`LaunchError`]: why its executor did not.

use std::io;
use std::time::Duration;

use rq_core::StateError;
use rq_core::steps::permissions::Lack;

/// Why a worker did not start, or ended before it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The program brings no handlers, and the executor runs nothing else.
    #[error(
        "this program has no job handlers, so a worker could run nothing. Ways on:\n  \
         * make your program an rq:  fn main() -> ExitCode {{ rq_cli::main(handlers![add, fetch]) }}\n  \
         * let this rq run it:       rq worker --app ./my-jobs"
    )]
    NoHandlers,
    /// The executor could not be launched.
    #[error("the {executor} executor could not start: {source}")]
    Launch {
        /// Its word for `-w`.
        executor: &'static str,
        /// What went wrong.
        source: LaunchError,
    },
    /// A worker that blocks its thread was started in an async runtime.
    #[error(
        "a worker cannot block a thread of an async runtime. Ways on:\n  \
         * call `rq_cli::main`, or `run`, from a `main` that is not async, without #[tokio::main]; jobs may be async all the \
         same\n  \
         * in a service with a runtime of its own, await `run_until(..)`"
    )]
    InsideRuntime,
    /// This process was executed to help another of its program's workers, which the program did not get to prepare.
    #[error(
        "this process was started to help another worker of its program; prepare all workers first in `main`, in the same order \
         each time"
    )]
    Bystander,
    /// Something the worker needs from the system could not be had.
    #[error("{what}: {source}")]
    System {
        /// What it was.
        what: &'static str,
        /// What went wrong.
        source: io::Error,
    },
    /// A step in Redis failed and trying again does not help.
    #[error(transparent)]
    Redis(#[from] rq_core::Error),
    /// The server cannot do what RQ needs.
    #[error("{server} is too old: RQ needs Redis 6.2 or Valkey 7.2, or newer; upgrade the server")]
    ServerTooOld {
        /// What it calls itself.
        server: String,
    },
    /// The server is a node of a cluster, where the keys would be of many slots.
    #[error(
        "this Redis is a cluster, and the keys begin with {prefix}: set RQ_KEY_PREFIX to a prefix with a hash tag, such as {{app}}:rq, for producers and workers alike"
    )]
    PrefixWithoutTag {
        /// The prefix.
        prefix: String,
    },
    /// Its user may not do what a worker needs.
    #[error("{}", described_lacks(user.as_deref(), lacks, prefix))]
    NotPermitted {
        /// The user; `None` where Redis does not say.
        user: Option<String>,
        /// What it lacks.
        lacks: Vec<Lack>,
        /// What all keys and channels begin with.
        prefix: String,
    },
    /// An entry of its cron cannot be.
    #[error(transparent)]
    Cron(rq_cron::CronError),
    /// A worker that stops when its queues are empty was given a cron.
    #[error(
        "a burst worker runs no cron, since it stops when its queues are empty: run `rq cron` beside it, or leave out the burst"
    )]
    CronInBurst,
    /// A living worker has the name.
    #[error(
        "There exists an active worker named '{name}' already; choose another --name, or wait until it is gone"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// All workers are suspended.
    #[error("RQ is currently suspended, to resume job execution run \"rq resume\"")]
    Suspended,
    /// Redis refuses what the worker sends, and somebody has to allow it first.
    #[error("redis still does not take what this worker sends, so it leaves: {source}")]
    Refused {
        /// What Redis says.
        source: rq_core::Error,
    },
    /// The worker had to leave before Redis took what became of its jobs.
    #[error(
        "redis was never told what became of {}; other workers take these jobs for abandoned once their leases are over",
        described(outcomes)
    )]
    OutcomesNotTaken {
        /// Per job its id, and in a word what became of it: `finished`.
        outcomes: Vec<(String, &'static str)>,
    },
    /// What it takes to run jobs was short for too long.
    #[error("for {} s no job could be begun, and all were put back: {reason}", lasted.as_secs())]
    Short {
        /// What was short, and what can be done.
        reason: String,
        /// How long the worker has tried.
        lasted: Duration,
    },
    /// The executor can take no more work; a supervisor should start a fresh worker.
    #[error("{reason}; exiting so that a supervisor can start a fresh worker")]
    Exhausted {
        /// Why.
        reason: String,
    },
}

/// How many outcomes an error names.
const NAMED_MAX: usize = 20;

fn described(outcomes: &[(String, &str)]) -> String {
    let named = outcomes.iter().take(NAMED_MAX).map(|(id, outcome)| format!("{id} ({outcome})"));
    let mut text = named.collect::<Vec<_>>().join(", ");
    if outcomes.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", outcomes.len() - NAMED_MAX));
    }
    text
}

/// The first of `items`, and how many more there are.
fn listed(items: &[&str]) -> String {
    let mut text = items[..items.len().min(NAMED_MAX)].join(", ");
    if items.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", items.len() - NAMED_MAX));
    }
    text
}

fn described_lacks(user: Option<&str>, lacks: &[Lack], prefix: &str) -> String {
    let of = |pick: fn(&Lack) -> Option<&str>| lacks.iter().filter_map(pick).collect::<Vec<_>>();
    let commands = of(|lack| if let Lack::Command(name) = lack { Some(name) } else { None });
    let unknown = of(|lack| if let Lack::Unknown(name) = lack { Some(name) } else { None });
    let keys = of(|lack| if let Lack::Key(name) = lack { Some(name) } else { None });
    let channels = of(|lack| if let Lack::Channel(name) = lack { Some(name) } else { None });

    let what = [("run", &commands), ("use the keys", &keys), ("listen on the channel", &channels)];
    let missing = what.iter().filter(|(_, items)| !items.is_empty());
    let missing: Vec<String> = missing.map(|(verb, items)| format!("{verb} {}", listed(items))).collect();
    let mut sentences = Vec::new();
    if !missing.is_empty() {
        let rules = commands.iter().map(|name| format!("+{}", name.to_lowercase().replace(' ', "|")));
        let keys = (!keys.is_empty()).then(|| format!("~{prefix}:*"));
        let channels = (!channels.is_empty()).then(|| format!("&{prefix}:pubsub:*"));
        let rules: Vec<String> = rules.chain(keys).chain(channels).collect();
        sentences.push(format!(
            "{} may not {}, which a worker needs; `ACL SETUSER {} {}` lets it (docs/operations.md lists all)",
            user.map_or("the user of this URL".to_owned(), |user| format!("redis' user '{user}'")),
            missing.join(", nor "),
            user.unwrap_or("NAME"),
            rules.join(" ")
        ));
    }
    if !unknown.is_empty() {
        sentences.push(format!("this server has no command {}, or has renamed it", listed(&unknown)));
    }
    sentences.join("; ")
}

/// Why an executor could not be launched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The program brings no handlers, and this executor runs nothing else.
    #[error("the program has no job handlers")]
    NoHandlers,
    /// The executor cannot do what the options ask, or not here; a sentence fragment that says what can be done.
    #[error("{0}")]
    Refused(String),
    /// What is made before the first job could not be made.
    #[error("{}", .0.told())]
    State(#[from] StateError),
    /// Something it needs from the system could not be had.
    #[error(transparent)]
    System(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_is_told_with_what_ends_it() {
        let lacks = vec![
            Lack::Command("TIME".to_owned()),
            Lack::Command("CLIENT INFO".to_owned()),
            Lack::Unknown("ZMSCORE".to_owned()),
            Lack::Key("p:wip:q".to_owned()),
            Lack::Channel("p:pubsub:w".to_owned()),
        ];
        let told = |user: Option<&str>, lacks| {
            WorkerError::NotPermitted { user: user.map(str::to_owned), lacks, prefix: "p".to_owned() }
                .to_string()
        };
        assert_eq!(
            told(Some("w"), lacks.clone()),
            "redis' user 'w' may not run TIME, CLIENT INFO, nor use the keys p:wip:q, nor listen on the channel \
             p:pubsub:w, which a worker needs; `ACL SETUSER w +time +client|info ~p:* &p:pubsub:*` lets it \
             (docs/operations.md lists all); this server has no command ZMSCORE, or has renamed it"
        );
        assert!(told(None, lacks[..1].to_vec()).starts_with("the user of this URL may not run TIME"));
    }
}
