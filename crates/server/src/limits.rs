//! File descriptors: each connection needs one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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

fn most(limit: Option<u64>) -> u64 {
    limit.unwrap_or(u64::MAX)
}

/// Files that are open for other than connections: listeners, timers, the log, pipes to FFmpeg.
const RESERVE: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_the_rest() {
        assert_eq!(connections(1024, 100_000), 896);
        assert_eq!(connections(1_048_576, 100_000), 100_000);
        assert_eq!(connections(10, 100_000), 1);
        assert_eq!(connections(u64::MAX, 7), 7);
    }
}
