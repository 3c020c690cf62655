//! [`Arguments`]: a job's arguments as the command line writes them (docs/cli.md §6.1).

use std::fs::File;
use std::io::{self, Read};

use rq_core::{Codec, Value};

use super::{NAME, literal};
use crate::refusal::Refusal;

/// The largest file an argument may name: all that the payload's codecs take.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A job's arguments.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Arguments {
    pub(super) args: Vec<Value>,
    pub(super) kwargs: Vec<(String, Value)>,
}

/// One argument, taken apart and not read yet.
#[derive(Debug, PartialEq)]
struct Written<'a> {
    keyword: Option<&'a str>,
    mode: Mode,
    text: &'a str,
}

/// How an argument's text becomes a value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Text,
    Json,
    Literal,
}

impl Arguments {
    /// Reads them in order; files they name are read now.
    pub(super) fn read(written: &[String]) -> Result<Arguments, Refusal> {
        let mut arguments = Arguments::default();
        for argument in written {
            let argument = Written::split(argument);
            // RQ's messages count from 1, and only the arguments without a keyword.
            let value = argument.value(arguments.args.len() + 1)?;
            match argument.keyword {
                None => arguments.args.push(value),
                Some(keyword) if arguments.kwargs.iter().any(|(known, _)| known == keyword) => {
                    return Err(invalid("You can't specify multiple values for the same keyword."));
                }
                Some(keyword) => arguments.kwargs.push((keyword.to_owned(), value)),
            }
        }
        Ok(arguments)
    }
}

impl<'a> Written<'a> {
    /// A leading `:` or `%` decides first. Else the first `=` that is not the first character makes a keyword, and the
    /// mode is another than text only if the first `:`, or else the first `%`, of the whole is right before it.
    fn split(argument: &'a str) -> Written<'a> {
        if let Some(text) = argument.strip_prefix(':') {
            return Written { keyword: None, mode: Mode::Json, text };
        }
        if let Some(text) = argument.strip_prefix('%') {
            return Written { keyword: None, mode: Mode::Literal, text };
        }
        let Some(index) = argument.find('=').filter(|&index| index > 0) else {
            return Written { keyword: None, mode: Mode::Text, text: argument };
        };
        let text = &argument[index + 1..];
        // The first mark of the whole argument, not the nearest one: so does RQ (docs/cli.md §6.1).
        let first_is_before = |mark: char| argument.find(mark).is_some_and(|first| first + 1 == index);
        let (keyword, mode) = match () {
            () if first_is_before(':') => (&argument[..index - 1], Mode::Json),
            () if first_is_before('%') => (&argument[..index - 1], Mode::Literal),
            () => (&argument[..index], Mode::Text),
        };
        Written { keyword: Some(keyword), mode, text }
    }

    /// Its value; `position` is its number among those without a keyword.
    fn value(&self, position: usize) -> Result<Value, Refusal> {
        let text = match self.text.strip_prefix('@') {
            Some(path) => read_file(path)?,
            None => self.text.to_owned(),
        };
        let name = || self.keyword.map_or_else(|| format!("{position}. non keyword argument"), str::to_owned);
        match self.mode {
            Mode::Text => Ok(Value::Str(text)),
            Mode::Json => Codec::Json
                .decode_value(text.as_bytes())
                .map_err(|_| invalid(&format!("Unable to parse {} as JSON.", name()))),
            Mode::Literal => literal::parse(&text).ok_or_else(|| {
                invalid(&format!(
                    "Unable to eval {} as Python object. See https://docs.python.org/3/library/ast.html#ast.literal_eval",
                    name()
                ))
            }),
        }
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal::usage(NAME, format!("Invalid value: {message}"))
}

fn read_file(path: &str) -> Result<String, Refusal> {
    let refusal = |reason: &str| Refusal::Failed(format!("Could not open file '{path}': {reason}"));
    let mut text = String::new();
    // One byte more than allowed tells a file that is too large, without reading all of it.
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    match read {
        Ok(bytes) if bytes as u64 > FILE_BYTES_MAX => {
            Err(refusal(&format!("it has more than the {FILE_BYTES_MAX} bytes a job can carry")))
        }
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(refusal("Not found")),
        Err(error) => Err(refusal(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_taken_apart_as_python_does() {
        let check = |argument: &str, keyword: Option<&str>, mode: Mode, text: &str| {
            assert_eq!(Written::split(argument), Written { keyword, mode, text }, "{argument}");
        };
        check("text", None, Mode::Text, "text");
        check("", None, Mode::Text, "");
        check("=x", None, Mode::Text, "=x");
        check("a:b", None, Mode::Text, "a:b");
        check(":1", None, Mode::Json, "1");
        check(":a=1", None, Mode::Json, "a=1");
        check("%1", None, Mode::Literal, "1");
        check("k=v", Some("k"), Mode::Text, "v");
        check("k==v", Some("k"), Mode::Text, "=v");
        check("k=", Some("k"), Mode::Text, "");
        check("k:=1", Some("k"), Mode::Json, "1");
        check("k%=1", Some("k"), Mode::Literal, "1");
        check("k:=a:=1", Some("k"), Mode::Json, "a:=1");
        check("a:b:=1", Some("a:b:"), Mode::Text, "1");
        check("a%b%=1", Some("a%b%"), Mode::Text, "1");
        check("a%:=1", Some("a%"), Mode::Json, "1");
        check("a:%=1", Some("a:"), Mode::Literal, "1");
        check("é:=1", Some("é"), Mode::Json, "1");
    }

    fn read(written: &[&str]) -> Result<Arguments, Refusal> {
        Arguments::read(&written.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_become_values() {
        let arguments = read(&["1", ":1", "%(1,)", "a=1", "b:=NaN", "c%={}"]).unwrap();
        assert_eq!(
            arguments.args,
            [Value::Str("1".into()), Value::Int(1), Value::Tuple(vec![Value::Int(1)])]
        );
        let [a, b, c] = arguments.kwargs.as_slice() else { panic!("{arguments:?}") };
        assert_eq!(*a, ("a".to_owned(), Value::Str("1".into())));
        assert!(matches!(&b.1, Value::Float(nan) if nan.is_nan()), "Python's JSON has NaN");
        assert_eq!(*c, ("c".to_owned(), Value::Dict(vec![])));
    }

    #[test]
    fn refusals_are_rqs() {
        const SEE: &str = "See https://docs.python.org/3/library/ast.html#ast.literal_eval";
        for (written, message) in [
            (&["a=1", "a:=2"][..], "You can't specify multiple values for the same keyword.".to_owned()),
            (&[":{"], "Unable to parse 1. non keyword argument as JSON.".to_owned()),
            (&["1", "k=2", ":"], "Unable to parse 2. non keyword argument as JSON.".to_owned()),
            (&["k:=}"], "Unable to parse k as JSON.".to_owned()),
            (&["1", "%2+0"], format!("Unable to eval 2. non keyword argument as Python object. {SEE}")),
            (&["k%=x"], format!("Unable to eval k as Python object. {SEE}")),
        ] {
            assert_eq!(
                read(written),
                Err(Refusal::usage("enqueue", format!("Invalid value: {message}"))),
                "{written:?}"
            );
        }
    }

    #[test]
    fn a_file_stands_for_its_content() {
        let path = std::env::temp_dir().join(format!("rq-cli-argument-{}.json", std::process::id()));
        std::fs::write(&path, "[1, 2]\n").unwrap();
        let path_text = path.to_str().unwrap();
        let read = read(&[&format!("@{path_text}"), &format!(":@{path_text}"), &format!("k:=@{path_text}")]);
        std::fs::remove_file(&path).unwrap();
        let list = Value::List(vec![Value::Int(1), Value::Int(2)]);
        let expected = Arguments {
            args: vec![Value::Str("[1, 2]\n".into()), list.clone()],
            kwargs: vec![("k".to_owned(), list)],
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let refusal = Refusal::Failed("Could not open file '/nonexistent/f': Not found".to_owned());
        assert_eq!(read(&["x=@/nonexistent/f"]), Err(refusal));
    }
}
