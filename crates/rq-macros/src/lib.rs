//! The `#[job]` attribute of RQ. Use it through `rq_core::job`, which documents it.

mod declaration;
mod expand;
mod name;

use proc_macro::TokenStream;

/// Makes a function a job: callable as ever, enqueueable by its type, runnable by workers.
///
/// ```ignore
/// /// Adds two numbers.
/// #[job("math.add")]                                      // the name on the wire, written, never derived
/// pub fn add(x: i64, y: i64) -> anyhow::Result<i64> { Ok(x + y) }
///
/// #[job("web.fetch")]                                     // async works the same
/// async fn fetch(ctx: &Context, url: String) -> rq_core::Result<usize> { .. }
///
/// #[job("billing.send_invoice")]                          // without a body: a contract, for a shared crate
/// pub fn send_invoice(invoice_id: u64, dry_run: bool) -> Receipt;
///
/// #[job(contract::send_invoice)]                          // implements it; rustc compares the signatures
/// fn send_invoice(invoice_id: u64, dry_run: bool) -> rq_core::Result<Receipt> { .. }
/// ```
///
/// Beside the function `add` stands a type `add` with `NAME`, `PARAMS` and `call(..)`, which takes the same arguments
/// and gives a `Call` of what the function's `Result` holds. A first parameter of type `&Context` is the worker's to
/// fill; all others are owned, and both `Serialize` and `Deserialize`. Callers may leave out an `Option`.
#[proc_macro_attribute]
pub fn job(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = syn::parse(attribute)
        .and_then(|identity| Ok((identity, syn::parse(item)?)))
        .and_then(|(identity, declaration)| expand::job(&identity, &declaration));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
