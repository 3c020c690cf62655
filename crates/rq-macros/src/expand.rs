//! What `#[job]` writes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Result};

use crate::attribute::Attribute;
use crate::declaration::{Declaration, Parameters};
use crate::name::Identity;

/// The function if it has a body, the type beside it, and the code that runs it. `rq` is the path of `rq-core` in the
/// crate that uses the attribute.
pub(crate) fn job(rq: &TokenStream, attribute: &Attribute, declaration: &Declaration) -> Result<TokenStream> {
    let Attribute { identity, .. } = attribute;
    let parameters = declaration.parameters()?;
    let beside = type_beside(rq, attribute, declaration, &parameters)?;
    if declaration.body.is_none() {
        // No function and no `Perform`: who shares the declaration can enqueue the job and not run it.
        return contract(identity, declaration, &parameters).map(|()| beside);
    }
    let function = declaration.function();
    let perform = perform(rq, declaration, &parameters);
    let fits = match identity {
        Identity::Contract(path) => fits(rq, path, declaration, &parameters)?,
        Identity::Name(_) => TokenStream::new(),
    };
    Ok(quote!(#function #beside #perform #fits))
}

/// A declaration without a body says what a call brings and yields; only an implementation sees a context.
fn contract(identity: &Identity, declaration: &Declaration, parameters: &Parameters<'_>) -> Result<()> {
    let signature = &declaration.signature;
    if let Identity::Contract(path) = identity {
        return Err(Error::new_spanned(path, "an implementation of a contract needs a body"));
    }
    if signature.asyncness.is_some() || parameters.takes_context {
        return Err(Error::new_spanned(
            signature,
            "a contract names arguments and value only; `async` and `&Context` belong to its implementation",
        ));
    }
    Ok(())
}

fn type_beside(
    rq: &TokenStream,
    attribute: &Attribute,
    declaration: &Declaration,
    parameters: &Parameters<'_>,
) -> Result<TokenStream> {
    let Attribute { identity, defaults } = attribute;
    let Declaration { visibility, signature, .. } = declaration;
    let (name, ident, beside) = (identity.name(), &signature.ident, declaration.type_beside());
    let Parameters { names, types, .. } = parameters;
    let params = names.iter().map(|name| name.to_string());
    let yields = yields(rq, declaration)?;
    // Those of a contract are set once, in the contract's own `call`.
    let call = match identity {
        Identity::Name(_) => {
            let options = defaults.methods(rq)?;
            quote!(#rq::Call::to(Self::NAME)#(.arg(#names))* #options)
        }
        Identity::Contract(path) => quote!(#path::call(#(#names),*)),
    };
    // Hygienic, so that a parameter of the same name is no trouble.
    let queue = Ident::new("queue", Span::mixed_site());
    Ok(quote! {
        #beside

        #[allow(dead_code)]
        impl #ident {
            /// The job's name on the wire.
            #visibility const NAME: &'static str = #name;
            /// The names of its parameters.
            #visibility const PARAMS: &'static [&'static str] = &[#(#params),*];

            /// The call with these arguments and what the declaration says of all calls, to be enqueued.
            #visibility fn call(#(#names: #types),*) -> #rq::Call<#yields> {
                #call
            }

            /// Enqueues the call in the queue that the declaration names, over the connection and with the settings of
            /// this one; in this one where the declaration names none.
            #visibility fn delay<'a, Q: #rq::__private::Delays>(
                #queue: &'a Q,
                #(#names: #types),*
            ) -> Q::Delayed<'a, #yields> {
                #rq::__private::Delays::delay_call(#queue, Self::call(#(#names),*))
            }
        }
    })
}

/// What a call yields: the declared type of a contract, the value of an implementation's `Result`.
fn yields(rq: &TokenStream, declaration: &Declaration) -> Result<TokenStream> {
    let returns = declaration.returns()?;
    Ok(match declaration.body {
        None => returns.to_token_stream(),
        Some(_) => quote_spanned!(returns.span()=> <#returns as #rq::__private::Returns>::Yields),
    })
}

fn perform(rq: &TokenStream, declaration: &Declaration, parameters: &Parameters<'_>) -> TokenStream {
    let ident = &declaration.signature.ident;
    let Parameters { takes_context, names, types } = parameters;
    // Hygienic, so that parameters of the same names are no trouble.
    let context = Ident::new("context", Span::mixed_site());
    let arguments = Ident::new("arguments", Span::mixed_site());
    let params = names.iter().map(|name| name.to_string());
    let take = quote!(#(let #names: #types = #arguments.take(#params)?;)*);
    let first = takes_context.then(|| quote!(#context,));
    // What is written uses both names once: a handler without parameters would else be warned of them.
    let run = match declaration.signature.asyncness {
        None => quote! {
            #rq::__private::Run::Sync(|#context, mut #arguments| {
                let _ = (&#context, &mut #arguments);
                #take
                #rq::__private::Returns::outcome(#ident(#first #(#names),*))
            })
        },
        Some(_) => quote! {
            #rq::__private::Run::Async({
                fn run<'a>(
                    #context: &'a #rq::Context,
                    mut #arguments: #rq::__private::Arguments,
                ) -> #rq::__private::Running<'a> {
                    ::std::boxed::Box::pin(async move {
                        let _ = (&#context, &mut #arguments);
                        #take
                        #rq::__private::Returns::outcome(#ident(#first #(#names),*).await)
                    })
                }
                run
            })
        },
    };
    quote! {
        impl #rq::Perform for #ident {
            const HANDLER: #rq::__private::Handler =
                #rq::__private::Handler { name: #ident::NAME, params: #ident::PARAMS, run: #run };
        }
    }
}

/// Has rustc compare an implementation with its contract.
fn fits(
    rq: &TokenStream,
    path: &syn::Path,
    declaration: &Declaration,
    parameters: &Parameters<'_>,
) -> Result<TokenStream> {
    let ident = &declaration.signature.ident;
    let types = &parameters.types;
    let yields = yields(rq, declaration)?;
    // At the function's name, which is where rustc then says that the two differ.
    Ok(quote_spanned! {ident.span()=>
        const _: fn(#(#types),*) -> #rq::Call<#yields> = #path::call;
        const _: () = ::core::assert!(
            #rq::__private::same_params(#path::PARAMS, #ident::PARAMS),
            "the parameters are named differently in the contract, and callers may pass them by name",
        );
    })
}
