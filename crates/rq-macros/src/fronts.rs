//! What `#[both_fronts]` writes: a module, and the same without `async`.

use std::iter::once;

use proc_macro2::{Group, Ident, Literal, Span, TokenStream, TokenTree};
use syn::{Error, LitStr, Result};

/// What the second module is called.
const BLOCKING: &str = "blocking";
/// The types that both fronts have under one name, the blocking ones in a module that is called so, too.
const FRONT_TYPES: [&str; 5] = ["Queue", "JobHandle", "Registry", "Group", "RateLimit"];
/// How names end that have a blocking counterpart without that ending.
const ASYNC_ENDING: &str = "_async";

/// The module as it stands, and its blocking copy.
pub(crate) fn both(module: TokenStream) -> Result<TokenStream> {
    let name = name_of(&module)?;
    let copy = blocking(module.clone(), &name);
    Ok(module.into_iter().chain(copy).collect())
}

fn name_of(module: &TokenStream) -> Result<String> {
    // Attributes and a visibility may stand before `mod`.
    let mut tokens = module.clone().into_iter().skip_while(|token| !is_ident(token, "mod"));
    match (tokens.next(), tokens.next(), tokens.next()) {
        (Some(_), Some(TokenTree::Ident(name)), Some(TokenTree::Group(_))) => Ok(name.to_string()),
        _ => Err(Error::new(Span::call_site(), "`#[both_fronts]` belongs above a module with a body")),
    }
}

/// The tokens with `async` and `.await` taken out, and what is named after the module named after its copy.
///
/// What stays keeps its span, so that errors in the copy point to the source.
fn blocking(tokens: TokenStream, module: &str) -> TokenStream {
    let mut copy = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if ident == "async" => {}
            // The dot before it has been copied already.
            TokenTree::Ident(ident) if ident == "await" => drop(copy.pop()),
            TokenTree::Ident(ident) => copy.push(renamed(ident, module).into()),
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), blocking(group.stream(), module));
                inner.set_span(group.span());
                copy.push(inner.into());
            }
            // Comments of documentation reach a macro as `#[doc = ".."]`.
            TokenTree::Literal(text) if is_documentation(&copy) => copy.push(documentation(text).into()),
            other => copy.push(other),
        }
    }
    copy.into_iter().collect()
}

fn renamed(ident: Ident, module: &str) -> Ident {
    let name = ident.to_string();
    if name == module {
        return Ident::new(BLOCKING, ident.span());
    }
    name.strip_suffix(ASYNC_ENDING).map_or(ident.clone(), |name| Ident::new(name, ident.span()))
}

/// Whether what comes next is the text of `doc = ".."`.
fn is_documentation(before: &[TokenTree]) -> bool {
    matches!(before, [.., doc, TokenTree::Punct(equals)] if is_ident(doc, "doc") && equals.as_char() == '=')
}

/// A line of documentation whose code and links are of the blocking front.
fn documentation(line: Literal) -> Literal {
    let Ok(text) = syn::parse2::<LitStr>(once(TokenTree::from(line.clone())).collect()) else { return line };
    let text = text.value().replace("async fn", "fn").replace(".await", "");
    let text = ["crate::", "rq_core::"].iter().fold(text, |text, root| with_blocking_types(&text, root));
    let mut written = Literal::string(&text);
    written.set_span(line.span());
    written
}

/// The text with `crate::Queue` as `crate::blocking::Queue`, and `crate::QueueOfOthers` as it is.
fn with_blocking_types(text: &str, root: &str) -> String {
    let mut parts = text.split(root);
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name_end = part.find(|c: char| !c.is_alphanumeric()).unwrap_or(part.len());
        let module = if FRONT_TYPES.contains(&&part[..name_end]) { "blocking::" } else { "" };
        written.extend([root, module, part]);
    }
    written
}

fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn copied(tokens: TokenStream) -> String {
        blocking(tokens, "asynchronous").to_string()
    }

    #[test]
    fn the_copy_waits_for_nothing() {
        let source =
            quote! { pub async fn len(&self) -> usize { self.read(&[self.ask().await?]).await.len() } };
        let expected = quote! { pub fn len(&self) -> usize { self.read(&[self.ask()?]).len() } };
        assert_eq!(copied(source), expected.to_string());
    }

    #[test]
    fn the_copy_names_what_is_blocking() {
        let source = quote! { pub(crate) mod asynchronous { use a::asynchronous::B; fn f() { g_async(h) } } };
        let expected = quote! { pub(crate) mod blocking { use a::blocking::B; fn f() { g(h) } } };
        assert_eq!(copied(source), expected.to_string());
    }

    #[test]
    fn the_copy_s_documentation_is_of_its_front() {
        let source = quote! {
            /// See [`len`](crate::Queue::len). `async` stays.
            #[doc = " # async fn example(queue: rq_core::Queue) { queue.len().await?; }"]
            #[doc = " use rq_core::RegistryKind;"]
            const TEXT: &str = ".await";
        };
        let expected = quote! {
            #[doc = " See [`len`](crate::blocking::Queue::len). `async` stays."]
            #[doc = " # fn example(queue: rq_core::blocking::Queue) { queue.len()?; }"]
            #[doc = " use rq_core::RegistryKind;"]
            const TEXT: &str = ".await";
        };
        assert_eq!(copied(source), expected.to_string());
    }

    #[test]
    fn only_a_module_with_a_body_has_two_fronts() {
        assert!(both(quote! { mod asynchronous { struct Queue; } }).is_ok());
        assert!(both(quote! { mod asynchronous; }).is_err());
        assert!(both(quote! { struct Queue; }).is_err());
    }
}
