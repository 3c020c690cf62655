//! [`Counted`]: how many of something there are, in words.

use std::fmt;

/// How many of something there are, for people: `1 job`, `2 jobs`, `1.5 seconds`.
#[derive(Clone, Copy, Debug)]
pub struct Counted<N>(pub N, pub &'static str);

impl<N: fmt::Display + PartialEq + From<u8>> fmt::Display for Counted<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == N::from(1) { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(Counted(1_usize, "job").to_string(), "1 job");
        assert_eq!(Counted(0_u64, "second").to_string(), "0 seconds");
        assert_eq!(
            (Counted(1.0, "second").to_string(), Counted(1.5, "second").to_string()),
            ("1 second".to_owned(), "1.5 seconds".to_owned())
        );
    }
}
