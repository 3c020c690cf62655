//! [`Codec`]: how calls, results and meta become bytes.
//!
//! | file | holds |
//! |---|---|
//! | `codec/json.rs` | Python's dialect of JSON |
//! | `codec/pickle.rs` | plain data in Python's pickle |
//! | `codec/bincode.rs` | our own format, Rust to Rust |
//! | `codec/limits.rs` | what every codec refuses to read or write |
//! | `codec/dict.rs` | what becomes of a key that a dict has twice |
//! | `codec/mark.rs` | how our bincode begins |
//! | `codec/zlib.rs` | the compression around a call |

use std::{fmt, str::FromStr};

use crate::{error::CodecError, payload::Payload, value::Value};

#[cfg(feature = "bincode")]
mod bincode;
mod dict;
mod json;
mod limits;
mod mark;
mod pickle;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod vectors;
pub mod zlib;

/// One of the formats of payloads. Nothing on the wire names it: it is detected by the first bytes (docs/wire.md §4.2),
/// and the result and meta of a job are written as its call was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// What a person can read. Python's `JSONSerializer`, for fleets whose Python runs with `-S json`; dates, decimals,
    /// bytes and the like become text.
    Json,
    /// For queues that only Rust reads. Needs the feature `bincode`.
    Bincode,
    /// Python's default, and ours: every Python RQ reads it, unless it is told otherwise. Plain data only, and nothing in
    /// it is ever executed.
    #[default]
    Pickle,
}

impl Codec {
    /// The largest payload, inflated, that any codec reads or writes.
    pub const MAX_PAYLOAD_BYTES: usize = limits::MAX_PAYLOAD_BYTES;

    /// The most memory that the values of one payload take, each item, key and container counted; what their text and
    /// bytes hold comes on top.
    pub const MAX_VALUES_BYTES: usize = limits::MAX_VALUES_BYTES;

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
            // Any version of it: that another one is refused is for the codec to say, with both versions.
            _ if mark::is_bincode(inflated) => Ok(Codec::Bincode),
            // A call is a tuple. Before protocol 2, which brought the first of these bytes, it began with a mark.
            pickle::PROTO | pickle::MARK => Ok(Codec::Pickle),
            // Only an array can be a call (docs/wire.md §4.2).
            _ if inflated.trim_ascii_start().starts_with(b"[") => Ok(Codec::Json),
            _ => Err(CodecError::UnknownCodec { first_byte }),
        }
    }

    /// The codec of a result or of meta. JSON is what is nothing else: decoding decides.
    pub fn detect_value(bytes: &[u8]) -> Codec {
        // A value may be anything, so its first byte says less than a call's.
        let is_pickle = matches!(bytes, [pickle::PROTO | pickle::MARK, ..] | [.., pickle::STOP]);
        match bytes {
            _ if mark::is_bincode(bytes) => Codec::Bincode,
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
        // Before: the encoders recurse, and count nothing. After: what nobody's decoder takes shall not get to Redis.
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

/// The codec where it is not compiled in: every call is an error.
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
        check(&mark::BINCODE, Codec::Bincode);
    }
}
