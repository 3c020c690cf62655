//! [`Defaults`]: what `#[job("..", key = value)]` says of all calls.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, ExprUnary, Lit, LitInt, LitStr, Result, Token, UnOp};

/// The options that a declaration may set, in the order in which people are told of them.
const KEYS: [Key; 14] = [
    Key { name: "queue", write: queue },
    Key { name: "timeout", write: timeout },
    Key { name: "result_ttl", write: kept },
    Key { name: "failure_ttl", write: kept },
    Key { name: "ttl", write: ttl },
    Key { name: "retry", write: retry },
    Key { name: "repeat", write: repeat },
    Key { name: "description", write: description },
    Key { name: "at_front", write: at_front },
    Key { name: "codec", write: as_it_is },
    Key { name: "on_crash", write: on_crash },
    Key { name: "on_success", write: callback },
    Key { name: "on_failure", write: callback },
    Key { name: "on_stopped", write: callback },
];

/// What a text must be that is a length of time.
const SPANS: &str = "a number with `s`, `m`, `h` or `d` behind it, such as \"30s\", or a number of seconds";

struct Key {
    name: &'static str,
    /// Writes the method of `Call` that sets it; `rq` is the path of `rq-core`.
    write: fn(rq: &TokenStream, key: &Ident, value: &Expr) -> Result<TokenStream>,
}

/// The options of a declaration, each once.
#[derive(Default)]
pub(crate) struct Defaults(Vec<(Ident, &'static Key, Expr)>);

impl Defaults {
    /// The first key, for errors that concern all of them.
    pub(crate) fn first(&self) -> Option<&Ident> {
        self.0.first().map(|(key, ..)| key)
    }

    /// The methods that set them, to stand behind a call.
    pub(crate) fn methods(&self, rq: &TokenStream) -> Result<TokenStream> {
        self.0.iter().map(|(key, known, value)| (known.write)(rq, key, value)).collect()
    }
}

impl Parse for Defaults {
    /// Reads `, key = value` as often as it is there, and a last comma.
    fn parse(input: ParseStream<'_>) -> Result<Defaults> {
        let mut defaults = Defaults::default();
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let key: Ident = input.parse()?;
            let known = known(&key)?;
            if defaults.0.iter().any(|(set, ..)| *set == key) {
                return Err(Error::new(key.span(), format!("`{key}` is set twice")));
            }
            if !input.peek(Token![=]) {
                return Err(Error::new(key.span(), format!("an option has a value: `{key} = ..`")));
            }
            input.parse::<Token![=]>()?;
            defaults.0.push((key, known, input.parse()?));
        }
        Ok(defaults)
    }
}

fn known(key: &Ident) -> Result<&'static Key> {
    KEYS.iter().find(|known| key == known.name).ok_or_else(|| {
        let names: Vec<&str> = KEYS.iter().map(|known| known.name).collect();
        let nearest = names.iter().map(|name| (edits(&key.to_string(), name), name)).min();
        let meant = match nearest {
            Some((edits, name)) if edits <= EDITS_MAX => format!("; `{name}` is"),
            _ => String::new(),
        };
        let all = names.join(", ");
        Error::new(key.span(), format!("`{key}` is no option of a job{meant}. There are: {all}"))
    })
}

fn queue(_: &TokenStream, key: &Ident, value: &Expr) -> Result<TokenStream> {
    if let Some(name) = text(value) {
        check_queue(name)?;
    }
    Ok(quote_spanned!(value.span()=> .#key(#value)))
}

/// Refuses what Redis would hold and workers could not serve (docs/wire.md §1.5); names that are no literals are checked
/// as the job is enqueued.
fn check_queue(name: &LitStr) -> Result<()> {
    const BYTES_MAX: usize = 200;
    let text = name.value();
    let reason = if text.is_empty() {
        "it must not be empty"
    } else if text.contains(',') {
        "it must not hold a comma, which separates queues in the worker's record"
    } else if text.contains(":intermediate") {
        "it must not hold `:intermediate`, which names another queue's list"
    } else if text.contains(['{', '}']) || text.chars().any(char::is_control) || text.trim() != text {
        "it must not hold braces, control characters, or white space at its ends"
    } else if text.len() > BYTES_MAX {
        "it must not be longer than 200 bytes"
    } else {
        return Ok(());
    };
    Err(Error::new(name.span(), format!("no queue can have this name: {reason}")))
}

fn timeout(rq: &TokenStream, key: &Ident, value: &Expr) -> Result<TokenStream> {
    Ok(match span(value)? {
        Some(Span::Forever) => quote_spanned!(value.span()=> .no_timeout()),
        Some(Span::Seconds(0)) => {
            return Err(Error::new(
                value.span(),
                "a job needs at least a second; write \"forever\" for no limit",
            ));
        }
        Some(Span::Seconds(seconds)) => quote_spanned!(value.span()=> .#key(#rq::secs(#seconds))),
        None => quote_spanned!(value.span()=> .#key(#value)),
    })
}

fn kept(rq: &TokenStream, key: &Ident, value: &Expr) -> Result<TokenStream> {
    Ok(match span(value)? {
        Some(Span::Forever) => quote_spanned!(value.span()=> .#key(#rq::Ttl::Forever)),
        Some(Span::Seconds(seconds)) => quote_spanned!(value.span()=> .#key(#rq::Ttl::Seconds(#seconds))),
        None => quote_spanned!(value.span()=> .#key(#value)),
    })
}

fn ttl(rq: &TokenStream, key: &Ident, value: &Expr) -> Result<TokenStream> {
    match span(value)? {
        Some(Span::Forever) => {
            Err(Error::new(value.span(), "a job waits as long as it takes where `ttl` is left out"))
        }
        Some(Span::Seconds(0)) => Err(Error::new(value.span(), "a job needs at least a second to wait")),
        Some(Span::Seconds(seconds)) => Ok(quote_spanned!(value.span()=> .#key(#rq::secs(#seconds)))),
        None => Ok(quote_spanned!(value.span()=> .#key(#value))),
    }
}

fn retry(rq: &TokenStream, key: &Ident, value: &Expr) -> Result<TokenStream> {
    match count(value)? {
        Some(times) => Ok(quote_spanned!(value.span()=> .#key(#rq::Retry::up_to(#times)))),
        None => Ok(quote_spanned!(value.span()=> .#key(#value))),
    }
}

fn repeat(rq: &TokenStream, key: &Ident, value: &Expr) -> Result<TokenStream> {
    match count(value)? {
        Some(times) => Ok(quote_spanned!(value.span()=> .#key(#rq::Repeat::times(#times)))),
        None => Ok(quote_spanned!(value.span()=> .#key(#value))),
    }
}

fn description(_: &TokenStream, key: &Ident, value: &Expr) -> Result<TokenStream> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Int(_) | Lit::Bool(_), .. }) => {
            Err(Error::new(value.span(), "a description is a text"))
        }
        value => Ok(quote_spanned!(value.span()=> .#key(#value))),
    }
}

fn at_front(_: &TokenStream, key: &Ident, value: &Expr) -> Result<TokenStream> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Bool(at_front), .. }) if at_front.value => {
            Ok(quote_spanned!(key.span()=> .at_front()))
        }
        Expr::Lit(ExprLit { lit: Lit::Bool(_), .. }) => Ok(quote_spanned!(key.span()=> .at_back())),
        value => Err(Error::new(value.span(), "write `at_front = true` or `at_front = false`")),
    }
}

fn on_crash(rq: &TokenStream, key: &Ident, value: &Expr) -> Result<TokenStream> {
    match text(value) {
        Some(policy) if policy.value() == "fail" => {
            Ok(quote_spanned!(value.span()=> .#key(#rq::OnCrash::Fail)))
        }
        Some(policy) if policy.value() == "requeue" => {
            Ok(quote_spanned!(value.span()=> .#key(#rq::OnCrash::Requeue)))
        }
        Some(policy) => Err(Error::new(policy.span(), "`on_crash` is \"fail\" or \"requeue\"")),
        None => as_it_is(rq, key, value),
    }
}

/// The path of a `#[callback]`, or what makes a `Callback`.
fn callback(rq: &TokenStream, key: &Ident, value: &Expr) -> Result<TokenStream> {
    match value {
        Expr::Path(path) => Ok(quote_spanned!(value.span()=> .#key(#path::callback()))),
        Expr::Lit(_) => Err(Error::new(
            value.span(),
            format!("`{key}` takes the path of a function marked `#[callback]`, without quotes"),
        )),
        value => as_it_is(rq, key, value),
    }
}

fn as_it_is(_: &TokenStream, key: &Ident, value: &Expr) -> Result<TokenStream> {
    Ok(quote_spanned!(value.span()=> .#key(#value)))
}

/// A length of time that stands there.
#[derive(Debug, PartialEq)]
enum Span {
    Seconds(u64),
    Forever,
}

/// Reads a literal; `None` of any other expression, whose type rustc checks.
fn span(value: &Expr) -> Result<Option<Span>> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Int(seconds), .. }) => seconds_of(seconds).map(Some),
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => match parse_span(&text.value()) {
            Some(span) => Ok(Some(span)),
            None => Err(Error::new(
                text.span(),
                format!("\"{}\" is no length of time: write {SPANS}, or \"forever\"", text.value()),
            )),
        },
        Expr::Lit(literal) => Err(Error::new(literal.span(), format!("write {SPANS}"))),
        // RQ's number for it.
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => match &**expr {
            Expr::Lit(ExprLit { lit: Lit::Int(one), .. }) if one.base10_digits() == "1" => {
                Ok(Some(Span::Forever))
            }
            _ => Err(Error::new(value.span(), "of negative numbers -1 has a meaning, which is \"forever\"")),
        },
        _ => Ok(None),
    }
}

fn seconds_of(seconds: &LitInt) -> Result<Span> {
    match seconds.suffix() {
        "" | "u64" | "u32" => Ok(Span::Seconds(seconds.base10_parse()?)),
        // `30s` without quotes is a number with a suffix to Rust.
        _ => Err(Error::new(seconds.span(), format!("write {SPANS}"))),
    }
}

/// Digits are seconds; a unit may stand behind them, as in RQ.
fn parse_span(text: &str) -> Option<Span> {
    if text == "forever" {
        return Some(Span::Forever);
    }
    let (digits, unit) = text.split_at(text.trim_end_matches(|c: char| !c.is_ascii_digit()).len());
    let unit_s: u64 = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit_s).map(Span::Seconds)
}

/// A number that stands there; `None` of any other expression.
fn count(value: &Expr) -> Result<Option<u32>> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Int(times), .. }) => Ok(Some(times.base10_parse()?)),
        Expr::Lit(literal) => Err(Error::new(literal.span(), "write how often, as a number")),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), .. }) => {
            Err(Error::new(value.span(), "write how often, as a number that is not negative"))
        }
        _ => Ok(None),
    }
}

fn text(value: &Expr) -> Option<&LitStr> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
        _ => None,
    }
}

/// By how much a key may differ from the one that is meant.
const EDITS_MAX: usize = 3;

/// How many characters must be added, dropped or changed to make `a` of `b` (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn written(options: &str) -> std::result::Result<String, String> {
        let defaults: Defaults = syn::parse_str(options).map_err(|error| error.to_string())?;
        defaults.methods(&quote!(rq)).map(|tokens| tokens.to_string()).map_err(|error| error.to_string())
    }

    fn check(options: &str, expected: TokenStream) {
        assert_eq!(written(options).as_deref(), Ok(&*expected.to_string()), "{options}");
    }

    #[test]
    fn every_option_becomes_a_method_of_the_call() {
        check("", quote!());
        check(r#", queue = "low","#, quote!(.queue("low")));
        check(", queue = LOW", quote!(.queue(LOW)));
        check(r#", timeout = "30s""#, quote!(.timeout(rq::secs(30u64))));
        check(r#", timeout = "5m""#, quote!(.timeout(rq::secs(300u64))));
        check(", timeout = 30", quote!(.timeout(rq::secs(30u64))));
        check(", timeout = LIMIT", quote!(.timeout(LIMIT)));
        check(r#", timeout = "forever""#, quote!(.no_timeout()));
        check(", timeout = -1", quote!(.no_timeout()));
        check(
            r#", result_ttl = "1h", failure_ttl = "1d""#,
            quote!(.result_ttl(rq::Ttl::Seconds(3600u64)).failure_ttl(rq::Ttl::Seconds(86400u64))),
        );
        check(", result_ttl = -1", quote!(.result_ttl(rq::Ttl::Forever)));
        check(r#", ttl = "90""#, quote!(.ttl(rq::secs(90u64))));
        check(", retry = 3", quote!(.retry(rq::Retry::up_to(3u32))));
        check(", retry = Retry::up_to(3).every(secs(5))", quote!(.retry(Retry::up_to(3).every(secs(5)))));
        check(", repeat = 2", quote!(.repeat(rq::Repeat::times(2u32))));
        check(r#", description = "d", at_front = true"#, quote!(.description("d").at_front()));
        check(", at_front = false", quote!(.at_back()));
        check(r#", on_crash = "requeue""#, quote!(.on_crash(rq::OnCrash::Requeue)));
        check(", on_crash = POLICY", quote!(.on_crash(POLICY)));
        check(", codec = Codec::Json", quote!(.codec(Codec::Json)));
        check(
            ", on_success = mail::sent, on_failure = page::callback().timeout(secs(5))",
            quote!(.on_success(mail::sent::callback()).on_failure(page::callback().timeout(secs(5)))),
        );
    }

    #[test]
    fn what_cannot_be_is_refused_in_a_sentence() {
        for (options, says) in [
            (", timeuot = 3", "`timeuot` is no option of a job; `timeout` is. There are: queue, timeout, "),
            (", wibblewobble = 3", "`wibblewobble` is no option of a job. There are: "),
            (", retry = 3, retry = 4", "`retry` is set twice"),
            (", at_front", "an option has a value: `at_front = ..`"),
            (", at_front = yes", "write `at_front = true` or"),
            (r#", timeout = "30x""#, "\"30x\" is no length of time: write a number with `s`"),
            (r#", timeout = "s""#, "\"s\" is no length of time"),
            (r#", timeout = "-3s""#, "\"-3s\" is no length of time"),
            (r#", timeout = "99999999999999999999d""#, "is no length of time"),
            (", timeout = 30s", "write a number with"),
            (", timeout = 1.5", "write a number with"),
            (", timeout = -2", "of negative numbers -1 has a meaning"),
            (r#", timeout = "0m""#, "a job needs at least a second; write \"forever\""),
            (", ttl = 0", "a job needs at least a second to wait"),
            (r#", ttl = "forever""#, "where `ttl` is left out"),
            (r#", queue = "a,b""#, "no queue can have this name: it must not hold a comma"),
            (r#", queue = """#, "no queue can have this name: it must not be empty"),
            (r#", retry = "three""#, "write how often, as a number"),
            (", repeat = -1", "that is not negative"),
            (r#", on_crash = "explode""#, "`on_crash` is \"fail\" or \"requeue\""),
            (r#", on_success = "mail.sent""#, "takes the path of a function marked `#[callback]`"),
        ] {
            let refused = written(options).expect_err(options);
            assert!(refused.contains(says), "{options}: {refused}");
        }
    }
}
