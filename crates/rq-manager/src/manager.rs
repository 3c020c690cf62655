//! [`Manager`]: what supervises processes, as a program sets it up.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{BoxError, ManagerError};
use crate::event::Observer;
use crate::kind::Kind;
use crate::log::Log;
use crate::order::Order;
use crate::orders::{Orders, Sender};
use crate::supervisor::{Rules, Supervisor};

/// How far apart the Manager looks at its children, unless it was told.
const CHECK_POINT_DEFAULT: Duration = Duration::from_secs(1);
/// How long it waits for its children at its end, unless it was told. Below the 30 s of most service managers.
const WAIT_TIME_DEFAULT: Duration = Duration::from_secs(25);
const TITLE_DEFAULT: &str = "Manager";

/// Supervises processes of one or several [kinds](Kind).
///
/// Signals: SIGTERM and SIGINT have it leave, once its children have finished what they run; a second one, a second later
/// at the earliest, does not wait for that. SIGQUIT kills them. SIGHUP has it read its configuration again, where it has
/// one ([`reload`](Manager::reload)), SIGTTIN and SIGTTOU have one child more, or less, in each kind; SIGUSR1 has it log
/// how it is.
#[must_use = "a Manager does nothing until it is started"]
pub struct Manager {
    kinds: Vec<Kind>,
    rules: Rules,
    control: Option<PathBuf>,
    orders: Orders,
}

impl Manager {
    /// A Manager of these kinds.
    pub fn new(kinds: impl IntoIterator<Item = Kind>) -> Manager {
        let rules = Rules {
            log: Log::default(),
            check_point: CHECK_POINT_DEFAULT,
            wait_time: Some(WAIT_TIME_DEFAULT),
            title: TITLE_DEFAULT.to_owned(),
            replaces: true,
            observers: Vec::new(),
            tells_log: true,
            reload: None,
            on_begin: None,
        };
        Manager { kinds: kinds.into_iter().collect(), rules, control: None, orders: Orders::new() }
    }

    /// Where it logs, and its children where their kind has no log of its own; by default the program's subscriber.
    pub fn log(mut self, log: Log) -> Manager {
        self.rules.log = log;
        self
    }

    /// How far apart it looks at what its children hold and how long they run; 1 s unless said. Deaths and signals it
    /// hears of at once.
    pub fn check_point(mut self, pause: Duration) -> Manager {
        self.rules.check_point = pause.max(CHECK_POINT_MIN);
        self
    }

    /// How long it waits for its children at its end before it ends them by force; 25 s unless said, `None` for as long as
    /// they take.
    pub fn wait_time(mut self, wait: impl Into<Option<Duration>>) -> Manager {
        self.rules.wait_time = wait.into();
        self
    }

    /// What stands in the banner that it logs at its start.
    pub fn title(mut self, title: impl Into<String>) -> Manager {
        self.rules.title = title.into();
        self
    }

    /// Adds somebody who is told what it does.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Manager {
        self.rules.observers.push(Rc::new(observer));
        self
    }

    /// Logs nothing itself: observers do.
    pub fn silent(mut self) -> Manager {
        self.rules.tells_log = false;
        self
    }

    /// Replaces nobody: it ends when all its children have left of themselves.
    pub fn without_replacement(mut self) -> Manager {
        self.rules.replaces = false;
        self
    }

    /// What it reads its kinds from at SIGHUP and [`Order::Reload`]. What has not changed goes on undisturbed; where this
    /// fails, all does.
    pub fn reload(mut self, read: impl FnMut() -> Result<Vec<Kind>, BoxError> + 'static) -> Manager {
        self.rules.reload = Some(Box::new(read));
        self
    }

    /// Called once in the process that supervises, when the keeper was left behind: threads may be started now, in a
    /// Manager whose children are all executed.
    pub fn on_begin(mut self, begin: impl FnOnce() + 'static) -> Manager {
        self.rules.on_begin = Some(Box::new(begin));
        self
    }

    /// Takes [orders](Order) over a UNIX socket at this path, which only its owner may use; see [`ask`](crate::ask).
    pub fn control(mut self, path: impl Into<PathBuf>) -> Manager {
        self.control = Some(path.into());
        self
    }

    /// By which other threads of this program ask it for something.
    pub fn handle(&self) -> Handle {
        Handle { sender: self.orders.sender() }
    }

    /// Supervises until it is asked to stop, and has ended all children. Blocks this thread.
    ///
    /// It forks first: this process stays behind as the *keeper*, which passes on signals, ends what the Manager leaves
    /// behind however that ends, and exits with its exit code; what follows in the program is done in the child. So call
    /// it before there are threads, connections and open files.
    ///
    /// # Errors
    /// Where there is nothing to supervise, this process has several threads, the control socket is taken, or none of the
    /// processes can be started.
    pub fn start(self) -> Result<(), ManagerError> {
        check(&self.kinds)?;
        Supervisor::launch(self.kinds, self.rules, self.control, self.orders)?.run()
    }
}

/// A Manager that looked more often would do nothing else.
const CHECK_POINT_MIN: Duration = Duration::from_millis(10);

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}

/// What is wrong with kinds, each by itself and all together.
pub(crate) fn check(kinds: &[Kind]) -> Result<(), ManagerError> {
    if kinds.is_empty() {
        return Err(ManagerError::NoKinds);
    }
    for (at, kind) in kinds.iter().enumerate() {
        if kinds[..at].iter().any(|other| other.name == kind.name) {
            return Err(ManagerError::NameTaken(kind.name.clone()));
        }
        kind.check().map_err(|reason| ManagerError::Invalid { kind: kind.name.clone(), reason })?;
    }
    Ok(())
}

/// By which other threads of a program ask its Manager for something.
#[derive(Clone, Debug)]
pub struct Handle {
    sender: Arc<Sender>,
}

impl Handle {
    /// Asks, and waits for no answer. It has no effect on a Manager that is gone.
    pub fn send(&self, order: Order) {
        self.sender.send(order);
    }
}
