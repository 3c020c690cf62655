//! The `#[job]` and `#[callback]` attributes of RQ. Use them through `rq_core::job` and `rq_core::callback`, which
//! document them. `#[both_fronts]` is rq-core's own.

mod attribute;
mod callback;
mod declaration;
mod defaults;
mod expand;
mod fronts;
mod name;

use proc_macro::TokenStream;
use quote::quote;

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
/// #[job("mail.send", queue = "low", timeout = "30s")]     // with what is the same for all its calls
/// fn send(to: String) -> rq_core::Result<()> { .. }
///
/// #[job("billing.send_invoice")]                          // without a body: a contract, for a shared crate
/// pub fn send_invoice(invoice_id: u64, dry_run: bool) -> Receipt;
///
/// #[job(contract::send_invoice)]                          // implements it; rustc compares the signatures
/// fn send_invoice(invoice_id: u64, dry_run: bool) -> rq_core::Result<Receipt> { .. }
/// ```
///
/// Beside the function `add` stands a type `add` with `NAME`, `PARAMS` and `call(..)`, which takes the same arguments
/// and returns a `Call` of what the function's `Result` holds, and `delay(&queue, ..)`, which enqueues that. The worker fills a first parameter of type `&Context`;
/// all others are owned, and both `Serialize` and `Deserialize`. Callers may leave out an `Option`.
///
/// # What is said of all calls
///
/// Behind the name stand options, as in RQ's `@job(queue, timeout=..)`. They are those of `Call`, and `call(..)` sets them,
/// so that what is said of one call has the last word:
///
/// ```
/// use rq_core::{job, secs};
///
/// #[job("mail.send", queue = "low", timeout = "30s", result_ttl = "1h", retry = 3)]
/// fn send(to: String) -> rq_core::Result<()> {
///     # let _ = to;
///     Ok(())
/// }
///
/// let call = send::call("a@b.c".into()).timeout(secs(5));             // 5 s; all else as declared
/// assert_eq!(call.queue_name(), Some("low"));
/// # async fn example(queue: rq_core::Queue, blocking: rq_core::blocking::Queue) -> Result<(), rq_core::Error> {
/// let job = send::delay(&queue, "a@b.c".into()).await?;               // into `low`, over the connection of `queue`
/// let job = send::delay(&blocking, "a@b.c".into())?;                  // the same without a runtime
/// let job = queue.delay(send::call("a@b.c".into()).retry(0)).await?;  // with more options
/// let job = queue.enqueue(send::call("a@b.c".into())).await?;         // into `queue`, whatever the declaration says
/// # Ok(())
/// # }
/// ```
///
/// | option | value | where it is not said |
/// |---|---|---|
/// | `queue` | the queue's name | the one that `delay` is given |
/// | `timeout` | a length of time | the queue's `default_timeout`, 180 s |
/// | `result_ttl` | a length of time | the worker's, 500 s |
/// | `failure_ttl` | a length of time | one year |
/// | `ttl` | a length of time | the job waits as long as it takes |
/// | `retry` | how often, or a `Retry` | none |
/// | `repeat` | how often, or a `Repeat` | none |
/// | `description` | a text | the call itself |
/// | `at_front` | `true` or `false` | `false` |
/// | `codec` | a `Codec` | the queue's |
/// | `on_crash` | `"fail"`, `"requeue"`, or an `OnCrash` | the worker's |
/// | `on_success`, `on_failure`, `on_stopped` | the path of a `#[callback]`, or a `Callback` | none |
///
/// A length of time is a text with a unit, `"30s"`, `"5m"`, `"1h"` or `"1d"`; a number of seconds; an expression of a type
/// that the method of `Call` takes; and, of all but `ttl`, `"forever"`, or RQ's -1. Expressions are evaluated with each
/// call. An implementation takes the options of its contract.
///
/// # What does not compile
///
/// An option that there is not, or a value that it cannot have:
/// ```compile_fail
/// #[rq_core::job("math.add", timeuot = "30s")]
/// fn add(x: i64, y: i64) -> rq_core::Result<i64> { Ok(x + y) }
/// ```
/// ```compile_fail
/// #[rq_core::job("math.add", timeout = "30 parsecs")]
/// fn add(x: i64, y: i64) -> rq_core::Result<i64> { Ok(x + y) }
/// ```
/// ```compile_fail
/// #[rq_core::job("math.add", timeout = 0)]
/// fn add(x: i64, y: i64) -> rq_core::Result<i64> { Ok(x + y) }
/// ```
/// ```compile_fail
/// #[rq_core::job("math.add", queue = "high,low")]
/// fn add(x: i64, y: i64) -> rq_core::Result<i64> { Ok(x + y) }
/// ```
/// ```compile_fail
/// #[rq_core::job("math.add", retry = "often")]
/// fn add(x: i64, y: i64) -> rq_core::Result<i64> { Ok(x + y) }
/// ```
/// Options on an implementation, which producers would not see:
/// ```compile_fail
/// mod contract {
///     #[rq_core::job("billing.send")]
///     pub fn send(invoice_id: u64) -> bool;
/// }
/// #[rq_core::job(contract::send, queue = "low")]
/// fn send(invoice_id: u64) -> rq_core::Result<bool> { Ok(invoice_id > 0) }
/// ```
/// A job that is no `Result`, since a job has to be able to fail:
/// ```compile_fail
/// #[rq_core::job("math.add")]
/// fn add(x: i64, y: i64) -> i64 { x + y }
/// ```
/// A borrowed argument, since nobody would own it:
/// ```compile_fail
/// #[rq_core::job("text.shout")]
/// fn shout(text: &str) -> rq_core::Result<String> { Ok(text.to_uppercase()) }
/// ```
/// A context by value, since the worker only lends it:
/// ```compile_fail
/// #[rq_core::job("text.shout")]
/// fn shout(ctx: rq_core::Context, text: String) -> rq_core::Result<String> { Ok(text.to_uppercase()) }
/// ```
/// A name that Python could not call:
/// ```compile_fail
/// #[rq_core::job("math add")]
/// fn add(x: i64, y: i64) -> rq_core::Result<i64> { Ok(x + y) }
/// ```
/// An implementation whose types, or names of parameters, are not its contract's:
/// ```compile_fail
/// mod contract {
///     #[rq_core::job("billing.send")]
///     pub fn send(invoice_id: u64) -> bool;
/// }
/// #[rq_core::job(contract::send)]
/// fn send(id: u64) -> rq_core::Result<bool> { Ok(id > 0) }
/// ```
/// Listing a contract, which cannot run:
/// ```compile_fail
/// #[rq_core::job("billing.send")]
/// pub fn send(invoice_id: u64) -> bool;
/// let _ = rq_core::handlers![send];
/// ```
#[proc_macro_attribute]
pub fn job(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expanded(quote!(::rq_core), attribute, item)
}

/// [`job`](macro@job) for programs that depend on `rq-cli` alone, which exports it under that name.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn job_by_rq_cli(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expanded(quote!(::rq_cli::__private::rq_core), attribute, item)
}

fn expanded(rq: proc_macro2::TokenStream, attribute: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = syn::parse(attribute)
        .and_then(|attribute| Ok((attribute, syn::parse(item)?)))
        .and_then(|(attribute, declaration)| expand::job(&rq, &attribute, &declaration));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a function a callback: something that a worker calls when a job has ended.
///
/// ```ignore
/// /// Tells whoever is on duty.
/// #[callback("alerts.page")]                              // the name on the wire, written, never derived
/// fn page(ctx: &Context, end: End) -> rq_core::Result<()> { .. }
///
/// #[callback("reports.publish")]                          // without a context; async works the same
/// async fn publish(end: End) -> anyhow::Result<()> { .. }
///
/// let call = monthly::call(2026).on_failure(page::callback().timeout(secs(5))).on_success(publish::callback());
/// let handlers = handlers![monthly, page, publish];       // the worker has to know them, as it does jobs
/// ```
///
/// Beside the function `page` stands a type `page` with `NAME` and `callback()`, a `Callback` for `on_success`,
/// `on_failure` and `on_stopped` of a `Call`. A job that Python has enqueued calls it by its name as well.
///
/// # What does not compile
///
/// A callback that is no `Result`, since it may fail:
/// ```compile_fail
/// #[rq_core::callback("alerts.page")]
/// fn page(end: rq_core::End) {}
/// ```
/// One with a value, which nobody would read:
/// ```compile_fail
/// #[rq_core::callback("alerts.page")]
/// fn page(end: rq_core::End) -> rq_core::Result<i64> { Ok(1) }
/// ```
/// One that is not told how the job ended, or is told more:
/// ```compile_fail
/// #[rq_core::callback("alerts.page")]
/// fn page(ctx: &rq_core::Context) -> rq_core::Result<()> { Ok(()) }
/// ```
/// ```compile_fail
/// #[rq_core::callback("alerts.page")]
/// fn page(end: rq_core::End, number: i64) -> rq_core::Result<()> { Ok(()) }
/// ```
/// One that takes something else for the end:
/// ```compile_fail
/// #[rq_core::callback("alerts.page")]
/// fn page(end: String) -> rq_core::Result<()> { Ok(()) }
/// ```
/// A name that is no dotted path:
/// ```compile_fail
/// #[rq_core::callback("alerts page")]
/// fn page(end: rq_core::End) -> rq_core::Result<()> { Ok(()) }
/// ```
#[proc_macro_attribute]
pub fn callback(attribute: TokenStream, item: TokenStream) -> TokenStream {
    callback_expanded(quote!(::rq_core), attribute, item)
}

/// [`callback`](macro@callback) for programs that depend on `rq-cli` alone, which exports it under that name.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn callback_by_rq_cli(attribute: TokenStream, item: TokenStream) -> TokenStream {
    callback_expanded(quote!(::rq_cli::__private::rq_core), attribute, item)
}

fn callback_expanded(rq: proc_macro2::TokenStream, attribute: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = syn::parse(attribute)
        .and_then(|name| Ok((name, syn::parse(item)?)))
        .and_then(|(name, declaration)| callback::callback(&rq, &name, &declaration));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Writes a module twice: as it stands, for programs with a runtime, and as `blocking`, for programs without one.
///
/// ```
/// #[rq_macros::both_fronts]
/// mod asynchronous {
///     pub async fn double(x: i64) -> i64 {
///         times_async(2, x).await
///     }
///     async fn times_async(x: i64, y: i64) -> i64 {
///         x * y
///     }
/// }
/// # fn main() {
/// let _future = asynchronous::double(2);
/// assert_eq!(blocking::double(2), 4);
/// # }
/// ```
///
/// In the copy there is no `async` and no `.await`; what has the module's name, or comes from modules of that name, is
/// called `blocking`; and a name that ends in `_async` does not. Its documentation is changed in the same way: examples
/// lose `async fn` and `.await`, and `crate::Queue`, with `JobHandle` and `Registry` and with `rq_core` as well,
/// becomes `crate::blocking::Queue`.
///
/// All that the two differ in otherwise lies outside of the module, under one name for both.
#[proc_macro_attribute]
pub fn both_fronts(_: TokenStream, module: TokenStream) -> TokenStream {
    fronts::both(module.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
