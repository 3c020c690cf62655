//! [`Identity`]: what stands first in the parentheses of `#[job(..)]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, LitStr, Path, Result, Token};

/// How a job gets its name.
pub(crate) enum Identity {
    /// Written here.
    Name(LitStr),
    /// That of the contract at this path, which the function implements.
    Contract(Path),
}

impl Identity {
    /// The expression for the name.
    pub(crate) fn name(&self) -> TokenStream {
        match self {
            Identity::Name(name) => name.to_token_stream(),
            Identity::Contract(path) => quote!(#path::NAME),
        }
    }
}

impl Parse for Identity {
    fn parse(input: ParseStream<'_>) -> Result<Identity> {
        if input.is_empty() {
            return Err(input.error("a job needs its name on the wire, as in `#[job(\"math.add\")]`"));
        }
        if input.peek(Ident) && input.peek2(Token![=]) {
            return Err(input
                .error("the name on the wire comes first, as in `#[job(\"math.add\", queue = \"low\")]`"));
        }
        if input.peek(LitStr) {
            let name: LitStr = input.parse()?;
            check(&name)?;
            return Ok(Identity::Name(name));
        }
        Ok(Identity::Contract(input.parse()?))
    }
}

/// Python imports what stands before the last dot, so the name must be a dotted path of identifiers.
pub(crate) fn check(name: &LitStr) -> Result<()> {
    let text = name.value();
    let is_identifier = |part: &str| {
        let mut chars = part.chars();
        // Letters of any script, as Python has them in its identifiers.
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || c == '_')
    };
    if text.split('.').all(is_identifier) {
        return Ok(());
    }
    Err(Error::new(
        name.span(),
        format!("`{text}` is no dotted path such as `math.add`, which Python could call"),
    ))
}
