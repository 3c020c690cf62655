//! Golden vectors: what CPython 3.11 wrote, in every protocol of pickle and in JSON.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value as Json;

use super::{Codec, zlib};
use crate::error::CodecError;
use crate::payload::Payload;

/// What is refused, and the class it is refused by.
const NOT_PLAIN: [(&str, &str); 13] = [
    ("complex", "builtins.complex"),
    ("ordereddict", "collections.OrderedDict"),
    ("defaultdict", "collections.defaultdict"),
    ("deque", "collections.deque"),
    ("fraction", "fractions.Fraction"),
    ("purepath", "pathlib.PurePosixPath"),
    ("range", "builtins.range"),
    ("slice_exc", "builtins.ValueError"),
    ("enum", "tasks.Color"),
    ("dataclass", "tasks.Point"),
    ("function", "tasks.add"),
    ("class", "tasks.Calc"),
    ("instance", "tasks.Calc"),
];

/// The vectors cut longer reprs here.
const REPR_CHARS: usize = 200;

fn vectors(name: &str) -> Vec<Json> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/serializer_vectors.json");
    let text = std::fs::read_to_string(path).expect("the fixture is there");
    let mut all: Json = serde_json::from_str(&text).expect("the fixture is JSON");
    match all[name].take() {
        Json::Array(vectors) if !vectors.is_empty() => vectors,
        _ => panic!("no vectors called {name}"),
    }
}

fn field<'a>(vector: &'a Json, name: &str) -> Option<&'a str> {
    vector.get(name).map(|field| field.as_str().expect("text"))
}

fn bytes(vector: &Json, name: &str) -> Option<Vec<u8>> {
    field(vector, name).map(|text| BASE64_STANDARD.decode(text).expect("base64"))
}

fn inflate(deflated: &[u8]) -> Vec<u8> {
    zlib::inflate(deflated, Codec::MAX_PAYLOAD_BYTES).expect("small").into_owned()
}

/// Python's repr, but for what we keep as something else.
fn expected_repr(vector: &Json) -> String {
    let repr = field(vector, "repr").or(field(vector, "tuple_repr")).expect("a repr");
    repr.strip_prefix("bytearray(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(repr).to_owned()
}

#[test]
fn pickled_values() {
    for vector in vectors("values") {
        let name = field(&vector, "name").expect("a name");
        for protocol in 0..=5 {
            let Some(pickle) = bytes(&vector, &format!("pickle{protocol}_b64")) else {
                continue;
            };
            let value = Codec::Pickle.decode_value(&pickle);
            if let Some((_, class)) = NOT_PLAIN.iter().find(|(refused, _)| *refused == name) {
                assert_eq!(value, Err(CodecError::NotPlain { class: (*class).to_owned() }), "{name}");
                continue;
            }
            if name == "recursive_list" {
                assert_eq!(value, Err(CodecError::Recursive));
                continue;
            }
            let value = value.unwrap_or_else(|error| panic!("{name}, protocol {protocol}: {error}"));
            let repr: String = value.repr().chars().take(REPR_CHARS).collect();
            assert_eq!(repr, expected_repr(&vector), "{name}, protocol {protocol}");
            let again = Codec::Pickle.encode_value(&value).expect("encodable");
            assert_eq!(Codec::Pickle.decode_value(&again), Ok(value.clone()), "{name}");
            if let Some(json) = field(&vector, "json") {
                let ours = Codec::Json.encode_value(&value).expect("encodable");
                assert_eq!(String::from_utf8_lossy(&ours), json, "{name}");
            }
        }
    }
}

#[test]
fn json_values() {
    for vector in vectors("values") {
        let Some(json) = field(&vector, "json") else {
            continue;
        };
        let value = Codec::Json.decode_value(json.as_bytes()).expect("decodable");
        let again = Codec::Json.encode_value(&value).expect("encodable");
        assert_eq!(String::from_utf8_lossy(&again), json);
    }
}

#[test]
fn pickled_calls() {
    for vector in vectors("jobs") {
        let pickle = bytes(&vector, "pickle5_b64").expect("a pickle");
        let inflated = inflate(&bytes(&vector, "data_field_b64").expect("a data field"));
        assert_eq!(inflated, pickle);
        assert_eq!(inflate(&zlib::deflate(&pickle)), pickle);
        assert_eq!(Codec::detect(&pickle), Ok(Codec::Pickle));
        let call = Codec::Pickle.decode_payload(&pickle);
        if field(&vector, "name") == Some("instance") {
            assert_eq!(call, Err(CodecError::Instance { class: "tasks.Calc".to_owned() }));
            continue;
        }
        let call = call.expect("a call");
        assert_eq!(Codec::Pickle.decode_value(&pickle).expect("plain").repr(), expected_repr(&vector));
        for codec in [Codec::Pickle, Codec::Bincode] {
            if codec == Codec::Bincode && cfg!(not(feature = "bincode")) {
                assert_eq!(codec.encode_payload(&call), Err(CodecError::WithoutBincode));
                continue;
            }
            let again = codec.encode_payload(&call).expect("encodable");
            assert_eq!(Codec::detect(&again), Ok(codec));
            assert_eq!(codec.decode_payload(&again), Ok(call.clone()));
        }
    }
}

#[test]
fn json_calls() {
    for vector in vectors("jobs") {
        let Some(json) = field(&vector, "json_text") else {
            continue;
        };
        let inflated = inflate(&bytes(&vector, "json_data_field_b64").expect("a data field"));
        assert_eq!(String::from_utf8_lossy(&inflated), json);
        assert_eq!(Codec::detect(&inflated), Ok(Codec::Json));
        let call = Codec::Json.decode_payload(&inflated).expect("a call");
        assert_eq!(Codec::Json.encode_payload(&call).as_deref(), Ok(json.as_bytes()));
        let pickled = Codec::Pickle.decode_payload(&bytes(&vector, "pickle5_b64").expect("a pickle"));
        let description = pickled.as_ref().map(Payload::description);
        assert_eq!(description.as_deref(), Ok(&*call.description()));
    }
}

#[test]
fn results_of_rq_itself() {
    for vector in vectors("rq_return_objects") {
        let value =
            Codec::Pickle.decode_value(&bytes(&vector, "stream_return_value_field").expect("a result"));
        match field(&vector, "repr").expect("a repr").trim_matches('"') {
            retry if retry.starts_with("Retry(") => {
                assert_eq!(value, Err(CodecError::NotPlain { class: "rq.job.Retry".to_owned() }));
            }
            text => assert_eq!(value, Ok(text.into())),
        }
    }
}
