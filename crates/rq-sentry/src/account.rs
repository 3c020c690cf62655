//! [`Account`]: what a failure's text says, in parts.

/// What a line with a cause begins with (`Failure::text`).
const CAUSED_BY: &str = "\ncaused by: ";
/// What stands before the place of a panic.
const PANICKED_AT: &str = "panicked at ";

/// What a failure's text says, in parts. The text is all there is: of a failure in another process nothing else came.
#[derive(Debug, PartialEq)]
pub(crate) struct Account<'a> {
    /// What went wrong.
    pub(crate) message: &'a str,
    /// Why, the nearest cause first.
    pub(crate) causes: Vec<&'a str>,
    /// Where, of a panic.
    pub(crate) place: Option<Place<'a>>,
}

/// A place in a source.
#[derive(Debug, PartialEq)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a str,
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl<'a> Account<'a> {
    /// What the text of a failure of this kind says.
    pub(crate) fn of(kind: &str, text: &'a str) -> Account<'a> {
        let whole = text.strip_prefix(kind).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(text);
        let mut parts = whole.split(CAUSED_BY);
        let message = parts.next().unwrap_or_default();
        let place = if kind == "Panic" { Place::in_message(message) } else { None };
        Account { message, causes: parts.collect(), place }
    }
}

impl<'a> Place<'a> {
    /// The place in `job panicked at src/jobs.rs:3:5: what it says`.
    fn in_message(message: &'a str) -> Option<Place<'a>> {
        let (place, _) = message.split_once(PANICKED_AT)?.1.split_once(": ")?;
        let mut parts = place.rsplitn(3, ':');
        let column = parts.next()?.parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        Some(Place { file: parts.next()?, line, column })
    }
}

#[cfg(test)]
mod tests {
    use rq_core::Failure;

    use super::*;

    #[test]
    fn a_text_has_parts() {
        let failure = Failure::Payload(rq_core::CodecError::Shape { wanted: "a sequence" });
        let text = failure.text();
        assert!(Account::of(failure.kind(), &text).message.starts_with("field `data`: "), "{text}");
        let check = |kind, text, message, causes: &[&str], place| {
            let expected = Account { message, causes: causes.to_vec(), place };
            assert_eq!(Account::of(kind, text), expected);
        };
        check("Error", "Error: top\ncaused by: middle\ncaused by: root", "top", &["middle", "root"], None);
        check("Killed", "Killed: by signal 9\npeak RSS 1 MB", "by signal 9\npeak RSS 1 MB", &[], None);
        check("Error", "of another shape", "of another shape", &[], None);
        let place = Some(Place { file: "src/a.rs", line: 3, column: 5 });
        check(
            "Panic",
            "Panic: job panicked at src/a.rs:3:5: no: not so",
            "job panicked at src/a.rs:3:5: no: not so",
            &[],
            place,
        );
        check("Panic", "Panic: job panicked: at sea: 3", "job panicked: at sea: 3", &[], None);
        check("Error", "Error: panicked at a:1:2: x", "panicked at a:1:2: x", &[], None);
    }
}
