//! What the Manager is asked: by signals, by orders.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tracing::{info, warn};

use super::Supervisor;
use crate::cause::Cause;
use crate::event::ManagerEvent;
use crate::notices::NOTICES_PER_TURN_MAX;
use crate::order::{Answer, Order};

/// A second request to stop that comes sooner is the same one: a terminal, a service manager and the keeper may all tell.
const DISTINCT_AFTER: Duration = Duration::from_secs(1);
/// How often what children have told is read in one turn.
const NOTICE_READS_MAX: usize = 4;

impl Supervisor {
    pub(super) fn take_signals(&mut self) {
        for signal in self.sources.take_signals() {
            match signal {
                Ok(Signal::SIGTERM | Signal::SIGINT) => self.stop_once_more(),
                Ok(Signal::SIGQUIT) => self.kill_all(),
                Ok(Signal::SIGHUP) if self.rules.reload.is_none() => {
                    self.rules.log.with(|| warn!("SIGHUP: this Manager has no configuration to read"));
                }
                Ok(Signal::SIGHUP) => drop(self.reload()),
                Ok(Signal::SIGTTIN) => self.scale_all(1),
                Ok(Signal::SIGTTOU) => self.scale_all(-1),
                Ok(Signal::SIGUSR1) => self.log_status(),
                // Reaping asks the system itself.
                Ok(Signal::SIGCHLD) => {}
                Ok(signal) => self.rules.log.with(|| warn!("{signal} means nothing to a Manager")),
                Err(number) => self.rules.log.with(|| warn!("signal {number} means nothing to a Manager")),
            }
        }
    }

    /// Takes what children have told. Where that has no end, beats may have had no room: then none that is missing counts.
    pub(super) fn take_notices(&mut self) {
        let now = Instant::now();
        let has_end = (0..NOTICE_READS_MAX).any(|_| !self.take_some_notices(now));
        if !has_end {
            self.excuse_all(now);
        }
    }

    /// Takes some; `true` where there may be more.
    fn take_some_notices(&mut self, now: Instant) -> bool {
        let notices = self.sources.notices.take();
        let may_be_more = notices.len() == NOTICES_PER_TURN_MAX;
        for (pid, notice) in notices {
            // The main process of a child alone speaks for it.
            let mut children = self.slots.iter_mut().flat_map(|slot| slot.children_mut());
            if let Some(child) = children.find(|child| child.pid == pid) {
                child.note(notice, now);
            }
        }
        may_be_more
    }

    /// Has nobody's silence count so far.
    pub(super) fn excuse_all(&mut self, now: Instant) {
        self.slots.iter_mut().flat_map(|slot| slot.children_mut()).for_each(|child| child.excuse(now));
    }

    pub(super) fn take_orders(&mut self) {
        for order in self.sources.orders.take() {
            if let Err(reason) = self.carry_out(order) {
                self.rules.log.with(|| warn!("an order cannot be carried out: {reason}"));
            }
        }
        let Some(control) = &mut self.sources.control else { return };
        control.drop_late(Instant::now());
        for (client, order) in control.take() {
            let answer = match self.carry_out(order) {
                Ok(()) => Answer::Status(Box::new(self.status())),
                Err(reason) => Answer::Refused(reason),
            };
            if let Some(control) = &mut self.sources.control {
                control.answer(client, &answer);
            }
        }
    }

    fn carry_out(&mut self, order: Order) -> Result<(), String> {
        let is_change = matches!(order, Order::Restart { .. } | Order::Scale { .. } | Order::Reload);
        if is_change && self.stopping.is_some() {
            return Err("this Manager is on its way out".to_owned());
        }
        match order {
            Order::Status => {}
            Order::Stop { now: false } => self.stop(),
            Order::Stop { now: true } => {
                self.stop();
                self.urge_all();
            }
            Order::Restart { kinds } => self.restart(&kinds)?,
            Order::Scale { kind, count } => self.scale(&kind, count)?,
            Order::Reload => self.reload()?,
        }
        Ok(())
    }

    /// Leaves; does not wait for runs in hand where it was asked to before.
    fn stop_once_more(&mut self) {
        match self.stopping {
            None => self.stop(),
            Some(since) if since.elapsed() >= DISTINCT_AFTER => self.urge_all(),
            Some(_) => {}
        }
    }

    fn stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        let now = Instant::now();
        self.stopping = Some(now);
        self.tell(None, ManagerEvent::Stopping);
        self.sources.tell_service_stopping();
        let patience = self.rules.wait_time;
        for child in self.slots.iter_mut().flat_map(|slot| slot.children_mut()) {
            child.ask(Cause::Stopped, patience, now);
        }
    }

    fn urge_all(&mut self) {
        let now = Instant::now();
        for child in self.slots.iter_mut().flat_map(|slot| slot.children_mut()) {
            child.force(Cause::Stopped, now);
        }
    }

    fn kill_all(&mut self) {
        self.stop();
        let now = Instant::now();
        let endings = self.slots.iter_mut().flat_map(|slot| slot.children_mut());
        endings.filter_map(|child| child.ending.as_mut()).for_each(|ending| ending.kill(now));
    }

    fn scale_all(&mut self, by: isize) {
        if self.stopping.is_some() {
            return;
        }
        let names: Vec<String> = self.kinds.iter().map(|kind| kind.name.clone()).collect();
        for name in names {
            let count = self.count(&name).saturating_add_signed(by);
            if let Err(reason) = self.scale(&name, count) {
                self.rules.log.with(|| warn!("{reason}"));
            }
        }
    }

    fn log_status(&self) {
        let status = self.status();
        self.rules.log.with(|| match serde_json::to_string(&status) {
            Ok(json) => info!("{json}"),
            Err(error) => warn!("how it is cannot be written: {error}"),
        });
    }
}
