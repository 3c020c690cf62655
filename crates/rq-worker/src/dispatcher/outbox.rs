//! [`Outbox`]: the worker does what ends of jobs call for outside of Redis: it sends webhooks, and has the executor call
//! callbacks that were not called where the job ran.
//!
//! The step that ends an execution writes what is to be done into the outbox; whoever takes an entry does it
//! (docs/design/outbox.md). A worker takes what it has posted itself at once, and looks for what others have left.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rq_core::steps::BATCH_MAX;
use rq_core::steps::job as job_steps;
use rq_core::steps::outbox::{self as steps, OutBox, POST_BYTES_MAX, Take, Taken};
use rq_core::steps::settlement::Settlement;
use rq_core::{
    DUE_CALL_LIMIT_MAX, DueCall, Ended, Error, Execution, ExecutionId, Fields, Host, Job, Letter, Stop,
    WEBHOOK_TIMEOUT_S_MAX, Want, panics,
};
use tokio::time::Interval;

use super::{Dispatcher, every};
use crate::event::WorkerEvent;
use crate::options::Options;
use crate::webhooks::{self, SendError, Sender};

/// How often a worker looks for what others have left.
const LOOK_PAUSE: Duration = Duration::from_secs(10);
/// How many webhooks are sent at once.
const SENDS_MAX: usize = 16;
/// How many entries a worker remembers that are due; others are found by a later look.
const NOTED_MAX: usize = 10_000;
/// For how long an entry is taken: longer than a request may last, and a callback.
const HOLD_WEBHOOK: Duration = Duration::from_secs(WEBHOOK_TIMEOUT_S_MAX + 30);
const HOLD_CALLBACK: Duration = DUE_CALL_LIMIT_MAX.saturating_add(Duration::from_secs(60));
/// How soon a callback is tried again that could not begin, and an entry that this version cannot read.
const UNBEGUN_PAUSE: Duration = Duration::from_secs(10);
const UNREAD_PAUSE: Duration = Duration::from_secs(3600);
/// How long a worker on its way out goes on taking what its jobs have called for.
const PARTING: Duration = Duration::from_secs(10);

/// The names of the entries of each box that are due.
type Found = Vec<(OutBox, Vec<Vec<u8>>)>;

/// What ends of jobs call for, as far as this worker knows of it and can do it.
pub(super) struct Outbox {
    /// The boxes whose entries it can deliver.
    boxes: Vec<OutBox>,
    interval: Interval,
    is_looking: bool,
    has_looked: bool,
    /// Entries to be taken: requests, and calls.
    webhooks: Noted,
    calls: Noted,
    sender: Arc<Sender>,
    /// The steps under way that end entries.
    delivering: usize,
    /// The calls that the executor has.
    called: HashMap<ExecutionId, (Taken, DueCall)>,
}

/// Entries of one kind that are due, and those of them that are being done.
#[derive(Default)]
struct Noted {
    names: VecDeque<Note>,
    /// Those that are noted or under way: a look finds what waits for a slot again and again.
    known: HashSet<Vec<u8>>,
    /// Whether a look found more than it could name: the next one comes once those are begun.
    has_more: bool,
}

/// An entry that is due.
struct Note {
    from: OutBox,
    name: Vec<u8>,
    /// Whether this worker has posted it just now, so that it must be there.
    is_own: bool,
}

impl Noted {
    fn push(&mut self, note: Note) {
        if self.names.len() < NOTED_MAX && self.known.insert(note.name.clone()) {
            self.names.push_back(note);
        }
    }

    /// The next entries of one box, `room` at most, which count as under way.
    fn next(&mut self, room: usize) -> Option<(OutBox, Vec<Note>)> {
        let from = self.names.front().filter(|_| room > 0)?.from.clone();
        let mut notes = Vec::new();
        while notes.len() < room.min(BATCH_MAX) {
            let Some(note) = self.names.pop_front_if(|note| note.from == from) else { break };
            notes.push(note);
        }
        Some((from, notes))
    }

    /// One that was under way is not any more.
    fn end(&mut self, name: &[u8]) {
        self.known.remove(name);
    }

    /// How many are being taken or done.
    fn under_way(&self) -> usize {
        self.known.len() - self.names.len()
    }
}

impl Outbox {
    pub(super) fn new(options: &Options, callback_names: impl IntoIterator<Item = &'static str>) -> Outbox {
        let callbacks = callback_names.into_iter().map(|name| OutBox::Callbacks(name.to_owned()));
        let mut interval = every(LOOK_PAUSE);
        // The first look comes at once: a burst worker stays for it, as nobody else may do what the dead have left.
        interval.reset_immediately();
        Outbox {
            boxes: [OutBox::Webhooks].into_iter().chain(callbacks).collect(),
            interval,
            is_looking: false,
            has_looked: false,
            webhooks: Noted::default(),
            calls: Noted::default(),
            sender: Arc::new(Sender::new(options.webhooks.clone())),
            delivering: 0,
            called: HashMap::new(),
        }
    }

    /// Waits until it is time to look, and no other look under way. Cancel-safe.
    pub(super) async fn due(&mut self) {
        match self.is_looking {
            true => std::future::pending().await,
            false => drop(self.interval.tick().await),
        }
    }

    /// How many slots of the executor calls have, or were promised.
    pub(super) fn occupied(&self) -> usize {
        self.calls.under_way()
    }

    /// Whether this worker has looked for what others left, and nothing that it knows of is left to do.
    pub(super) fn is_done(&self) -> bool {
        self.has_looked && !self.is_looking && self.is_idle() && self.is_empty()
    }

    /// Whether nothing is being done.
    fn is_idle(&self) -> bool {
        self.webhooks.under_way() == 0 && self.calls.under_way() == 0 && self.delivering == 0
    }

    fn is_empty(&self) -> bool {
        self.webhooks.names.is_empty() && self.calls.names.is_empty()
    }

    /// Has the next look come at once where the last one found more than it could name, and all of that is begun. What waits
    /// for a slot would be found again and again.
    fn look_for_more(&mut self) {
        for noted in [&mut self.webhooks, &mut self.calls] {
            if noted.names.is_empty() && std::mem::take(&mut noted.has_more) {
                self.interval.reset_immediately();
            }
        }
    }

    fn noted(&mut self, of: &OutBox) -> &mut Noted {
        match of {
            OutBox::Webhooks => &mut self.webhooks,
            OutBox::Callbacks(_) => &mut self.calls,
        }
    }

    fn note(&mut self, note: Note) {
        // What waits for another program's workers is theirs.
        if self.boxes.contains(&note.from) {
            self.noted(&note.from.clone()).push(note);
        }
    }
}

impl Dispatcher {
    /// Notes what a settlement has posted, which is due.
    pub(super) fn note_posts(&mut self, settlement: &Settlement) {
        for (k, post) in settlement.posts.iter().enumerate() {
            let name = steps::entry_name(&settlement.claimed.id, k).into_bytes();
            self.outbox.note(Note { from: post.to.clone(), name, is_own: true });
        }
    }

    pub(super) fn start_look_into_outbox(&mut self) {
        self.outbox.is_looking = true;
        let (link, keys, boxes) = (self.link.clone(), self.who.keys.clone(), self.outbox.boxes.clone());
        let look = async move {
            // Nearly always there is nothing: one `EXISTS` says so for all of them.
            let (is_any, now_ms) = link.run(&steps::any(&keys, &boxes)).await?;
            let due = if is_any { link.run(&steps::due(&keys, &boxes, now_ms)).await? } else { Vec::new() };
            Ok(boxes.into_iter().zip(due).collect::<Found>())
        };
        self.beside(look, Dispatcher::on_looked_into_outbox);
    }

    fn on_looked_into_outbox(&mut self, found: Result<Found, Error>) {
        (self.outbox.is_looking, self.outbox.has_looked) = (false, true);
        // Not repeated: the next look comes soon.
        for (from, names) in self.reported("looking into the outbox", found).unwrap_or_default() {
            self.outbox.noted(&from).has_more |= names.len() == BATCH_MAX;
            for name in names {
                self.outbox.note(Note { from: from.clone(), name, is_own: false });
            }
        }
    }

    /// Takes what is due, as much as can be begun now.
    pub(super) fn start_taking(&mut self) {
        if self.shutdown.is_cold() || self.outage.is_refused() || self.outbox.is_empty() {
            return;
        }
        while let Some((from, notes)) =
            self.outbox.webhooks.next(SENDS_MAX - self.outbox.webhooks.under_way())
        {
            self.take(from, notes, HOLD_WEBHOOK);
        }
        // A worker on its way out begins none: it might take an hour, and others can.
        if self.shutdown.is_working() && !self.shortage.is_pausing() {
            // A call takes a slot, as a job does, and comes before the next job.
            while let Some((from, notes)) = self.outbox.calls.next(self.free_slots()) {
                self.take(from, notes, HOLD_CALLBACK);
            }
        }
        self.outbox.look_for_more();
    }

    /// How many executions the executor can take now.
    fn free_slots(&self) -> usize {
        let capacity = self.capacity();
        capacity.slots.saturating_sub(capacity.occupied + self.claiming.promised())
    }

    fn take(&mut self, from: OutBox, notes: Vec<Note>, hold: Duration) {
        let names: Vec<&[u8]> = notes.iter().map(|note| note.name.as_slice()).collect();
        let step = steps::take(&self.who.keys, &from, &names, hold);
        self.send(step, move |worker, takes| worker.on_taken(&notes, takes));
    }

    fn on_taken(&mut self, notes: &[Note], takes: Result<Vec<Take>, Error>) {
        let takes = self.accepted("taking from the outbox", takes).unwrap_or_default();
        let takes = takes.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        for (note, take) in notes.iter().zip(takes) {
            if let Some(Take::Taken(taken)) = take {
                self.begin_taken(taken);
                continue;
            }
            self.outbox.noted(&note.from).end(&note.name);
            match take {
                Some(Take::GivenUp(body)) => {
                    if let Ok(call) = DueCall::from_json(&body) {
                        self.observers.tell(WorkerEvent::CallbackLost { id: &call.job_id, name: &call.name });
                    }
                }
                Some(Take::Gone) if note.is_own => {
                    let (name, entry) = (note.from.name(), String::from_utf8_lossy(&note.name));
                    self.observers.tell(WorkerEvent::PostRefused { of: &name, entry: &entry });
                }
                _ => {}
            }
        }
    }

    fn begin_taken(&mut self, taken: Taken) {
        match taken.from {
            _ if taken.body.len() > POST_BYTES_MAX => self.put_off_unread(&taken, &"it is too large"),
            OutBox::Webhooks => match Letter::from_json(taken.body.as_bytes()) {
                Ok(letter) => self.start_sending(taken, letter),
                Err(error) => self.put_off_unread(&taken, &error),
            },
            OutBox::Callbacks(_) => match DueCall::from_json(&taken.body) {
                Ok(call) => self.start_fetching(taken, call),
                Err(error) => self.put_off_unread(&taken, &error),
            },
        }
    }

    /// Leaves an entry that cannot be read to those who can: a later version of this program may have written it.
    fn put_off_unread(&mut self, taken: &Taken, error: &dyn fmt::Display) {
        self.observers.step_failed("reading the outbox", error);
        self.end_taken(taken, Some(UNREAD_PAUSE));
    }

    /// Ends an entry that this worker has taken, or has it due again.
    fn end_taken(&mut self, taken: &Taken, again_in: Option<Duration>) {
        self.outbox.noted(&taken.from).end(&taken.name);
        self.outbox.delivering += 1;
        let step = steps::deliver(&self.who.keys, taken, again_in);
        self.send(step, |worker, delivered| {
            worker.outbox.delivering -= 1;
            worker.accepted("delivering from the outbox", delivered);
        });
    }

    /// Sends a request, on a thread beside the loop.
    fn start_sending(&mut self, taken: Taken, letter: Letter) {
        let (sender, attempt) = (Arc::clone(&self.outbox.sender), taken.attempt);
        let letter = Arc::new(letter);
        let sent = Arc::clone(&letter);
        // tokio panics where it cannot have a thread.
        match panics::catch(|| tokio::task::spawn_blocking(move || sender.send(&sent, attempt))) {
            Ok(sending) => self.beside(sending, move |worker, sent| {
                let sent =
                    sent.unwrap_or_else(|_| Err(SendError::Network("the request was cut off".to_owned())));
                worker.on_sent(&taken, &letter, sent);
            }),
            Err(panic) => self.on_sent(&taken, &letter, Err(SendError::Network(panic.message))),
        }
    }

    fn on_sent(&mut self, taken: &Taken, letter: &Letter, sent: Result<(), SendError>) {
        let Err(error) = sent else {
            self.observers.tell(WorkerEvent::WebhookSent { letter });
            return self.end_taken(taken, None);
        };
        let again_in = if error.is_final() { None } else { webhooks::pause_after(taken.attempt) };
        self.observers.tell(WorkerEvent::WebhookFailed { letter, error: &error, again_in });
        self.end_taken(taken, again_in);
    }

    /// Fetches the record of the job whose end calls for this.
    fn start_fetching(&mut self, taken: Taken, call: DueCall) {
        let step = job_steps::fetch_fields(&self.who.keys, std::slice::from_ref(&call.job_id));
        self.send(step, |worker, fetched| {
            // Called all the same where the record is gone or cannot be read: the call says what is known of it.
            let fields = worker.accepted("fetching a job", fetched).and_then(|mut fetched| fetched.pop());
            worker.start_call(taken, call, fields.unwrap_or_default());
        });
    }

    fn start_call(&mut self, taken: Taken, call: DueCall, fields: Fields) {
        // It has not begun, and others may call it.
        if !self.shutdown.is_working() {
            return self.end_taken(&taken, Some(Duration::ZERO));
        }
        let job = Job::from_fields(&*call.job_id, fields).unwrap_or_else(|_| call.job());
        let id = ExecutionId::new(&call.job_id);
        let (kind, name, end) = (call.kind, call.name.clone(), call.end.clone());
        let host = Arc::clone(self.meta.host()) as Arc<dyn Host>;
        let mut execution =
            Execution::callback(id.clone(), Arc::new(job), Some(call.limit), host, kind, name, end);
        // The entry is held for no longer, whoever decides.
        execution.limit = self.running.limit_for_executor(Some(call.limit)).or(Some(DUE_CALL_LIMIT_MAX));
        self.observers.tell(WorkerEvent::CallbackBegan { id: &call.job_id, name: &call.name });
        self.outbox.called.insert(id, (taken, call));
        self.executor.start(execution);
    }

    /// Reads the executor's report on a call; `false` if it is on none.
    pub(super) fn on_called(&mut self, id: &ExecutionId, report: &Result<Ended, Want>) -> bool {
        let Some((taken, call)) = self.outbox.called.remove(id) else { return false };
        match report {
            Ok(Ended { outcome: Ok(_), .. }) => self.end_taken(&taken, None),
            Ok(Ended { outcome: Err(failure), .. }) => {
                let text = failure.text();
                self.observers.tell(WorkerEvent::CallbackFailed {
                    id: &call.job_id,
                    name: &call.name,
                    text: &text,
                });
                self.end_taken(&taken, None);
            }
            Err(_) => self.end_taken(&taken, Some(UNBEGUN_PAUSE)),
        }
        true
    }

    /// Has the executor end the calls that run: the worker stops cold.
    pub(super) fn stop_calls(&mut self) {
        for id in self.outbox.called.keys() {
            self.executor.stop(id, Stop::Kill);
        }
    }

    /// Whether a worker on its way out may leave, as far as it concerns what ends of jobs call for.
    pub(super) fn has_emptied_outbox(&self, ended_since: Option<Instant>) -> bool {
        let is_past = ended_since.is_some_and(|since| since.elapsed() >= PARTING);
        // A callback that was called, or has not begun, would count as lost.
        let is_cold =
            self.shutdown.is_cold() && self.outbox.delivering == 0 && self.outbox.calls.under_way() == 0;
        let is_empty = self.outbox.is_idle() && self.outbox.webhooks.names.is_empty();
        is_empty || (is_cold || is_past) && self.outbox.called.is_empty()
    }

    /// Whether the executor calls something.
    pub(super) fn is_calling(&self) -> bool {
        !self.outbox.called.is_empty()
    }

    /// When a worker on its way out leaves what is left in the outbox to others.
    pub(super) fn parting_ends_at(&self, ended_since: Option<Instant>) -> Option<Instant> {
        let is_needed = !self.outbox.is_idle() || !self.outbox.webhooks.names.is_empty();
        // A time that has passed would be looked at for ever: what is waited for then is the end of a call.
        ended_since.map(|since| since + PARTING).filter(|at| is_needed && *at > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &str) -> Note {
        Note { from: OutBox::Webhooks, name: name.as_bytes().to_vec(), is_own: false }
    }

    #[test]
    fn an_entry_that_is_found_again_and_again_is_taken_once() {
        let mut noted = Noted::default();
        let next = |noted: &mut Noted| noted.next(8).map_or(0, |(_, notes)| notes.len());
        ["a", "b", "a"].into_iter().for_each(|name| noted.push(note(name)));
        assert_eq!(next(&mut noted), 2);
        noted.push(note("a"));
        assert_eq!((next(&mut noted), noted.under_way()), (0, 2), "it is under way");
        noted.end(b"a");
        noted.push(note("a"));
        assert_eq!((next(&mut noted), noted.under_way()), (1, 2));
    }
}
