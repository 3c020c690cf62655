//! `cargo xtask demo`: the main job on real input, from nothing to a result table.
//!
//! This part gets a Redis and serves pages; the rest is done by two programs of `examples/`, as a user would write them:
//! `demo` enqueues, starts the worker `word-count`, and shows what happens.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use rq_dev::Server;

use crate::pages::Site;
use crate::process::{Program, say};
use crate::{python, redis, target};

/// Counts words on sixty pages: gets a Redis, serves the pages, enqueues a job for each, runs a worker, shows the results.
///
/// Then it measures how fast a worker drains a queue of trivial jobs, beside Python RQ where Python can be had.
#[derive(Args)]
pub(crate) struct Options {
    /// Use this Redis, under a key prefix of the demo's own; without it, a private server is started
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// How many pages to count
    #[arg(long, default_value_t = 60, value_name = "N")]
    pages: usize,
    /// How many trivial jobs to drain for the figure; 0 leaves it out
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    drain: usize,
    /// Do not compare with Python RQ
    #[arg(long)]
    no_python: bool,
}

/// The Redis that the demo talks to.
enum Redis {
    /// The user's, in which we keep to a key prefix of our own.
    Given {
        url: String,
        key_prefix: String,
    },
    Private(Server),
}

/// Runs the demo; exits as its program does.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let redis = Redis::get(options.url.as_deref())?;
    build()?;
    let site = Site::start(options.pages)?;
    let status = command(options, &redis, &site)?.status()?;
    // Without a code it died of a signal, which is a failure too.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

impl Redis {
    fn get(url: Option<&str>) -> Result<Self> {
        let Some(url) = url else { return redis::start_private().map(Self::Private) };
        let key_prefix = format!("rq-demo-{:08x}", RandomState::new().build_hasher().finish() as u32);
        say(format_args!("Redis: the given one; every key begins with {key_prefix}:"));
        Ok(Self::Given { url: url.to_string(), key_prefix })
    }
}

fn build() -> Result<()> {
    let began = Instant::now();
    Program::cargo("build --release -p rq-examples --bin demo --bin word-count").run()?;
    say(format_args!("Built in {} s.", began.elapsed().as_secs()));
    Ok(())
}

fn command(options: &Options, redis: &Redis, site: &Site) -> Result<Program> {
    let demo = Program::new(target::release_binary("demo")?).arg("--url");
    let demo = match redis {
        Redis::Given { url, key_prefix } => {
            demo.secret_arg(url).env("RQ_KEY_PREFIX", key_prefix).stdin(Stdio::null())
        }
        // The server lives until the demo's worker is gone too, so that a Ctrl-C lets it finish in good order.
        Redis::Private(server) => demo.arg(server.url()).stdin(server.second_holder()?),
    };
    let demo = demo.args(["--pages", &site.url(), "--count", &options.pages.to_string()]);
    let demo = demo.arg("--worker").arg(target::release_binary("word-count")?);
    let demo = demo.args(["--drain", &options.drain.to_string()]);
    let wants_python = options.drain > 0 && !options.no_python;
    match wants_python.then(python::interpreter) {
        Some(Ok(python)) => Ok(demo.arg("--python").arg(python)),
        Some(Err(error)) => {
            say(format_args!("No comparison with Python RQ: {error:#}"));
            Ok(demo)
        }
        None => Ok(demo),
    }
}
