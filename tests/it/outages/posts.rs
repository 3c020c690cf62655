//! What ends of jobs call for outside of Redis; and [`Came`], what came of that.

use rq_core::{Call, Callback, Webhook};
use rq_tests::{HookServer, Journal, Received, Scratch, jobs};

use super::outcome::Fault;

/// A worker may send to this machine.
pub(super) const ALLOW: [&str; 2] = ["--webhook-allow", "private"];
const CALLBACK: &str = "due.journal";

/// Has the ends of a job call for all there is.
pub(super) fn calling_for<T>(call: Call<T>, id: &str, journal: &Journal, server: &HookServer) -> Call<T> {
    let callback = || Callback::to(CALLBACK);
    let call = call.on_success(callback()).on_failure(callback()).on_stopped(callback());
    let call = call.meta(jobs::due::JOURNAL, journal.path());
    let call = call.webhook(Webhook::finished(server.url(&format!("/{id}/finished"))));
    call.webhook(Webhook::failed(server.url(&format!("/{id}/failed"))))
}

/// Whether anything is in the outbox.
pub(super) fn any_left(scratch: &Scratch) -> bool {
    let boxes = ["outbox:webhooks".to_owned(), format!("outbox:callbacks:{CALLBACK}")];
    scratch.query::<usize>("EXISTS", boxes.map(|name| scratch.key(name))) > 0
}

/// What came of what ends of jobs called for.
pub(super) struct Came<'a> {
    pub(super) journal: &'a Journal,
    pub(super) received: Vec<Received>,
}

impl Came<'_> {
    /// What is wrong with that for a job that has finished, or was stopped.
    pub(super) fn faults(&self, id: &str, is_stopped: bool) -> Vec<(Fault, String)> {
        let (end, webhooks) = if is_stopped { ("stopped", 0) } else { ("finished", 1) };
        let mut faults = Vec::new();
        let mut check = |what: String, found: usize, due: usize| {
            if found != due {
                let fault = if found < due { Fault::Lost } else { Fault::Twice };
                faults.push((fault, format!("job {id}: {found} {what}, not {due}")));
            }
        };
        let calls = self.journal.calls(id);
        check(format!("calls of its callback for {end:?}"), count(&calls, |call| call == end), 1);
        check(format!("calls for another end: {calls:?}"), count(&calls, |call| call != end), 0);
        let is_of = |path: &str| count(&self.received, |request| request.path == format!("/{id}/{path}"));
        check("webhooks of its end".to_owned(), is_of("finished"), webhooks);
        check("webhooks of another end".to_owned(), is_of("failed"), 0);
        faults
    }
}

fn count<T>(all: &[T], is_meant: impl Fn(&T) -> bool) -> usize {
    all.iter().filter(|one| is_meant(one)).count()
}
