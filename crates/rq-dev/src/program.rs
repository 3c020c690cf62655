//! Programs that are here: those that `PATH` leads to.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Servers that speak Redis, in the order we look for them.
const REDIS_SERVERS: [&str; 2] = ["redis-server", "valkey-server"];
const ANYBODY_MAY_EXECUTE: u32 = 0o111;

/// Where `PATH` has a program of this name.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| is_executable(file))
}

/// A Redis server, of whichever make.
pub fn find_redis_server() -> Option<PathBuf> {
    REDIS_SERVERS.iter().find_map(|name| find(name))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & ANYBODY_MAY_EXECUTE != 0)
}
