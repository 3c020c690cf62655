//! What the system's allocator keeps of what jobs have freed, given back to the system.

#![allow(unsafe_code, reason = "the only module of this crate that may; each block says why it holds")]

use std::hint::black_box;

/// From how many bytes on a block is a map of its own, which is given back when it is freed, and how many free bytes
/// may lie at the end of a heap. Left alone, glibc raises both to the largest block that was ever freed, up to 32 and
/// 64 MB, and keeps as much for each of its heaps, of which there are eight a processor.
#[cfg(target_env = "gnu")]
const KEPT_BYTES_MAX: i32 = 256 << 10;
/// As much as makes glibc look at the end of the heap when it is freed (`FASTBIN_CONSOLIDATION_THRESHOLD`), and less
/// than makes it a map.
const LOOK_BYTES: usize = 80 << 10;

/// Has the allocator keep little of what is freed, in a process that is a worker's alone; unless its operator has
/// decided otherwise (mallopt(3)).
pub(crate) fn keep_little() {
    #[cfg(target_env = "gnu")]
    {
        const OPERATORS: [&str; 3] = ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"];
        if OPERATORS.iter().any(|name| std::env::var_os(name).is_some()) {
            return;
        }
        // SAFETY: each call sets one number under the allocator's own lock, at any time; blocks that are in use stay as
        // they are. Another global allocator than the system's is not concerned.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT_BYTES_MAX);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES_MAX);
        }
    }
}

/// Gives back what lies free at the end of this thread's own heap, which [`give_back`] leaves alone.
pub(crate) fn give_back_own() {
    drop(black_box(Vec::<u8>::with_capacity(LOOK_BYTES)));
}

/// Gives back what lies free between blocks that are in use, in all heaps. Takes about a millisecond for each ten
/// megabytes. Does nothing where the allocator has no such call.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call changes no memory that is in use, and takes the locks that it needs itself (malloc_trim(3)). A
    // program with another global allocator has little in these heaps, and loses nothing either.
    unsafe {
        libc::malloc_trim(0);
    }
}
