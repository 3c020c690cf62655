//! [`Step`]: what to send to Redis, and how to read the answers.

use std::borrow::Cow;
use std::time::Duration;

use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind};

use super::backoff::Backoff;
use crate::error::Error;
use crate::error_class::{is_broken, is_of_moving_keys, spoils_connection};
use crate::scripts;

/// The first pause before a step is sent again whose keys a cluster moves.
const MOVE_PAUSE_FIRST: Duration = Duration::from_millis(20);
/// The longest of these pauses.
const MOVE_PAUSE_LONGEST: Duration = Duration::from_millis(500);

/// The answers to a step's commands, in order.
pub type Answers = Vec<RedisResult<redis::Value>>;

/// What to send to Redis, and how to read the answers.
#[must_use = "a step does nothing until a link takes it"]
pub struct Step<T> {
    name: &'static str,
    pipeline: Pipeline,
    /// Whether the step has the same effect sent once or twice.
    resend: bool,
    read: Box<dyn Fn(Answers) -> Result<T, Error> + Send + Sync>,
}

/// What a link does about an attempt to run a step.
pub(super) struct Verdict {
    /// Whether the connection is good for more.
    pub(super) connection_serves: bool,
    /// The node that Redis has named as the place for these keys.
    pub(super) node: Option<String>,
    /// How to send the step again, if it is to be.
    pub(super) again: Option<Again>,
    /// How long to wait before that.
    pub(super) pause: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// As it was.
    AsItIs,
    /// With the texts of its scripts, which the server does not know.
    WithTexts,
}

/// What a link has tried for a step: each remedy once, and both where a server restarts. A cluster that moves the step's
/// keys is asked again until the caller's time is over.
pub(super) struct Tried {
    resent: bool,
    texts: bool,
    moves: Backoff,
}

impl Tried {
    /// Nothing yet.
    pub(super) fn nothing() -> Tried {
        Tried { resent: false, texts: false, moves: Backoff::new(MOVE_PAUSE_FIRST, MOVE_PAUSE_LONGEST) }
    }

    /// How to send a step again that is to go elsewhere. Where one server did not know its scripts, the next may not either.
    fn way(&self) -> Again {
        if self.texts { Again::WithTexts } else { Again::AsItIs }
    }
}

impl<T> Step<T> {
    /// A step that may be sent twice: it only reads, or is fenced.
    pub fn new(
        name: &'static str,
        mut pipeline: Pipeline,
        read: impl Fn(Answers) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Step<T> {
        // Each command has an answer of its own: the client would else fail the whole step for one key of a wrong
        // type.
        pipeline.ignore_errors();
        Step { name, pipeline, resend: true, read: Box::new(read) }
    }

    /// The same step, which must not be sent twice.
    pub fn once(mut self) -> Step<T> {
        self.resend = false;
        self
    }

    /// The same step with the texts of its scripts in place of their digests: one of several scripts that must not be sent
    /// twice, and of which a server may know some.
    pub(crate) fn whole(mut self) -> Step<T> {
        self.pipeline = with_texts(&self.pipeline);
        self
    }

    /// The step's name in errors.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether there is nothing to send, which the client refuses.
    pub(super) fn is_empty(&self) -> bool {
        self.pipeline.is_empty()
    }

    /// What to send at the first attempt.
    pub(super) fn pipeline(&self) -> Cow<'_, Pipeline> {
        Cow::Borrowed(&self.pipeline)
    }

    /// What to send at the next one.
    pub(super) fn pipeline_again(&self, again: Again) -> Cow<'_, Pipeline> {
        match again {
            Again::AsItIs => self.pipeline(),
            // Not loaded first: the server may be told to forget its scripts between that and the step.
            Again::WithTexts => Cow::Owned(with_texts(&self.pipeline)),
        }
    }

    /// Reads the answers to the last attempt.
    pub(super) fn read(&self, answers: Answers) -> Result<T, Error> {
        (self.read)(answers)
    }

    /// What to do after `result`.
    pub(super) fn judge(&self, result: &RedisResult<Answers>, tried: &mut Tried) -> Verdict {
        let answers = match result {
            Ok(answers) => answers,
            // The connection is broken, or may still deliver an answer that the next step would take for its own.
            Err(error) => {
                let again = self.resend && is_broken(error) && !std::mem::replace(&mut tried.resent, true);
                return Verdict {
                    connection_serves: false,
                    node: None,
                    again: again.then(|| tried.way()),
                    pause: Duration::ZERO,
                };
            }
        };
        let connection_serves = !errors(answers).any(spoils_connection);
        let mut pause = Duration::ZERO;
        // Redis forgets its scripts when it restarts, or with `SCRIPT FLUSH`. That comes as an answer, not as a broken
        // connection.
        let again = if self.has_done_nothing(answers, is_noscript) {
            (!std::mem::replace(&mut tried.texts, true)).then_some(Again::WithTexts)
        } else if self.has_done_nothing(answers, is_of_moving_keys) {
            pause = tried.moves.pause();
            Some(tried.way())
        } else if self.has_done_nothing(answers, spoils_connection) {
            // Once: for longer, a server is waited for by who sends the step, or told to the caller.
            (!std::mem::replace(&mut tried.resent, true)).then(|| tried.way())
        } else {
            None
        };
        Verdict { connection_serves, node: errors(answers).find_map(moved_to), again, pause }
    }

    /// Whether a command was refused in this way, and sending the step anew does nothing twice.
    fn has_done_nothing(&self, answers: &Answers, refused: impl Fn(&RedisError) -> bool) -> bool {
        let count = errors(answers).filter(|error| refused(error)).count();
        // Of a step that must not be sent twice, no command may have been run.
        if self.resend { count > 0 } else { count > 0 && count == answers.len() }
    }
}

fn errors(answers: &Answers) -> impl Iterator<Item = &RedisError> {
    answers.iter().filter_map(|answer| answer.as_ref().err())
}

/// The node that a `MOVED` names.
fn moved_to(error: &RedisError) -> Option<String> {
    let is_moved = error.kind() == ErrorKind::Server(ServerErrorKind::Moved);
    error.redirect_node().filter(|_| is_moved).map(|(node, _)| node.to_owned())
}

fn is_noscript(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// The same commands, with the text of each script in place of its digest (`EVAL` for `EVALSHA`).
fn with_texts(pipeline: &Pipeline) -> Pipeline {
    let mut whole = redis::pipe();
    for cmd in pipeline.cmd_iter() {
        whole.add_command(with_text(cmd));
    }
    whole.ignore_errors();
    whole
}

fn with_text(cmd: &Cmd) -> Cmd {
    let args: Vec<&[u8]> = cmd
        .args_iter()
        .filter_map(|arg| match arg {
            redis::Arg::Simple(arg) => Some(arg),
            // None of RQ's commands has one.
            _ => None,
        })
        .collect();
    let text = match args.as_slice() {
        [b"EVALSHA", digest, ..] => scripts::text_of(digest),
        _ => None,
    };
    let Some(text) = text else { return cmd.clone() };
    let mut whole = redis::cmd("EVAL");
    whole.arg(text);
    for arg in &args[2..] {
        whole.arg(*arg);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step() -> Step<()> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVALSHA").arg("0").arg(0).cmd("GET").arg("k");
        Step::new("a step", pipeline, |_| Ok(()))
    }

    /// What is done about these answers: `+` for a good one, else an error.
    fn verdict(step: &Step<()>, answers: &[&str], tried: &mut Tried) -> (bool, Option<Again>) {
        let answer = |text: &&str| match *text {
            "+" => Ok(redis::Value::Okay),
            error => redis::parse_redis_value(format!("-{error} it says\r\n").as_bytes())
                .and_then(|value| value.extract_error()),
        };
        let Verdict { connection_serves, again, .. } =
            step.judge(&Ok(answers.iter().map(answer).collect()), tried);
        (connection_serves, again)
    }

    #[test]
    fn each_remedy_is_tried_once() {
        let mut tried = Tried::nothing();
        let mut judge = |answers: &[&str]| verdict(&step(), answers, &mut tried);
        assert_eq!(judge(&["NOSCRIPT", "+"]), (true, Some(Again::WithTexts)));
        assert_eq!(judge(&["READONLY", "+"]), (false, Some(Again::WithTexts)));
        assert_eq!(judge(&["READONLY", "+"]), (false, None));
        assert_eq!(judge(&["NOSCRIPT", "+"]), (true, None));
        assert_eq!(judge(&["OOM", "+"]), (true, None));
        assert_eq!(judge(&["+", "+"]), (true, None));
    }

    #[test]
    fn a_step_that_must_not_be_sent_twice_is_sent_again_only_if_nothing_was_done() {
        let judge = |answers: &[&str]| verdict(&step().once(), answers, &mut Tried::nothing()).1;
        assert_eq!(judge(&["NOSCRIPT", "+"]), None);
        assert_eq!(judge(&["NOSCRIPT", "NOSCRIPT"]), Some(Again::WithTexts));
        assert_eq!(judge(&["READONLY", "+"]), None);
        assert_eq!(judge(&["READONLY", "READONLY"]), Some(Again::AsItIs));
        let broken = || RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(step().once().judge(&Err(broken()), &mut Tried::nothing()).again, None);
        assert_eq!(step().judge(&Err(broken()), &mut Tried::nothing()).again, Some(Again::AsItIs));
    }

    #[test]
    fn moving_keys_are_waited_for() {
        let mut tried = Tried::nothing();
        for answer in ["ASK", "TRYAGAIN", "MOVED", "CLUSTERDOWN", "ASK"] {
            assert_eq!(verdict(&step(), &[answer, "+"], &mut tried).1, Some(Again::AsItIs), "{answer}");
            assert_eq!(verdict(&step().once(), &[answer, "+"], &mut tried).1, None, "{answer}");
            assert_eq!(
                verdict(&step().once(), &[answer, answer], &mut tried).1,
                Some(Again::AsItIs),
                "{answer}"
            );
        }
    }

    #[test]
    fn texts_replace_digests() {
        let mut pipeline = redis::pipe();
        pipeline.add_command(scripts::ENQUEUE.invoke(&["key"])).cmd("EVALSHA").arg("unknown").arg(0);
        let whole = with_texts(&pipeline);
        let args: Vec<Vec<Vec<u8>>> = whole
            .cmd_iter()
            .map(|cmd| {
                cmd.args_iter()
                    .map(|arg| if let redis::Arg::Simple(arg) = arg { arg.to_vec() } else { vec![] })
                    .collect()
            })
            .collect();
        assert_eq!(args[0][0], b"EVAL");
        assert!(args[0][1].ends_with(b"\n") && args[0][1].len() > 100, "the whole text");
        assert_eq!(args[0][2..], [b"1".to_vec(), b"key".to_vec()]);
        assert_eq!(args[1][..2], [b"EVALSHA".to_vec(), b"unknown".to_vec()]);
    }
}
