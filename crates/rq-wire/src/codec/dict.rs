//! Dicts as decoders collect them: a key may come twice.

use std::collections::{HashMap, HashSet};

use crate::value::Value;

/// From this many entries on, a search for repeated keys takes a set.
const MANY_ENTRIES: usize = 16;

/// Text that occurs twice as a key counts once, at its first place and with its last value, as in Python.
pub(super) fn drop_repeated_keys(entries: &mut Vec<(Value, Value)>) {
    // Nearly always: no map is made and no key copied then.
    if !has_repeated_keys(entries) {
        return;
    }
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut kept: Vec<(Value, Value)> = Vec::with_capacity(entries.len());
    for (key, value) in entries.drain(..) {
        let text = key_text(&key).map(<[u8]>::to_vec);
        match text.as_ref().and_then(|text| places.get(text)) {
            // Python's dict keeps the place of a key's first and the value of its last appearance.
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
    // So few are compared in pairs, which allocates nothing.
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
        // Keys of other kinds that Python finds equal, as 1 and 1.0, may stay twice.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
