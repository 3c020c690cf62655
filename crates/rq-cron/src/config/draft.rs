//! [`Draft`]: an entry as a file has it, each value with its line.

use rq_config::{Fault, listed, nearest};
use rq_core::{Call, Ttl, Value, Webhook, secs};

use super::seconds;
use crate::catch_up::CatchUp;
use crate::entry::{Entry, Reason};
use crate::overlap::Overlap;

/// What a file says of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Function,
    Name,
    Queue,
    Args,
    Kwargs,
    Every,
    At,
    Zone,
    Overlap,
    CatchUp,
    Timeout,
    ResultTtl,
    Ttl,
    FailureTtl,
    Meta,
    Webhooks,
    Description,
}

/// The words of a file for its keys.
pub(super) type Words = &'static [(&'static str, Key)];

/// An entry as a file has it.
#[derive(Debug)]
pub(super) struct Draft {
    line: usize,
    words: Words,
    given: Vec<Given>,
}

#[derive(Debug)]
struct Given {
    key: Key,
    line: usize,
    value: Value,
}

impl Draft {
    /// An entry that begins in `line`.
    pub(super) fn new(line: usize, words: Words) -> Draft {
        Draft { line, words, given: Vec::new() }
    }

    /// Notes what is said in `line`.
    pub(super) fn set(&mut self, word: &str, line: usize, value: Value) -> Result<(), Fault> {
        let known = self.words.iter().find(|(known, _)| *known == word);
        let key =
            known.ok_or_else(|| Fault::new(line, unknown(word, self.words.iter().map(|(word, _)| *word))))?.1;
        if self.get(key).is_some() {
            return Err(Fault::new(line, format!("`{word}` is given twice")));
        }
        self.given.push(Given { key, line, value });
        Ok(())
    }

    /// The entry, if it can be one.
    pub(super) fn entry(&self) -> Result<Entry, Fault> {
        let call = self.outcome(self.arguments(self.call()?)?)?;
        let mut entry = self.times(call)?;
        if let Some(name) = self.read(Key::Name, text)? {
            entry = entry.named(name);
        }
        if let Some(queue) = self.read(Key::Queue, text)? {
            entry = entry.queue(queue);
        }
        if let Some(zone) = self.read(Key::Zone, text)? {
            entry = entry.zone(zone);
        }
        if let Some(overlap) = self.read(Key::Overlap, overlap)? {
            entry = entry.overlap(overlap);
        }
        if let Some(catch_up) = self.read(Key::CatchUp, catch_up)? {
            entry = entry.catch_up(catch_up);
        }
        match entry.check() {
            Ok(_) => Ok(entry),
            Err(error) => Err(Fault::new(self.line_of(&error.reason), error.to_string())),
        }
    }

    /// Where it begins.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// The line of the key that is to blame, else that of the entry.
    fn line_of(&self, reason: &Reason) -> usize {
        let key = match reason {
            Reason::Name => Key::Name,
            Reason::Queue(_) => Key::Queue,
            Reason::Expression(_) => Key::At,
            Reason::Interval(_) => Key::Every,
            Reason::Zone(_) | Reason::ZoneOfInterval => Key::Zone,
            Reason::JobId | Reason::Dependency | Reason::Call(_) => return self.line,
        };
        self.get(key).map_or(self.line, |given| given.line)
    }

    fn call(&self) -> Result<Call<()>, Fault> {
        match self.read(Key::Function, text)? {
            Some(function) => Ok(Call::to(function)),
            None => Err(self.lacks(Key::Function, "the function that it calls")),
        }
    }

    fn arguments(&self, mut call: Call<()>) -> Result<Call<()>, Fault> {
        for value in self.read(Key::Args, list)?.unwrap_or_default() {
            call = call.value(value.clone());
        }
        for (name, value) in self.read(Key::Kwargs, table)?.unwrap_or_default() {
            call = call.kwvalue(name, value.clone());
        }
        Ok(call)
    }

    /// How long its jobs may take, how long they are kept, and what else is known of them.
    fn outcome(&self, mut call: Call<()>) -> Result<Call<()>, Fault> {
        match self.read(Key::Timeout, timeout)? {
            Some(-1) => call = call.no_timeout(),
            Some(seconds) => call = call.timeout(secs(seconds.unsigned_abs())),
            None => {}
        }
        if let Some(ttl) = self.read(Key::ResultTtl, kept)? {
            call = call.result_ttl(ttl);
        }
        if let Some(ttl) = self.read(Key::FailureTtl, kept)? {
            call = call.failure_ttl(ttl);
        }
        if let Some(seconds) = self.read(Key::Ttl, positive)? {
            call = call.ttl(secs(seconds));
        }
        if let Some(description) = self.read(Key::Description, text)? {
            call = call.description(description);
        }
        for (key, value) in self.read(Key::Meta, table)?.unwrap_or_default() {
            call = call.meta(key, value);
        }
        for hook in self.read(Key::Webhooks, webhooks)?.unwrap_or_default() {
            call = call.webhook(hook);
        }
        Ok(call)
    }

    fn times(&self, call: Call<()>) -> Result<Entry, Fault> {
        let (every, at) = (self.read(Key::Every, seconds::exact)?, self.read(Key::At, text)?);
        match (every, at) {
            (Some(every), None) => Ok(Entry::every(every, call)),
            (None, Some(at)) => Ok(Entry::at(at, call)),
            (None, None) => {
                let [every, at] = [Key::Every, Key::At].map(|key| self.word(key));
                Err(Fault::new(
                    self.line,
                    format!("the entry does not say when it is due: write `{every}` or `{at}`"),
                ))
            }
            (Some(_), Some(_)) => {
                let [every, at] = [Key::Every, Key::At].map(|key| self.word(key));
                Err(Fault::new(
                    self.line,
                    format!("the entry has both `{every}` and `{at}`: write two entries"),
                ))
            }
        }
    }

    fn get(&self, key: Key) -> Option<&Given> {
        self.given.iter().find(|given| given.key == key)
    }

    /// What is said of `key`; what is wrong with it has its line.
    fn read<'a, T>(
        &'a self,
        key: Key,
        read: impl Fn(&'a Value) -> Result<T, String>,
    ) -> Result<Option<T>, Fault> {
        let Some(given) = self.get(key) else { return Ok(None) };
        let fault = |reason| Fault::new(given.line, format!("`{}` cannot be used: {reason}", self.word(key)));
        read(&given.value).map(Some).map_err(fault)
    }

    fn lacks(&self, key: Key, what: &str) -> Fault {
        Fault::new(self.line, format!("the entry has no `{}`, {what}", self.word(key)))
    }

    fn word(&self, key: Key) -> &'static str {
        self.words.iter().find(|(_, known)| *known == key).map_or("", |(word, _)| word)
    }
}

/// What to say of a word that is none of the `known` ones.
fn unknown(word: &str, known: impl Iterator<Item = &'static str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(nearest) => format!("there is no `{word}`; did you mean `{nearest}`?"),
        None => format!("there is no `{word}`, but {}", listed(known)),
    }
}

fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Str(text) => Ok(text),
        _ => Err("it is no text".to_owned()),
    }
}

fn list(value: &Value) -> Result<&[Value], String> {
    match value {
        Value::List(values) | Value::Tuple(values) => Ok(values),
        _ => Err("it is no list".to_owned()),
    }
}

fn table(value: &Value) -> Result<Vec<(&str, &Value)>, String> {
    let Value::Dict(pairs) = value else { return Err("it is no table".to_owned()) };
    pairs
        .iter()
        .map(|(name, value)| Ok((text(name).map_err(|_| "its keys must be texts".to_owned())?, value)))
        .collect()
}

/// One of some words.
fn choice<T: Copy>(value: &Value, choices: &[(&str, T)]) -> Result<T, String> {
    let chosen = text(value).ok().and_then(|text| choices.iter().find(|(word, _)| *word == text));
    let (_, choice) = chosen
        .ok_or_else(|| format!("it must be one of {}", listed(choices.iter().map(|(word, _)| word))))?;
    Ok(*choice)
}

fn overlap(value: &Value) -> Result<Overlap, String> {
    choice(value, &[("allow", Overlap::Allow), ("skip", Overlap::Skip)])
}

fn catch_up(value: &Value) -> Result<CatchUp, String> {
    choice(value, &[("none", CatchUp::None), ("latest", CatchUp::Latest), ("all", CatchUp::All)])
}

fn timeout(value: &Value) -> Result<i64, String> {
    match seconds::whole(value)? {
        seconds @ (-1 | 1..) => Ok(seconds),
        _ => Err("it must be more than 0, or -1 for no limit".to_owned()),
    }
}

fn kept(value: &Value) -> Result<Ttl, String> {
    match seconds::whole(value)? {
        ..-1 => Err("it must be 0 or more, or -1 for ever".to_owned()),
        seconds => Ok(Ttl::from_wire(seconds)),
    }
}

fn positive(value: &Value) -> Result<u64, String> {
    match seconds::whole(value)? {
        ..=0 => Err("it must be more than 0".to_owned()),
        seconds => Ok(seconds.unsigned_abs()),
    }
}

fn webhooks(value: &Value) -> Result<Vec<Webhook>, String> {
    list(value)?.iter().map(webhook).collect()
}

/// The words of a webhook; those of RQ's `Webhook`, whose `job_status` is `status` to us.
const WEBHOOK: [&str; 5] = ["url", "status", "method", "headers", "timeout"];

fn webhook(value: &Value) -> Result<Webhook, String> {
    let given = table(value)?;
    if let Some((word, _)) = given.iter().find(|(word, _)| !WEBHOOK.contains(word)) {
        return Err(unknown(word, WEBHOOK.into_iter()));
    }
    let get = |word: &str| given.iter().find(|(known, _)| *known == word).map(|(_, value)| *value);
    let need = |word: &str| get(word).ok_or_else(|| format!("a webhook needs a `{word}`"));
    let url = text(need("url")?)?;
    let make = choice(need("status")?, &[("finished", true), ("failed", false)]);
    let make = make.map_err(|reason| format!("the `status` of a webhook: {reason}"))?;
    let mut webhook = if make { Webhook::finished(url) } else { Webhook::failed(url) };
    if let Some(method) = get("method") {
        let is_post = choice(method, &[("GET", false), ("POST", true)]);
        if is_post.map_err(|reason| format!("the `method` of a webhook: {reason}"))? {
            webhook = webhook.post();
        }
    }
    if let Some(headers) = get("headers").filter(|headers| **headers != Value::Null) {
        for (name, value) in table(headers)? {
            webhook = webhook.header(name, text(value)?);
        }
    }
    match get("timeout") {
        Some(timeout) => Ok(webhook.timeout(secs(positive(timeout)?))),
        None => Ok(webhook),
    }
}
