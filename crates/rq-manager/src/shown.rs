//! Text that others have written, as it may be put into a log: what commands a terminal or deceives who reads is escaped,
//! as `rq_core::Shown` does it for a worker.

use std::fmt::Write;

/// What continued lines begin with, so that none can be taken for the beginning of a message.
const INDENT: &str = "\n    ";

/// A sentence: on one line, of `chars_max` characters of `text` at most.
pub(crate) fn line(text: &str, chars_max: usize) -> String {
    shown(text, chars_max, r"\n")
}

/// A message: continued lines are indented by four, and line ends that end it are left out.
pub(crate) fn message(text: &str, chars_max: usize) -> String {
    shown(text.trim_end_matches('\n'), chars_max, INDENT)
}

fn shown(text: &str, chars_max: usize, line_end: &str) -> String {
    let (text, is_cut) = match text.char_indices().nth(chars_max) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // A string takes whatever is written.
        let _ = match c {
            '\n' => shown.write_str(line_end),
            '\r' => shown.write_str(r"\r"),
            '\t' => shown.write_str(r"\t"),
            c if !is_harmful(c) => shown.write_char(c),
            c if u32::from(c) < 0x100 => write!(shown, r"\x{:02x}", u32::from(c)),
            c if u32::from(c) < 0x10000 => write!(shown, r"\u{:04x}", u32::from(c)),
            c => write!(shown, r"\U{:08x}", u32::from(c)),
        };
    }
    if is_cut {
        shown.push('…');
    }
    shown
}

/// Whether `c` commands a terminal, ends a line, turns the direction of what follows, or cannot be seen: Unicode's
/// categories Cc, Cf, Zl and Zp, and letters without a glyph.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{115f}' | '\u{1160}'
            | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_harmful_comes_through() {
        let hostile = "\0\x1b[31m\r\t\u{9b}\u{202e}\u{feff}\u{e0041}é日👍\\";
        let escaped = r"\x00\x1b[31m\r\t\x9b\u202e\ufeff\U000e0041é日👍\";
        assert_eq!(line(hostile, 100), escaped);
        assert_eq!(message(hostile, 100), escaped);
    }

    #[test]
    fn line_ends() {
        assert_eq!(line("a\nb\n", 100), r"a\nb\n");
        assert_eq!(message("a\n2026 forged\n\n", 100), "a\n    2026 forged");
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(line("ééé", 3), "ééé");
        assert_eq!(line("éééé", 3), "ééé…");
        assert_eq!(line("", 0), "");
    }
}
