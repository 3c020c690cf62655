//! [`Backoff`]: pauses that grow, with jitter.

use std::time::Duration;

/// Pauses that double up to a longest one. Each is cut by up to a half at random: many that lost the same server are not to
/// come back to it at the same moment.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Pauses of up to `first`, then twice that, up to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest, next: first }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause.mul_f64(1.0 - fraction() / 2.0)
    }

    /// Begins with the first pause again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// At random, from 0 to below 1.
fn fraction() -> f64 {
    // The lower half of a UUID has 62 random bits, of which a double holds 53.
    let (_, random) = uuid::Uuid::new_v4().as_u64_pair();
    (random << 11 >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ() {
        const SECOND: Duration = Duration::from_secs(1);
        let mut backoff = Backoff::new(SECOND, 3 * SECOND);
        for whole in [SECOND, 2 * SECOND, 3 * SECOND, 3 * SECOND] {
            let pause = backoff.pause();
            assert!(pause > whole / 2 - SECOND / 100 && pause <= whole, "{pause:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= SECOND);
        let pauses: Vec<Duration> = (0..9).map(|_| backoff.pause()).collect();
        assert!(pauses[2..].iter().any(|pause| *pause != pauses[1]), "{pauses:?}");
    }
}
