//! Redis wherever it is: what a URL says, secured, watched by sentinels, spread over a cluster.
//!
//! | file | asks |
//! |---|---|
//! | `urls` | whether redis-py still reads URLs as our table says, and what the command line makes of bad ones |
//! | `secured` | TLS, with whom it is agreed to and with whom refused |
//! | `sentinels` | whether the master is found, and found again |
//! | `clusters` | failover and slot migration under load, several prefixes, and none that may be used |
//! | `load` | work under way meanwhile, and whether all of it was done once |

mod clusters;
mod load;
mod secured;
mod sentinels;
mod urls;
