//! Runs jobs on a pool of threads.
