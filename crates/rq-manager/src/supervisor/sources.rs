//! [`Sources`]: what the Manager hears of, and its own service manager, which it tells how it fares.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::getppid;
use rq_process::NotifySocket;
use sd_notify::NotifyState;
use tracing::debug;

use crate::control::Control;
use crate::error::ManagerError;
use crate::notices::Notices;
use crate::orders::Orders;
use crate::slot::{Rest, Slot};
use crate::system;

/// The signals that stay what they are: those that say that this process itself is broken, and a terminal's.
const NOT_TAKEN: [Signal; 10] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGABRT,
    Signal::SIGTRAP,
    Signal::SIGSYS,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGPIPE,
];
/// How many signals one turn takes.
const SIGNALS_PER_TURN_MAX: usize = 64;
/// The longest the loop sleeps, whatever it waits for.
const WAIT_LONGEST: Duration = Duration::from_secs(60);

/// What the Manager hears of.
#[derive(Debug)]
pub(super) struct Sources {
    signals: SignalFd,
    pub(super) notices: Notices,
    pub(super) control: Option<Control>,
    pub(super) orders: Orders,
    service: Option<NotifySocket>,
    told: Told,
    watchdog: Option<Watchdog>,
}

/// What the service manager was told.
#[derive(Debug, Default)]
struct Told {
    is_ready: bool,
    status: Option<String>,
}

/// The beats that a service manager wants.
#[derive(Debug)]
struct Watchdog {
    pause: Duration,
    next: Instant,
}

impl Watchdog {
    /// What the service manager wants: of the process that it has started, which is the keeper by now.
    fn of_this_process() -> Option<Watchdog> {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let limit = Duration::from_micros(number("WATCHDOG_USEC").filter(|limit| *limit > 0)?);
        let is_meant =
            number("WATCHDOG_PID").is_none_or(|pid| i64::from(getppid().as_raw()) == pid.cast_signed());
        is_meant.then(|| Watchdog { pause: limit / 2, next: Instant::now() })
    }
}

impl Sources {
    pub(super) fn open(control: Option<Control>, orders: Orders) -> Result<Sources, ManagerError> {
        let taken = SigSet::all().iter().filter(|signal| !NOT_TAKEN.contains(signal)).collect::<SigSet>();
        taken
            .thread_block()
            .map_err(|error| error.into())
            .map_err(ManagerError::system("signals cannot be taken"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&taken, flags)
            .map_err(|error| error.into())
            .map_err(ManagerError::system("signals cannot be taken"))?;
        let notices = Notices::bind().map_err(ManagerError::system("children cannot be listened to"))?;
        let watchdog = Watchdog::of_this_process();
        let service = NotifySocket::from_environment();
        Ok(Sources { signals, notices, control, orders, service, told: Told::default(), watchdog })
    }

    /// Waits until something has happened, or `until`.
    pub(super) fn wait(&self, until: Instant) {
        let own =
            [self.signals.as_fd(), self.notices.descriptor()].into_iter().chain(self.orders.descriptor());
        let own = own.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
        let mut all: Vec<PollFd<'_>> =
            own.chain(self.control.iter().flat_map(Control::descriptors)).collect();
        let left = until.saturating_duration_since(Instant::now()).min(WAIT_LONGEST);
        // A part of a millisecond is one, or the loop would spin through it.
        let left = PollTimeout::try_from(left.as_micros().div_ceil(1000) as i32).unwrap_or(PollTimeout::ZERO);
        // Interrupted, or refused: the turn looks at everything anyway.
        let _ = poll(&mut all, left);
    }

    /// The signals that have come; the number where it has no name.
    pub(super) fn take_signals(&mut self) -> Vec<Result<Signal, u32>> {
        let received = std::iter::from_fn(|| self.signals.read_signal().ok().flatten());
        let signals = received.take(SIGNALS_PER_TURN_MAX).map(|received| {
            Signal::try_from(received.ssi_signo.cast_signed()).map_err(|_| received.ssi_signo)
        });
        signals.collect()
    }

    /// Closes, in a forked child, what is the Manager's.
    pub(super) fn close_in_child(&self) {
        let control = self.control.iter().flat_map(Control::opened);
        let all: Vec<BorrowedFd<'_>> = [self.signals.as_fd(), self.notices.descriptor()]
            .into_iter()
            .chain(self.orders.descriptor())
            .chain(control)
            .collect();
        system::close_in_child(&all);
    }

    pub(super) fn tell_service_stopping(&mut self) {
        self.tell_service(&[NotifyState::Stopping]);
    }

    /// Never waits: a service manager that does not read holds nobody up.
    fn tell_service(&mut self, states: &[NotifyState<'_>]) {
        let Some(service) = &mut self.service else { return };
        let message: String = states.iter().map(|state| format!("{state}\n")).collect();
        if let Err(error) = service.send(&message) {
            debug!("the service manager was not told: {error}");
        }
    }

    /// When the service manager wants to hear something.
    pub(super) fn next_beat(&self) -> Option<Instant> {
        self.watchdog.as_ref().map(|watchdog| watchdog.next)
    }

    /// Tells the service manager how the Manager fares: ready once no slot waits for its first child, how many serve, and
    /// that it lives, as often as that is asked for.
    pub(super) fn tell_fares(&mut self, now: Instant, slots: &[Slot]) {
        if self.service.is_none() {
            return;
        }
        self.told.is_ready |= slots.iter().all(|slot| slot.serving.is_some() || slot.rest != Rest::None);
        let serving = slots.iter().filter(|slot| slot.serving.is_some()).count();
        let status = format!("{serving} of {} run", slots.len());
        let beats = self.watchdog.as_mut().filter(|watchdog| watchdog.next <= now);
        let is_beat = beats.map(|watchdog| watchdog.next = now + watchdog.pause).is_some();
        let is_news = self.told.status.as_deref() != Some(status.as_str());
        if !is_beat && !is_news {
            return;
        }
        let mut states = vec![NotifyState::Status(&status)];
        // Again each time: one may have had no room.
        states.extend(self.told.is_ready.then_some(NotifyState::Ready));
        states.extend(is_beat.then_some(NotifyState::Watchdog));
        self.tell_service(&states);
        self.told.status = Some(status);
    }
}
