//! The dispatcher: claims, settles and heartbeats, whatever runs the jobs.
