//! [`Declaration`]: the function under `#[job]` or `#[callback]`, with or without a body.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Block, Error, FnArg, Ident, Pat, Result, ReturnType, Signature, Token, Type, Visibility,
};

/// A function with or without a body.
pub(crate) struct Declaration {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Option<Block>,
}

impl Parse for Declaration {
    fn parse(input: ParseStream<'_>) -> Result<Declaration> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        // `syn::ItemFn` would want a body, which a contract has not.
        let body = if input.peek(Token![;]) {
            input.parse::<Token![;]>()?;
            None
        } else {
            Some(input.parse()?)
        };
        Ok(Declaration { attributes, visibility, signature, body })
    }
}

/// What a call has to bring.
pub(crate) struct Parameters<'a> {
    /// Whether the function wants the context first.
    pub(crate) takes_context: bool,
    pub(crate) names: Vec<&'a Ident>,
    pub(crate) types: Vec<&'a Type>,
}

impl Declaration {
    /// The function as it was written.
    pub(crate) fn function(&self) -> TokenStream {
        let Declaration { attributes, visibility, signature, body } = self;
        let mut tokens = TokenStream::new();
        for attribute in attributes {
            attribute.to_tokens(&mut tokens);
        }
        visibility.to_tokens(&mut tokens);
        signature.to_tokens(&mut tokens);
        body.to_tokens(&mut tokens);
        tokens
    }

    /// The type beside the function, with its doc comments.
    pub(crate) fn type_beside(&self) -> TokenStream {
        let Declaration { visibility, signature, .. } = self;
        let (ident, docs) = (&signature.ident, self.docs());
        // A type and a function may have one name, so that `add(2, 3)` stays a plain call; without variants nobody can
        // make a value of it.
        quote! {
            #(#docs)*
            #[allow(non_camel_case_types)]
            #visibility enum #ident {}
        }
    }

    fn docs(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| attribute.path().is_ident("doc"))
    }

    /// The type after the arrow.
    pub(crate) fn returns(&self) -> Result<&Type> {
        match &self.signature.output {
            ReturnType::Type(_, returns) => Ok(returns),
            ReturnType::Default => Err(Error::new_spanned(
                &self.signature.ident,
                "a job returns a `Result`; for no value, return `rq_core::Result<()>`",
            )),
        }
    }

    /// The parameters, checked.
    pub(crate) fn parameters(&self) -> Result<Parameters<'_>> {
        let generics = &self.signature.generics;
        if !generics.params.is_empty() {
            return Err(Error::new_spanned(generics, "a job has one name, so it cannot be generic"));
        }
        let mut parameters = Parameters { takes_context: false, names: Vec::new(), types: Vec::new() };
        for (index, input) in self.signature.inputs.iter().enumerate() {
            let FnArg::Typed(input) = input else {
                return Err(Error::new_spanned(
                    input,
                    "a job is a free function: the worker has no `self` to give it",
                ));
            };
            if index == 0 && is_context(&input.ty) {
                parameters.takes_context = true;
                continue;
            }
            if is_context_by_value(&input.ty) {
                return Err(Error::new_spanned(
                    &input.ty,
                    "the worker lends a job its context: write `&Context`, as the first parameter. (A type of your own \
                     that is called so is taken if its path stands before it, as in `orders::Context`.)",
                ));
            }
            if let Type::Reference(reference) = &*input.ty {
                return Err(Error::new_spanned(
                    reference,
                    "arguments are owned; only a first `&Context` may be borrowed",
                ));
            }
            let Pat::Ident(name) = &*input.pat else {
                return Err(Error::new_spanned(
                    &input.pat,
                    "a parameter needs a plain name, by which callers may pass it",
                ));
            };
            parameters.names.push(&name.ident);
            parameters.types.push(&input.ty);
        }
        Ok(parameters)
    }
}

/// `Context` alone, or as our crates export it: an own type of that name has a path of its own.
fn is_context_by_value(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let segments: Vec<String> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    matches!(segments.as_slice(), ["Context"] | ["rq_core" | "rq_cli", "Context"])
}

pub(crate) fn is_context(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    match &*reference.elem {
        // By the last word alone: a macro sees names and no types, and the path may be anybody's.
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Context"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn refused(declaration: Declaration) -> Option<String> {
        declaration.parameters().err().map(|error| error.to_string())
    }

    #[test]
    fn a_context_by_value_is_refused_in_a_sentence() {
        for declaration in [
            parse_quote! { fn f(ctx: Context) -> Result<()> { Ok(()) } },
            parse_quote! { async fn f(ctx: rq_core::Context, x: i64) -> Result<()> { Ok(()) } },
            parse_quote! { fn f(x: i64, ctx: Context) -> Result<()> { Ok(()) } },
        ] {
            let message = refused(declaration).unwrap();
            assert!(message.starts_with("the worker lends a job its context: write `&Context`"), "{message}");
        }
        for declaration in [
            parse_quote! { fn f(ctx: &Context, x: i64) -> Result<()> { Ok(()) } },
            parse_quote! { fn f(x: orders::Context, y: Contexts) -> Result<()> { Ok(()) } },
        ] {
            assert_eq!(refused(declaration), None);
        }
    }
}
