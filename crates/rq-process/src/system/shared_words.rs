//! [`SharedWords`]: numbers that a process shares with those that it forks.

use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::AtomicU64;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::memory::page_bytes;

/// Numbers in memory that a process shares with those that it forks: what one writes, all read. They begin as zeros.
///
/// Nothing is woken by a write, and nobody holds a lock: a process that is killed leaves each number as it was or as it was to
/// be.
#[derive(Debug)]
pub struct SharedWords {
    words: NonNull<AtomicU64>,
    count: usize,
    length_bytes: NonZeroUsize,
}

impl SharedWords {
    /// So many numbers.
    ///
    /// # Errors
    /// If the system has no memory for them.
    pub fn new(count: usize) -> io::Result<SharedWords> {
        let length_bytes = whole_pages(count).ok_or(io::ErrorKind::OutOfMemory)?;
        let (access, kind) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
        // SAFETY: without an address the system takes one where nothing is.
        let start = unsafe { mmap_anonymous(None, length_bytes, access, kind) }?;
        Ok(SharedWords { words: start.cast(), count, length_bytes })
    }
}

/// How many bytes the pages have that so many numbers lie in: one page at least, as there is no memory of no length.
fn whole_pages(count: usize) -> Option<NonZeroUsize> {
    let page_bytes = usize::try_from(page_bytes()).ok()?;
    let bytes = count.max(1).checked_mul(size_of::<AtomicU64>())?.checked_next_multiple_of(page_bytes)?;
    // What Rust allows of any one object.
    NonZeroUsize::new(bytes).filter(|bytes| isize::try_from(bytes.get()).is_ok())
}

impl Deref for SharedWords {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the memory is as long, begins at a page, may be read and written to, and stays until this is dropped. Zeros
        // are valid numbers. Other processes write to it as this one does, by atomic operations alone: the mapping has no
        // name, so that only those have it that were forked.
        unsafe { slice::from_raw_parts(self.words.as_ptr(), self.count) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: the memory was mapped with this length, and nobody of this process can hold a reference any more. Other
        // processes keep theirs.
        let _ = unsafe { munmap(self.words.cast(), self.length_bytes.get()) };
    }
}

// SAFETY: it owns its memory, which belongs to no thread.
unsafe impl Send for SharedWords {}
// SAFETY: a reference to it gives references to atomic numbers, which may be shared, and nothing else.
unsafe impl Sync for SharedWords {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn words_begin_as_zeros_and_keep_what_is_written() {
        for count in [0, 1, 511, 512, 513, 100_000] {
            let words = SharedWords::new(count).unwrap();
            assert_eq!(words.len(), count);
            assert!(words.iter().all(|word| word.load(Ordering::Relaxed) == 0), "{count}");
            for (word, value) in words.iter().zip(1..) {
                word.store(value, Ordering::Relaxed);
            }
            assert!(words.iter().zip(1..).all(|(word, value)| word.load(Ordering::Relaxed) == value));
        }
    }

    #[test]
    fn threads_share_words() {
        let words = SharedWords::new(1).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        words[0].fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(words[0].load(Ordering::Relaxed), 4000);
    }

    #[test]
    fn more_than_there_can_be_is_refused() {
        for count in [usize::MAX, usize::MAX / 8, usize::MAX / 16 + 1] {
            assert!(SharedWords::new(count).is_err(), "{count}");
        }
    }
}
