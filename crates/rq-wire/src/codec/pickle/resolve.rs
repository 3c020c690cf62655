//! What the machine built, as a [`Value`]: shared references become copies.

use super::decode::{Item, Machine, Node, weight};
use crate::{
    codec::{dict::drop_repeated_keys, limits::Budget, limits::MAX_PAYLOAD_BYTES},
    error::CodecError,
    value::Value,
};

impl<'a> Machine<'a> {
    /// The item as a value.
    ///
    /// A few shared lists can stand for billions of values, so values and bytes are counted as they are copied.
    pub(super) fn resolve(&self, root: Item<'a>) -> Result<Value, CodecError> {
        let mut resolver = Resolver {
            machine: self,
            budget: Budget::new(),
            bytes_left: MAX_PAYLOAD_BYTES,
            path: Vec::new(),
        };
        resolver.value(root, 0)
    }

    /// The class of a call's second item, which must be `None`, or false to Python. No class if it is, or if this is no
    /// call.
    pub(super) fn instance_class(&self, root: Item<'a>) -> Option<String> {
        let (Node::Tuple(items) | Node::List(items)) = self.node(root)? else {
            return None;
        };
        match items[..] {
            [_, Item::None, _, _] => None,
            [_, instance, _, _] => match self.node(instance) {
                // A bound method's object is of a class unknown to us, as a rule: named without resolving what it holds.
                Some(Node::Opaque { module, name }) => Some(class(module, name)),
                _ => match self.resolve(instance) {
                    // None to Python.
                    Ok(falsy) if !falsy.is_true() => None,
                    Ok(value) => Some(value.type_name().to_owned()),
                    Err(_) => Some("object".to_owned()),
                },
            },
            _ => None,
        }
    }
}

struct Resolver<'m, 'a> {
    machine: &'m Machine<'a>,
    budget: Budget,
    bytes_left: usize,
    /// The containers around the current item, from the outermost in.
    path: Vec<u32>,
}

impl<'a> Resolver<'_, 'a> {
    fn value(&mut self, item: Item<'a>, depth: usize) -> Result<Value, CodecError> {
        self.budget.spend(depth).map_err(|error| self.reason(error))?;
        match item {
            Item::None => Ok(Value::Null),
            Item::Bool(value) => Ok(Value::Bool(value)),
            Item::Int(value) => Ok(Value::Int(value)),
            Item::Float(value) => Ok(Value::Float(value)),
            Item::Str(text) => self.spend_bytes(text.len()).map(|()| Value::Str(text.to_owned())),
            Item::Bytes(bytes) => self.spend_bytes(bytes.len()).map(|()| Value::Bytes(bytes.to_vec())),
            // The type itself, never called: code to Python, no plain value to us.
            Item::Global(global) => {
                let (module, name) = global.names();
                Err(not_plain(module, name))
            }
            Item::Node(index) => {
                // When the depth runs out further in, `reason` looks for a cycle among these.
                self.path.push(index);
                let value = self.node(&self.machine.nodes[index as usize], depth)?;
                self.path.pop();
                Ok(value)
            }
        }
    }

    fn node(&mut self, node: &Node<'a>, depth: usize) -> Result<Value, CodecError> {
        match node {
            Node::List(items) => self.items(items, depth).map(Value::List),
            Node::Tuple(items) => self.items(items, depth).map(Value::Tuple),
            Node::Set(items) => self.items(items, depth).map(Value::Set),
            Node::FrozenSet(items) => self.items(items, depth).map(Value::FrozenSet),
            Node::Dict(entries) => self.entries(entries, depth),
            // Spent before the copy is made: the same leaf may be referred to a million times.
            Node::Leaf(value) => self.spend_bytes(weight(value)).map(|()| (**value).clone()),
            Node::Uuid(Some(uuid)) => Ok(Value::Uuid(*uuid)),
            Node::Uuid(None) => Err(not_plain("uuid", "UUID without its state")),
            // A zone alone is no value of ours; within a datetime it was taken up when that was made.
            Node::Zone(_) => Err(not_plain("datetime", "timezone")),
            Node::Opaque { module, name } => Err(not_plain(module, name)),
        }
    }

    fn items(&mut self, items: &[Item<'a>], depth: usize) -> Result<Vec<Value>, CodecError> {
        // Room for what the budget allows at most.
        self.budget.check_room(items.len())?;
        let mut values = Vec::with_capacity(items.len());
        for &item in items {
            values.push(self.value(item, depth + 1)?);
        }
        Ok(values)
    }

    fn entries(&mut self, entries: &[[Item<'a>; 2]], depth: usize) -> Result<Value, CodecError> {
        self.budget.check_room(entries.len())?;
        let mut values = Vec::with_capacity(entries.len());
        for &[key, value] in entries {
            values.push((self.value(key, depth + 1)?, self.value(value, depth + 1)?));
        }
        // After resolving: two references to equal text are one key, though the machine had two items.
        drop_repeated_keys(&mut values);
        Ok(Value::Dict(values))
    }

    fn spend_bytes(&mut self, bytes: usize) -> Result<(), CodecError> {
        let too_large = CodecError::TooLarge { limit_bytes: MAX_PAYLOAD_BYTES };
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(too_large)?;
        Ok(())
    }

    /// Too deep for one reason or the other: a cycle has no end.
    fn reason(&self, error: CodecError) -> CodecError {
        // Looked for only once the depth ran out: most payloads have no cycle, and pay nothing for the search.
        let is_around_itself = |(index, node)| self.path[..index].contains(node);
        let is_cycle = || self.path.iter().enumerate().any(is_around_itself);
        if matches!(error, CodecError::TooDeep { .. }) && is_cycle() { CodecError::Recursive } else { error }
    }
}

fn not_plain(module: &str, name: &str) -> CodecError {
    CodecError::NotPlain { class: class(module, name) }
}

/// `module.name`, by the names modules have in Python 3.
fn class(module: &str, name: &str) -> String {
    let module = match module {
        "__builtin__" => "builtins",
        "copy_reg" => "copyreg",
        other => other,
    };
    format!("{module}.{name}")
}
