//! [`Payload`]: the call inside a job, as all codecs carry it.

use crate::error::CodecError;
use crate::value::Value;
use crate::value::canonical::{write_entries, write_items, write_text};

/// A function's name and its arguments: the first, third and fourth item of the sequence in the job field `data`
/// (docs/wire.md §4.1). The second, the instance of a bound method, is always `None` here, and what Python takes for false
/// is read as that.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payload {
    /// What to run: a dotted path such as `tasks.add`.
    pub func: String,
    /// The arguments by position.
    pub args: Vec<Value>,
    /// The arguments by name, each name once.
    pub kwargs: Vec<(String, Value)>,
}

impl Payload {
    /// Python's API cuts the repr of each argument here.
    pub const MAX_REPR_CHARS: usize = 75;

    /// The call as Python prints it, each argument cut after 75 characters: `tasks.add(1, y=2)`.
    ///
    /// It is the job field `description` where the producer gives none (docs/wire.md §4.5). Keyword arguments are
    /// sorted as text, values included.
    pub fn description(&self) -> String {
        self.describe(|value| value.repr_cut(Payload::MAX_REPR_CHARS))
    }

    /// The same, uncut, as the command line has it.
    pub fn full_description(&self) -> String {
        self.describe(Value::repr)
    }

    fn describe(&self, repr: impl Fn(&Value) -> String) -> String {
        let mut named: Vec<_> =
            self.kwargs.iter().map(|(name, value)| format!("{name}={}", repr(value))).collect();
        // Python sorts the finished texts, so `k2=1` comes before `k=10` (docs/wire.md §4.5).
        named.sort_unstable();
        let mut all: Vec<_> = self.args.iter().map(repr).collect();
        all.append(&mut named);
        format!("{}({})", self.func, all.join(", "))
    }

    /// Bytes that two calls share exactly if they are of one function and their arguments are alike
    /// ([`Value::canonical_bytes`]); keyword arguments in any order.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_text(&mut out, &self.func);
        write_items(&mut out, &self.args, 0);
        let named = self.kwargs.iter().map(|(name, value)| {
            let mut key = Vec::new();
            write_text(&mut key, name);
            (key, value)
        });
        write_entries(&mut out, named, 0);
        out
    }

    /// The call as one value, `(func, None, args, kwargs)`.
    #[cfg(test)]
    pub(crate) fn into_value(self) -> Value {
        let kwargs = self.kwargs.into_iter().map(|(name, value)| (Value::Str(name), value)).collect();
        Value::Tuple(vec![Value::Str(self.func), Value::Null, Value::Tuple(self.args), Value::Dict(kwargs)])
    }

    /// The call out of one value, which must be a sequence of text, `None`, a sequence and a dict with text keys.
    pub(crate) fn from_value(value: Value) -> Result<Payload, CodecError> {
        let (Value::Tuple(items) | Value::List(items)) = value else {
            return Err(CodecError::Shape { wanted: "a sequence" });
        };
        let Ok([func, instance, args, kwargs]) = <[Value; 4]>::try_from(items) else {
            return Err(CodecError::Shape { wanted: "a sequence of exactly four items" });
        };
        let Value::Str(func) = func else {
            return Err(CodecError::Shape { wanted: "text as its first item, the function's name" });
        };
        // A bound method's object lives in Python; called without it the function would do something else. What Python
        // takes for false is none to it: it calls the function of that name then.
        if instance.is_true() {
            return Err(CodecError::Instance { class: instance.type_name().to_owned() });
        }
        let args = match args {
            // Python's API writes a tuple, its command line and JSON a list (docs/wire.md §4.1).
            Value::Tuple(args) | Value::List(args) => args,
            // Whatever Python can go through gives arguments there; of the other kinds only nothing makes sense.
            Value::Str(_) | Value::Bytes(_) | Value::Set(_) | Value::FrozenSet(_) | Value::Dict(_)
                if !args.is_true() =>
            {
                Vec::new()
            }
            _ => return Err(CodecError::Shape { wanted: "a sequence as its third item, the arguments" }),
        };
        Ok(Payload { func, args, kwargs: keyword_arguments(kwargs)? })
    }
}

fn keyword_arguments(value: Value) -> Result<Vec<(String, Value)>, CodecError> {
    let Value::Dict(entries) = value else {
        return Err(CodecError::Shape { wanted: "a dict as its fourth item, the keyword arguments" });
    };
    entries
        .into_iter()
        .map(|(name, value)| match name {
            Value::Str(name) => Ok((name, value)),
            _ => Err(CodecError::Shape { wanted: "text as the name of each keyword argument" }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(args: Vec<Value>, kwargs: Vec<(&str, Value)>) -> Payload {
        let kwargs = kwargs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Payload { func: "tasks.add".to_owned(), args, kwargs }
    }

    #[test]
    fn description_is_what_python_writes() {
        let check = |payload: Payload, text: &str| assert_eq!(payload.description(), text);
        check(payload(vec![], vec![]), "tasks.add()");
        check(payload(vec![1.into(), "x".into()], vec![]), "tasks.add(1, 'x')");
        // `k=10` sorts before `k2=1` as text, and `b` after both.
        let kwargs = vec![("k2", 1.into()), ("b", Value::Null), ("k", 10.into())];
        check(payload(vec![0.into()], kwargs), "tasks.add(0, b=None, k2=1, k=10)");
        let long = "x".repeat(100);
        check(payload(vec![long.as_str().into()], vec![]), &format!("tasks.add('{}...)", &long[..74]));
        let full = payload(vec![long.as_str().into()], vec![]).full_description();
        assert_eq!(full, format!("tasks.add('{long}')"));
    }

    #[test]
    fn calls_are_alike_by_function_and_arguments() {
        let bytes = |args: &[i64], kwargs: &[(&str, i64)]| {
            let kwargs = kwargs.iter().map(|&(name, number)| (name, number.into())).collect();
            payload(args.iter().map(|&number| number.into()).collect(), kwargs).canonical_bytes()
        };
        assert_eq!(bytes(&[1], &[("a", 1), ("b", 2)]), bytes(&[1], &[("b", 2), ("a", 1)]));
        let apart = [
            bytes(&[], &[]),
            bytes(&[1], &[]),
            bytes(&[], &[("a", 1)]),
            bytes(&[1], &[("a", 1)]),
            bytes(&[1], &[("b", 1)]),
            Payload { func: "tasks.sub".to_owned(), ..Payload::default() }.canonical_bytes(),
        ];
        let different: std::collections::BTreeSet<&Vec<u8>> = apart.iter().collect();
        assert_eq!(different.len(), apart.len());
    }

    #[test]
    fn a_payload_is_a_value_of_a_certain_shape() {
        let call = payload(vec![1.into()], vec![("k", "v".into())]);
        assert_eq!(Payload::from_value(call.clone().into_value()), Ok(call));
        let refused = |items: Vec<Value>, message: &str| {
            let error = Payload::from_value(Value::List(items)).expect_err("must be refused");
            assert_eq!(error.to_string(), message);
        };
        let (list, dict) = (Value::List(vec![]), Value::Dict(vec![]));
        let not = |wanted: &str| format!("the payload must be {wanted}");
        refused(vec![], &not("a sequence of exactly four items"));
        refused(
            vec![Value::Null, Value::Null, list.clone(), dict.clone()],
            &not("text as its first item, the function's name"),
        );
        refused(
            vec!["f".into(), Value::Null, Value::Dict(vec![(1.into(), 1.into())]), dict.clone()],
            &not("a sequence as its third item, the arguments"),
        );
        refused(
            vec!["f".into(), Value::Null, list.clone(), list.clone()],
            &not("a dict as its fourth item, the keyword arguments"),
        );
        let unnamed = Value::Dict(vec![(1.into(), 1.into())]);
        refused(
            vec!["f".into(), Value::Null, list.clone(), unnamed],
            &not("text as the name of each keyword argument"),
        );
        for falsy in ["".into(), false.into(), 0.into(), list.clone(), dict.clone()] {
            let call = Payload::from_value(Value::List(vec!["f".into(), falsy, dict.clone(), dict.clone()]));
            assert_eq!(call.map(|call| call.description()).as_deref(), Ok("f()"));
        }
        let error = Payload::from_value(Value::List(vec!["f".into(), 5.into(), list, dict]));
        assert_eq!(error, Err(CodecError::Instance { class: "int".to_owned() }));
    }
}
