//! Any file is read or refused: what is read is planned and packaged, and every byte that is to be sent is within the file.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use millrace_mp4::{MAX_PIECE, Movie, Plan, Reader, TARGET_DURATION};

fuzz_target!(|file: &[u8]| {
    let Some(movie) = read(file) else { return };
    for track in movie.tracks() {
        let _ = (track.codec(), track.playback(), track.display_size(), track.rotation(), track.frame_rate());
        let _ = (track.begins(), track.duration(), track.defect().map(ToString::to_string));
    }
    // A sample takes a byte of the file or so, and what is read of it 8 bytes of memory or so.
    assert!(movie.memory() < 64 * file.len() + 4096 * (1 + movie.tracks().len()));
    let _ = movie.duration();
    let Ok(plan) = Plan::new(Arc::new(movie), TARGET_DURATION) else { return };
    for track in plan.tracks() {
        let boundaries: Vec<_> = track.boundaries().collect();
        assert!(!boundaries.is_empty() && boundaries.len() == track.segments());
        assert!(boundaries.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(track.durations().all(|d| !d.is_zero()));
        let _ = (track.init_segment(), track.media_playlist("?token=T"));
        for n in 0..track.segments().min(1000) {
            let segment = track.segment(n).expect("it is one of the plan's");
            assert!(segment.ranges.iter().all(|r| r.start < r.end && r.end <= file.len() as u64));
            let payload: u64 = segment.ranges.iter().map(|r| r.end - r.start).sum();
            assert_eq!(segment.head.len() as u64 + payload, segment.size);
        }
    }
});

fn read(file: &[u8]) -> Option<Movie> {
    let mut reader = Reader::new(file.len() as u64).ok()?;
    while let Some(range) = reader.wants() {
        assert!(range.start < range.end && range.end <= file.len() as u64 && range.end - range.start <= MAX_PIECE);
        reader.feed(range.start, &file[range.start as usize..range.end as usize]).ok()?;
    }
    reader.finish().ok()
}
