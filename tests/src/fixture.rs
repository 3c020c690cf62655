//! What the real Python RQ left in Redis, scenario by scenario: the files under `tests/fixtures`, see the README there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");

/// The RQ versions that scenarios were captured from; each is a folder.
pub const VERSIONS: [&str; 3] = ["rq-3.0.0", "rq-2.12.0", "rq-1.16.2"];

/// One thing that was done with Python RQ, and what Redis held while it was done.
#[derive(Clone, Debug, Deserialize)]
pub struct Scenario {
    /// Its name, which is also its file's.
    #[serde(rename = "scenario")]
    pub name: String,
    /// What was done, in words.
    pub description: String,
    /// The version of Python RQ: `3.0.0`.
    pub rq_version: String,
    /// What stands in for `rq` in front of every key, if anything.
    #[serde(default, rename = "RQ_KEY_PREFIX")]
    pub key_prefix: Option<String>,
    /// States of Redis, in order of time; the last is labelled `final`.
    pub snapshots: Vec<Snapshot>,
    /// The commands that MONITOR showed.
    pub trace: Vec<String>,
    /// What the workers printed.
    #[serde(default)]
    pub worker_log: Vec<String>,
    /// Requests that a test HTTP server received.
    #[serde(default)]
    pub http_requests: Vec<serde_json::Value>,
}

/// All of Redis at one moment.
#[derive(Clone, Debug, Deserialize)]
pub struct Snapshot {
    /// Which moment.
    pub label: String,
    /// Key by key.
    pub keys: Keys,
}

/// Keys by name.
pub type Keys = BTreeMap<String, Key>;

/// What one key holds.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Key {
    /// Seconds it has left, -1 for no expiry: what Redis' TTL answers.
    #[serde(rename = "ttl")]
    pub ttl_s: i64,
    /// Its type and value.
    #[serde(flatten)]
    pub value: Value,
}

/// A value of one of Redis' types.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "type", content = "value", rename_all = "lowercase")]
pub enum Value {
    /// A string.
    String(Bytes),
    /// A list, head first.
    List(Vec<Bytes>),
    /// A set.
    Set(BTreeSet<Bytes>),
    /// A hash, by field name.
    Hash(Fields),
    /// A sorted set, in score order.
    #[serde(rename = "zset")]
    SortedSet(Vec<(Bytes, Score)>),
    /// A stream: entry ids with their fields, oldest first.
    Stream(Vec<(String, Fields)>),
}

/// Fields of a hash or of a stream entry.
pub type Fields = BTreeMap<String, Bytes>;

/// A Redis string: any bytes. In JSON it is text, or `{"base64": ".."}` where it is no printable text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "BytesJson", into = "BytesJson")]
pub struct Bytes(pub Vec<u8>);

/// The score of a member; `"inf"` in JSON for infinity, which JSON numbers lack.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "ScoreJson", into = "ScoreJson")]
pub struct Score(pub f64);

/// Every scenario of one of the [`VERSIONS`], by name.
///
/// # Panics
/// When a file cannot be read or does not parse.
pub fn scenarios(version: &str) -> Vec<Scenario> {
    let directory = Path::new(DIRECTORY).join(version);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

/// One scenario: `scenario("rq-3.0.0", "finished")`.
///
/// # Panics
/// When there is none of that name, or it does not parse.
pub fn scenario(version: &str, name: &str) -> Scenario {
    read(&Path::new(DIRECTORY).join(version).join(format!("{name}.json")))
}

/// A fixture that is no scenario, as any type that fits: `file::<serde_json::Value>("serializer_vectors.json")`.
///
/// # Panics
/// When there is none of that name, or it does not parse.
pub fn file<T: DeserializeOwned>(name: &str) -> T {
    read(&Path::new(DIRECTORY).join(name))
}

impl Scenario {
    /// The snapshot with this label.
    ///
    /// # Panics
    /// When there is none.
    pub fn snapshot(&self, label: &str) -> &Snapshot {
        let found = self.snapshots.iter().find(|snapshot| snapshot.label == label);
        found.unwrap_or_else(|| panic!("the scenario {} has no snapshot {label:?}", self.name))
    }

    /// What Redis held in the end.
    ///
    /// # Panics
    /// When the scenario has no snapshot `final`.
    pub fn end(&self) -> &Snapshot {
        self.snapshot("final")
    }
}

impl Key {
    /// The fields, of a hash.
    ///
    /// # Panics
    /// When it is no hash.
    pub fn hash(&self) -> &Fields {
        match &self.value {
            Value::Hash(fields) => fields,
            other => panic!("not a hash: {other:?}"),
        }
    }
}

impl Bytes {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text it is.
    ///
    /// # Panics
    /// When it is not UTF-8.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_else(|_| panic!("not text: {self:?}"))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl PartialEq<str> for Bytes {
    fn eq(&self, text: &str) -> bool {
        self.0 == text.as_bytes()
    }
}

impl PartialEq<&str> for Bytes {
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum BytesJson {
    Text(String),
    Binary { base64: String },
}

impl TryFrom<BytesJson> for Bytes {
    type Error = base64::DecodeError;

    fn try_from(json: BytesJson) -> Result<Self, Self::Error> {
        Ok(match json {
            BytesJson::Text(text) => Self(text.into_bytes()),
            BytesJson::Binary { base64 } => Self(BASE64.decode(base64)?),
        })
    }
}

impl From<Bytes> for BytesJson {
    fn from(bytes: Bytes) -> Self {
        let is_printable = |text: &str| !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
        match String::from_utf8(bytes.0) {
            Ok(text) if is_printable(&text) => Self::Text(text),
            Ok(text) => Self::Binary { base64: BASE64.encode(text) },
            Err(binary) => Self::Binary { base64: BASE64.encode(binary.as_bytes()) },
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum ScoreJson {
    Number(f64),
    Text(String),
}

impl TryFrom<ScoreJson> for Score {
    type Error = std::num::ParseFloatError;

    fn try_from(json: ScoreJson) -> Result<Self, Self::Error> {
        Ok(Self(match json {
            ScoreJson::Number(number) => number,
            ScoreJson::Text(text) => text.parse()?,
        }))
    }
}

impl From<Score> for ScoreJson {
    fn from(Score(score): Score) -> Self {
        if score.is_finite() { Self::Number(score) } else { Self::Text(score.to_string()) }
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> T {
    let json = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_parses_and_is_written_back_as_it_was() {
        for version in VERSIONS {
            let scenarios = scenarios(version);
            assert!(scenarios.len() >= 6, "{version} has only {}", scenarios.len());
            for scenario in scenarios {
                assert_eq!(scenario.end().label, "final", "{version} {}", scenario.name);
                let again = serde_json::to_string(&scenario.end().keys).unwrap();
                assert_eq!(serde_json::from_str::<Keys>(&again).unwrap(), scenario.end().keys);
            }
        }
    }

    #[test]
    fn values_have_their_types() {
        let finished = scenario("rq-3.0.0", "finished");
        let job = &finished.end().keys["rq:job:job-1"];
        assert_eq!(job.hash()["status"], "finished");
        assert_eq!(job.hash()["data"].as_bytes()[..2], [0x78, 0x9c]);
        assert_eq!(job.ttl_s, 500);
        let done = Value::SortedSet(vec![("job-1".into(), Score(1_795_312_619.0))]);
        assert_eq!(finished.end().keys["rq:finished:default"].value, done);
    }

    #[test]
    fn bytes_keep_what_they_are() {
        let check = |bytes: &[u8], json: &str| {
            let bytes = Bytes(bytes.to_vec());
            assert_eq!(serde_json::to_string(&bytes).unwrap(), json);
            assert_eq!(serde_json::from_str::<Bytes>(json).unwrap(), bytes);
        };
        check(b"plain", r#""plain""#);
        check(b"two\nlines", r#""two\nlines""#);
        check(b"\x00", r#"{"base64":"AA=="}"#);
        check(b"\xff\xfe", r#"{"base64":"//4="}"#);
    }
}
