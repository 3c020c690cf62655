//! [`CodecError`]: why bytes are no payload, or a payload cannot be bytes.

use std::borrow::Cow;

/// Why bytes are no payload, or a payload cannot be bytes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// A pickle holds an object, a function or a class.
    #[error(
        "`{class}` is not plain data, and pickled code is never run: pass numbers, text, lists, dicts or times"
    )]
    NotPlain {
        /// Its class, or what else the pickle names: `tasks.Calc`.
        class: String,
    },
    /// The call is a bound method: it carries the instance to call it on.
    #[error("the call is a method of an instance of `{class}`: enqueue a function and pass it plain data")]
    Instance {
        /// The class of the instance.
        class: String,
    },
    /// A container holds itself.
    #[error("a value contains itself: pass data without cycles")]
    Recursive,
    /// More than [`Value::MAX_DEPTH`](crate::Value::MAX_DEPTH) containers around a value.
    #[error("nested deeper than {limit} levels: store it elsewhere and pass its id")]
    TooDeep {
        /// [`Value::MAX_DEPTH`](crate::Value::MAX_DEPTH).
        limit: usize,
    },
    /// More bytes than allowed, also after inflating or resolving shared references.
    #[error("larger than {limit_bytes} bytes: store it elsewhere and pass its id")]
    TooLarge {
        /// What is allowed.
        limit_bytes: usize,
    },
    /// Values that take more memory than [`Codec::MAX_VALUES_BYTES`](crate::Codec::MAX_VALUES_BYTES), also after resolving
    /// shared references; or more objects on the way there.
    #[error("values that take more than {} MiB of memory: store them elsewhere and pass an id", limit_bytes >> 20)]
    TooMany {
        /// What is allowed.
        limit_bytes: usize,
    },
    /// An integer of more than [`Codec::MAX_INT_BYTES`](crate::Codec::MAX_INT_BYTES).
    #[error("an integer of more than {limit_bytes} bytes: pass it as bytes or text")]
    Integer {
        /// [`Codec::MAX_INT_BYTES`](crate::Codec::MAX_INT_BYTES).
        limit_bytes: usize,
    },
    /// The bytes end before the value does.
    #[error("the bytes end too early")]
    Truncated,
    /// No codec's bytes begin so.
    #[error("neither JSON, pickle nor bincode begins with the byte {first_byte:#04x}")]
    UnknownCodec {
        /// The byte.
        first_byte: u8,
    },
    /// No codec has this name.
    #[error("no codec is called `{name}`: there are json, pickle and bincode")]
    UnknownName {
        /// The name.
        name: String,
    },
    /// The payload is readable, but no call (docs/wire.md §4.1).
    #[error("the payload must be {wanted}")]
    Shape {
        /// What it must be.
        wanted: &'static str,
    },
    /// A dict's key or a set's member that this codec cannot express.
    #[error("a {class} cannot be a dict's key or a set's member here: use text or an integer")]
    Key {
        /// Python's name of its type.
        class: &'static str,
    },
    /// A value that Python's type cannot hold.
    #[error("a {class} that Python cannot hold: {reason}")]
    Range {
        /// Python's name of the type.
        class: &'static str,
        /// What Python allows.
        reason: &'static str,
    },
    /// No JSON.
    #[error("no JSON at byte {offset}: {reason}")]
    Json {
        /// Where.
        offset: usize,
        /// Why.
        reason: &'static str,
    },
    /// No pickle, or one that needs what only Python has.
    #[error("no readable pickle at byte {offset}: {reason}")]
    Pickle {
        /// Where the opcode begins.
        offset: usize,
        /// Why.
        reason: Cow<'static, str>,
    },
    /// Nothing that our bincode codec wrote.
    #[error("no readable bincode: {reason}")]
    Bincode {
        /// Why.
        reason: Cow<'static, str>,
    },
    /// This program was built without the codec.
    #[error("built without the feature `bincode`: use json or pickle, or turn the feature on")]
    WithoutBincode,
}
