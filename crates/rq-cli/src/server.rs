//! The options all commands share, and [`Server`]: the Redis they name.

use rq_core::link::BlockingLink;
use rq_core::{Codec, Error, Keys, RedisError, RedisUrl, blocking};

use crate::classes::Classes;
use crate::output::note;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::settings::content::codec;
use crate::settings::field::Field;
use crate::settings::received::Received;
use crate::settings::sources;
use crate::text::{Text, text};

/// Python's default for where modules are, which scripts may name.
const FOLDER_DEFAULT: &str = ".";

/// Options that every command has (docs/cli.md §1.1).
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Shared {
    /// The Redis to use: redis://[user:password@]host[:port][/db], with TLS rediss://.., unix:///path?db=n or
    /// redis+sentinel://host,host/master[/db].
    ///
    /// Without it: RQ_REDIS_URL, REDIS_URL, else that of --config; else REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_PASSWORD,
    /// REDIS_SSL and REDIS_SSL_*, with REDIS_SENTINELS and REDIS_SENTINEL_MASTER in place of a host, each from the
    /// environment, else from --config; else redis://localhost:6379/0. `rq config show --origin` tells.
    /// Others on this machine can read the arguments of programs: give passwords in the environment. All keys begin
    /// with `rq:`, or with what RQ_KEY_PREFIX says.
    #[arg(short, long)]
    url: Option<String>,
    /// The settings to use: a Python module, such as `app.settings`, a file in Python, or one in TOML [default: the table
    /// [settings] of rq.toml, where there is one].
    ///
    /// Without it: RQ_CONFIG; an empty one has no file read. Python is read, and not executed. What a file says counts
    /// where neither options nor the environment say it; docs/settings.md has all of it.
    #[arg(short, long, value_name = "NAME")]
    config: Option<String>,
    /// Where the module that --config names is looked for, before the working directory; may be given several times.
    ///
    /// So is the configuration of `cron`. It finds no jobs: those are a program's, which --app names.
    #[arg(short = 'P', long, value_name = "FOLDER")]
    path: Vec<String>,
    /// How arguments and results are written: pickle, json or bincode [default: pickle].
    ///
    /// Without it: RQ_SERIALIZER. Only `enqueue` writes any; the other commands detect the codec of each job and ignore
    /// both. Also accepted are rq.serializers.JSONSerializer, PickleSerializer and DefaultSerializer (pickle). Python
    /// reads pickle, or json with `-S json`; bincode is for Rust alone.
    #[arg(short = 'S', long, value_parser = codec)]
    serializer: Option<Codec>,
    #[command(flatten)]
    classes: Classes,
}

/// What `-P` is for where no settings are looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PathUse {
    /// The command has another file that is looked for there.
    OtherFile,
    /// Nothing, and that is worth a remark.
    Nothing,
    /// Nothing: whoever gives it to this command wants Python's jobs to be found.
    Jobs(&'static str),
}

/// RQ's `-w` for commands that run no jobs: scripts give it there, too.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "For Python's rq only")]
pub(crate) struct RunsNoJobs {
    /// How `worker` runs jobs: ignored here.
    #[arg(short = 'w', long, hide_short_help = true)]
    worker_class: Option<String>,
}

impl Shared {
    /// The Redis that the arguments, the environment or a file name.
    pub(crate) fn server(&self) -> Result<Server, Refusal> {
        self.settings(PathUse::Nothing)?.server()
    }

    /// What the arguments, the environment and a file say.
    pub(crate) fn settings(&self, path_use: PathUse) -> Result<Settings, Refusal> {
        self.settings_of_worker(path_use, &Received::default())
    }

    /// The same for a worker that was handed this.
    pub(crate) fn settings_of_worker(
        &self,
        path_use: PathUse,
        received: &Received,
    ) -> Result<Settings, Refusal> {
        let config = self.config.as_deref().or(received.reads_no_file().then_some(""));
        self.check_path(config, path_use)?;
        let mut options = Vec::new();
        options.extend(self.url.as_deref().map(|url| (Field::RedisUrl, "--url", url)));
        options.extend(self.serializer.map(|codec| (Field::Serializer, "--serializer", codec.name())));
        sources::read(&options, config, &self.path)?.with(received)
    }

    /// The folders in which files are looked for.
    pub(crate) fn folders(&self) -> &[String] {
        &self.path
    }

    /// The options that name pieces of the program.
    pub(crate) fn classes(&self) -> &Classes {
        &self.classes
    }

    fn check_path(&self, config: Option<&str>, path_use: PathUse) -> Result<(), Refusal> {
        let is_given = self.path.iter().any(|path| path != FOLDER_DEFAULT);
        if !is_given || sources::is_file_named(config) {
            return Ok(());
        }
        match path_use {
            PathUse::OtherFile => {}
            PathUse::Nothing => note(text!("--path is ignored: no Python is imported here")),
            PathUse::Jobs(command) => {
                return Err(Refusal::usage(
                    command,
                    "Option '--path' says where the module of --config is, and none is named. It finds no jobs: those are this \
                     program's own, or another's by --app.",
                ));
            }
        }
        Ok(())
    }
}

/// The Redis that a command works with, and the names of the keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Server {
    pub(crate) url: String,
    /// The URL without secrets.
    pub(crate) shown: String,
    pub(crate) keys: Keys,
}

impl Server {
    /// The one at `url`; what in that has no effect is remarked on.
    pub(crate) fn at(url: &str, keys: Keys) -> Result<Server, Refusal> {
        let read = RedisUrl::parse(url).map_err(|error| Refusal::Failed(format!("{error}.")))?;
        read.warnings().iter().map(Text::line).for_each(note);
        Ok(Server { url: url.to_owned(), shown: read.to_string(), keys })
    }

    /// Connects.
    pub(crate) fn link(&self) -> Result<BlockingLink, Refusal> {
        let link = BlockingLink::open(&self.url).map_err(|error| self.refusal(&error))?;
        link.follow_cluster(&self.keys);
        Ok(link)
    }

    /// Connects, for one queue.
    pub(crate) fn queue(&self, name: &str) -> Result<blocking::Queue, Refusal> {
        let queue = blocking::Queue::connect(&self.url, name).map_err(|error| self.refusal(&error))?;
        Ok(queue.keys(self.keys.clone()))
    }

    /// The message for an error, with the server named where that may be the cause.
    pub(crate) fn refusal(&self, error: &Error) -> Refusal {
        Refusal::Failed(match error {
            Error::Redis(cause) if error.is_redis_unavailable() => format!(
                "Redis at {} cannot be reached: {cause}. {} Another one is named with --url or RQ_REDIS_URL.",
                self.shown,
                self.question(cause)
            ),
            Error::Redis(cause) => format!("Redis at {}: {cause}", self.shown),
            other => other.to_string(),
        })
    }

    /// What is to be asked first where there is no connection.
    fn question(&self, cause: &RedisError) -> &'static str {
        let is_plain = self.shown.starts_with("redis:") || self.shown.starts_with("redis+");
        match self.shown.starts_with("rediss") {
            true if !cause.is_connection_refused() => {
                "Does it speak TLS there, with what the URL says of certificates?"
            }
            false if is_plain && !cause.is_connection_refused() => {
                "Is it running there, and without TLS? With it, the URL begins with rediss."
            }
            _ => "Is it running there?",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_would_find_jobs_is_not_ignored_in_silence() {
        let shared = |path: &[&str], config: Option<&str>| Shared {
            path: path.iter().map(ToString::to_string).collect(),
            config: config.map(str::to_owned),
            ..Shared::default()
        };
        let check = |shared: Shared, path_use| shared.check_path(shared.config.as_deref(), path_use);
        let jobs = PathUse::Jobs("worker");
        assert!(matches!(check(shared(&["src"], Some("")), jobs), Err(Refusal::Usage { .. })));
        assert_eq!(check(shared(&["."], Some("")), jobs), Ok(()));
        assert_eq!(check(shared(&["src"], Some("settings")), jobs), Ok(()));
        assert_eq!(check(shared(&["src"], Some("")), PathUse::Nothing), Ok(()));
        assert_eq!(check(shared(&["src"], Some("")), PathUse::OtherFile), Ok(()));
    }
}
