//! [`Commands`]: what people ask of this worker over its channel (wire spec §15).

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use redis::aio::PubSubStream;
use rq_core::link::Link;
use rq_core::{Codec, Value};

/// The pause before a broken subscription is made anew.
const RESUBSCRIBE_PAUSE: Duration = Duration::from_secs(1);
/// The longest message that is looked at; commands have less than 200 bytes.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// What a worker may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// To stop, as by SIGINT.
    Shutdown,
    /// To kill the process that runs its job.
    KillHorse,
    /// To stop a job.
    StopJob { job_id: String },
    /// To stop one run of a job.
    StopExecution { job_id: String, execution_id: String },
    /// Something that is no command of RQ, or none at all.
    Unknown,
}

impl Command {
    /// Reads a message. Whatever is sent, nothing breaks of it: anybody may publish.
    fn parse(message: &[u8]) -> Command {
        let read = || {
            let fields = match Codec::Json.decode_value(message).ok()? {
                Value::Dict(fields) => fields,
                _ => return None,
            };
            let text = |name: &str| {
                fields.iter().find_map(|(key, value)| match (key, value) {
                    (Value::Str(key), Value::Str(value)) if key == name => Some(value.clone()),
                    _ => None,
                })
            };
            match text("command")?.as_str() {
                "shutdown" => Some(Command::Shutdown),
                "kill-horse" => Some(Command::KillHorse),
                "stop-job" => Some(Command::StopJob { job_id: text("job_id")? }),
                "stop-execution" => Some(Command::StopExecution {
                    job_id: text("job_id")?,
                    execution_id: text("execution_id")?,
                }),
                _ => None,
            }
        };
        if message.len() > MESSAGE_BYTES_MAX { Command::Unknown } else { read().unwrap_or(Command::Unknown) }
    }
}

/// A subscription to the worker's channel, made anew whenever it breaks. What is published meanwhile is lost, as in RQ.
pub(crate) struct Commands {
    link: Link,
    channel: String,
    messages: Option<PubSubStream>,
    subscribing: Option<BoxFuture<'static, Option<PubSubStream>>>,
}

impl Commands {
    pub(crate) fn new(link: Link, channel: String) -> Commands {
        Commands { link, channel, messages: None, subscribing: None }
    }

    /// The channel listened to.
    pub(crate) fn channel(&self) -> &str {
        &self.channel
    }

    /// Subscribes, if that succeeds at once; [`next`](Commands::next) tries again.
    pub(crate) async fn subscribe(&mut self) {
        self.messages = self.link.subscribe(&self.channel).await.ok();
    }

    /// Waits for the next command. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Command {
        loop {
            if let Some(messages) = &mut self.messages {
                match messages.next().await {
                    Some(message) => return Command::parse(message.get_payload_bytes()),
                    None => self.messages = None,
                }
            }
            let subscribing = match &mut self.subscribing {
                Some(subscribing) => subscribing,
                None => {
                    self.subscribing.insert(Box::pin(resubscribe(self.link.clone(), self.channel.clone())))
                }
            };
            self.messages = subscribing.await;
            self.subscribing = None;
        }
    }
}

async fn resubscribe(link: Link, channel: String) -> Option<PubSubStream> {
    tokio::time::sleep(RESUBSCRIBE_PAUSE).await;
    link.subscribe(&channel).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_nothing_else() {
        let stop = || Command::StopJob { job_id: "j".to_owned() };
        let stop_execution = Command::StopExecution { job_id: "j".to_owned(), execution_id: "x".to_owned() };
        for (message, command) in [
            (r#"{"command": "shutdown"}"#, Command::Shutdown),
            (r#"{"command": "kill-horse"}"#, Command::KillHorse),
            (r#"{"command": "stop-job", "job_id": "j"}"#, stop()),
            (r#"{"job_id":"j","command":"stop-job","more":[1]}"#, stop()),
            (r#"{"command": "stop-execution", "job_id": "j", "execution_id": "x"}"#, stop_execution),
        ] {
            assert_eq!(Command::parse(message.as_bytes()), command, "{message}");
        }
        let deep = "[".repeat(100_000);
        let long = format!(r#"{{"command": "shutdown", "x": "{}"}}"#, "x".repeat(MESSAGE_BYTES_MAX));
        for message in
            ["", "garbage", "{}", "[]", "null", "7", r#"{"command": 7}"#, r#"{"command": "stop-job"}"#]
                .into_iter()
                .chain([deep.as_str(), long.as_str()])
        {
            assert_eq!(Command::parse(message.as_bytes()), Command::Unknown, "{:.40}", message);
        }
        assert_eq!(Command::parse(b"\xff\xfe"), Command::Unknown);
    }
}
