//! The commands: one file each, with its `Args` and its `run`.

pub(crate) mod config;
pub(crate) mod config_show;
pub(crate) mod cron;
pub(crate) mod cron_entry;
pub(crate) mod cron_list;
pub(crate) mod dev;
pub(crate) mod empty;
pub(crate) mod enqueue;
pub(crate) mod group;
pub(crate) mod info;
pub(crate) mod manager;
pub(crate) mod manager_order;
pub(crate) mod requeue;
pub(crate) mod resume;
pub(crate) mod suspend;
pub(crate) mod worker;
pub(crate) mod worker_pool;
pub(crate) mod worker_stop;
