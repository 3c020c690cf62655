//! What `#[callback]` writes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, FnArg, LitStr, Result, ReturnType, Type};

use crate::declaration::{Declaration, is_context};
use crate::name::check;

/// What a callback's parameters have to be.
const PARAMETERS: &str = "a callback takes how the job ended, with or without a context before it: \
                          `fn page(ctx: &Context, end: End) -> rq_core::Result<()>`";

/// What stands in the parentheses of `#[callback(..)]`.
pub(crate) struct CallbackName(LitStr);

impl Parse for CallbackName {
    fn parse(input: ParseStream<'_>) -> Result<CallbackName> {
        if !input.peek(LitStr) {
            return Err(
                input.error("a callback needs its name on the wire, as in `#[callback(\"alerts.page\")]`")
            );
        }
        let name = input.parse()?;
        check(&name)?;
        if !input.is_empty() {
            return Err(input.error(
                "`#[callback(..)]` takes one thing; a time limit belongs to the call, as in `page::callback().timeout(..)`",
            ));
        }
        Ok(CallbackName(name))
    }
}

/// The function, the type beside it, and the code that runs it. `rq` is the path of `rq-core` in the crate that uses the
/// attribute.
pub(crate) fn callback(
    rq: &TokenStream,
    CallbackName(name): &CallbackName,
    declaration: &Declaration,
) -> Result<TokenStream> {
    let takes_context = takes_context(declaration)?;
    let returns = returns(declaration)?;
    let Declaration { visibility, signature, .. } = declaration;
    let (ident, beside, function) = (&signature.ident, declaration.type_beside(), declaration.function());
    let run = run(rq, declaration, takes_context, returns);
    Ok(quote! {
        #function

        #beside

        #[allow(dead_code)]
        impl #ident {
            /// The callback's name on the wire.
            #visibility const NAME: &'static str = #name;

            /// What a call takes: `.on_failure(..callback())`.
            #visibility fn callback() -> #rq::Callback {
                #rq::Callback::to(Self::NAME)
            }
        }

        impl #rq::Perform for #ident {
            const HANDLER: #rq::__private::Handler =
                #rq::__private::Handler { name: #ident::NAME, params: &[], run: #run };
        }
    })
}

/// Whether the function wants the context first. Of the other parameter's type rustc says whether it is `End`.
fn takes_context(declaration: &Declaration) -> Result<bool> {
    let signature = &declaration.signature;
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &signature.generics,
            "a callback has one name, so it cannot be generic",
        ));
    }
    if declaration.body.is_none() {
        return Err(Error::new_spanned(
            signature,
            "a callback needs a body; a program that has none names it: `Callback::to(\"alerts.page\")`",
        ));
    }
    let mut types = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Typed(input) => types.push(&*input.ty),
            FnArg::Receiver(receiver) => {
                return Err(Error::new_spanned(
                    receiver,
                    "a callback is a free function: the worker has no `self` to give it",
                ));
            }
        }
    }
    match types.as_slice() {
        [end] if !is_borrowed(end) => Ok(false),
        [context, end] if is_context(context) && !is_borrowed(end) => Ok(true),
        [] => Err(Error::new_spanned(&signature.ident, PARAMETERS)),
        _ => Err(Error::new_spanned(&signature.inputs, PARAMETERS)),
    }
}

fn is_borrowed(ty: &Type) -> bool {
    matches!(ty, Type::Reference(_))
}

/// The type after the arrow.
fn returns(declaration: &Declaration) -> Result<&Type> {
    match &declaration.signature.output {
        ReturnType::Type(_, returns) => Ok(returns),
        ReturnType::Default => Err(Error::new_spanned(
            &declaration.signature.ident,
            "a callback returns `rq_core::Result<()>`, since it may fail",
        )),
    }
}

fn run(rq: &TokenStream, declaration: &Declaration, takes_context: bool, returns: &Type) -> TokenStream {
    let ident = &declaration.signature.ident;
    // Hygienic, as nothing of the function's own is meant.
    let context = Ident::new("context", Span::mixed_site());
    let end = Ident::new("end", Span::mixed_site());
    let first = takes_context.then(|| quote!(#context,));
    // At the type after the arrow, which is where rustc then says what it should be.
    let outcome = quote_spanned!(returns.span()=> #rq::__private::called_back);
    match declaration.signature.asyncness {
        None => quote! {
            #rq::__private::Run::Callback(|#context, #end| {
                let _ = #context;
                #outcome(#ident(#first #end))
            })
        },
        Some(_) => quote! {
            #rq::__private::Run::AsyncCallback({
                fn run<'a>(#context: &'a #rq::Context, #end: #rq::End) -> #rq::__private::Running<'a> {
                    ::std::boxed::Box::pin(async move {
                        let _ = #context;
                        #outcome(#ident(#first #end).await)
                    })
                }
                run
            })
        },
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn refused(declaration: Declaration) -> Option<String> {
        let name = parse_quote!("alerts.page");
        callback(&quote!(rq_core), &name, &declaration).err().map(|error| error.to_string())
    }

    #[test]
    fn what_is_no_callback_is_refused_in_a_sentence() {
        for (declaration, begins) in [
            (parse_quote! { fn f() -> Result<()> { Ok(()) } }, "a callback takes how the job ended"),
            (
                parse_quote! { fn f(ctx: &Context) -> Result<()> { Ok(()) } },
                "a callback takes how the job ended",
            ),
            (parse_quote! { fn f(end: &End) -> Result<()> { Ok(()) } }, "a callback takes how the job ended"),
            (
                parse_quote! { fn f(end: End, n: u8) -> Result<()> { Ok(()) } },
                "a callback takes how the job ended",
            ),
            (
                parse_quote! { fn f(&self, end: End) -> Result<()> { Ok(()) } },
                "a callback is a free function",
            ),
            (parse_quote! { fn f<T>(end: T) -> Result<()> { Ok(()) } }, "a callback has one name"),
            (parse_quote! { fn f(end: End) -> Result<()>; }, "a callback needs a body"),
            (parse_quote! { fn f(end: End) {} }, "a callback returns `rq_core::Result<()>`"),
        ] {
            let message = refused(declaration).unwrap();
            assert!(message.starts_with(begins), "{message}");
        }
        assert_eq!(refused(parse_quote! { fn f(end: End) -> Result<()> { Ok(()) } }), None);
        assert_eq!(refused(parse_quote! { async fn f(c: &Context, e: End) -> Result<()> { Ok(()) } }), None);
    }
}
