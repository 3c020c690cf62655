//! Keys of files: how they are spelled, and which one somebody meant.

use strsim::{jaro_winkler, osa_distance};

use crate::Fault;

/// How alike an unknown key and one we know must be for the one to be meant.
const ALIKE: f64 = 0.8;

/// A key as it is looked for: with `_`, where `-` may have been written.
pub fn plain(word: &str) -> String {
    word.replace('-', "_")
}

/// The known one that somebody who wrote `word` has meant, if any.
pub fn nearest<K: AsRef<str>>(word: &str, known: impl IntoIterator<Item = K>) -> Option<K> {
    let word = plain(word);
    let alike = known.into_iter().map(|known| (jaro_winkler(&word, known.as_ref()), known));
    let nearest = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    nearest.filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, known)| known)
}

/// The known one that differs from `word` by one letter, as somebody's slip does. What differs in a digit, or at its beginning,
/// is a name of its own.
pub fn slip<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let is_slip = |known: &&str| word.get(..1) == known.get(..1) && osa_distance(word, known) == 1;
    known.into_iter().find(is_slip).filter(|_| !word.ends_with(|last: char| last.is_ascii_digit()))
}

/// What to say of a key in `line` that is none of the `known` ones.
pub fn unknown(word: &str, line: usize, known: &[String]) -> Fault {
    let reason = match nearest(word, known) {
        Some(nearest) => format!("there is no `{word}`; did you mean `{nearest}`?"),
        None => format!("there is no `{word}`; known are {}", listed(known)),
    };
    Fault::new(line, reason)
}

/// Words in a sentence: `` `a`, `b` ``.
pub fn listed(words: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_one_letter() {
        let known = ["QUEUES", "NAME", "REDIS_URL", "REDIS_DB"];
        for (word, expected) in [
            ("QUEUE", Some("QUEUES")),
            ("NAMES", Some("NAME")),
            ("REDIS_URI", Some("REDIS_URL")),
            ("REDIS_ULR", Some("REDIS_URL")),
            ("REDIS_DB2", None),
            ("GAME", None),
            ("REDIS_CACHE_URL", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(slip(word, known), expected, "{word}");
        }
    }

    #[test]
    fn a_slip_is_told_what_was_meant() {
        let known = ["count".to_owned(), "queues".to_owned()];
        let said = |word: &str| unknown(word, 3, &known);
        assert_eq!(said("queue"), Fault::new(3, "there is no `queue`; did you mean `queues`?"));
        assert_eq!(said("x").reason, "there is no `x`; known are `count`, `queues`");
        assert_eq!(nearest("soft-limit", ["soft_limit"]), Some("soft_limit"));
        assert_eq!(nearest("x", [""; 0]), None);
    }
}
