//! [`Supervisor`]: the loop of a Manager that has begun.
//!
//! | step | file |
//! |---|---|
//! | waits for a signal, an order, a child's notice or death, or until something is due | `sources.rs` |
//! | does what it is asked | `requests.rs` |
//! | changes its kinds | `kinds.rs` |
//! | looks at what children hold and how long they run | `look.rs` |
//! | ends what dead children leave behind | `strays.rs` |
//! | says how it is | `report.rs` |
//!
//! What becomes of a slot is decided in `slot.rs`, `backoff.rs`, `ending.rs` and `memory.rs`, which know no system.

mod kinds;
mod look;
mod report;
mod requests;
mod sources;
mod strays;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::signal::killpg;
use nix::unistd::getppid;
use rq_process::{Exit, Inherited, OomKills, Pid, Signal};

use crate::child::{Birth, Child};
use crate::control::Control;
use crate::ending::Push;
use crate::error::{BoxError, ManagerError};
use crate::event::{ManagerEvent, Observer};
use crate::kind::{Kind, Start};
use crate::log::{self, Log};
use crate::orders::Orders;
use crate::slot::{Rest, Slot};
use crate::slot_name::SlotName;
use look::Looks;
use sources::Sources;
use strays::Strays;

/// How long what is left at the end may take to leave, and how long the Manager waits for it.
const LEFT_GRACE: Duration = Duration::from_millis(500);
const LEFT_LIMIT: Duration = Duration::from_millis(1500);
/// A child draws how many requests it does, up to one in so many fewer than it may.
const MAX_REQUESTS_JITTER: u64 = 10;
/// How many children one turn starts.
const STARTS_PER_TURN_MAX: usize = 8;
/// Where the loop wakes as much later than it wanted to, the host was busy or it was stopped: what children have not told
/// meanwhile proves nothing.
const LATE_AFTER: Duration = Duration::from_secs(1);

/// What a Manager was told about itself.
pub(crate) struct Rules {
    pub(crate) log: Log,
    pub(crate) check_point: Duration,
    pub(crate) wait_time: Option<Duration>,
    pub(crate) title: String,
    /// Whether children that have left are replaced.
    pub(crate) replaces: bool,
    pub(crate) observers: Vec<Rc<dyn Observer>>,
    pub(crate) tells_log: bool,
    pub(crate) reload: Option<Reload>,
    pub(crate) on_begin: Option<Box<dyn FnOnce()>>,
}

/// What reads the kinds anew.
pub(crate) type Reload = Box<dyn FnMut() -> Result<Vec<Kind>, BoxError>>;

/// A Manager that has begun.
pub(crate) struct Supervisor {
    rules: Rules,
    /// In their order.
    kinds: Vec<Rc<Kind>>,
    /// Those of a kind stand together, in the order of their numbers.
    slots: Vec<Slot>,
    sources: Sources,
    inherited: Inherited,
    keeper: Pid,
    began: Instant,
    /// Since when it is on its way out.
    stopping: Option<Instant>,
    reload_failed: Option<String>,
    looks: Looks,
    strays: Strays,
    oom_kills: OomKills,
}

impl Supervisor {
    /// Leaves the keeper behind, and begins in its child.
    pub(crate) fn launch(
        kinds: Vec<Kind>,
        mut rules: Rules,
        control: Option<PathBuf>,
        orders: Orders,
    ) -> Result<Supervisor, ManagerError> {
        let inherited = Inherited::of_this_process()
            .map_err(ManagerError::system("the signals of this process cannot be read"))?;
        let single_threaded = rq_process::SingleThreaded::make_sure_soon()
            .map_err(ManagerError::system("start a Manager first in `main`, before threads and runtimes"))?;
        let kept = rq_process::leave_keeper_behind(single_threaded)
            .map_err(ManagerError::system("the keeper cannot be left behind"))?;
        rq_process::adopt_orphans().map_err(ManagerError::system("orphans cannot be adopted"))?;
        let control = control.map(Control::bind).transpose()?;
        let sources = Sources::open(control, orders)?;
        if let Some(on_begin) = rules.on_begin.take() {
            on_begin();
        }
        let mut supervisor = Supervisor {
            looks: Looks::new(rules.check_point),
            rules,
            kinds: Vec::new(),
            slots: Vec::new(),
            sources,
            inherited,
            keeper: kept.keeper,
            began: Instant::now(),
            stopping: None,
            reload_failed: None,
            strays: Strays::default(),
            oom_kills: OomKills::watch(),
        };
        supervisor.set_kinds(kinds);
        Ok(supervisor)
    }

    /// Supervises until it is asked to stop, and no child is left.
    pub(crate) fn run(mut self) -> Result<(), ManagerError> {
        let (title, pid) = (self.rules.title.clone(), self.keeper.as_raw());
        self.tell(None, ManagerEvent::Started { title: &title, pid, check_point: self.rules.check_point });
        let ended = loop {
            if let Some(ended) = self.turn() {
                break ended;
            }
        };
        rq_process::end_descendants(LEFT_GRACE, LEFT_LIMIT);
        self.tell(None, ManagerEvent::Stopped);
        ended
    }

    /// One turn of the loop. How it has ended, if it has.
    fn turn(&mut self) -> Option<Result<(), ManagerError>> {
        let now = Instant::now();
        self.push_children(now);
        let has_more = self.start_children(now);
        if self.is_over() {
            return Some(Ok(()));
        }
        let until = if has_more { now } else { self.next(now) };
        self.sources.wait(until);
        if Instant::now().saturating_duration_since(until.max(now)) > LATE_AFTER {
            self.excuse_all(Instant::now());
        }
        self.take_signals();
        if getppid() != self.keeper {
            // Nobody would end what this process left behind now.
            return Some(Ok(()));
        }
        self.take_notices();
        self.take_orders();
        self.reap();
        self.look();
        self.refusal().map(Err)
    }

    /// Whether there is nothing left to do.
    fn is_over(&self) -> bool {
        let nobody_comes = self.stopping.is_some() || !self.rules.replaces;
        nobody_comes && self.slots.iter().all(Slot::is_empty) && self.strays.is_empty()
    }

    /// The error that nothing can be started: what was told of each kind cannot work.
    fn refusal(&self) -> Option<ManagerError> {
        let mut first = None;
        for slot in &self.slots {
            match &slot.rest {
                Rest::Refused { reason } if slot.is_empty() => {
                    first = first.or(Some((&slot.kind.name, reason)))
                }
                _ => return None,
            }
        }
        // A Manager that has done something goes on: it may be told better.
        let (kind, reason) = first.filter(|_| self.slots.iter().all(|slot| slot.starts == 1))?;
        Some(ManagerError::NothingStarts(format!("{kind}: {reason}")))
    }

    /// When something is to be done, though nothing happens.
    fn next(&self, now: Instant) -> Instant {
        let slots = self.slots.iter().filter_map(|slot| slot.next(now));
        slots.chain(self.strays.next()).chain(self.sources.next_beat()).fold(self.looks.next(), Instant::min)
    }

    /// Starts children where they are wanted; `true` where more are than one turn starts, which has others to hear.
    fn start_children(&mut self, now: Instant) -> bool {
        if self.stopping.is_some() {
            return false;
        }
        self.renew_some(now);
        let wants = |slot: &Slot| slot.wants_child(now) && (self.rules.replaces || slot.starts == 0);
        let wanted: Vec<usize> = (0..self.slots.len()).filter(|at| wants(&self.slots[*at])).collect();
        wanted.iter().take(STARTS_PER_TURN_MAX).for_each(|at| self.start_child(*at, now));
        wanted.len() > STARTS_PER_TURN_MAX
    }

    fn start_child(&mut self, at: usize, now: Instant) {
        let birth = Birth { inherited: self.inherited, notices: self.sources.notices.address() };
        let (kind, slot) = (Rc::clone(&self.slots[at].kind), self.slots[at].name.clone());
        let max_requests = kind.limits.max_requests.map(drawn);
        let started = match &kind.start {
            Start::Execute(command) => {
                let name = kind.child_name(&slot);
                birth
                    .execute(command, &name, max_requests, kind.limits.silence)
                    .map(|pid| Child::executed(pid, name, &kind, max_requests))
                    .map_err(|error| format!("{} cannot be executed: {error}", command.program.display()))
            }
            Start::Fork(_) => {
                let log = kind.log.or(&self.rules.log);
                let descriptors = &self.sources;
                birth
                    .fork(&kind, &slot, &log, max_requests, || descriptors.close_in_child())
                    .map(|(pid, board)| Child::forked(pid, board, &slot, &kind, max_requests))
                    .map_err(|error| format!("it cannot be forked: {error}"))
            }
        };
        match started {
            Ok(child) => {
                let pid = child.pid.as_raw();
                self.slots[at].begin(child);
                self.tell(Some(&slot), ManagerEvent::Created { slot: &slot, pid });
            }
            Err(reason) => {
                self.tell(Some(&slot), ManagerEvent::Unstarted { slot: &slot, reason: &reason });
                self.slots[at].fail_start(reason, now, draw);
                self.tell_rest(at, now);
            }
        }
    }

    /// Sends those that are on their way out what is due.
    fn push_children(&mut self, now: Instant) {
        for at in 0..self.slots.len() {
            let slot = &mut self.slots[at];
            let killed = slot
                .children_mut()
                .filter_map(|child| (child.push(now) == Some(Push::Kill)).then_some(child.pid.as_raw()));
            for pid in killed.collect::<Vec<_>>() {
                let slot = self.slots[at].name.clone();
                self.tell(Some(&slot), ManagerEvent::Forced { slot: &slot, pid });
            }
        }
    }

    /// Reaps what has ended.
    fn reap(&mut self) {
        while let Some(pid) = rq_process::ended_child() {
            // Its last words: it has sent them before it ended, and is known by its id until it is reaped.
            self.take_notices();
            // While it is not reaped, its group is its own. What is left of that is for nobody any more.
            let _ = killpg(pid, Signal::SIGTERM);
            let Some(ended) = rq_process::reap(pid) else { return };
            self.strays
                .forget(pid, self.slots.iter().any(|slot| slot.children().any(|child| child.pid == pid)));
            self.lose(pid, ended.exit);
        }
    }

    fn lose(&mut self, pid: Pid, exit: Exit) {
        let now = Instant::now();
        let of_memory = exit == Exit::Signal(Signal::SIGKILL as i32) && self.oom_kills.since_last() > 0;
        let lost = self
            .slots
            .iter_mut()
            .enumerate()
            .find_map(|(at, slot)| slot.lose(pid, exit, of_memory, now, draw).map(|gone| (at, gone)));
        // A stray is nobody's.
        let Some((at, gone)) = lost else { return };
        let slot = self.slots[at].name.clone();
        let (pid, cause) = (pid.as_raw(), &gone.cause);
        if !gone.is_told && cause.is_planned() {
            self.tell(Some(&slot), ManagerEvent::Ending { slot: &slot, pid, cause });
        }
        let is_told = gone.is_told || cause.is_planned();
        let name = &gone.child.name;
        self.tell(Some(&slot), ManagerEvent::Ended { slot: &slot, pid, name, cause, is_told });
        if !gone.is_told {
            self.tell_rest(at, now);
        }
        self.looks.look_for_strays();
        self.slots.retain(|slot| slot.is_wanted || !slot.is_empty());
    }

    fn tell_rest(&self, at: usize, now: Instant) {
        let slot = &self.slots[at];
        match &slot.rest {
            Rest::Parked { until, reason } => {
                let again_in = until.saturating_duration_since(now);
                self.tell(Some(&slot.name), ManagerEvent::Parked { slot: &slot.name, reason, again_in });
            }
            Rest::Refused { reason } => {
                self.tell(Some(&slot.name), ManagerEvent::Refused { slot: &slot.name, reason });
            }
            Rest::None | Rest::Waiting { .. } => {}
        }
    }

    /// Has those serve that are ready, and those leave that have begun to.
    fn sort(&mut self) {
        let now = Instant::now();
        for at in 0..self.slots.len() {
            let slot = &mut self.slots[at];
            let refused = slot.refuse(now);
            let ready = slot.promote(now).map(|child| (child.pid.as_raw(), child.name.clone()));
            let leaving = slot.sort(now, draw);
            if !refused && ready.is_none() && leaving.is_empty() {
                continue;
            }
            let name = slot.name.clone();
            if refused {
                self.tell_rest(at, now);
            }
            if let Some((pid, child)) = ready {
                self.tell(Some(&name), ManagerEvent::Ready { slot: &name, pid, name: &child });
            }
            for (pid, cause) in leaving {
                self.tell(
                    Some(&name),
                    ManagerEvent::Ending { slot: &name, pid: pid.as_raw(), cause: &cause },
                );
            }
        }
    }

    /// Tells the log, that of the slot's kind where it is of one, and the observers.
    fn tell(&self, slot: Option<&SlotName>, event: ManagerEvent<'_>) {
        if self.rules.tells_log {
            let kind = slot.and_then(|slot| self.kinds.iter().find(|kind| kind.name == slot.kind));
            let log = kind.map_or_else(|| self.rules.log.clone(), |kind| kind.log.or(&self.rules.log));
            log.with(|| log::tell(&event));
        }
        self.rules.observers.iter().for_each(|observer| observer.on(&event));
    }
}

/// From 0 to 1, at random.
fn draw() -> f64 {
    let (bits, _) = uuid::Uuid::new_v4().as_u64_pair();
    // The precision that a float has.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// How many requests a child does that may do `most`.
fn drawn(most: u64) -> u64 {
    let fewer = (most / MAX_REQUESTS_JITTER) as f64 * draw();
    // At least one is left, as a tenth is taken at most.
    most - fewer.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_draw_how_much_they_do() {
        assert!((0..100).all(|_| drawn(2) == 2 && drawn(1) == 1));
        let many: Vec<u64> = (0..100).map(|_| drawn(1000)).collect();
        assert!(many.iter().all(|most| (900..=1000).contains(most)), "{many:?}");
        assert!(many.iter().any(|most| *most != many[0]), "{many:?}");
    }
}
