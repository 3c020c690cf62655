//! [`BlockingLink`]: a connection to Redis for programs without a runtime.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{Connection, Pipeline, RedisError, RedisResult};

use super::limit::timed_out;
use super::place::{Place, introduced};
use super::reconnecting::Reconnecting;
use super::step::{Again, Answers, Step, Tried};
use crate::error::Error;
use crate::error_class::is_broken;
use crate::keys::Keys;

/// A connection to Redis for programs without a runtime, which is replaced when it is of no more use.
///
/// It serves one step after the other, whichever thread they come from.
pub struct BlockingLink {
    place: Place,
    slot: Mutex<Slot>,
    /// Notified when the connection is put back.
    free: Condvar,
}

struct Slot {
    /// Whether a step is under way, or somebody connects.
    in_use: bool,
    connection: Option<Connection>,
    /// Whether a step was answered over it.
    has_served: bool,
    reconnecting: Reconnecting,
}

impl BlockingLink {
    /// Connects to `url`, a [`RedisUrl`](crate::RedisUrl).
    pub fn open(url: &str) -> Result<BlockingLink, Error> {
        let link = BlockingLink::to(url)?;
        let mut attempts_left = link.place.hosts();
        let connection = loop {
            attempts_left -= 1;
            match link.place.connect_blocking(link.place.connect_limit()) {
                Ok(connection) => break connection,
                Err(error) if attempts_left == 0 => return Err(error.into()),
                Err(_) => link.place.failed(),
            }
        };
        link.slot().connection = Some(connection);
        Ok(link)
    }

    /// A link to `url` that connects when it is first used, as often as when a connection has broken.
    pub fn to(url: &str) -> Result<BlockingLink, Error> {
        let reconnecting = Reconnecting::new();
        let slot = Slot { in_use: false, connection: None, has_served: false, reconnecting };
        Ok(BlockingLink { place: Place::new(url)?, slot: Mutex::new(slot), free: Condvar::new() })
    }

    /// Runs a step: sends it, once more if that is safe and the connection was of no use, and reads the answers.
    pub fn run<T>(&self, step: &Step<T>) -> Result<T, Error> {
        self.run_by(None, step)
    }

    /// [`run`](BlockingLink::run) for a caller who waits no longer than `limit` in all.
    pub(crate) fn run_within<T>(&self, limit: Duration, step: &Step<T>) -> Result<T, Error> {
        self.run_by(Some(Instant::now() + limit), step)
    }

    fn run_by<T>(&self, deadline: Option<Instant>, step: &Step<T>) -> Result<T, Error> {
        // Each wait has its own limit, or what is left of the caller's.
        let limit = self.place.answer_limit();
        let left = || deadline.map_or(limit, |at| at.saturating_duration_since(Instant::now()).min(limit));
        let last_attempt = deadline.unwrap_or_else(|| Instant::now() + limit);
        if step.is_empty() {
            return step.read(Vec::new());
        }
        let mut turn = self.take_turn(left())?;
        let (mut pipeline, mut tried, mut broken) = (step.pipeline(), Tried::nothing(), None);
        loop {
            let mut connection = match turn.connection(left()) {
                Ok(connection) => connection,
                // What was sent before may have been done, which the caller has to know.
                Err(error) => return Err(broken.unwrap_or(error).into()),
            };
            let result = exchange(&mut connection, &pipeline, left());
            let verdict = step.judge(&result, &mut tried);
            if verdict.connection_serves {
                let serves = self.learn_nodes(&mut connection, left());
                turn.connection = Some(connection).filter(|_| serves);
                turn.has_served = true;
            } else if let Some(node) = &verdict.node {
                self.place.moved(node);
            } else if !turn.has_served {
                self.place.failed();
            }
            let in_time =
                |_: &Again| verdict.pause.is_zero() || Instant::now() + verdict.pause < last_attempt;
            let Some(again) = verdict.again.filter(in_time) else { return step.read(result?) };
            std::thread::sleep(verdict.pause);
            broken = result.err();
            pipeline = step.pipeline_again(again);
        }
    }

    /// Waits, for so long at most, until no other thread's step is under way.
    fn take_turn(&self, limit: Duration) -> RedisResult<Turn<'_>> {
        let slot = self.slot();
        let waited = self.free.wait_timeout_while(slot, limit, |slot| slot.in_use);
        let (mut slot, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(timed_out());
        }
        slot.in_use = true;
        let (connection, has_served) = (slot.connection.take(), slot.has_served);
        Ok(Turn { link: self, connection, has_served })
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection of its own for one waiter, made within `limit`; each command on it needs a
    /// [limit](limit_answers).
    pub(crate) fn waiting_connection(&self, limit: Duration) -> Result<Connection, Error> {
        Ok(self.place.connect_blocking(limit.min(self.place.connect_limit()))?)
    }

    /// Asks for the nodes of the cluster, if they are wanted. Whether the connection is good for more: it is not where the
    /// answer may still come, which the next step would take for its own.
    fn learn_nodes(&self, connection: &mut Connection, limit: Duration) -> bool {
        let Some(question) = self.place.question_for_nodes() else { return true };
        let answer = limit_answers(connection, limit).and_then(|()| question.query(connection));
        self.place.learn_nodes(&answer);
        !answer.is_err_and(|error| is_broken(&error))
    }

    /// As [`Link::follow_cluster`](super::Link::follow_cluster).
    pub fn follow_cluster(&self, keys: &Keys) {
        self.place.follow_cluster(keys);
    }
}

/// One step's turn on the connection. It is over when this is dropped, however the step went.
struct Turn<'a> {
    link: &'a BlockingLink,
    connection: Option<Connection>,
    /// Whether a step was answered over it.
    has_served: bool,
}

impl Turn<'_> {
    /// The connection, which is made, within `limit`, if there is none.
    fn connection(&mut self, limit: Duration) -> RedisResult<Connection> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let place = &self.link.place;
        let deadline = Instant::now() + limit.min(place.connect_limit());
        loop {
            let not_before = self.link.slot().reconnecting.not_before();
            if not_before.is_some_and(|at| at >= deadline) {
                return Err(timed_out());
            }
            std::thread::sleep(
                not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now())),
            );
            let began = Instant::now();
            match place.connect_blocking(deadline.saturating_duration_since(began)) {
                Ok(connection) => {
                    self.link.slot().reconnecting.succeeded();
                    place.connected();
                    self.has_served = false;
                    return Ok(connection);
                }
                Err(error) => {
                    place.failed();
                    if !self.link.slot().reconnecting.failed(began) || Instant::now() >= deadline {
                        return Err(error);
                    }
                }
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut slot = self.link.slot();
        slot.in_use = false;
        slot.connection = self.connection.take();
        slot.has_served = self.has_served;
        self.link.free.notify_one();
    }
}

/// Sends all and reads all, within `limit`.
fn exchange(connection: &mut Connection, pipeline: &Pipeline, limit: Duration) -> RedisResult<Answers> {
    let deadline = Instant::now() + limit;
    limit_answers(connection, limit)?;
    connection.send_packed_command(&pipeline.get_packed_pipeline())?;
    let mut answers = Vec::with_capacity(pipeline.len());
    // Not by the client's own way, which after a timeout waits for each of the other answers, too.
    loop {
        match connection.recv_response().map_err(said_as_such)? {
            redis::Value::Push { .. } => {}
            answer => answers.push(answer.extract_error()),
        }
        if answers.len() == pipeline.len() {
            return Ok(answers);
        }
        limit_answers(connection, deadline.saturating_duration_since(Instant::now()))?;
    }
}

impl Place {
    /// A connection, made within `limit` and introduced.
    fn connect_blocking(&self, limit: Duration) -> RedisResult<Connection> {
        let deadline = Instant::now() + limit;
        let client = self.client_blocking(deadline)?;
        let left = deadline.saturating_duration_since(Instant::now());
        // The system refuses to wait for nothing.
        if left.is_zero() {
            return Err(timed_out());
        }
        let mut connection = client.get_connection_with_timeout(left).map_err(said_as_such)?;
        if let Some(introduction) = self.introduction() {
            limit_answers(&connection, left)?;
            introduced(introduction.exec(&mut connection))?;
        }
        Ok(connection)
    }
}

/// A time that is over is an odd error of the system's, where a socket has a limit.
fn said_as_such(error: RedisError) -> RedisError {
    if error.is_timeout() { timed_out() } else { error }
}

/// Limits how long an answer on `connection` may take.
pub(crate) fn limit_answers(connection: &Connection, limit: Duration) -> RedisResult<()> {
    // The system takes a limit of nothing for none.
    let limit = Some(limit.max(Duration::from_millis(1)));
    connection.set_read_timeout(limit)?;
    connection.set_write_timeout(limit)
}
