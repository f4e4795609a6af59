//! How much of the machine the server uses: threads, and connections by the file descriptors.

use std::num::NonZero;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::log;
use crate::config::Config;

/// The most file descriptors that are kept for the store: for commits and spools.
const STORE_DESCRIPTORS: u64 = 4096;

/// How many threads serve clients, the reactor's among them. With as many as there are processors
/// each command would wake another thread and wait for one that the store needs.
pub(super) fn threads(config: &Config) -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    config.worker_threads.min(processors / 2).max(1)
}

/// The cap on all connections: the configured one, or what the descriptors allow. Half of the
/// descriptors, but no more than the store can use, are kept for the store.
pub(super) fn connections_max(config: &Config) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised =
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    if let Err(error) = raised {
        log::descriptors_not_raised(error);
    }
    let Some(descriptors) = getrlimit(Resource::Nofile).current else {
        return config.connections_max;
    };
    let most = usize::try_from(descriptors - (descriptors / 2).min(STORE_DESCRIPTORS))
        .unwrap_or(usize::MAX);
    if most < config.connections_max {
        log::few_descriptors(config.connections_max, most, descriptors);
    }
    config.connections_max.min(most)
}
