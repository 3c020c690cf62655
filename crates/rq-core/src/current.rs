//! The current [`Context`]: that of the job which runs here, for code that is not given it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::OnceLock;

use crate::context::Context;

/// Puts a context in the place of the current one, and returns that.
pub type Swap = fn(Option<Context>) -> Option<Context>;

thread_local! {
    static OF_THIS_THREAD: RefCell<Option<Context>> = const { RefCell::new(None) };
}

static SWAP: OnceLock<Swap> = OnceLock::new();

/// Has the current context kept by `swap`, for jobs that move from thread to thread: by default each thread keeps its
/// own.
///
/// Called before the first job; a second call changes nothing.
#[cfg(feature = "worker")]
pub fn keep_by(swap: Swap) {
    SWAP.get_or_init(|| swap);
}

fn swap(context: Option<Context>) -> Option<Context> {
    match SWAP.get() {
        Some(swap) => swap(context),
        // A thread that ends may ask after its place is gone, in a destructor of its own.
        None => OF_THIS_THREAD.try_with(|place| place.replace(context)).ok().flatten(),
    }
}

/// The context of the job that runs here.
pub(crate) fn current() -> Option<Context> {
    // There is no other way to look at a coroutine's place than to take what lies there.
    let current = swap(None);
    swap(current.clone());
    current
}

/// Runs `f` with `context` as the current one.
pub(crate) fn within<T>(context: &Context, f: impl FnOnce() -> T) -> T {
    let _entered = Entered::new(context);
    f()
}

/// Awaits `future` with `context` as the current one in each of its polls, and while it is dropped.
pub(crate) async fn within_async<F: Future>(context: &Context, future: F) -> F::Output {
    let mut inside = Inside { context, future: Some(Box::pin(future)) };
    // Around each poll, not around all: between two of them other jobs run here, and this one may move to another
    // thread.
    poll_fn(|cx| within(context, || inside.future().poll(cx))).await
}

/// What was current before, which is so again when this is dropped: a job that panics leaves nothing.
struct Entered(Option<Context>);

impl Entered {
    fn new(context: &Context) -> Entered {
        Entered(swap(Some(context.clone())))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        swap(self.0.take());
    }
}

/// A future whose destructors see the context as well: one that is dropped at a time limit cleans up as the job.
struct Inside<'a, F> {
    context: &'a Context,
    /// There until it is dropped.
    future: Option<Pin<Box<F>>>,
}

impl<F> Inside<'_, F> {
    fn future(&mut self) -> Pin<&mut F> {
        self.future.as_mut().expect("it is taken as this is dropped").as_mut()
    }
}

impl<F> Drop for Inside<'_, F> {
    fn drop(&mut self) {
        let future = mem::take(&mut self.future);
        within(self.context, || drop(future));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panics;

    fn id() -> Option<String> {
        Context::current().map(|context| context.execution().x().to_owned())
    }

    #[test]
    fn the_context_is_current_within_and_nowhere_else() {
        let (outer, inner) = (Context::for_test(), Context::for_test());
        let of = |context: &Context| Some(context.execution().x().to_owned());
        assert_eq!(id(), None);
        outer.enter(|| {
            assert_eq!(id(), of(&outer));
            inner.enter(|| assert_eq!(id(), of(&inner)));
            assert_eq!(id(), of(&outer), "an inline job within a job gives it back");
            assert_eq!(std::thread::spawn(id).join().unwrap(), None);
        });
        assert_eq!(id(), None);
        assert!(panics::catch(|| outer.enter(|| panic!("boom"))).is_err());
        assert_eq!(id(), None);
    }

    #[tokio::test]
    async fn two_futures_on_one_thread_have_each_their_own() {
        let told = |context: Context| async move {
            let inside = async {
                let before = id();
                tokio::task::yield_now().await;
                [before, id()]
            };
            let told = context.enter_async(inside).await;
            told.map(|told| told.as_deref() == Some(context.execution().x()))
        };
        assert_eq!(
            tokio::join!(told(Context::for_test()), told(Context::for_test())),
            ([true; 2], [true; 2])
        );
        assert_eq!(id(), None);
    }

    #[test]
    fn a_future_that_is_dropped_half_way_sees_its_context() {
        struct Last<'a>(&'a mut Option<String>);
        impl Drop for Last<'_> {
            fn drop(&mut self) {
                *self.0 = id();
            }
        }
        let (context, mut seen) = (Context::for_test(), None);
        let last = Last(&mut seen);
        let future = context.enter_async(async move {
            let _last = last;
            std::future::pending::<()>().await;
        });
        let mut future = Box::pin(future);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_pending());
        drop(future);
        assert_eq!(seen.as_deref(), Some(context.execution().x()));
    }
}
