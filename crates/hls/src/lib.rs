//! HLS segmenter and playlists, sans-IO
