//! [`Format`]: Python's format strings, as far as a worker's log needs them.

use jiff::{Timestamp, tz::TimeZone};

/// What a line holds and how its time looks; by default as in RQ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Format {
    pub(super) pieces: Vec<Piece>,
    /// For `strftime`.
    pub(super) date: String,
    /// Whether milliseconds follow, as they do in Python where no format of the time is given.
    pub(super) has_milliseconds: bool,
}

/// RQ's `--log-format`.
pub(crate) const LINE_DEFAULT: &str = "%(asctime)s %(message)s";
/// The line of Python's logging.
const LINE_OF_PYTHON: &str = "%(message)s";
/// The time of Python's logging, before the milliseconds.
const DATE_OF_PYTHON: &str = "%Y-%m-%d %H:%M:%S";
/// RQ's `--date-format`.
pub(crate) const DATE_DEFAULT: &str = "%H:%M:%S";

/// A part of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// Text as it is.
    Literal(String),
    /// Something of the event, padded to a width in characters.
    Field { field: Field, width: usize, left: bool },
}

/// The attributes of a log event, by Python's names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field {
    Asctime,
    Message,
    Levelname,
    Levelno,
    Name,
    Process,
}

impl Format {
    /// Reads a line's format, such as `%(asctime)s %(levelname)-8s %(message)s`, and one for its time.
    pub(crate) fn new(line: &str, date: &str) -> Result<Format, String> {
        // Tried once here: an error in the format would otherwise come with every line.
        let probe = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        jiff::fmt::strtime::format(date, &probe)
            .map_err(|error| format!("'{date}' is no format of a time: {error}"))?;
        // An empty one is none, as in Python's logging.
        let line = if line.is_empty() { LINE_OF_PYTHON } else { line };
        Ok(Format { pieces: pieces(line)?, date: date.to_owned(), has_milliseconds: false })
    }

    /// What Python's `logging.Formatter(line, date)` has; what is not given is as in Python, and not as in RQ.
    pub(super) fn of_python(line: Option<&str>, date: Option<&str>) -> Result<Format, String> {
        let format = Format::new(line.unwrap_or(LINE_OF_PYTHON), date.unwrap_or(DATE_OF_PYTHON))?;
        Ok(Format { has_milliseconds: date.is_none(), ..format })
    }
}

fn pieces(mut format: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    while let Some(at) = format.find('%') {
        literal.push_str(&format[..at]);
        format = &format[at + 1..];
        if let Some(rest) = format.strip_prefix('%') {
            literal.push('%');
            format = rest;
            continue;
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        let (piece, rest) = field(format)?;
        pieces.push(piece);
        format = rest;
    }
    literal.push_str(format);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    // Lines that say nothing; Python refuses them, too.
    match pieces.iter().any(|piece| matches!(piece, Piece::Field { .. })) {
        true => Ok(pieces),
        false => Err("it has no field, such as %(message)s".to_owned()),
    }
}

/// `(levelname)-8s`, and what follows it.
fn field(text: &str) -> Result<(Piece, &str), String> {
    const WIDTH_MAX: usize = 200;
    let refusal = || {
        "behind % it takes one of (asctime)s, (message)s, (levelname)s, (levelno)d, (name)s and (process)d, with a width \
         such as -8 between if need be"
            .to_owned()
    };
    let (name, rest) = text.strip_prefix('(').and_then(|text| text.split_once(')')).ok_or_else(refusal)?;
    let field = match name {
        "asctime" => Field::Asctime,
        "message" => Field::Message,
        "levelname" => Field::Levelname,
        "levelno" => Field::Levelno,
        "name" => Field::Name,
        "process" => Field::Process,
        _ => return Err(refusal()),
    };
    // Python's conversions for text and numbers; which one is said makes no difference here.
    let (width, rest) = rest.split_once(['s', 'd']).ok_or_else(refusal)?;
    let (left, digits) = width.strip_prefix('-').map_or((false, width), |digits| (true, digits));
    let width = if digits.is_empty() { Ok(0) } else { digits.parse::<usize>() };
    match width {
        Ok(width) if width <= WIDTH_MAX => Ok((Piece::Field { field, width, left }, rest)),
        _ => Err(refusal()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_formats_are_read() {
        let field = |field, width, left| Piece::Field { field, width, left };
        let literal = |text: &str| Piece::Literal(text.to_owned());
        for (format, pieces) in [
            (
                LINE_DEFAULT,
                vec![field(Field::Asctime, 0, false), literal(" "), field(Field::Message, 0, false)],
            ),
            (
                "%(levelname)-8s|%(process)5d%%",
                vec![
                    field(Field::Levelname, 8, true),
                    literal("|"),
                    field(Field::Process, 5, false),
                    literal("%"),
                ],
            ),
            ("", vec![field(Field::Message, 0, false)]),
        ] {
            assert_eq!(Format::new(format, DATE_DEFAULT).map(|format| format.pieces), Ok(pieces), "{format}");
        }
        for format in ["x", "%%", "%", "%s", "%(message)", "%(thread)d", "%(message)9999s", "%(message"] {
            assert!(Format::new(format, DATE_DEFAULT).is_err(), "{format}");
        }
        assert!(Format::new(LINE_DEFAULT, "%Y-%m-%d %H:%M:%S").is_ok());
        assert!(Format::new(LINE_DEFAULT, "%!").is_err());
    }
}
