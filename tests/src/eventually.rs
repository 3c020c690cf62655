//! Waiting for what can only be asked for.

use std::time::{Duration, Instant};

/// How often the question is put.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Asks until there is an answer, and returns it. `what` names it in the message: "the job to be finished".
///
/// For conditions that only Redis shows. Where the program under test says a line, wait for that line instead
/// ([`Child::wait_for_line`](crate::Child::wait_for_line)).
///
/// # Panics
/// When there is no answer within `limit`.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for {what}");
        std::thread::sleep(ASK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_until_there_is_an_answer() {
        let mut questions = 0;
        let answer = eventually("the third question", Duration::from_secs(10), || {
            questions += 1;
            (questions == 3).then_some("yes")
        });
        assert_eq!(answer, "yes");
    }

    #[test]
    #[should_panic(expected = "in vain for a miracle")]
    fn it_gives_up_and_says_what_it_waited_for() {
        eventually("a miracle", Duration::from_millis(1), || None::<()>);
    }
}
