//! One rendition as one MP4.
//!
//! Its time line is the source's: each frame keeps its time, tracks keep their distance, and keyframes stand where they are
//! asked for, so that a player may change between renditions at any of them.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::container::Container;
use crate::error::Error;
use crate::ladder::{Rung, Speed, VideoCodec, VideoSettings};
use crate::make::{Job, Made, audio_arguments, seconds};
use crate::probe::{Probe, Ratio, Track, Transfer, Video};
use crate::progress::Progress;
use crate::tools::Ffmpeg;

/// What is made of what.
#[derive(Debug, Clone)]
pub struct Transcode<'a> {
    /// The source.
    pub input: &'a Path,
    /// What was found in it.
    pub probe: &'a Probe,
    /// What is wanted.
    pub rung: &'a Rung,
    /// Where its keyframes are.
    pub keyframes: &'a Keyframes,
    /// Where the result is to be: a name in a directory that exists. While it is made, `.name.part` stands beside it.
    pub output: &'a Path,
}

/// Where keyframes are: there, at the first frame of all, and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keyframes {
    /// At the first frames that are shown at these times or later, ascending, on the time line that is played: that of an
    /// MP4 (with its edit lists), or for other containers the remux's, which begins at 0. More than fit into a command
    /// line (some 10,000) become every keyframe of the source.
    At(Vec<Duration>),
    /// As often as this. At least a millisecond.
    Every(Duration),
}

impl Ffmpeg {
    /// Makes a rendition. Ends FFmpeg and leaves nothing where `cancel` fires, or where the future is dropped.
    ///
    /// # Errors
    /// What [`Error`] says, in words.
    pub async fn transcode(
        &self,
        spec: &Transcode<'_>,
        progress: &watch::Sender<Progress>,
        cancel: &CancellationToken,
    ) -> Result<Made, Error> {
        let (rung, probe) = (spec.rung, spec.probe);
        let mut notes = Vec::new();
        let mut coding: Vec<OsString> = Vec::new();
        let mut rates = 0;
        if let (Some(settings), Some((track, video))) = (&rung.video, probe.video()) {
            coding.extend(["-map".into(), format!("0:{}", track.index).into()]);
            coding.extend(self.video(settings, track, video, &mut notes)?);
            coding.extend(["-force_key_frames:v".into(), forced(spec.keyframes, probe, track).into()]);
            rates += u64::from(settings.max_bit_rate);
        }
        if let (Some(settings), Some((track, audio))) = (&rung.audio, probe.audio()) {
            if !self.encodes_audio(settings.codec) {
                return Err(Error::Lacks(settings.codec.encoder()));
            }
            coding.extend(["-map".into(), format!("0:{}", track.index).into()]);
            coding.extend(audio_arguments(settings.codec.encoder(), settings.bit_rate, settings.channels, audio));
            rates += u64::from(settings.bit_rate);
        }
        if coding.is_empty() {
            return Err(Error::NothingToPlay("it has no tracks for this rendition".to_owned()));
        }
        // FFmpeg lets everything begin at 0. An MP4 that begins later plays so; others begin at 0 once they are remuxed.
        if probe.container == Container::Mp4 && probe.start != 0.0 {
            coding.extend(["-output_ts_offset".into(), format!("{:.6}", probe.start).into()]);
        }
        let most = (probe.duration.as_secs_f64() * rates as f64 / 8.0 * MARGIN) as u64 + FLOOR;
        let job = Job { input: spec.input, probe, output: spec.output, reading: Vec::new(), coding, most };
        let mut made = self.make(job, progress, cancel).await?;
        made.notes.extend(notes);
        Ok(made)
    }

    fn video(
        &self,
        settings: &VideoSettings,
        track: &Track,
        video: &Video,
        notes: &mut Vec<String>,
    ) -> Result<Vec<OsString>, Error> {
        if !self.encodes_video(settings.codec) {
            return Err(Error::Lacks(settings.codec.encoder()));
        }
        let mut filters = Vec::new();
        if let Some(rate) = settings.frame_rate {
            filters.push(format!("fps={rate}"));
        }
        filters.extend(self.looks(video, settings.width, settings.height, notes));
        filters.push("format=yuv420p,setsar=1".to_owned());
        let variable = if self.is_at_least(5, 1) { "-fps_mode" } else { "-vsync" };
        let time_base = exact(track.time_base).to_string();
        let mut words: Vec<String> = ["-filter:v", &filters.join(","), variable, "vfr", "-enc_time_base:v", &time_base]
            .map(str::to_owned)
            .into();
        words.extend(encoder_arguments(settings));
        words.extend(["-g", NEVER].map(str::to_owned));
        Ok(words.into_iter().map(Into::into).collect())
    }

    /// Filters that make pictures of any kind look as they should at that size: without combs, in standard dynamic range.
    /// Turning them is FFmpeg's own doing.
    pub(crate) fn looks(&self, video: &Video, width: u32, height: u32, notes: &mut Vec<String>) -> Vec<String> {
        let mut filters = Vec::new();
        if video.interlaced {
            match self.has_filter("bwdif") {
                true => filters.push("bwdif=mode=send_frame:deint=interlaced".to_owned()),
                false => notes.push("the video is interlaced and stays so: FFmpeg lacks the filter bwdif".to_owned()),
            }
        }
        let hdr = video.transfer != Transfer::Sdr;
        let converts = self.has_filter("zscale") && self.has_filter("tonemap");
        if hdr && converts {
            // Said outright, since files that leave out one of them are common, and zscale would fail.
            let light = if video.transfer == Transfer::Hlg { "arib-std-b67" } else { "smpte2084" };
            filters.push(format!("setparams=color_primaries=bt2020:color_trc={light}:colorspace=bt2020nc"));
            filters.push(format!("zscale=w={width}:h={height}:t=linear:npl=100,format=gbrpf32le,zscale=p=bt709"));
            filters.push("tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv".to_owned());
            return filters;
        }
        if hdr {
            notes.push("the video is HDR and looks pale: FFmpeg lacks the filters zscale and tonemap".to_owned());
        }
        filters.push(format!("scale={width}:{height}:out_range=tv"));
        filters
    }
}

/// Constant quality within a rate, closed groups of pictures, and no keyframes of the encoder's own choice.
fn encoder_arguments(settings: &VideoSettings) -> Vec<String> {
    let rate = settings.max_bit_rate;
    let at = match settings.speed {
        Speed::Fast => 0,
        Speed::Balanced => 1,
        Speed::Thorough => 2,
    };
    let (crf, buffer) = (settings.crf, u64::from(rate) * 2);
    let bounded = format!("-crf {crf} -maxrate {rate} -bufsize {buffer}");
    let words = match settings.codec {
        VideoCodec::H264 => {
            let preset = ["veryfast", "medium", "slow"][at];
            format!("-c:v libx264 -preset {preset} -profile:v high {bounded} -sc_threshold 0 -forced-idr 1")
        }
        VideoCodec::Hevc => {
            let preset = ["veryfast", "medium", "slow"][at];
            let own = "scenecut=0:open-gop=0:log-level=error";
            format!("-c:v libx265 -preset {preset} {bounded} -forced-idr 1 -x265-params {own} -tag:v hvc1")
        }
        VideoCodec::Av1 => {
            let preset = ["10", "8", "5"][at];
            let own = format!("enable-force-key-frames=1:scd=0:mbr={}", rate / 1000);
            format!("-c:v libsvtav1 -preset {preset} -crf {crf} -svtav1-params {own}")
        }
        VideoCodec::Vp9 => {
            let effort = ["5", "3", "2"][at];
            format!(
                "-c:v libvpx-vp9 -deadline good -cpu-used {effort} -row-mt 1 -crf {crf} -b:v {rate} -lag-in-frames 16"
            )
        }
    };
    words.split(' ').map(str::to_owned).collect()
}

/// The option's value, on FFmpeg's time line, which begins with the first track. A time is brought forward a little, so that
/// rounding does not leave its frame before it; the frame before that is further away.
///
/// FFmpeg makes a keyframe of the next frame for each time that has come, even of several frames in a row: each frame must
/// be named once, and the first, which is one anyway, not at all.
fn forced(keyframes: &Keyframes, probe: &Probe, track: &Track) -> String {
    match keyframes {
        Keyframes::At(times) => {
            let shift = if probe.container == Container::Mp4 { probe.start } else { 0.0 };
            let mut list = String::from("0");
            let mut last = track.start - probe.start + ROUNDING;
            for time in times.iter().map(|time| time.as_secs_f64() - shift) {
                if time <= last {
                    continue;
                }
                last = time + ROUNDING;
                list.push_str(&format!(",{:.6}", time - ROUNDING));
                if list.len() > MAX_LIST {
                    return "source".to_owned();
                }
            }
            list
        }
        Keyframes::Every(distance) => {
            format!("expr:gte(t,n_forced*{})", seconds((*distance).max(Duration::from_millis(1))))
        }
    }
}

/// Time units in which each frame's time is exact, and which encoders take.
fn exact(time_base: Ratio) -> Ratio {
    let fine = time_base.num == 1 && time_base.den <= MAX_UNITS || time_base.value() >= 1e-3;
    if fine { time_base } else { USUAL_UNITS }
}

/// What the result may have more than its rates allow for.
const MARGIN: f64 = 2.0;
/// What any result may have.
const FLOOR: u64 = 16 << 20;
/// Frames between keyframes that nobody asks for.
const NEVER: &str = "100000";
/// Seconds.
const ROUNDING: f64 = 0.001;
/// Linux takes 128 KiB in one argument.
const MAX_LIST: usize = 120_000;
const MAX_UNITS: u32 = 1_000_000;
const USUAL_UNITS: Ratio = Ratio { num: 1, den: 90_000 };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{probe, video};

    #[test]
    fn times_are_listed_as_far_as_a_command_line_goes() {
        let times = |n: u64| Keyframes::At((0..n).map(|i| Duration::from_secs(4 * i)).collect());
        let track = video("h264", 1280, 720);
        let probe = probe(std::slice::from_ref(&track));
        let of = |keyframes| forced(&keyframes, &probe, &track);
        assert_eq!(of(times(3)), "0,3.999000,7.999000");
        // Ten hours at four seconds.
        let most = of(times(9000));
        assert!(most.ends_with(",35995.999000") && most.len() < 131_072);
        assert_eq!(of(times(20_000)), "source");
        assert_eq!(of(Keyframes::Every(Duration::ZERO)), "expr:gte(t,n_forced*0.001000)");
    }

    #[test]
    fn each_frame_is_named_once_and_the_first_not_at_all() {
        let mut late = video("h264", 1280, 720);
        late.start = 0.7;
        let mut probe = probe(std::slice::from_ref(&late));
        probe.start = 0.5;
        let at = |millis: &[u64]| Keyframes::At(millis.iter().map(|ms| Duration::from_millis(*ms)).collect());
        let times = at(&[0, 500, 700, 1700, 1700, 2000]);
        assert_eq!(forced(&times, &probe, &late), "0,1.199000,1.499000", "the file's line begins at half a second");
        probe.container = Container::Matroska;
        assert_eq!(forced(&times, &probe, &late), "0,0.499000,0.699000,1.699000,1.999000", "here it begins at 0");
    }

    #[test]
    fn units_are_the_sources_where_encoders_take_them() {
        let of = |num, den| exact(Ratio::new(num, den).unwrap());
        assert_eq!(of(1, 15_360), Ratio { num: 1, den: 15_360 });
        assert_eq!(of(1, 1_000_000), Ratio { num: 1, den: 1_000_000 });
        assert_eq!(of(1, 1_000_001), USUAL_UNITS);
        assert_eq!(of(1001, 30_000), Ratio { num: 1001, den: 30_000 });
        assert_eq!(of(3, 100_000_000), USUAL_UNITS);
    }
}
