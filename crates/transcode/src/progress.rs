//! How far FFmpeg is, as it says with `-progress`: lines of `key=value`, a block of them about each second.

use std::time::Duration;

/// How far a transcode or remux is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// Of the video's time, how much is done.
    pub time: Duration,
    /// The same as a share of the whole: 0 to 1.
    pub fraction: f64,
    /// How many times faster than it plays; 0 where it is not known yet.
    pub speed: f64,
}

/// Reads the lines. What it does not know it passes over.
#[derive(Debug)]
pub(crate) struct Reader {
    whole: Duration,
    line: Vec<u8>,
    at: Progress,
    /// Rises with anything that is a sign of life.
    work: [u64; 3],
}

/// What has come of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct News {
    /// A block has ended: there is something to tell.
    pub(crate) told: bool,
    /// Something has moved since the last bytes.
    pub(crate) moved: bool,
}

impl Reader {
    /// Of a video that lasts `whole`.
    pub(crate) fn new(whole: Duration) -> Self {
        Self { whole, line: Vec::new(), at: Progress::default(), work: [0; 3] }
    }

    pub(crate) fn at(&self) -> Progress {
        self.at
    }

    /// Whether anything was done at all.
    pub(crate) fn has_moved(&self) -> bool {
        self.work[0] > 0 || self.work[2] > 0
    }

    /// Takes bytes as they come.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> News {
        let mut news = News::default();
        for &byte in bytes {
            if byte != b'\n' {
                if self.line.len() < MAX_LINE {
                    self.line.push(byte);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            self.take(&String::from_utf8_lossy(&line), &mut news);
        }
        news
    }

    fn take(&mut self, line: &str, news: &mut News) {
        let Some((key, value)) = line.trim().split_once('=') else { return };
        let value = value.trim();
        let count = || value.parse::<u64>().ok();
        match key {
            "frame" => self.work(0, count(), news),
            "total_size" => self.work(1, count(), news),
            "out_time_us" => {
                self.work(2, count(), news);
                self.at.time = count().map_or(self.at.time, Duration::from_micros);
                let whole = self.whole.as_secs_f64();
                self.at.fraction = if whole > 0.0 { (self.at.time.as_secs_f64() / whole).min(1.0) } else { 0.0 };
            }
            "speed" => {
                let speed = value.trim_end_matches('x').parse().ok().filter(|s: &f64| s.is_finite() && *s >= 0.0);
                self.at.speed = speed.unwrap_or(0.0);
            }
            "progress" => news.told = true,
            _ => {}
        }
    }

    fn work(&mut self, what: usize, now: Option<u64>, news: &mut News) {
        if now.is_some_and(|now| now > self.work[what]) {
            self.work[what] = now.unwrap_or_default();
            news.moved = true;
        }
    }
}

const MAX_LINE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str =
        "frame=50\nfps=0.0\nout_time_us=2000000\nout_time=00:00:02.000000\nspeed= 1.5x\nprogress=continue\n";

    #[test]
    fn a_block_tells_how_far_it_is_however_its_bytes_come() {
        let expected = Progress { time: Duration::from_secs(2), fraction: 0.5, speed: 1.5 };
        for size in [1, 7, 1000] {
            let mut reader = Reader::new(Duration::from_secs(4));
            let news: Vec<_> = BLOCK.as_bytes().chunks(size).map(|chunk| reader.read(chunk)).collect();
            assert_eq!(reader.at(), expected);
            assert_eq!(news.iter().filter(|n| n.told).count(), 1);
            assert!(news.iter().any(|n| n.moved));
        }
    }

    #[test]
    fn standing_still_is_no_movement() {
        let mut reader = Reader::new(Duration::from_secs(4));
        assert_eq!(reader.read(BLOCK.as_bytes()), News { told: true, moved: true });
        assert_eq!(reader.read(BLOCK.as_bytes()), News { told: true, moved: false });
    }

    #[test]
    fn nonsense_changes_nothing_and_is_bounded() {
        let mut reader = Reader::new(Duration::ZERO);
        reader.read(b"out_time_us=N/A\nspeed=N/A\nspeed=NaNx\n=\nout_time_us=-5\n");
        assert_eq!(reader.at(), Progress::default());
        reader.read(&[b'x'; 100_000]);
        assert_eq!(reader.line.len(), MAX_LINE);
        reader.read(b"\nout_time_us=9000000000000000000\n");
        assert_eq!(reader.at().fraction, 0.0, "of no time there is no share");
    }
}
