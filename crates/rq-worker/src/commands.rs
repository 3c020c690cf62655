//! [`Commands`]: the requests that come over this worker's channel (docs/wire.md §15).

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use redis::aio::{PubSubSink, PubSubStream};
use rq_core::link::{Backoff, Link, spoils_connection};
use rq_core::{Codec, Value};
use tokio::sync::watch;

use crate::request::Request;

/// The pauses before a broken subscription is made anew.
const RESUBSCRIBE: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(3));
/// How often the server is asked whether the subscription still stands, on which nothing else is sent.
const PING_EVERY: Duration = Duration::from_secs(8);
/// How long it may take to answer that.
const PING_LIMIT: Duration = Duration::from_secs(4);
/// The longest message that is parsed; commands have less than 200 bytes.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Parses a message; `None` for one that is no command of RQ. Anybody may publish, so no message may break the worker.
fn parse(message: &[u8]) -> Option<Request> {
    if message.len() > MESSAGE_BYTES_MAX {
        return None;
    }
    // Our own decoder bounds depth as well: a message of brackets alone would overflow another's stack.
    let Value::Dict(fields) = Codec::Json.decode_value(message).ok()? else { return None };
    let text = |name: &str| {
        fields.iter().find_map(|(key, value)| match (key, value) {
            (Value::Str(key), Value::Str(value)) if key == name => Some(value.clone()),
            _ => None,
        })
    };
    let is_set = |name: &str| {
        fields.iter().any(|(key, value)| *key == Value::Str(name.to_owned()) && *value == Value::Bool(true))
    };
    match text("command")?.as_str() {
        // Ours: Python's workers know no such word, and stop warm (docs/wire.md §24.5).
        "shutdown" if is_set("cold") => Some(Request::StopCold),
        "shutdown" => Some(Request::StopWarm),
        "kill-horse" => Some(Request::KillHorses),
        "stop-job" => Some(Request::StopJob { job_id: text("job_id")? }),
        "stop-execution" => {
            Some(Request::StopExecution { job_id: text("job_id")?, execution_id: text("execution_id")? })
        }
        _ => None,
    }
}

/// A subscription to the worker's channel, made anew whenever it breaks, is of no more use, or may lead to where Redis was.
/// What is published meanwhile is lost, as in RQ.
pub(crate) struct Commands {
    link: Link,
    channel: String,
    subscription: Option<Subscription>,
    subscribing: Option<BoxFuture<'static, Option<Subscription>>>,
    backoff: Backoff,
    /// How many messages were no commands.
    ignored: u64,
}

struct Subscription {
    messages: PubSubStream,
    /// Completes when the subscription is of no more use.
    over: BoxFuture<'static, ()>,
}

impl Commands {
    pub(crate) fn new(link: Link, channel: String) -> Commands {
        Commands { link, channel, subscription: None, subscribing: None, backoff: RESUBSCRIBE, ignored: 0 }
    }

    /// The channel that commands come over.
    pub(crate) fn channel(&self) -> &str {
        &self.channel
    }

    /// Subscribes, if that succeeds at once; [`next`](Commands::next) tries again.
    pub(crate) async fn subscribe(&mut self) {
        self.subscription = subscribe(self.link.clone(), self.channel.clone()).await;
    }

    /// Waits for the next command; `None` for a message that is none. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Request> {
        loop {
            if let Some(Subscription { messages, over }) = &mut self.subscription {
                self.backoff.reset();
                let message = tokio::select! {
                    message = messages.next() => message,
                    () = over => None,
                };
                match message {
                    Some(message) => return self.read(message.get_payload_bytes()),
                    None => self.subscription = None,
                }
            }
            // Kept in `self`, since the loop drops this future at each other event: the pause would begin anew each time.
            let subscribing = self.subscribing.get_or_insert_with(|| {
                resubscribe(self.link.clone(), self.channel.clone(), self.backoff.pause()).boxed()
            });
            self.subscription = subscribing.await;
            self.subscribing = None;
        }
    }

    fn read(&mut self, message: &[u8]) -> Option<Request> {
        let request = parse(message);
        self.ignored += u64::from(request.is_none());
        request
    }

    /// How many messages were no commands.
    pub(crate) fn ignored(&self) -> u64 {
        self.ignored
    }
}

async fn resubscribe(link: Link, channel: String, pause: Duration) -> Option<Subscription> {
    tokio::time::sleep(pause).await;
    subscribe(link, channel).await
}

async fn subscribe(link: Link, channel: String) -> Option<Subscription> {
    // Before the subscription: a connection that is made beside it counts as newer.
    let newest = link.newest();
    let (asker, messages) = link.subscribe(&channel).await.ok()?;
    Some(Subscription { messages, over: until_over(asker, newest).boxed() })
}

/// Waits until the server does not answer on this subscription, or is reached over a newer connection.
async fn until_over(mut asker: PubSubSink, mut newest: watch::Receiver<u64>) {
    loop {
        match tokio::time::timeout(PING_EVERY, newest.changed()).await {
            Ok(_) => return,
            Err(_) => match tokio::time::timeout(PING_LIMIT, asker.ping::<redis::Value>()).await {
                Ok(Ok(_)) => {}
                // An answer as well: the user may not ask, and the server is there.
                Ok(Err(error)) if error.code().is_some() && !spoils_connection(&error) => {}
                _ => return,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_nothing_else() {
        let stop = || Request::StopJob { job_id: "j".to_owned() };
        let stop_execution = Request::StopExecution { job_id: "j".to_owned(), execution_id: "x".to_owned() };
        for (message, request) in [
            (r#"{"command": "shutdown"}"#, Request::StopWarm),
            (r#"{"command": "shutdown", "cold": true}"#, Request::StopCold),
            (r#"{"command": "shutdown", "cold": 1}"#, Request::StopWarm),
            (r#"{"command": "kill-horse"}"#, Request::KillHorses),
            (r#"{"command": "stop-job", "job_id": "j"}"#, stop()),
            (r#"{"job_id":"j","command":"stop-job","more":[1]}"#, stop()),
            (r#"{"command": "stop-execution", "job_id": "j", "execution_id": "x"}"#, stop_execution),
        ] {
            assert_eq!(parse(message.as_bytes()), Some(request), "{message}");
        }
        let deep = "[".repeat(100_000);
        let long = format!(r#"{{"command": "shutdown", "x": "{}"}}"#, "x".repeat(MESSAGE_BYTES_MAX));
        for message in
            ["", "garbage", "{}", "[]", "null", "7", r#"{"command": 7}"#, r#"{"command": "stop-job"}"#]
                .into_iter()
                .chain([deep.as_str(), long.as_str()])
        {
            assert_eq!(parse(message.as_bytes()), None, "{:.40}", message);
        }
        assert_eq!(parse(b"\xff\xfe"), None);
    }
}
