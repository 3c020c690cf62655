//! [`Codec`]: how calls, results and meta become bytes.
//!
//! | file | holds |
//! |---|---|
//! | `codec/json.rs` | Python's dialect of JSON |
//! | `codec/pickle.rs` | plain data in Python's pickle |
//! | `codec/bincode.rs` | our own format, Rust to Rust |
//! | `codec/limits.rs` | what every codec refuses to read or write |
//! | `codec/zlib.rs` | the compression around a call |

use std::{borrow::Cow, collections::HashMap, collections::HashSet, fmt, str::FromStr};

use crate::{payload::Payload, value::Value};

#[cfg(feature = "bincode")]
mod bincode;
mod json;
mod limits;
mod pickle;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod vectors;
pub mod zlib;

/// The first bytes of all we write with bincode, which no other codec begins with. The last one is our version.
const BINCODE_MARK: [u8; 4] = [0xb1, b'r', b'q', 1];

/// One of the formats of payloads. Nothing on the wire names it: the first bytes tell (docs/wire.md §4.2), and the
/// result and meta of a job are written as its call was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// Readable and safe. Python's `JSONSerializer`.
    #[default]
    Json,
    /// Compact, for queues that only Rust reads. Needs the feature `bincode`.
    Bincode,
    /// What Python uses unless told otherwise. Plain data only, and nothing in it is ever executed.
    Pickle,
}

impl Codec {
    /// The largest payload, inflated, that any codec reads or writes.
    pub const MAX_PAYLOAD_BYTES: usize = limits::MAX_PAYLOAD_BYTES;

    /// The most values in one payload, each item, key and container counted.
    pub const MAX_VALUES: usize = limits::MAX_VALUES;

    /// The largest integer.
    pub const MAX_INT_BYTES: usize = limits::MAX_INT_BYTES;

    /// `json`, `bincode` or `pickle`; what [`Codec::from_str`] reads.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Json => "json",
            Codec::Bincode => "bincode",
            Codec::Pickle => "pickle",
        }
    }

    /// The codec of a call, inflated where it was deflated.
    ///
    /// # Errors
    /// [`CodecError::Truncated`] for no bytes at all, [`CodecError::UnknownCodec`] for bytes no codec begins with.
    pub fn detect(inflated: &[u8]) -> Result<Codec, CodecError> {
        let Some(&first_byte) = inflated.first() else {
            return Err(CodecError::Truncated);
        };
        match first_byte {
            _ if is_bincode(inflated) => Ok(Codec::Bincode),
            // A call is a tuple. Before protocol 2, which brought the first of these bytes, it began with a mark.
            pickle::PROTO | pickle::MARK => Ok(Codec::Pickle),
            _ if inflated.trim_ascii_start().starts_with(b"[") => Ok(Codec::Json),
            _ => Err(CodecError::UnknownCodec { first_byte }),
        }
    }

    /// The codec of a result or of meta. JSON is what is nothing else: decoding decides.
    pub fn detect_value(bytes: &[u8]) -> Codec {
        let is_pickle = matches!(bytes, [pickle::PROTO | pickle::MARK, ..] | [.., pickle::STOP]);
        match bytes {
            _ if is_bincode(bytes) => Codec::Bincode,
            // A pickle ends with its opcode STOP, a full stop, and JSON never does.
            _ if is_pickle => Codec::Pickle,
            _ => Codec::Json,
        }
    }

    /// The bytes of a call, not yet deflated.
    ///
    /// # Errors
    /// The codec cannot express a value, or a limit is passed.
    pub fn encode_payload(self, payload: &Payload) -> Result<Vec<u8>, CodecError> {
        limits::check_payload(payload)?;
        limits::sized(match self {
            Codec::Json => json::encode_payload(payload)?,
            Codec::Bincode => bincode::encode_payload(payload)?,
            Codec::Pickle => pickle::encode_payload(payload)?,
        })
    }

    /// The call in inflated bytes.
    ///
    /// # Errors
    /// The bytes are none of this codec's, are no call, hold something that is no plain data, or pass a limit.
    pub fn decode_payload(self, bytes: &[u8]) -> Result<Payload, CodecError> {
        let bytes = limits::sized(bytes)?;
        match self {
            Codec::Json => Payload::from_value(json::decode(bytes)?),
            Codec::Bincode => bincode::decode_payload(bytes),
            Codec::Pickle => pickle::decode_payload(bytes),
        }
    }

    /// The bytes of a result or of meta.
    ///
    /// # Errors
    /// As [`encode_payload`](Codec::encode_payload).
    pub fn encode_value(self, value: &Value) -> Result<Vec<u8>, CodecError> {
        limits::check_value(value)?;
        limits::sized(match self {
            Codec::Json => json::encode(value)?,
            Codec::Bincode => bincode::encode(value)?,
            Codec::Pickle => pickle::encode(value)?,
        })
    }

    /// The result or meta in these bytes.
    ///
    /// # Errors
    /// As [`decode_payload`](Codec::decode_payload).
    pub fn decode_value(self, bytes: &[u8]) -> Result<Value, CodecError> {
        let bytes = limits::sized(bytes)?;
        match self {
            Codec::Json => json::decode(bytes),
            Codec::Bincode => bincode::decode(bytes),
            Codec::Pickle => pickle::decode(bytes),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Our names, and the paths of Python RQ's own serializers.
impl FromStr for Codec {
    type Err = CodecError;

    fn from_str(name: &str) -> Result<Codec, CodecError> {
        match name {
            "json" | "rq.serializers.JSONSerializer" => Ok(Codec::Json),
            "bincode" => Ok(Codec::Bincode),
            "pickle" | "rq.serializers.PickleSerializer" | "rq.serializers.DefaultSerializer" => {
                Ok(Codec::Pickle)
            }
            _ => Err(CodecError::UnknownName { name: name.to_owned() }),
        }
    }
}

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
    /// More than [`Value::MAX_DEPTH`] containers around a value.
    #[error("nested deeper than {limit} levels: store it elsewhere and pass its id")]
    TooDeep {
        /// [`Value::MAX_DEPTH`].
        limit: usize,
    },
    /// More bytes than allowed, also after inflating or resolving shared references.
    #[error("larger than {limit_bytes} bytes: store it elsewhere and pass its id")]
    TooLarge {
        /// What is allowed.
        limit_bytes: usize,
    },
    /// More than [`Codec::MAX_VALUES`] values, also after resolving shared references; or more objects on the way there.
    #[error("more than {limit} values: store them elsewhere and pass an id")]
    TooMany {
        /// What is allowed.
        limit: usize,
    },
    /// An integer of more than [`Codec::MAX_INT_BYTES`].
    #[error("an integer of more than {limit_bytes} bytes: pass it as bytes or text")]
    Integer {
        /// [`Codec::MAX_INT_BYTES`].
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

/// Whether our mark stands in front, of any version.
fn is_bincode(bytes: &[u8]) -> bool {
    bytes.starts_with(&BINCODE_MARK[..3])
}

/// What answers where the codec is not compiled in.
#[cfg(not(feature = "bincode"))]
mod bincode {
    use super::{CodecError, Payload, Value};

    pub(super) fn encode(_: &Value) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::WithoutBincode)
    }

    pub(super) fn decode(_: &[u8]) -> Result<Value, CodecError> {
        Err(CodecError::WithoutBincode)
    }

    pub(super) fn encode_payload(_: &Payload) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::WithoutBincode)
    }

    pub(super) fn decode_payload(_: &[u8]) -> Result<Payload, CodecError> {
        Err(CodecError::WithoutBincode)
    }
}

/// From this many entries on, a search for repeated keys takes a set.
const MANY_ENTRIES: usize = 16;

/// Text that occurs twice as a key counts once, at its first place and with its last value, as in Python.
fn drop_repeated_keys(entries: &mut Vec<(Value, Value)>) {
    if !has_repeated_keys(entries) {
        return;
    }
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut kept: Vec<(Value, Value)> = Vec::with_capacity(entries.len());
    for (key, value) in entries.drain(..) {
        let text = key_text(&key).map(<[u8]>::to_vec);
        match text.as_ref().and_then(|text| places.get(text)) {
            Some(&place) => kept[place].1 = value,
            None => {
                places.extend(text.map(|text| (text, kept.len())));
                kept.push((key, value));
            }
        }
    }
    *entries = kept;
}

fn has_repeated_keys(entries: &[(Value, Value)]) -> bool {
    let texts = || entries.iter().filter_map(|(key, _)| key_text(key));
    if entries.len() < MANY_ENTRIES {
        return texts().enumerate().any(|(index, text)| texts().take(index).any(|earlier| earlier == text));
    }
    let mut seen = HashSet::with_capacity(entries.len());
    !texts().all(|text| seen.insert(text))
}

fn key_text(key: &Value) -> Option<&[u8]> {
    match key {
        Value::Str(text) => Some(text.as_bytes()),
        Value::Surrogates(bytes) => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for codec in [Codec::Json, Codec::Bincode, Codec::Pickle] {
            assert_eq!(codec.name().parse(), Ok(codec));
        }
        assert_eq!("rq.serializers.JSONSerializer".parse(), Ok(Codec::Json));
        assert_eq!("rq.serializers.PickleSerializer".parse(), Ok(Codec::Pickle));
        assert_eq!("rq.serializers.DefaultSerializer".parse(), Ok(Codec::Pickle));
        let error = "yaml".parse::<Codec>().expect_err("no such codec");
        assert_eq!(error.to_string(), "no codec is called `yaml`: there are json, pickle and bincode");
    }

    #[test]
    fn the_first_bytes_of_a_call_tell_its_codec() {
        let check = |bytes: &[u8], codec| assert_eq!(Codec::detect(bytes), codec, "{bytes:?}");
        check(b"[\"f\", null, [], {}]", Ok(Codec::Json));
        check(b" \t\r\n[", Ok(Codec::Json));
        check(b"\x80\x05", Ok(Codec::Pickle));
        check(b"(Vf\n", Ok(Codec::Pickle));
        check(b"\xb1rq\x01", Ok(Codec::Bincode));
        check(b"\xb1rq\x02", Ok(Codec::Bincode));
        check(b"", Err(CodecError::Truncated));
        for bytes in [&b"{}"[..], b"\x78\x9c", b"\x1f\x8b", b"\xb1", b"hello", b"  hello"] {
            check(bytes, Err(CodecError::UnknownCodec { first_byte: bytes[0] }));
        }
    }

    #[test]
    fn the_codec_of_a_value() {
        let check = |bytes: &[u8], codec| assert_eq!(Codec::detect_value(bytes), codec, "{bytes:?}");
        for json in [&b"1"[..], b"NaN", b"null", b"\"a.\"", b"{\"a\": 1}", b"", b"hello"] {
            check(json, Codec::Json);
        }
        for pickle in [&b"\x80\x05N."[..], b"(dp0\n.", b"N.", b"I1\n."] {
            check(pickle, Codec::Pickle);
        }
        check(&BINCODE_MARK, Codec::Bincode);
    }

    #[test]
    fn a_repeated_key_keeps_its_place_and_takes_the_last_value() {
        for n in [3, 100] {
            let entry = |key: String, value: i64| (Value::Str(key), Value::Int(value));
            let mut entries: Vec<_> = (0..n).map(|index| entry(format!("k{index}"), index)).collect();
            let mut expected = entries.clone();
            drop_repeated_keys(&mut entries);
            assert_eq!(entries, expected);
            entries.push(entry("k1".to_owned(), -1));
            expected[1].1 = Value::Int(-1);
            drop_repeated_keys(&mut entries);
            assert_eq!(entries, expected);
        }
    }
}
