//! [`Classes`]: RQ's options that name Python classes.

/// RQ's options that name Python classes. They are parsed, so that an error says what this program cannot do.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "For Python's rq only")]
pub(crate) struct Classes {
    /// A Python class: refused, unless it is RQ's own.
    #[arg(short, long, value_parser = rqs_own(&["rq.job.Job", "rq.Job"]), hide_short_help = true)]
    job_class: Option<String>,
    /// A Python class: refused, unless it is RQ's own.
    #[arg(long, value_parser = rqs_own(&["rq.Queue", "rq.queue.Queue"]), hide_short_help = true)]
    queue_class: Option<String>,
    /// A Python class: refused, unless it is redis-py's own.
    #[arg(long, value_parser = rqs_own(&["redis.Redis", "redis.client.Redis"]), hide_short_help = true)]
    connection_class: Option<String>,
}

/// Accepts the Python classes that change nothing.
fn rqs_own(
    classes: &'static [&'static str],
) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
    |class| match classes.contains(&class) {
        true => Ok(class.to_owned()),
        false => {
            Err(format!("'{class}' is a Python class, which cannot be loaded here; leave the option out"))
        }
    }
}
