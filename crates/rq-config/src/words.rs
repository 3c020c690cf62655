//! Keys of files: how they are spelled, and which one somebody meant.

use strsim::jaro_winkler;

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
    fn a_slip_is_told_what_was_meant() {
        let known = ["count".to_owned(), "queues".to_owned()];
        let said = |word: &str| unknown(word, 3, &known);
        assert_eq!(said("queue"), Fault::new(3, "there is no `queue`; did you mean `queues`?"));
        assert_eq!(said("x").reason, "there is no `x`; known are `count`, `queues`");
        assert_eq!(nearest("soft-limit", ["soft_limit"]), Some("soft_limit"));
        assert_eq!(nearest("x", [""; 0]), None);
    }
}
