//! Probes as tests need them.

use std::time::Duration;

use crate::container::Container;
use crate::probe::{Audio, Kind, Probe, Ratio, Track, Transfer, Video};

pub(crate) fn probe(tracks: &[Track]) -> Probe {
    let tracks = tracks.to_vec();
    let (container, duration) = (Container::Mp4, Duration::from_secs(8));
    Probe { container, size: 1 << 20, start: 0.0, duration, bit_rate: 1 << 20, tracks }
}

pub(crate) fn video(codec: &str, width: u32, height: u32) -> Track {
    let ratio = |num, den| Ratio::new(num, den).unwrap();
    let kind = Kind::Video(Video {
        width,
        height,
        quarter_turns: 0,
        pixel_aspect: ratio(1, 1),
        frame_rate: Ratio::new(30, 1),
        base_rate: Ratio::new(30, 1),
        pixel_format: Some("yuv420p".to_owned()),
        bit_depth: 8,
        transfer: Transfer::Sdr,
        interlaced: false,
    });
    track(codec, ratio(1, 90_000), kind)
}

pub(crate) fn audio(codec: &str) -> Track {
    track(codec, Ratio::new(1, 48_000).unwrap(), Kind::Audio(Audio { channels: 2, sample_rate: 48_000 }))
}

fn track(codec: &str, time_base: Ratio, kind: Kind) -> Track {
    Track {
        index: 0,
        codec: codec.to_owned(),
        codecs: None,
        profile: None,
        bit_rate: None,
        language: None,
        start: 0.0,
        duration: None,
        time_base,
        default: false,
        kind,
    }
}

impl Track {
    pub(crate) fn kind_video(&mut self) -> &mut Video {
        let Kind::Video(video) = &mut self.kind else { panic!("no video") };
        video
    }

    pub(crate) fn kind_audio(&mut self) -> &mut Audio {
        let Kind::Audio(audio) = &mut self.kind else { panic!("no audio") };
        audio
    }
}
