//! [`Sinks`]: a plan that is carried out.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use rq_core::Shown;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::format::Format;
use super::line::Lines;
use super::plan::{Plan, Sink, To, number};
use super::stream::Stream;
use super::target::{LogFile, Target};
use crate::paint::Paint;
use crate::refusal::Refusal;

/// How long a line may be for its room to be kept.
const LINE_ROOM_BYTES: usize = 64 << 10;

thread_local! {
    /// The line that is being written.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Sinks, each with its stream.
pub(super) struct Sinks {
    level: i64,
    sinks: Vec<(Sink, Lines, Arc<Stream>)>,
    streams: Vec<(Arc<Stream>, Format)>,
}

impl Sinks {
    /// Opens what a plan names. Those that go to one place share its stream, so that lines keep their order.
    pub(super) fn open(plan: &Plan, paint: Paint) -> Result<Sinks, Refusal> {
        let mut sinks = Sinks { level: plan.level, sinks: Vec::new(), streams: Vec::new() };
        for sink in &plan.sinks {
            let known = sinks.sinks.iter().find(|(known, ..)| is_one(&known.to, &sink.to));
            let stream = match known {
                Some((.., stream)) => Arc::clone(stream),
                None => {
                    let stream = Stream::new(target(&sink.to)?);
                    sinks.streams.push((Arc::clone(&stream), sink.format.clone()));
                    stream
                }
            };
            // Files are read by programs, and later.
            let paint = if matches!(sink.to, To::File { .. }) { Paint::Plain } else { paint };
            sinks.sinks.push((sink.clone(), Lines::new(sink.format.clone(), paint), stream));
        }
        Ok(sinks)
    }

    /// What is written to, each with a format for what there is to say of it.
    pub(super) fn streams(&self) -> Vec<(Arc<Stream>, Format)> {
        self.streams.clone()
    }

    fn write(&self, event: &Event<'_>, line: &mut String) {
        let level = number(*event.metadata().level());
        if level < self.level {
            return;
        }
        for (_, lines, stream) in self.sinks.iter().filter(|(sink, ..)| sink.takes(level)) {
            line.clear();
            // A string takes whatever is written; a line that cannot be made is left out.
            if lines.write_event(event, line).is_ok() {
                stream.put(line.as_bytes());
            }
        }
        line.clear();
        line.shrink_to(LINE_ROOM_BYTES);
    }
}

impl<S: Subscriber> Layer<S> for Sinks {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => self.write(event, &mut line),
            // What an event shows has logged something itself.
            Err(_) => self.write(event, &mut String::new()),
        });
    }
}

fn target(to: &To) -> Result<Target, Refusal> {
    let To::File { path, is_emptied, is_watched } = to else {
        return Ok(if *to == To::Out { Target::Out } else { Target::Err });
    };
    match LogFile::open(path, *is_emptied, *is_watched) {
        Ok(file) => Ok(Target::File(file)),
        Err(error) => {
            let path = Shown::name(path.display());
            Err(Refusal::Failed(format!("the log file {path} of DICT_CONFIG cannot be opened: {error}")))
        }
    }
}

/// Whether two lead to the same place: behind `2>&1`, say, and on terminals.
fn is_one(one: &To, other: &To) -> bool {
    match (one, other) {
        (To::Out, To::Err) | (To::Err, To::Out) => is_same_file(io::stdout(), io::stderr()),
        _ => one == other,
    }
}

/// Whether two descriptors lead to the same file, pipe or terminal, as far as the system tells.
fn is_same_file(one: impl AsFd, other: impl AsFd) -> bool {
    let identity = |descriptor: &dyn AsFd| {
        let file = File::from(descriptor.as_fd().try_clone_to_owned().ok()?);
        let metadata = file.metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    identity(&one).is_some_and(|one| identity(&other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_known_by_both_of_its_descriptors() {
        let [(_, one), (_, other)] = [io::pipe().unwrap(), io::pipe().unwrap()];
        assert!(is_same_file(&one, one.try_clone().unwrap()));
        assert!(!is_same_file(&one, &other));
    }
}
