//! The table `[settings]` of `rq.toml`.

use std::collections::HashSet;

use rq_wire::Value;

use super::Setting;
use crate::Fault;
use crate::document::{Document, Given, Item, Table};
use crate::words::plain;

/// The table.
const TABLE: &str = "settings";
/// The setting whose keys are RQ's own words, in capitals, as the settings are.
const SENTINEL: &str = "SENTINEL";

/// The settings of a text in TOML: its table `[settings]`, in which a key is written `redis_url`, `redis-url` or
/// `REDIS_URL`. Other tables are left alone; without this one there are no settings.
///
/// ```
/// let settings = rq_config::settings_of_toml("[settings]\nredis-url = \"redis://h\"\nqueues = [\"high\"]\n")?;
/// assert_eq!((settings[0].name.as_str(), settings[0].line), ("REDIS_URL", 2));
/// # Ok::<(), rq_config::Fault>(())
/// ```
pub fn settings_of_toml(text: &str) -> Result<Vec<Setting>, Fault> {
    let Some(given) = Document::parse(text)?.take(TABLE)? else { return Ok(Vec::new()) };
    let Item::Table(table) = given.value else {
        return Err(Fault::new(given.line, "settings are written as a table: [settings]"));
    };
    let setting = |(name, given): (String, Given)| {
        let line = given.line;
        let value = if name == SENTINEL { sentinel(given.value)? } else { given.value.into_value() };
        Ok(Setting { name, line, value })
    };
    in_capitals(table)?.into_iter().map(setting).collect()
}

/// Sentinels: their own keys are in capitals, and what is within these is left as it is.
fn sentinel(value: Item) -> Result<Value, Fault> {
    let Item::Table(table) = value else { return Ok(value.into_value()) };
    let pair = |(name, given): (String, Given)| (Value::Str(name), given.value.into_value());
    Ok(Value::Dict(in_capitals(table)?.into_iter().map(pair).collect()))
}

/// What a table says, by names in capitals; each once.
fn in_capitals(table: Table) -> Result<Vec<(String, Given)>, Fault> {
    let mut known = HashSet::new();
    let named = |given: Given| {
        let name = plain(&given.word).to_uppercase();
        if known.insert(name.clone()) { Ok((name, given)) } else { Err(given.twice()) }
    };
    table.rest().into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let settings = settings_of_toml(text).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
        let shown =
            |setting: &Setting| format!("{}@{} = {}", setting.name, setting.line, setting.value.repr());
        settings.iter().map(shown).collect()
    }

    #[test]
    fn keys_are_names_in_any_spelling() {
        let text =
            "[settings]\nredis_url = \"a\"\nredis-db = 1\nREDIS_SSL = true\nQueues = [\"x\"]\nage = 1.5\n";
        let expected =
            ["REDIS_URL@2 = 'a'", "REDIS_DB@3 = 1", "REDIS_SSL@4 = True", "QUEUES@5 = ['x']", "AGE@6 = 1.5"];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn the_words_of_others_stay() {
        let text = "[settings.sentinel]\ninstances = [[\"h\", 26379]]\nmaster-name = \"m\"\n\
                    connection_kwargs = { max_connections = 5 }\n\
                    [settings.dict_config]\nversion = 1\n[settings.dict_config.root]\nlevel = \"INFO\"\n";
        let expected = [
            "SENTINEL@1 = {'INSTANCES': [['h', 26379]], 'MASTER_NAME': 'm', 'CONNECTION_KWARGS': {'max_connections': 5}}",
            "DICT_CONFIG@5 = {'version': 1, 'root': {'level': 'INFO'}}",
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn other_tables_are_left_alone() {
        for text in ["", "[worker]\nx = 99999999999999999999\n", "[[cron]]\nfunction = \"a.b\"\n"] {
            assert_eq!(read(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_cannot_be_is_told_with_its_line() {
        for (text, line, says) in [
            ("[settings]\nredis_url = \"a\"\n\nREDIS-URL = \"b\"\n", 4, "`REDIS-URL` is given twice"),
            (
                "[settings.sentinel]\nmaster_name = \"a\"\nMASTER_NAME = \"b\"\n",
                3,
                "`MASTER_NAME` is given twice",
            ),
            ("settings = 5\n", 1, "[settings]"),
            ("[[settings]]\n", 1, "[settings]"),
            ("[settings]\nredis_db = 99999999999999999999\n", 2, "too large"),
            ("[settings]\nredis_db =\n", 2, ""),
        ] {
            let fault = settings_of_toml(text).unwrap_err();
            assert!(fault.line == line && fault.reason.contains(says), "{text}: {fault}");
        }
    }
}
