//! Lines that assign secrets: what stands in one is in no [`Fault`].

use super::statement::STATEMENTS;
use crate::Fault;

/// What names of secrets have in them, in any case.
const MARKS: [&str; 6] = ["PASSWORD", "URL", "DSN", "SECRET", "KEY", "TOKEN"];
/// What stands in the place of a word that somebody has written.
const WORD: &str = "a word";
/// How a fault begins that names a variable of the environment, which is no secret.
const OF_VARIABLE: &str = "there is no variable `";

/// Methods of texts, which are told with their dot: no secret is called so.
const METHODS: [&str; 12] = [
    "format", "split", "join", "strip", "lstrip", "rstrip", "lower", "upper", "replace", "encode", "decode",
    "get",
];

/// The fault without the words of `text` in it, where its line assigns a secret: somebody may have left the quotes out.
pub(super) fn without_words(text: &str, fault: Fault) -> Fault {
    let statement = statement(text, fault.line);
    if fault.reason.starts_with(OF_VARIABLE) || !statement.iter().any(|line| assigns_secret(line)) {
        return fault;
    }
    let is_written =
        |word: &str| statement.iter().any(|line| line.contains(word)) || has_path(word, &statement);
    let parts: Vec<&str> = fault.reason.split('`').collect();
    let mut reason = String::new();
    for (at, part) in parts.iter().enumerate() {
        match at % 2 == 1 && at + 1 < parts.len() {
            true if is_word(part) && is_written(part) && !is_imported(part, text) => reason.push_str(WORD),
            true => reason.extend(["`", *part, "`"]),
            false => reason.push_str(part),
        }
    }
    Fault { reason, ..fault }
}

/// The lines of a statement up to the faulty one: a value may go over several, of which the first begins with a name.
fn statement(text: &str, line: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let before: Vec<&str> = text.lines().take(line).collect();
    for line in before.into_iter().rev() {
        lines.push(line);
        if line.starts_with(|first: char| first.is_alphabetic() || first == '_') {
            break;
        }
    }
    lines
}

/// Whether a name in the line, before a sign that assigns, is a secret's.
fn assigns_secret(line: &str) -> bool {
    let Some((names, _)) = line.rsplit_once(['=', ':']) else {
        return false;
    };
    let names = names.to_uppercase();
    MARKS.iter().any(|mark| names.contains(mark))
}

/// Whether it is no word, no method of texts and no sign of the language.
fn is_word(part: &str) -> bool {
    let is_method = part.strip_prefix('.').is_some_and(|name| METHODS.contains(&name));
    part.contains(char::is_alphanumeric) && !STATEMENTS.contains(&part) && !is_method
}

/// Whether an import of the file has all of it, which says no secret.
fn is_imported(path: &str, text: &str) -> bool {
    let mut imports = text.lines().filter(|line| line.starts_with("import ") || line.starts_with("from "));
    let has = |line: &str, name: &str| {
        line.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == name)
    };
    imports.any(|line| path.split('.').all(|name| has(line, name)))
}

/// Whether a dotted path ends as the source does: its beginning is that of an import.
fn has_path(path: &str, statement: &[&str]) -> bool {
    let last = path.trim_end_matches("[..]").rsplit('.').next().unwrap_or_default();
    !last.is_empty() && statement.iter().any(|line| line.contains(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_beside_secrets_are_not_told() {
        for (text, line, reason, expected) in [
            ("REDIS_PASSWORD=SEKRIT", 1, "`SEKRIT` is not known here", "a word is not known here"),
            ("A = 1\nTOKEN = x.SEKRIT(1)", 2, "`y.SEKRIT` cannot be called", "a word cannot be called"),
            ("SENTINEL = {\n  'PASSWORD':\n  SEKRIT,\n}", 3, "`SEKRIT` is not known", "a word is not known"),
            ("password = a SEKRIT", 1, "`SEKRIT` where `=` is", "a word where `=` is"),
            ("A = SEKRIT", 1, "`SEKRIT` is not known", "`SEKRIT` is not known"),
            ("API_KEY = 1\nA = x", 2, "`x` is not known", "`x` is not known"),
            ("A_URL = e['B']", 1, "there is no variable `B`", "there is no variable `B`"),
            ("class A:\n  URL = 1", 2, "a block of `class` is", "a block of `class` is"),
            ("from a import b\nURL = b()", 2, "`a.b` cannot be called", "`a.b` cannot be called"),
            ("A_URL = f()", 1, "`f` is not known: before `rq` is", "a word is not known: before `rq` is"),
        ] {
            let told = without_words(text, Fault::new(line, reason));
            assert_eq!(told, Fault::new(line, expected), "{text}");
        }
    }
}
