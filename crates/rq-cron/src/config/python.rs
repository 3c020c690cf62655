//! RQ's configuration in Python, where it is plain: imports, constants, and calls of `register`.

use rq_config::Fault;
use rq_config::python::{self, Argument, Call, Dialect, Term};
use rq_core::Value;

use super::draft::{Draft, Key, Words};

/// The parameters of `rq.cron.register`, in its order.
const PARAMETERS: Words = &[
    ("func", Key::Function),
    ("queue_name", Key::Queue),
    ("args", Key::Args),
    ("kwargs", Key::Kwargs),
    ("interval", Key::Every),
    ("cron", Key::At),
    ("job_timeout", Key::Timeout),
    ("result_ttl", Key::ResultTtl),
    ("ttl", Key::Ttl),
    ("failure_ttl", Key::FailureTtl),
    ("meta", Key::Meta),
    ("webhooks", Key::Webhooks),
    ("name", Key::Name),
];
/// Those without a default.
const NEEDED: [&str; 2] = ["func", "queue_name"];
/// What entries are registered with.
const REGISTER: &str = "rq.cron.register";
/// What webhooks are made with: RQ has it in two places.
const WEBHOOK: [&str; 2] = ["rq.Webhook", "rq.webhook.Webhook"];
/// The parameters of a webhook, those first that need no name; and our words for them.
const WEBHOOK_PARAMETERS: [(&str, &str); 5] = [
    ("url", "url"),
    ("job_status", "status"),
    ("method", "method"),
    ("headers", "headers"),
    ("timeout", "timeout"),
];
/// How many of them need no name.
const WEBHOOK_POSITIONS: usize = 2;
/// The way on.
const INSTEAD: &str = "a configuration in Python is read and never executed; write the entries in rq.toml";

pub(super) fn drafts(text: &str) -> Result<Vec<Draft>, Fault> {
    let mut entries = Entries::default();
    python::read(text, &mut entries)?;
    Ok(entries.drafts)
}

/// What a configuration registers.
#[derive(Default)]
struct Entries {
    drafts: Vec<Draft>,
}

impl Dialect for Entries {
    fn instead(&self) -> &str {
        INSTEAD
    }

    fn statements(&self) -> &str {
        "calls of `register`"
    }

    fn knows(&self, path: &str) -> bool {
        path == REGISTER || WEBHOOK.contains(&path)
    }

    fn call(&mut self, call: Call) -> Result<Option<Value>, Fault> {
        if call.path == REGISTER {
            self.drafts.push(registered(call.line, call.arguments)?);
            return Ok(None);
        }
        webhook(call.arguments).map(Some)
    }
}

fn registered(line: usize, arguments: Vec<Argument>) -> Result<Draft, Fault> {
    let mut draft = Draft::new(line, PARAMETERS);
    let mut parameters = Vec::new();
    for argument in arguments {
        let line = argument.line;
        let parameter = match &argument.name {
            Ok(name) => name.clone(),
            Err(place) => match PARAMETERS.get(*place) {
                Some((name, _)) => (*name).to_owned(),
                None => return Err(Fault::new(line, "`register` has 13 parameters")),
            },
        };
        let value = match argument.term {
            Term::Path(path) if parameter == "func" => Value::Str(path),
            _ => argument.value(INSTEAD)?,
        };
        if !means_nothing(&parameter, &value) {
            draft.set(&parameter, line, value)?;
        }
        parameters.push(parameter);
    }
    let missing = NEEDED.into_iter().find(|needed| !parameters.iter().any(|given| given == needed));
    match missing {
        Some(missing) => Err(Fault::new(line, format!("`register` needs a `{missing}`"))),
        None => Ok(draft),
    }
}

/// Whether RQ takes `value` as if it were not given.
fn means_nothing(parameter: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Int(0) => parameter == "interval",
        Value::Str(text) => text.is_empty() && matches!(parameter, "cron" | "name"),
        _ => false,
    }
}

/// A webhook, as a table in our words.
fn webhook(arguments: Vec<Argument>) -> Result<Value, Fault> {
    let mut pairs = Vec::new();
    for argument in arguments {
        let known = match &argument.name {
            Ok(name) => WEBHOOK_PARAMETERS.iter().find(|(known, _)| known == name),
            Err(place) => WEBHOOK_PARAMETERS[..WEBHOOK_POSITIONS].get(*place),
        };
        let (_, word) = known.ok_or_else(|| {
            Fault::new(
                argument.line,
                "a webhook has `url` and `job_status`, and by name `method`, `headers` and `timeout`",
            )
        })?;
        pairs.push((Value::Str((*word).to_owned()), argument.value(INSTEAD)?));
    }
    Ok(Value::Dict(pairs))
}

#[cfg(test)]
mod tests;
