//! RQ's configuration in Python, where it is plain: imports, constants, and calls of `register`.

mod statement;
mod token;
mod value;

use std::collections::HashMap;

use rq_core::Value;

use super::Fault;
use super::draft::{Draft, Key, Words};
use token::{Placed, Token, tokens};

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

/// What a name stands for.
#[derive(Clone, Debug)]
enum Meaning {
    /// What is imported, by its dotted path.
    Path(String),
    /// A constant.
    Value(Value),
}

pub(super) fn drafts(text: &str) -> Result<Vec<Draft>, Fault> {
    let mut reader = Reader {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
        values: 0,
        text_bytes: 0,
        names: HashMap::new(),
        drafts: Vec::new(),
    };
    while reader.at + 1 < reader.tokens.len() {
        reader.statement()?;
    }
    Ok(reader.drafts)
}

/// Goes through the words of a file.
struct Reader {
    tokens: Vec<Placed>,
    at: usize,
    /// How many values are within each other.
    depth: usize,
    /// How many values, and bytes of text, constants have been named for.
    values: usize,
    text_bytes: usize,
    names: HashMap<String, Meaning>,
    drafts: Vec<Draft>,
}

impl Reader {
    /// The next word; the last one of all is an end, and stays.
    fn peek(&self) -> &Token {
        &self.tokens[self.at].token
    }

    fn line(&self) -> usize {
        self.tokens[self.at].line
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// Takes a sign, if it is the next word.
    fn takes(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.peek(), Token::Sign(next) if *next == sign);
        if is_next {
            self.take();
        }
        is_next
    }

    /// Takes a name that is a word of the language, if it is the next one.
    fn takes_word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.peek(), Token::Name(next) if next == word);
        if is_next {
            self.take();
        }
        is_next
    }

    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        match self.takes(sign) {
            true => Ok(()),
            false => Err(self.unread(&format!("where `{sign}` is expected"))),
        }
    }

    fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::new(self.line(), reason)
    }

    /// That the next word cannot be read.
    fn unread(&self, here: &str) -> Fault {
        let word = match self.peek() {
            Token::Name(name) => format!("`{name}`"),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::Text(_) | Token::Bytes(_) => "a text".to_owned(),
            Token::Int(_) | Token::Float(_) => "a number".to_owned(),
            Token::End => "the end of the line".to_owned(),
        };
        self.fault(format!("{word} is not read {here}: {INSTEAD}"))
    }
}

#[cfg(test)]
mod tests;
