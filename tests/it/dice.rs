//! [`Dice`]: what rigs choose by, and how large they are.

use rq_core::Timestamp;

/// `full` for a whole rig; else a small sample of it, or the cases it names.
pub(crate) const RIG: &str = "RQ_RIG";
/// The number that a run's choices come from; a fresh one unless told.
pub(crate) const SEED: &str = "RQ_RIG_SEED";

/// Numbers that are as good as random, and the same for the same seed (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// So many of them, or all if there are fewer.
    pub(crate) fn draw<T>(&mut self, mut from: Vec<T>, count: usize) -> Vec<T> {
        let count = count.min(from.len());
        (0..count).map(|_| from.swap_remove(self.below(from.len() as u64) as usize)).collect()
    }
}

/// Whether all of a rig is asked for.
pub(crate) fn is_full() -> bool {
    std::env::var(RIG).is_ok_and(|size| size == "full")
}

/// The seed that is asked for, or a fresh one. To be printed: it repeats the run.
pub(crate) fn seed() -> u64 {
    let fresh = Timestamp::now().epoch_us().unsigned_abs();
    std::env::var(SEED).map_or(fresh, |seed| seed.parse().expect("a seed is a number"))
}
