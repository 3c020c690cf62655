//! [`BlockingLink`]: a connection to Redis for programs without a runtime.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{Client, Connection, Pipeline, RedisResult};

use super::limit::timed_out;
use super::place::Place;
use super::reconnecting::Reconnecting;
use super::step::{Answers, Step, Tried};
use super::{ANSWER_LIMIT, CONNECT_LIMIT};
use crate::error::Error;

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
    reconnecting: Reconnecting,
}

impl BlockingLink {
    /// Connects to `url`.
    pub fn open(url: &str) -> Result<BlockingLink, Error> {
        let place = Place::new(url)?;
        let connection = connect(&place.client(None)?, CONNECT_LIMIT)?;
        let slot = Slot { in_use: false, connection: Some(connection), reconnecting: Reconnecting::new() };
        Ok(BlockingLink { place, slot: Mutex::new(slot), free: Condvar::new() })
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
        let left = || {
            deadline.map_or(ANSWER_LIMIT, |at| at.saturating_duration_since(Instant::now()).min(ANSWER_LIMIT))
        };
        if step.is_empty() {
            return step.read(Vec::new());
        }
        let mut turn = self.take_turn(left())?;
        let (mut pipeline, mut tried, mut broken) = (step.pipeline(), Tried::default(), None);
        loop {
            let mut connection = match turn.connection(left()) {
                Ok(connection) => connection,
                // What was sent before may have been done, which the caller has to know.
                Err(error) => return Err(broken.unwrap_or(error).into()),
            };
            let result = exchange(&mut connection, &pipeline, left());
            let verdict = step.judge(&result, &mut tried);
            turn.connection = Some(connection).filter(|_| verdict.connection_serves);
            turn.node = verdict.node;
            let Some(again) = verdict.again else { return step.read(result?) };
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
        let connection = slot.connection.take();
        Ok(Turn { link: self, connection, node: None })
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection of its own for one waiter, made within `limit`; each command on it needs a
    /// [limit](limit_answers).
    pub(crate) fn waiting_connection(&self, limit: Duration) -> Result<Connection, Error> {
        Ok(connect(&self.place.client(None)?, limit.min(CONNECT_LIMIT))?)
    }
}

/// One step's turn on the connection. It is over when this is dropped, however the step went.
struct Turn<'a> {
    link: &'a BlockingLink,
    connection: Option<Connection>,
    /// Where the next connection leads, if not to the URL's own host.
    node: Option<String>,
}

impl Turn<'_> {
    /// The connection, which is made, within `limit`, if there is none.
    fn connection(&mut self, limit: Duration) -> RedisResult<Connection> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let deadline = Instant::now() + limit.min(CONNECT_LIMIT);
        loop {
            let not_before = self.link.slot().reconnecting.not_before();
            if not_before.is_some_and(|at| at >= deadline) {
                return Err(timed_out());
            }
            std::thread::sleep(
                not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now())),
            );
            let began = Instant::now();
            // Once: where that node does not answer, the URL leads to one that knows better.
            let client = self.link.place.client(self.node.take().as_deref())?;
            match connect(&client, deadline.saturating_duration_since(began)) {
                Ok(connection) => {
                    self.link.slot().reconnecting.succeeded();
                    return Ok(connection);
                }
                Err(error) => {
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
        match connection.recv_response()? {
            redis::Value::Push { .. } => {}
            answer => answers.push(answer.extract_error()),
        }
        if answers.len() == pipeline.len() {
            return Ok(answers);
        }
        limit_answers(connection, deadline.saturating_duration_since(Instant::now()))?;
    }
}

fn connect(client: &Client, limit: Duration) -> RedisResult<Connection> {
    // The system refuses to wait for nothing.
    if limit.is_zero() {
        return Err(timed_out());
    }
    client.get_connection_with_timeout(limit)
}

/// Limits how long an answer on `connection` may take.
pub(crate) fn limit_answers(connection: &Connection, limit: Duration) -> RedisResult<()> {
    // The system takes a limit of nothing for none.
    let limit = Some(limit.max(Duration::from_millis(1)));
    connection.set_read_timeout(limit)?;
    connection.set_write_timeout(limit)
}
