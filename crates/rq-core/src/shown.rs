//! [`Shown`]: text that anybody may have written, as people may see it.

use std::fmt::{self, Display, Write};

/// How much of a name is shown, in characters: names that we write have 200 bytes at most.
const NAME_CHARS_MAX: usize = 200;
/// How much of any other text is shown, in characters.
const TEXT_CHARS_MAX: usize = 8192;
/// What continued lines begin with, so that none can be taken for the beginning of a message.
const INDENT: &str = "    ";

/// Text that anybody may have written, as it may be put on a terminal or into a log: whoever writes to a Redis chooses
/// the names of queues, jobs, workers and hosts, and what failures say.
///
/// What commands a terminal or deceives who reads is escaped as Python's `repr` has it: control characters, line ends,
/// marks that turn the direction of text, and characters without width. What is too long is cut, and how long it was is
/// said. Its `Display` can be shown again, and is the same then.
///
/// ```
/// use rq_core::Shown;
/// assert_eq!(Shown::name("high\x1b[2J").to_string(), r"high\x1b[2J");
/// assert_eq!(Shown::line("a\nb").to_string(), r"a\nb");
/// assert_eq!(Shown::lines("a\nb").to_string(), "a\n    b");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Shown<T> {
    content: T,
    chars_max: usize,
    line_ends: LineEnds,
}

/// What becomes of the ends of lines.
#[derive(Clone, Copy, Debug)]
enum LineEnds {
    /// `\n`, as two characters.
    Escaped,
    /// The next line stands further to the right.
    Indented,
    /// The next line stands as far to the right at least.
    IndentedOnce,
}

impl<T: Display> Shown<T> {
    /// A name: on one line, with 200 characters at most.
    pub fn name(content: T) -> Shown<T> {
        Shown { content, chars_max: NAME_CHARS_MAX, line_ends: LineEnds::Escaped }
    }

    /// A sentence: on one line, with 8,192 characters at most.
    pub fn line(content: T) -> Shown<T> {
        Shown { content, chars_max: TEXT_CHARS_MAX, line_ends: LineEnds::Escaped }
    }

    /// A text of several lines, with 8,192 characters at most. All but the first are indented by four.
    pub fn lines(content: T) -> Shown<T> {
        Shown { content, chars_max: TEXT_CHARS_MAX, line_ends: LineEnds::Indented }
    }

    /// A message that may hold [lines](Shown::lines) already: continued lines are indented by four at least.
    pub fn message(content: T) -> Shown<T> {
        Shown { content, chars_max: TEXT_CHARS_MAX, line_ends: LineEnds::IndentedOnce }
    }
}

impl<T: Display> Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.width().is_none() {
            return self.write_to(f);
        }
        // A width counts characters, so the text has to be there before it is padded.
        let mut text = String::new();
        self.write_to(&mut text)?;
        f.pad(&text)
    }
}

impl<T: Display> Shown<T> {
    fn write_to(&self, out: &mut dyn Write) -> fmt::Result {
        let mut door = Door::new(out, self.chars_max, self.line_ends);
        write!(door, "{}", self.content)?;
        door.end()
    }
}

/// Passes text on without what is harmful, and counts.
struct Door<'a> {
    out: &'a mut dyn Write,
    chars_left: usize,
    bytes_cut: usize,
    bytes_whole: usize,
    line_ends: LineEnds,
    /// Line ends and the spaces behind them that were not written yet: what ends a text is left out.
    pending: Option<(usize, usize)>,
}

impl<'a> Door<'a> {
    fn new(out: &'a mut dyn Write, chars_max: usize, line_ends: LineEnds) -> Door<'a> {
        Door { out, chars_left: chars_max, bytes_cut: 0, bytes_whole: 0, line_ends, pending: None }
    }

    fn end(self) -> fmt::Result {
        match self.bytes_cut {
            0 => Ok(()),
            _ => write!(self.out, "… ({} bytes)", self.bytes_whole),
        }
    }

    /// Writes what is harmless as it is, or the rest of it that fits.
    fn write_clean(&mut self, text: &str) -> fmt::Result {
        let end = text.char_indices().nth(self.chars_left).map_or(text.len(), |(end, _)| end);
        self.chars_left -= text[..end].chars().count();
        self.bytes_cut += text.len() - end;
        self.out.write_str(&text[..end])
    }

    fn write_pending(&mut self) -> fmt::Result {
        let Some((ends, spaces)) = self.pending.take() else { return Ok(()) };
        for _ in 0..ends {
            self.write_clean("\n")?;
        }
        let spaces = match self.line_ends {
            LineEnds::IndentedOnce => spaces.max(INDENT.len()),
            _ => spaces + INDENT.len(),
        };
        write!(Clean(self), "{:spaces$}", "")
    }

    /// Takes what begins `text` while a line has not begun; returns the rest.
    fn wait_for_line<'t>(&mut self, text: &'t str) -> &'t str {
        let Some((ends, spaces)) = &mut self.pending else { return text };
        // A line of spaces alone is an empty one. More than one of those says nothing.
        const ENDS_MAX: usize = 2;
        const SPACES_MAX: usize = 200;
        let begins = text.find(|c| c != '\n' && c != ' ').unwrap_or(text.len());
        for c in text[..begins].chars() {
            match c {
                '\n' => (*ends, *spaces) = ((*ends + 1).min(ENDS_MAX), 0),
                _ => *spaces = (*spaces + 1).min(SPACES_MAX),
            }
        }
        &text[begins..]
    }
}

/// [`Door::write_clean`] for `write!`.
struct Clean<'d, 'a>(&'d mut Door<'a>);

impl Write for Clean<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_clean(text)
    }
}

impl Write for Door<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes_whole += text.len();
        let mut rest = text;
        while !rest.is_empty() {
            if self.chars_left == 0 {
                self.bytes_cut += rest.len();
                return Ok(());
            }
            rest = self.wait_for_line(rest);
            if rest.is_empty() {
                return Ok(());
            }
            self.write_pending()?;
            let (clean, harmful) = rest.split_at(rest.find(is_harmful).unwrap_or(rest.len()));
            self.write_clean(clean)?;
            let mut chars = harmful.chars();
            match (chars.next(), self.line_ends) {
                (None, _) => {}
                (Some('\n'), LineEnds::Indented | LineEnds::IndentedOnce) => self.pending = Some((1, 0)),
                (Some(c), _) => write_escaped(&mut Clean(self), c)?,
            }
            rest = chars.as_str();
        }
        Ok(())
    }
}

/// Whether `c` commands a terminal, ends a line, turns the direction of what follows, or cannot be seen: Unicode's
/// categories Cc, Cf, Zl and Zp, and letters without a glyph.
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{115f}' | '\u{1160}'
            | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// As Python's `repr` has it.
fn write_escaped(out: &mut dyn Write, c: char) -> fmt::Result {
    match c {
        '\n' => out.write_str(r"\n"),
        '\r' => out.write_str(r"\r"),
        '\t' => out.write_str(r"\t"),
        c if u32::from(c) < 0x100 => write!(out, r"\x{:02x}", u32::from(c)),
        c if u32::from(c) < 0x10000 => write!(out, r"\u{:04x}", u32::from(c)),
        c => write!(out, r"\U{:08x}", u32::from(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each kind of what must not be seen raw.
    const HOSTILE: &str = "\0\u{7}\x08\x1b[31m\r\u{7f}\u{85}\u{9b}\u{ad}\u{200b}\u{200d}\u{202e}\u{2066}\u{2028}\u{feff}\u{e0041}";

    #[test]
    fn nothing_harmful_comes_through() {
        let escaped = r"\x00\x07\x08\x1b[31m\r\x7f\x85\x9b\xad\u200b\u200d\u202e\u2066\u2028\ufeff\U000e0041";
        for shown in
            [Shown::name(HOSTILE), Shown::line(HOSTILE), Shown::lines(HOSTILE), Shown::message(HOSTILE)]
        {
            assert_eq!(shown.to_string(), escaped);
            assert_eq!(Shown::message(shown).to_string(), escaped, "shown twice");
        }
        assert_eq!(Shown::name("a\nb\tc").to_string(), r"a\nb\tc");
        for harmless in ["", "default", "日本 é \\ \u{fffd} 👍"] {
            assert_eq!(Shown::name(harmless).to_string(), harmless);
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_its_length_said() {
        assert_eq!(Shown::name("é".repeat(200)).to_string(), "é".repeat(200));
        assert_eq!(Shown::name("é".repeat(201)).to_string(), "é".repeat(200) + "… (402 bytes)");
        let long = "é\u{202e}".repeat(70_000);
        let shown = Shown::name(&long).to_string();
        assert!(shown.chars().count() < 230 && shown.ends_with("… (350000 bytes)"), "{shown}");
        let long = Shown::lines("\n".repeat(100) + &"x\n".repeat(100_000)).to_string();
        assert!(long.len() < 8300, "{}", long.len());
    }

    #[test]
    fn continued_lines_are_indented_once() {
        let text = "Error: a\n  File\n\n\n    line\nrest\n \n";
        let lines = "Error: a\n      File\n\n        line\n    rest";
        assert_eq!(Shown::lines(text).to_string(), lines);
        assert_eq!(Shown::message(lines).to_string(), lines);
        assert_eq!(Shown::message("a\nb\n      c").to_string(), "a\n    b\n      c");
    }

    #[test]
    fn a_width_counts_what_is_seen() {
        assert_eq!(format!("{:<6}|", Shown::name("\u{7}é")), "\\x07é |");
        assert_eq!(format!("{:<2}|", Shown::name("abc")), "abc|");
    }
}
