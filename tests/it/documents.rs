//! The repository's documents: whatever is cited in code or in a document is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// What else is in a checkout: made by programs, or not ours to read.
const SKIPPED: [&str; 2] = ["target", "__pycache__"];
/// Captures, which hold other people's text. Citations may lead there.
const CAPTURES: &str = "tests/fixtures/";
/// Where a capture is that `[fx: name]` in a document stands for.
const CAPTURE_DIRECTORY: &str = "tests/fixtures/rq-3.0.0";
/// This file cites on purpose what is not there.
const THIS_FILE: &str = "tests/it/documents.rs";
/// Files that people write and read.
const EXTENSIONS: [&str; 6] = ["lua", "md", "py", "rs", "sh", "toml"];
/// Documents whose sections are numbered, and which may leave their own name out before a section.
const NUMBERED: [&str; 2] = ["docs/wire.md", "docs/cli.md"];
/// Fewer citations of sections in other files than this, and the search has gone blind.
const SECTIONS_CITED_MIN: usize = 50;

/// Set to `1`, files that tests write are written instead of compared.
const WRITE: &str = "RQ_WRITE_DOCS";

/// That the document of this `name` is `text`, which the tests `by` have made.
#[track_caller]
pub(crate) fn check_generated(name: &str, text: &str, by: &str) {
    let file = format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var(WRITE).is_ok_and(|write| write == "1") {
        std::fs::write(&file, text).expect("it can be written");
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == text,
        "{file} is out of date: `{WRITE}=1 cargo test -p rq-tests --all-features {by}` writes it anew"
    );
}

#[test]
fn what_is_cited_is_there() {
    let library = Library::of_repository();
    let findings = library.findings();
    assert!(findings.sections >= SECTIONS_CITED_MIN, "only {} sections are cited", findings.sections);
    let wrong = findings.wrong;
    assert!(wrong.is_empty(), "{} citations of what is not there:\n{}", wrong.len(), wrong.join("\n"));
}

/// What was renamed is not called so again: the old column of the table of public names.
#[test]
fn no_public_item_has_an_old_name() {
    let library = Library::of_repository();
    let table = &library.texts["docs/design/names.md"];
    let table = table.split("## Public").nth(1).unwrap().split("## Inside").next().unwrap();
    let old: BTreeSet<&str> = table
        .lines()
        .filter_map(|row| row.strip_prefix("| `")?.split(" | ").next())
        .flat_map(|column| column.split(", "))
        .map(|name| name.trim_matches('`').rsplit("::").next().unwrap())
        .filter(|name| name.starts_with(char::is_uppercase))
        .collect();
    assert!(old.len() >= 7, "{old:?}");
    let mut found = Vec::new();
    for (path, text) in library.texts.iter().filter(|(path, _)| path.starts_with("crates/")) {
        for line in text.lines() {
            let Some(item) = line.trim_start().strip_prefix("pub ") else { continue };
            let mut words = item.split(|c: char| !c.is_alphanumeric() && c != '_');
            let is_type =
                words.next().is_some_and(|kind| ["struct", "enum", "trait", "type"].contains(&kind));
            if is_type && words.next().is_some_and(|name| old.contains(name)) {
                found.push(format!("{path}: {line}"));
            }
        }
    }
    // `rq_core::Ended` is how an execution ended, and was not renamed; `rq_core::End` is how a job ended, and is new.
    found.retain(|item| {
        !item.ends_with("executor.rs: pub struct Ended {") && !item.ends_with("end.rs: pub enum End {")
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn wrong_citations_are_found() {
    let check = |path: &str, text: &str, expected: &[&str]| {
        let wire =
            "## 1. Keys\n### 1.2 `rq:x` and *more*\n\n## 3. Traps\n1. one\n\n## 4. Holes\n| 7 | a | b |\n";
        let library = Library::of([("docs/wire.md", wire), ("README.md", "# Read me\n"), (path, text)]);
        assert_eq!(library.findings().wrong, expected, "{text}");
    };
    let code = |text, expected: &[&str]| check("crates/a/src/lib.rs", text, expected);
    code("// docs/wire.md, docs/wire.md §1.2, §3-1 and §4-7, README.md, ../../../README.md", &[]);
    code("// (docs/wire.md\n/// §1, §1.2)\n", &[]);
    code("// https://example.org/x.md, docs/design/*.md", &[]);
    code("\n// docs/nowhere.md", &["crates/a/src/lib.rs:2: there is no docs/nowhere.md"]);
    code("// docs/wire.md §1, §1.3", &["crates/a/src/lib.rs:1: docs/wire.md has no §1.3"]);
    code("// docs/wire.md §5", &["crates/a/src/lib.rs:1: docs/wire.md has no §5"]);
    code("// docs/wire.md §3-2", &["crates/a/src/lib.rs:1: docs/wire.md has no §3-2"]);
    code("// docs/wire.md §4-1", &["crates/a/src/lib.rs:1: docs/wire.md has no §4-1"]);
    code("// README.md §1", &["crates/a/src/lib.rs:1: README.md has no §1"]);
    code("// wire spec §1", &["crates/a/src/lib.rs:1: §1 of no document"]);
    code("// docs/wire.md §1. As in §1.2", &["crates/a/src/lib.rs:1: §1.2 of no document"]);

    let document = |text, expected: &[&str]| check("docs/a.md", text, expected);
    document("# A\n[w](wire.md) [x](wire.md#12-rqx-and-more) [a](#a) [r](../README.md) [d](../docs)", &[]);
    document("`[w](nowhere)` [h](https://example.org/#x)\n```\n[w](nowhere)\n```", &[]);
    document("\n[w](wires)", &["docs/a.md:2: the link leads to docs/wires, which is not there"]);
    document("[w](README.md)", &["docs/a.md:1: the link leads to docs/README.md, which is not there"]);
    document("[w](wire.md#x)", &["docs/a.md:1: docs/wire.md has no heading #x"]);
    document("[w]: wires", &["docs/a.md:1: the link leads to docs/wires, which is not there"]);
    document("`[fx: none]`", &["docs/a.md:1: there is no capture none"]);
}

/// All that is in the repository, by its path from the root.
struct Library {
    /// Of the files that people write and read.
    texts: BTreeMap<String, String>,
    /// Files and directories.
    paths: BTreeSet<String>,
}

/// What a search has found.
#[derive(Default)]
struct Findings {
    /// How many sections are cited.
    sections: usize,
    /// `path:line: what is not there`.
    wrong: Vec<String>,
}

impl Library {
    fn of_repository() -> Library {
        let mut library = Library { texts: BTreeMap::new(), paths: BTreeSet::new() };
        library.add_directory("");
        library
    }

    fn of<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Library {
        let texts: BTreeMap<String, String> =
            texts.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
        let ancestors = texts.keys().flat_map(|path| Path::new(path).ancestors());
        let paths = ancestors.map(|path| path.to_str().unwrap().to_owned()).collect();
        Library { texts, paths }
    }

    fn add_directory(&mut self, directory: &str) {
        for entry in fs::read_dir(Path::new(ROOT).join(directory)).unwrap() {
            let (entry, kind) = entry.map(|entry| (entry.file_name(), entry.file_type().unwrap())).unwrap();
            let name = entry.to_str().unwrap();
            if name.starts_with('.') || SKIPPED.contains(&name) {
                continue;
            }
            let path = joined(directory, name);
            self.paths.insert(path.clone());
            if kind.is_dir() {
                self.add_directory(&path);
            } else if EXTENSIONS.iter().any(|extension| has_extension(&path, extension)) {
                self.texts.insert(path.clone(), fs::read_to_string(Path::new(ROOT).join(&path)).unwrap());
            }
        }
    }

    fn findings(&self) -> Findings {
        let mut findings = Findings::default();
        let searched = |path: &str| !path.starts_with(CAPTURES) && path != THIS_FILE;
        for (path, text) in self.texts.iter().filter(|(path, _)| searched(path)) {
            let mut wrong = self.missing_documents(path, text);
            wrong.extend(self.missing_sections(path, text, &mut findings.sections));
            if has_extension(path, "md") {
                wrong.extend(self.broken_links(path, text));
                wrong.extend(self.missing_captures(text));
            }
            wrong.sort();
            let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
            let lines = wrong.into_iter().map(|(offset, what)| format!("{path}:{}: {what}", line_of(offset)));
            findings.wrong.extend(lines);
        }
        findings
    }

    /// `x.md`, seen from the root, from the citing file, or from wherever its leading dots lead.
    fn missing_documents(&self, path: &str, text: &str) -> Vec<(usize, String)> {
        let mut wrong = Vec::new();
        for (end, _) in text.match_indices(".md") {
            let end = end + ".md".len();
            let document = document_before(text, end);
            let from_root = document.trim_start_matches(['.', '/']);
            let goes_on = text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
            let is_url_or_pattern = document.starts_with("//") || from_root == "md";
            if goes_on || is_url_or_pattern {
                continue;
            }
            if !self.paths.contains(from_root) && !self.paths.contains(&resolved(path, document)) {
                wrong.push((end, format!("there is no {document}")));
            }
        }
        wrong
    }

    /// A document's name with a section behind it, or with several; in a numbered document its own sections without a name.
    fn missing_sections(&self, path: &str, text: &str, cited: &mut usize) -> Vec<(usize, String)> {
        let mut wrong = Vec::new();
        let mut last: Option<(usize, Option<String>)> = None;
        for (at, sign) in text.match_indices('§') {
            let section = Section::leading(&text[at + sign.len()..]);
            let behind_last = last.take().filter(|(end, _)| is_enumeration(&text[*end..at]));
            let document = match (named_before(&text[..at]), behind_last) {
                (Some(document), _) => Some(document.to_owned()),
                (None, Some((_, document))) => document,
                (None, None) => NUMBERED.contains(&path).then(|| path.to_owned()),
            };
            *cited += usize::from(!NUMBERED.contains(&path));
            match &document {
                None => wrong.push((at, format!("§{} of no document", section.text))),
                Some(document) if !self.has_section(document, &section) => {
                    wrong.push((at, format!("{document} has no §{}", section.text)));
                }
                Some(_) => {}
            }
            last = Some((at + sign.len() + section.text.len(), document));
        }
        wrong
    }

    fn has_section(&self, document: &str, section: &Section<'_>) -> bool {
        let lines = self.texts.get(document).map(|text| text.lines()).into_iter().flatten();
        let mut lines = lines.skip_while(|line| heading(line).and_then(number_of) != Some(section.number));
        if lines.next().is_none() {
            return false;
        }
        let Some(item) = section.item else { return true };
        let (in_list, in_table) = (format!("{item}. "), format!("| {item} |"));
        let mut body = lines.take_while(|line| heading(line).is_none());
        body.any(|line| line.starts_with(&in_list) || line.starts_with(&in_table))
    }

    fn broken_links(&self, path: &str, text: &str) -> Vec<(usize, String)> {
        let prose = without_code(text);
        let mut wrong = Vec::new();
        for (at, target) in links(&prose) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.to_owned() } else { resolved(path, file) };
            if !self.paths.contains(&file) {
                wrong.push((at, format!("the link leads to {file}, which is not there")));
            } else if !anchor.is_empty()
                && let Some(linked) = self.texts.get(&file).filter(|_| has_extension(&file, "md"))
                && !anchors(linked).contains(anchor)
            {
                wrong.push((at, format!("{file} has no heading #{anchor}")));
            }
        }
        wrong
    }

    fn missing_captures(&self, text: &str) -> Vec<(usize, String)> {
        let mut wrong = Vec::new();
        for (at, mark) in text.match_indices("[fx: ") {
            let names = text[at + mark.len()..].split(']').next().unwrap_or_default();
            for name in names.split(',').map(str::trim) {
                if !self.paths.contains(&format!("{CAPTURE_DIRECTORY}/{name}.json")) {
                    wrong.push((at, format!("there is no capture {name}")));
                }
            }
        }
        wrong
    }
}

/// `3.4`, or `21-2`, the item 2 of section 21.
struct Section<'a> {
    text: &'a str,
    number: &'a str,
    item: Option<&'a str>,
}

impl<'a> Section<'a> {
    fn leading(text: &'a str) -> Section<'a> {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let mut end = digits(text);
        if let Some(rest) = text[end..].strip_prefix('.').filter(|rest| digits(rest) > 0) {
            end += 1 + digits(rest);
        }
        let number = &text[..end];
        match text[end..].strip_prefix('-').map(|rest| &rest[..digits(rest)]).filter(|item| !item.is_empty())
        {
            Some(item) => Section { text: &text[..end + 1 + item.len()], number, item: Some(item) },
            None => Section { text: number, number, item: None },
        }
    }
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|its| its == extension)
}

fn joined(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// Where `target` leads from the file `path`, as a path from the root.
fn resolved(path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The name of a document that ends at `end`.
fn document_before(text: &str, end: usize) -> &str {
    let in_name = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let begin = text[..end]
        .rfind(|c| !in_name(c))
        .map_or(0, |at| at + text[at..].chars().next().map_or(0, char::len_utf8));
    &text[begin..end]
}

/// The document whose name `text` ends with, a line's end and the marks of comments, links and code left aside.
fn named_before(text: &str) -> Option<&str> {
    let text = text.trim_end_matches(is_mark).trim_end_matches(['`', ')']);
    text.ends_with(".md").then(|| document_before(text, text.len()))
}

/// Whether `gap` joins two sections of one document.
fn is_enumeration(gap: &str) -> bool {
    ["", ",", "and", "or"].contains(&gap.trim_matches(is_mark))
}

/// White space, and what comments and lists begin with.
fn is_mark(c: char) -> bool {
    c.is_whitespace() || "/!-*#".contains(c)
}

/// The text of a heading.
fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    (text.len() < line.len() && text.starts_with(' ')).then(|| text.trim())
}

/// `4.2` of `4.2 Which serializer`, `4` of `4. Serialization`.
fn number_of(heading: &str) -> Option<&str> {
    let number = heading.split(' ').next()?.trim_end_matches('.');
    number.starts_with(|c: char| c.is_ascii_digit()).then_some(number)
}

/// What can stand behind `#` in a link to this document, made as GitHub makes it.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut fenced = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let Some(heading) = heading(line).filter(|_| !fenced) else { continue };
        let kept = heading.chars().filter(|&c| c.is_alphanumeric() || "_- ".contains(c));
        let anchor: String = kept.flat_map(char::to_lowercase).collect::<String>().replace(' ', "-");
        let before = seen.entry(anchor.clone()).or_default();
        anchors.insert(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
        *before += 1;
    }
    anchors
}

/// The text with code blanked out, so that offsets stay.
fn without_code(text: &str) -> String {
    let mut prose = String::with_capacity(text.len());
    let mut fenced = false;
    for line in text.split_inclusive('\n') {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        let mut in_code = fenced || is_fence;
        for c in line.chars() {
            in_code ^= c == '`' && !fenced && !is_fence;
            if in_code && c != '\n' {
                prose.extend(std::iter::repeat_n(' ', c.len_utf8()))
            } else {
                prose.push(c)
            }
        }
    }
    prose
}

/// Where links are in Markdown, and what they lead to: `[text](target "title")` and `[name]: target`.
fn links(prose: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    for mark in ["](", "]: "] {
        for (at, _) in prose.match_indices(mark) {
            let line_begin = prose[..at].rfind('\n').map_or(0, |at| at + 1);
            if mark == "]: " && !prose[line_begin..].starts_with('[') {
                continue;
            }
            let rest = &prose[at + mark.len()..];
            let target = &rest[..rest.find([')', ' ', '\n']).unwrap_or(rest.len())];
            if !target.is_empty() {
                links.push((at, target));
            }
        }
    }
    links
}
