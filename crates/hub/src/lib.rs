//! Registry of live streams: publish, subscribe, packagers, GOP cache, slow-player policy, statistics
