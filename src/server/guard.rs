//! A panic ends one session and nothing else.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use super::log;

thread_local! {
    /// The session that this thread works for.
    static SESSION: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes each later panic one line in the log, with the id of the session that it ends.
pub(super) fn log_panics() {
    panic::set_hook(Box::new(log_panic));
}

fn log_panic(panicked: &PanicHookInfo<'_>) {
    let session = SESSION
        .with(|session| session.try_borrow().map_or_else(|_| String::new(), |id| id.clone()));
    let thread = std::thread::current();
    let who =
        if session.is_empty() { thread.name().unwrap_or("a thread").to_owned() } else { session };
    let place = panicked.location().map_or_else(String::new, ToString::to_string);
    log::panicked(&who, &place, panicked.payload_as_str().unwrap_or(""));
}

/// The future's result, or `None` if it panicked. It is not polled after that.
pub(super) async fn guard<T>(
    session: &str,
    mut future: Pin<Box<impl Future<Output = T> + ?Sized>>,
) -> Option<T> {
    poll_fn(|context| {
        let called = |id: &str| SESSION.with(|session| session.replace(id.to_owned()));
        let before = called(session);
        // What sessions share is in locks and atomics, which a panic leaves consistent.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        called(&before);
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(done)) => Poll::Ready(Some(done)),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_where_the_session_was_and_others_go_on() {
        async_io::block_on(async {
            let broken = Box::pin(async {
                futures_lite::future::yield_now().await;
                assert_eq!(SESSION.with(|session| session.borrow().clone()), "00af");
                panic!("broken");
            });
            assert_eq!(guard("00af", broken).await, None::<()>);
            assert_eq!(guard("00b0", Box::pin(async { 7 })).await, Some(7));
            assert_eq!(SESSION.with(|session| session.borrow().clone()), "");
        });
    }
}
