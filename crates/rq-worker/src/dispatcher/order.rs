//! [`QueueOrder`]: in which order a claim serves the queues.

use crate::options::DequeueStrategy;

/// In which order a claim serves the queues (docs/cli.md §2, `--dequeue-strategy`).
pub(crate) struct QueueOrder {
    strategy: DequeueStrategy,
    queues: Vec<String>,
}

impl QueueOrder {
    pub(crate) fn new(strategy: DequeueStrategy, queues: Vec<String>) -> QueueOrder {
        let mut order = QueueOrder { strategy, queues };
        order.advance(None);
        order
    }

    /// The queues for the next claim, the first ones first.
    pub(crate) fn queues(&self) -> &[String] {
        &self.queues
    }

    /// The most jobs that one queue gives before the next one's turn; 0 for all it has.
    pub(crate) fn per_turn(&self) -> usize {
        match self.strategy {
            DequeueStrategy::Default => 0,
            DequeueStrategy::RoundRobin | DequeueStrategy::Random => 1,
        }
    }

    /// Orders the queues anew after a claim whose last job came from `last`.
    pub(crate) fn advance(&mut self, last: Option<&str>) {
        match self.strategy {
            DequeueStrategy::Default => {}
            DequeueStrategy::RoundRobin => {
                let served = last.and_then(|last| self.queues.iter().position(|queue| queue == last));
                self.queues.rotate_left(served.map_or(0, |served| served + 1));
            }
            DequeueStrategy::Random => shuffle(&mut self.queues),
        }
    }
}

fn shuffle(queues: &mut [String]) {
    for end in (1..queues.len()).rev() {
        let random = uuid::Uuid::new_v4().as_u128() as usize;
        queues.swap(end, random % (end + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(strategy: DequeueStrategy) -> QueueOrder {
        QueueOrder::new(strategy, ["a", "b", "c"].map(str::to_owned).to_vec())
    }

    #[test]
    fn the_default_order_stays() {
        let mut order = order(DequeueStrategy::Default);
        order.advance(Some("b"));
        assert_eq!((order.queues().concat(), order.per_turn()), ("abc".to_owned(), 0));
    }

    #[test]
    fn a_served_queue_goes_to_the_end() {
        let mut order = order(DequeueStrategy::RoundRobin);
        for (last, queues) in
            [(Some("b"), "cab"), (None, "cab"), (Some("c"), "abc"), (Some("elsewhere"), "abc")]
        {
            order.advance(last);
            assert_eq!(order.queues().concat(), queues);
        }
    }

    #[test]
    fn a_random_order_has_every_queue_first_at_times() {
        let mut order = order(DequeueStrategy::Random);
        let mut firsts = std::collections::BTreeSet::new();
        for _ in 0..200 {
            order.advance(None);
            firsts.insert(order.queues()[0].clone());
        }
        assert_eq!(firsts.len(), 3);
    }
}
