//! What the configuration limits, as far as the system has file descriptors: each connection needs one, and counts as so
//! many as it needs (`Port::descriptors`).

use millrace_gateway::admission::{ConnectionLimits, reserve};
use millrace_hub::AddressRange;
use millrace_site::DownloadLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Raises this process's limit of open files as far as it may, and returns it.
pub(crate) fn raise_open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        return most(maximum);
    }
    most(current)
}

/// Files that this process may open after [`raise_open_files`].
pub(crate) fn open_files() -> u64 {
    most(getrlimit(Resource::Nofile).maximum)
}

/// Connections for which `files` descriptors suffice.
pub(crate) fn connections(files: u64, wanted: usize) -> usize {
    let room = usize::try_from(files.saturating_sub(RESERVE)).unwrap_or(usize::MAX);
    wanted.min(room.max(1))
}

/// The limits of downloads that `config` asks for.
pub(crate) fn download_limits(config: &Config) -> DownloadLimits {
    DownloadLimits {
        total: config.limits.downloads.get(),
        per_address: config.limits.downloads_per_address.get(),
        trusted: config.limits.trusted.ranges().to_vec(),
    }
}

/// The limits of connections that `config` asks for, as far as `files` descriptors suffice.
pub(crate) fn connection_limits(config: &Config, files: u64) -> ConnectionLimits {
    let room = connections(files, usize::MAX);
    // What is left for the reserve beyond the total is the reserve of that total.
    let total = config.limits.connections.get::<usize>().min((room / 17 * 16).saturating_sub(reserve(0)).max(1));
    ConnectionLimits {
        total,
        per_address: config.limits.connections_per_address.get(),
        per_second: config.limits.connects_per_second.get(),
        trusted: trusted(config),
    }
}

/// Addresses to which limits of one address do not apply. Those who come through a proxy are many; what they do counts for
/// each, by their own address, where the proxy can say it.
pub(crate) fn trusted(config: &Config) -> Vec<AddressRange> {
    [config.limits.trusted.ranges(), config.http.trusted_proxies.ranges()].concat()
}

fn most(limit: Option<u64>) -> u64 {
    limit.unwrap_or(u64::MAX)
}

/// Files that are open for other than connections: listeners, timers, the log, pipes to FFmpeg, and those that are
/// being refused.
const RESERVE: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_the_rest() {
        assert_eq!(connections(1024, 100_000), 768);
        assert_eq!(connections(1_048_576, 100_000), 100_000);
        assert_eq!(connections(10, 100_000), 1);
        assert_eq!(connections(u64::MAX, 7), 7);
    }

    #[test]
    fn the_reserve_has_its_descriptors() {
        let config = Config::default();
        for files in [300, 1024, 4096, 65_536] {
            let total = connection_limits(&config, files).total;
            assert!((total + reserve(total)) as u64 <= files - RESERVE || total == 1, "{files}: {total}");
        }
        assert_eq!(connection_limits(&config, 1_048_576).total, 100_000);
    }
}
