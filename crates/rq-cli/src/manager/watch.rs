//! [`Watch`]: a thread that looks at backlogs, and has a Manager start and end workers by them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;
use rq_core::link::BlockingLink;
use rq_core::steps::job::enqueued_at;
use rq_core::steps::queue::heads;
use rq_core::{Error, Timestamp};
use rq_manager::{Handle, ManagerEvent, Observer, Order};
use tracing::{info, warn};

use super::backlog::{Backlog, Scale, decide, needed};
use super::entry::Entry;
use crate::server::Server;

/// How far apart it looks.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// The entries that are scaled, and what is known of them. The thread looks at them, the Manager's loop tells of changes.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    scaled: Arc<Mutex<Vec<Scaled>>>,
}

/// An entry whose number of workers follows its backlog.
#[derive(Clone)]
struct Scaled {
    name: String,
    server: Server,
    queues: Vec<String>,
    scale: Scale,
    /// How many workers there are to be, as far as is known.
    count: usize,
    /// Since when fewer would do.
    fewer_since: Option<Instant>,
}

impl Watch {
    /// Watches these entries from now on. Returns how many workers each is to have: those that were watched before, as
    /// many as they have.
    pub(crate) fn set(&self, entries: &[Entry]) -> Vec<usize> {
        let mut scaled = self.lock();
        let before = std::mem::take(&mut *scaled);
        let count = |entry: &Entry| {
            let Some(scale) = &entry.scale else { return entry.count };
            let known = before.iter().find(|known| known.name == entry.name);
            let count = known.map_or(entry.count, |known| known.count.clamp(scale.min, scale.max));
            scaled.push(Scaled {
                name: entry.name.clone(),
                server: entry.server.clone(),
                queues: entry.queues.clone(),
                scale: scale.clone(),
                count,
                fewer_since: known.and_then(|known| known.fewer_since),
            });
            count
        };
        entries.iter().map(count).collect()
    }

    /// Starts the thread. It goes on for as long as the process does: entries to watch may come with a reload.
    pub(crate) fn start(self, handle: Handle) {
        let look = move || {
            // The Manager's loop has them all.
            let _ = SigSet::all().thread_block();
            let mut places = Places::default();
            loop {
                self.look(&mut places, &handle);
                thread::sleep(LOOK_PAUSE);
            }
        };
        if let Err(error) = thread::Builder::new().name("rq-backlog".to_owned()).spawn(look) {
            warn!("The number of workers does not follow the backlog: {error}");
        }
    }

    fn look(&self, places: &mut Places, handle: &Handle) {
        // Not held while Redis is asked: the Manager's loop waits for nobody.
        let scaled = self.lock().clone();
        places.keep_those_of(&scaled);
        for entry in scaled {
            let Some(backlog) = places.backlog(&entry) else { continue };
            if let Some(order) = self.order(&entry.name, backlog, Instant::now()) {
                handle.send(order);
            }
        }
    }

    /// What the Manager is to do about an entry with this backlog.
    fn order(&self, name: &str, backlog: Backlog, now: Instant) -> Option<Order> {
        let mut scaled = self.lock();
        // It may have gone, or have another number of workers by now.
        let entry = scaled.iter_mut().find(|entry| entry.name == name)?;
        let has_too_many = needed(&entry.scale, backlog, entry.count) < entry.count;
        let since = has_too_many.then(|| entry.fewer_since.unwrap_or(now));
        let fewer_for = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let count = decide(&entry.scale, backlog, entry.count, fewer_for);
        // One that goes has the others do for a minute, before the next one does.
        entry.fewer_since = if count < entry.count { Some(now) } else { since };
        if count == entry.count {
            return None;
        }
        let length = backlog.length;
        info!("{name}: {count} workers in place of {}, as {length} jobs wait", entry.count);
        entry.count = count;
        Some(Order::Scale { kind: entry.name.clone(), count })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Scaled>> {
        self.scaled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever has changed the number of workers, the thread goes on from there.
impl Observer for Watch {
    fn on(&self, event: &ManagerEvent<'_>) {
        if let ManagerEvent::Scaled { kind, to, .. } = event
            && let Some(entry) = self.lock().iter_mut().find(|entry| entry.name == *kind)
        {
            entry.count = *to;
        }
    }
}

/// The Redises that are asked, each over a connection of the thread's own.
#[derive(Default)]
struct Places {
    by_server: HashMap<(String, String), Place>,
}

#[derive(Default)]
struct Place {
    link: Option<BlockingLink>,
    /// Whether it could not be asked the last time.
    is_away: bool,
}

impl Places {
    fn keep_those_of(&mut self, scaled: &[Scaled]) {
        self.by_server.retain(|place, _| scaled.iter().any(|entry| key(&entry.server) == *place));
    }

    /// The backlog of an entry; `None` where its Redis cannot be asked, which is told once.
    fn backlog(&mut self, entry: &Scaled) -> Option<Backlog> {
        let place = self.by_server.entry(key(&entry.server)).or_default();
        let shown = &entry.server.shown;
        match place.backlog(entry) {
            Ok(backlog) => {
                if std::mem::take(&mut place.is_away) {
                    info!("The backlog at {shown} can be looked at again");
                }
                Some(backlog)
            }
            Err(error) => {
                if !std::mem::replace(&mut place.is_away, true) {
                    warn!(
                        "The backlog at {shown} cannot be looked at, so the number of workers stays as it is: {error}"
                    );
                }
                None
            }
        }
    }
}

fn key(server: &Server) -> (String, String) {
    (server.url.clone(), server.keys.prefix().to_owned())
}

impl Place {
    fn backlog(&mut self, entry: &Scaled) -> Result<Backlog, Error> {
        let (server, keys) = (&entry.server, &entry.server.keys);
        let link = match &mut self.link {
            Some(link) => link,
            unset => {
                let link = BlockingLink::to(&server.url)?;
                link.follow_cluster(keys);
                unset.insert(link)
            }
        };
        let heads = link.run(&heads(keys, &entry.queues))?;
        let length = heads.iter().map(|head| head.len as u64).sum();
        let next: Vec<String> = heads.into_iter().filter_map(|head| head.next).collect();
        if entry.scale.age.is_none() || next.is_empty() {
            return Ok(Backlog { length, oldest: None });
        }
        let now = Timestamp::now();
        let times = link.run(&enqueued_at(keys, &next))?;
        let oldest = times.into_iter().flatten().map(|at| now.since(at)).max();
        Ok(Backlog { length, oldest })
    }
}

#[cfg(test)]
mod tests {
    use rq_core::Keys;

    use super::*;

    fn watch(count: usize) -> Watch {
        let scale = Scale { min: 1, max: 8, length: Some(100), age: None };
        let server = Server::at("redis://127.0.0.1:1/", Keys::default()).unwrap();
        let (name, queues) = ("emails".to_owned(), vec!["q".to_owned()]);
        let entry = Scaled { name, server, queues, scale, count, fewer_since: None };
        Watch { scaled: Arc::new(Mutex::new(vec![entry])) }
    }

    fn scale_to(count: usize) -> Option<Order> {
        Some(Order::Scale { kind: "emails".to_owned(), count })
    }

    #[test]
    fn workers_come_at_once_and_go_one_a_minute() {
        let watch = watch(1);
        let begin = Instant::now();
        let order = |length, after_s| {
            let backlog = Backlog { length, oldest: None };
            watch.order("emails", backlog, begin + Duration::from_secs(after_s))
        };
        assert_eq!(order(350, 0), scale_to(4));
        assert_eq!(order(0, 5), None);
        assert_eq!(order(0, 64), None);
        assert_eq!(order(0, 65), scale_to(3));
        assert_eq!(order(0, 124), None);
        // Needed after all: the minute begins again.
        assert_eq!(order(300, 125), None);
        assert_eq!(order(0, 130), None);
        assert_eq!(order(0, 189), None);
        assert_eq!(order(0, 190), scale_to(2));
        assert_eq!(watch.order("gone", Backlog::default(), begin), None);
    }

    #[test]
    fn a_number_that_somebody_else_has_changed_is_gone_on_from() {
        let watch = watch(1);
        watch.on(&ManagerEvent::Scaled { kind: "emails", from: 1, to: 6 });
        let backlog = Backlog { length: 700, oldest: None };
        assert_eq!(watch.order("emails", backlog, Instant::now()), scale_to(7));
    }

    #[test]
    fn a_redis_that_is_away_changes_nothing() {
        let watch = watch(3);
        let mut places = Places::default();
        let entry = watch.lock()[0].clone();
        for _ in 0..2 {
            assert_eq!(places.backlog(&entry), None);
            assert!(places.by_server[&key(&entry.server)].is_away);
        }
        places.keep_those_of(&[]);
        assert!(places.by_server.is_empty());
    }
}
