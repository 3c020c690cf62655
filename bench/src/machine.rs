//! What the figures were taken on.

use std::fs;

use anyhow::Result;
use serde::Serialize;

use crate::stage::Stage;

/// A machine, and its Redis.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) memory_gb: u64,
    pub(crate) kernel: String,
    pub(crate) redis: String,
}

pub(crate) fn describe(stage: &mut Stage) -> Result<Machine> {
    let info: redis::InfoDict = redis::cmd("INFO").arg("server").query(&mut stage.redis)?;
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory_kb: u64 = value_of(&memory, "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(Machine {
        cores: std::thread::available_parallelism()?.get(),
        processor: value_of(&processors, "model name").to_owned(),
        memory_gb: memory_kb.div_ceil(1 << 20),
        kernel: kernel.trim().split('-').next().unwrap_or_default().to_owned(),
        redis: info.get("redis_version").unwrap_or_default(),
    })
}

impl Machine {
    /// In one line.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} cores ({}), {} GB, Linux {}, Redis {} on the same machine",
            self.cores, self.processor, self.memory_gb, self.kernel, self.redis
        )
    }
}

/// What stands behind `name` and a colon.
fn value_of<'a>(text: &'a str, name: &str) -> &'a str {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    value.unwrap_or("unknown").trim()
}
