//! RQ's payloads: what a call carries, and the three formats it is written in.
//!
//! A [`Payload`] is a call: a function's name and its arguments, each a [`Value`]. A [`Codec`] turns calls, results and
//! meta into bytes and back, as Python RQ's serializers do; [`zlib`] is the compression that lies around a call in a
//! job's hash. Nothing here knows Redis or a runtime: bytes go in, bytes come out.
//!
//! ```
//! use rq_wire::{Codec, Payload, Value, zlib};
//!
//! // What Python makes of `queue.enqueue(tasks.add, 2, 3, note='night')`, inflated.
//! let pickle = b"\x80\x04\x95)\0\0\0\0\0\0\0(\x8c\ttasks.add\x94NK\x02K\x03\x86\x94}\x94\
//!     \x8c\x04note\x94\x8c\x05night\x94st\x94.";
//! assert_eq!(Codec::detect(pickle)?, Codec::Pickle);
//! let call = Codec::Pickle.decode_payload(pickle)?;
//! assert_eq!(call.description(), "tasks.add(2, 3, note='night')");
//! assert_eq!(call.args, [Value::Int(2), Value::Int(3)]);
//!
//! // The same call for a queue whose workers read JSON, as its job's field `data` has it.
//! let json = Codec::Json.encode_payload(&call)?;
//! assert_eq!(json, br#"["tasks.add", null, [2, 3], {"note": "night"}]"#);
//! let data = zlib::deflate(&json);
//! assert_eq!(zlib::inflate(&data, Codec::MAX_PAYLOAD_BYTES)?, json);
//!
//! // Any type that serde knows is a value.
//! let days = Value::from_serialize(&vec![("Mon", 1), ("Tue", 2)])?;
//! assert_eq!(Codec::Json.encode_value(&days)?, br#"[["Mon", 1], ["Tue", 2]]"#);
//! assert_eq!(days.deserialize_into::<Vec<(String, u8)>>()?, [("Mon".to_owned(), 1), ("Tue".to_owned(), 2)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What may come in
//!
//! Anybody who can write to Redis can send payloads, so every decoder has limits on depth ([`Value::MAX_DEPTH`]), size
//! ([`Codec::MAX_PAYLOAD_BYTES`]) and memory ([`Codec::MAX_VALUES_BYTES`]), which hold for encoders too. Nothing in a pickle
//! is executed: it is read as plain data, and one that names a class or a function is refused with that name
//! ([`CodecError::NotPlain`]). What is over a limit, cut off or malformed is an error; no bytes end in a panic.
//!
//! # Features
//!
//! `bincode` (on by default): the codec for queues that only Rust reads. Without it [`Codec::Bincode`] is still a name,
//! and all of its methods return [`CodecError::WithoutBincode`].

#![forbid(unsafe_code)]

mod codec;
mod error;
mod payload;
mod value;

pub use codec::{Codec, zlib};
pub use error::CodecError;
pub use payload::Payload;
pub use value::{Value, ValueError};
