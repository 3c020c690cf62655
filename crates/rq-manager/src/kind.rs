//! [`Kind`]: processes that are handled alike.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::command::Command;
use crate::log::Log;
use crate::process::Process;
use crate::slot_name::SlotName;

/// Megabytes, unless a kind of forked children says otherwise.
const SOFT_MEMORY_LIMIT_DEFAULT: u64 = 200;
const HARD_MEMORY_LIMIT_DEFAULT: u64 = 300;
/// How long an executed child may be silent, unless its kind says otherwise.
const SILENCE_DEFAULT: Duration = Duration::from_secs(60);
/// The most slots of a kind.
pub(crate) const COUNT_MAX: usize = 10_000;

/// Processes that are handled alike: what they do, how many there are, and what each may use.
#[derive(Clone)]
#[must_use = "a kind does nothing until a Manager has it"]
pub struct Kind {
    pub(crate) name: String,
    pub(crate) count: usize,
    pub(crate) start: Start,
    pub(crate) log: Log,
    pub(crate) limits: Limits,
    /// How long a child pauses between two runs.
    pub(crate) check_point: Option<Duration>,
    /// What executed children are called.
    names: Rc<dyn Fn(&SlotName) -> String>,
}

/// What a child may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_requests: Option<u64>,
    /// Megabytes of 2^20 bytes.
    pub(crate) soft_memory_limit: Option<u64>,
    pub(crate) hard_memory_limit: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) silence: Option<Duration>,
}

/// How a child is made.
#[derive(Clone)]
pub(crate) enum Start {
    Fork(Make),
    Execute(Command),
}

/// Makes, in a forked child, what it does.
type Make = Rc<dyn Fn(&SlotName) -> Box<dyn Process>>;

impl Start {
    /// Whether a successor may begin while its predecessor still leaves: forked children may have something that two must
    /// not have at once.
    pub(crate) fn overlaps(&self) -> bool {
        matches!(self, Start::Execute(_))
    }

    /// Whether a child of one is as good as a child of the other.
    fn is_like(&self, other: &Start) -> bool {
        match (self, other) {
            (Start::Fork(one), Start::Fork(other)) => Rc::ptr_eq(one, other),
            (Start::Execute(one), Start::Execute(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Start::Fork(_) => "Fork",
            Start::Execute(_) => "Execute",
        })
    }
}

impl Kind {
    /// One child of this program's, with the memory limits 200 MB (soft) and 300 MB (hard). `make` is called in the child.
    ///
    /// Without a name of its own it is called `Process`.
    pub fn new<P: Process + 'static>(
        name: impl Into<String>,
        make: impl Fn(&SlotName) -> P + 'static,
    ) -> Kind {
        let start = Start::Fork(Rc::new(move |name| Box::new(make(name)) as Box<dyn Process>));
        let limits = Limits {
            max_requests: None,
            soft_memory_limit: Some(SOFT_MEMORY_LIMIT_DEFAULT),
            hard_memory_limit: Some(HARD_MEMORY_LIMIT_DEFAULT),
            timeout: None,
            silence: None,
        };
        Kind::of(name.into(), start, limits)
    }

    /// One child that is a program, without memory limits.
    pub fn command(name: impl Into<String>, command: Command) -> Kind {
        let limits = Limits {
            max_requests: None,
            soft_memory_limit: None,
            hard_memory_limit: None,
            timeout: None,
            silence: Some(SILENCE_DEFAULT),
        };
        Kind::of(name.into(), Start::Execute(command), limits)
    }

    fn of(name: String, start: Start, limits: Limits) -> Kind {
        /// The original's.
        const NAME_DEFAULT: &str = "Process";
        let name = if name.is_empty() { NAME_DEFAULT.to_owned() } else { name };
        let names = Rc::new(fresh_name);
        Kind { name, count: 1, start, log: Log::default(), limits, check_point: None, names }
    }

    /// How many slots there are; 1 unless said. 0 keeps the kind, and runs none.
    pub fn count(mut self, count: usize) -> Kind {
        self.count = count;
        self
    }

    /// Where the children of this kind log, and what the Manager logs of them; by default the Manager's log.
    pub fn log(mut self, log: Log) -> Kind {
        self.log = log;
        self
    }

    /// After how many requests a child is replaced; never unless said. A child draws its own number, up to a tenth lower, so
    /// that not all are replaced together.
    pub fn max_requests(mut self, requests: impl Into<Option<u64>>) -> Kind {
        self.limits.max_requests = requests.into();
        self
    }

    /// How many megabytes (of 2^20 bytes) a child and what it has started may hold before it is to finish what it runs,
    /// leave, and be replaced. `None`: no limit.
    pub fn soft_memory_limit(mut self, megabytes: impl Into<Option<u64>>) -> Kind {
        self.limits.soft_memory_limit = megabytes.into();
        self
    }

    /// How many megabytes they may hold before they are ended by force. `None`: no limit.
    pub fn hard_memory_limit(mut self, megabytes: impl Into<Option<u64>>) -> Kind {
        self.limits.hard_memory_limit = megabytes.into();
        self
    }

    /// How long a run of a forked child may take; as long as it likes unless said.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Kind {
        self.limits.timeout = timeout.into();
        self
    }

    /// How long an executed child may tell nothing before it counts as hung, and is ended by force; 60 s unless said. A child
    /// that has never told anything is never hung.
    pub fn silence(mut self, silence: impl Into<Option<Duration>>) -> Kind {
        self.limits.silence = silence.into();
        self
    }

    /// How long a forked child pauses between two runs; not at all unless said, as a run may wait itself.
    pub fn check_point(mut self, pause: impl Into<Option<Duration>>) -> Kind {
        self.check_point = pause.into();
        self
    }

    /// What executed children are called, by `RQ_MANAGED_NAME`: one name each, as a dead child's may be taken for a
    /// while. Unless said, the slot's with six more digits.
    pub fn naming(mut self, names: impl Fn(&SlotName) -> String + 'static) -> Kind {
        self.names = Rc::new(names);
        self
    }

    /// The kind's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the next executed child of a slot is called.
    pub(crate) fn child_name(&self, slot: &SlotName) -> String {
        (self.names)(slot)
    }

    /// How the children of another kind of this name differ so that they have to be replaced.
    pub(crate) fn needs_other_children(&self, other: &Kind) -> bool {
        !self.start.is_like(&other.start)
            || self.limits.max_requests != other.limits.max_requests
            || self.limits.silence != other.limits.silence
            || self.limits.timeout != other.limits.timeout
            || self.check_point != other.check_point
    }

    /// Whether another kind of this name says something else.
    pub(crate) fn says_other_than(&self, other: &Kind) -> bool {
        self.needs_other_children(other) || self.limits != other.limits || self.count != other.count
    }

    /// What is wrong with what it was told.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Limits { max_requests, soft_memory_limit: soft, hard_memory_limit: hard, timeout, silence } =
            &self.limits;
        if self.count > COUNT_MAX {
            return Err(format!("{} processes are more than the {COUNT_MAX} a kind may have", self.count));
        }
        if max_requests == &Some(0) {
            return Err("max_requests must be at least 1; leave it out for no limit".to_owned());
        }
        if soft == &Some(0) || hard == &Some(0) {
            return Err("a memory limit must be at least 1 MB; leave it out for no limit".to_owned());
        }
        if let (Some(soft), Some(hard)) = (soft, hard)
            && soft > hard
        {
            return Err(format!(
                "the soft memory limit of {soft} MB is above the hard one of {hard} MB, and would never count"
            ));
        }
        if timeout == &Some(Duration::ZERO) || silence == &Some(Duration::ZERO) {
            return Err(
                "a time limit of 0 s leaves no time for anything; leave it out for no limit".to_owned()
            );
        }
        Ok(())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kind")
            .field("name", &self.name)
            .field("count", &self.count)
            .field("start", &self.start)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

fn fresh_name(slot: &SlotName) -> String {
    /// Digits of a UUID: among the children of one slot they differ.
    const DIGITS: usize = 6;
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{slot}-{}", &random[..DIGITS])
}
