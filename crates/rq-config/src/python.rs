//! Python where it is plain: imports, constants, and the calls that a [`Dialect`] knows. Nothing is executed.
//!
//! | file | holds |
//! |---|---|
//! | `python/token.rs`, `text.rs` | the words of a file, and the texts among them |
//! | `python/reader.rs` | who goes through the words, and what names stand for |
//! | `python/statement.rs` | imports, assignments, calls |
//! | `python/value.rs`, `operator.rs` | values, and what is reckoned with them |
//! | `python/condition.rs`, `comparison.rs` | what is decided between values |
//! | `python/method.rs` | what texts can do |
//! | `python/key.rs` | when two values are one to a dict |

mod comparison;
mod condition;
mod key;
mod method;
mod operator;
mod reader;
mod secret;
mod statement;
mod text;
mod token;
mod value;

use rq_wire::Value;

use crate::Fault;
pub(crate) use method::is_space;
use reader::Reader;
pub(crate) use value::plain_text;

/// What files of one purpose may say beyond values: which calls, and what they give.
pub trait Dialect {
    /// The way on for whoever wrote what is not read, as the end of a sentence.
    fn instead(&self) -> &str;

    /// The way on for whoever wrote a call of this path, which is not read.
    fn instead_of_call(&self, _path: &str) -> &str {
        self.instead()
    }

    /// The way on for whoever imports relatively, or everything, where no other module is ever read.
    fn instead_of_import(&self) -> Option<&str> {
        None
    }

    /// What is read of statements that are but a value, such as "calls of `register`".
    fn statements(&self) -> &str;

    /// Whether calls of this dotted path, or of this name that nothing has been assigned to, are read.
    fn knows(&self, path: &str) -> bool;

    /// What a call of a path that it [knows](Dialect::knows) gives; `None` where that is of no use.
    fn call(&mut self, call: Call) -> Result<Option<Value>, Fault>;

    /// What is found at a dotted path, such as `logging.INFO`.
    fn constant(&self, _path: &str) -> Option<Value> {
        None
    }

    /// What `path[key]` is, in `line`; `None` where nothing is known of the path.
    fn item(&mut self, _path: &str, _key: &Value, _line: usize) -> Option<Result<Value, Fault>> {
        None
    }

    /// Whether sets, and texts with values in them, are read as well.
    fn is_wide(&self) -> bool {
        false
    }
}

/// A call that a file makes.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is called, by its dotted path.
    pub path: String,
    /// Where.
    pub line: usize,
    /// With what.
    pub arguments: Vec<Argument>,
}

/// An argument of a call.
#[derive(Clone, Debug)]
pub struct Argument {
    /// Its name, or its place from 0 on.
    pub name: Result<String, usize>,
    /// What is given.
    pub term: Term,
    /// Where.
    pub line: usize,
}

impl Argument {
    /// It as a value; `instead` as of [`Dialect::instead`].
    pub fn value(self, instead: &str) -> Result<Value, Fault> {
        self.term.value(self.line, instead)
    }
}

/// What stands where a value does.
#[derive(Clone, Debug)]
pub enum Term {
    /// A value.
    Value(Value),
    /// What was imported, by its dotted path.
    Path(String),
    /// What a call of this path gives that is of no use.
    Nothing(String),
}

impl Term {
    fn value(self, line: usize, instead: &str) -> Result<Value, Fault> {
        match self {
            Term::Value(value) => Ok(value),
            Term::Path(path) => {
                Err(Fault::new(line, format!("`{path}` is no value that is written out: {instead}")))
            }
            Term::Nothing(path) => {
                let called = path.rsplit('.').next().unwrap_or_default();
                Err(Fault::new(line, format!("a call of `{called}` is no value: {instead}")))
            }
        }
    }
}

/// A name of a file, and what it stands for at the end.
#[derive(Clone, Debug)]
pub struct Assigned {
    /// The name.
    pub name: String,
    /// Where it was assigned to, or imported, the last time.
    pub line: usize,
    /// What.
    pub term: Term,
}

/// Reads a file, and returns its names as they were assigned to.
pub fn read(text: &str, dialect: &mut dyn Dialect) -> Result<Vec<Assigned>, Fault> {
    // Python does so, in texts as well.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let tokens = token::tokens(&text, dialect.instead());
    let assigned = tokens.and_then(|tokens| Reader::new(tokens, dialect).read());
    assigned.map_err(|fault| secret::without_words(&text, fault))
}
