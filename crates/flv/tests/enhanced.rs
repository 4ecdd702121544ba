//! Enhanced RTMP as FFmpeg 9.0 writes it, read, written again, and read back.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use millrace_flv::body::{self, Extent};
use millrace_flv::{Depacketizer, script};
use millrace_media::{AudioConfig, Frame, Metadata, Timestamp, TrackKind, Unit, VideoConfig};
use proptest::prelude::*;

/// Kind, time and body of each tag of a file.
fn tags(name: &str) -> Vec<(u8, u32, Bytes)> {
    let path = format!("{}/tests/data/{name}.flv", env!("CARGO_MANIFEST_DIR"));
    let file = Bytes::from(std::fs::read(path).unwrap());
    let mut at = 13;
    let mut tags = Vec::new();
    while at < file.len() {
        let head = &file[at..at + 11];
        let len = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
        let time = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
        tags.push((head[0], time, file.slice(at + 11..at + 11 + len)));
        at += 11 + len + 4;
    }
    tags
}

fn read(depacketizer: &mut Depacketizer, (kind, time, body): &(u8, u32, Bytes)) -> Vec<Unit> {
    match kind {
        8 => depacketizer.audio(*time, body).unwrap().into_vec(),
        9 => depacketizer.video(*time, body).unwrap().into_vec(),
        _ => depacketizer.script(body).unwrap().into_vec(),
    }
}

#[derive(Default)]
struct Read {
    video: Vec<Arc<VideoConfig>>,
    audio: Vec<Arc<AudioConfig>>,
    metadata: Arc<Metadata>,
    pictures: Vec<Frame>,
    sounds: Vec<Frame>,
}

fn read_file(name: &str) -> Read {
    let mut all = Read::default();
    let mut depacketizer = Depacketizer::new();
    for unit in tags(name).iter().flat_map(|tag| read(&mut depacketizer, tag)) {
        match unit {
            Unit::VideoConfig(c) => all.video.push(c),
            Unit::AudioConfig(c) => all.audio.push(c),
            Unit::Metadata(m) => all.metadata = m,
            Unit::Frame(f) if f.track == TrackKind::Video => all.pictures.push(f),
            Unit::Frame(f) => all.sounds.push(f),
            Unit::Discontinuity => panic!("no jump in the file"),
        }
    }
    all.audio.dedup(); // FFmpeg says that of FLAC again at the end, with its digest
    all
}

#[test]
fn hevc_that_changes_its_size_by_parameter_sets_within_a_keyframe() {
    let file = tags("hevc-opus");
    let pictures: Vec<_> = file.iter().filter(|(kind, ..)| *kind == 9).collect();
    let Some(Unit::VideoConfig(config)) = read(&mut Depacketizer::new(), pictures[0]).pop() else { panic!() };
    let VideoConfig::Hevc(small) = &*config else { panic!("{config:?}") };
    // Of x265: 1920x1080.
    let large = b"\x42\x01\x01\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x78\xa0\x03\xc0\x80\x10\xe5\x96\x56\x69\x24\xca\
        \xf0\x16\x80\x80\0\x01\xf4\x80\0\x3a\x98\x04";
    let keyframe = |fourcc: &[u8], sps: &[u8]| {
        let units = [&small.vps()[0], sps, &small.pps()[0], &[0x26, 1, 7]];
        let payload = units.iter().flat_map(|unit| [&[0, 0, 0, unit.len() as u8], *unit].concat());
        [&[0x93][..], fourcc].concat().into_iter().chain(payload).collect::<Bytes>()
    };
    // With a header before it, and without, as MP4's `hev1` has it.
    for (with_header, fourcc) in [(true, b"hvc1"), (false, b"hvc1"), (false, b"hev1")] {
        let mut d = Depacketizer::new();
        if with_header {
            d.video(0, &pictures[0].2).unwrap();
        }
        let first = d.video(0, &keyframe(fourcc, &small.sps()[0])).unwrap();
        assert_eq!(first.len(), if with_header { 1 } else { 2 });
        let changed = d.video(40, &keyframe(fourcc, large)).unwrap();
        assert!(
            matches!(&changed[..], [Unit::VideoConfig(c), Unit::Frame(f)] if c.resolution() == Some((1920, 1080)) && f.keyframe)
        );
        assert_eq!(d.video(80, &keyframe(fourcc, large)).unwrap().len(), 1);
        // A header that pictures have replaced may be sent again and again.
        if with_header {
            assert!(d.video(120, &pictures[0].2).unwrap().is_empty());
        }
        let back = d.video(160, &keyframe(fourcc, &small.sps()[0])).unwrap();
        assert!(matches!(&back[..], [Unit::VideoConfig(c), Unit::Frame(_)] if c.resolution() == Some((64, 48))));
    }
}

#[test]
fn each_codec_of_ffmpeg_is_read() {
    // Numbers of frames as ffprobe counts them.
    for (file, video, audio, pictures, sounds) in [
        ("hevc-opus", "hvc1.1.6.L30.90", "opus", 5, 11),
        ("av1-flac", "av01.0.00M.08", "fLaC", 5, 10),
        ("vp9-ac3", "vp09.00.10.08", "ac-3", 5, 7),
        ("h264-eac3", "avc1.64000a", "ec-3", 5, 7),
        ("multitrack", "avc1.64000a", "mp4a.40.2", 5, 11),
    ] {
        let r = read_file(file);
        let said: Vec<_> = r.video.iter().map(|c| (c.codec_string(), c.resolution())).collect();
        assert_eq!(said, [(video.to_owned(), Some((64, 48)))], "{file}");
        let said: Vec<_> = r.audio.iter().map(|c| c.codec_string()).collect();
        assert_eq!(said, [audio], "{file}");
        assert_eq!((r.pictures.len(), r.sounds.len()), (pictures, sounds), "{file}");
        assert!(r.pictures[0].keyframe, "{file}");
        for sound in &r.sounds {
            assert!(r.audio[0].samples_in(&sound.payload).is_some(), "{file}: {:?}", sound.dts);
        }
    }
}

#[test]
fn hevc_keeps_its_composition_times() {
    let r = read_file("hevc-opus");
    let times: Vec<_> = r.pictures.iter().map(|f| (f.dts.as_millis(), f.pts.as_millis())).collect();
    assert_eq!(times, [(0, 80), (40, 160), (80, 120), (120, 200), (160, 240)]);
}

#[test]
fn only_the_default_track_of_several_is_taken() {
    let r = read_file("multitrack");
    let all = tags("multitrack");
    let classic = all.iter().filter(|(kind, _, body)| *kind == 9 && body[0] & 0x80 == 0 && body[1] == 1);
    assert_eq!(classic.count(), r.pictures.len());
    assert!(all.iter().any(|(kind, _, body)| *kind == 9 && body[0] == 0x96), "there is another track");
}

#[test]
fn colours_are_carried_and_emptiness_is_not() {
    assert_eq!(read_file("hevc-opus").metadata.color_info, None);
    let r = read_file("hevc-hdr");
    let colours = r.metadata.color_info.clone().unwrap();
    let prefix = body::color_info_prefix(&r.video[0]).unwrap();
    let tag = Bytes::from([prefix.as_slice(), &colours].concat());
    assert!(tags("hevc-hdr").iter().any(|(_, _, body)| *body == tag), "as FFmpeg wrote it, to the byte");
    assert_eq!(read_file("hevc-hdr").video[0].codec_string(), "hvc1.2.4.L30.90");
}

#[test]
fn codecs_are_numbers_in_metadata() {
    for file in ["hevc-opus", "av1-flac", "vp9-ac3", "h264-eac3"] {
        let r = read_file(file);
        let number = |bytes: &[u8], key| {
            let values = millrace_flv::amf0::decode_all(bytes).unwrap();
            values[1].get(key).and_then(millrace_flv::amf0::Value::as_f64).unwrap()
        };
        let ours = script::on_metadata(&r.metadata, Some(&*r.video[0]), Some(&*r.audio[0]));
        for key in ["videocodecid", "audiocodecid"] {
            assert_eq!(number(&ours, key), number(&tags(file)[0].2, key), "{file} {key}");
        }
    }
}

/// Writes the units of a file and reads them back.
#[test]
fn what_is_written_is_read_back() {
    for file in ["hevc-opus", "av1-flac", "vp9-ac3", "h264-eac3"] {
        let r = read_file(file);
        let (video, audio) = (&*r.video[0], &*r.audio[0]);
        let mut depacketizer = Depacketizer::new();
        let body = |(prefix, payload): (body::Prefix, &[u8])| Bytes::from([prefix.as_slice(), payload].concat());
        let mut units = read(&mut depacketizer, &(9, 0, body(body::video_sequence_header(video).unwrap())));
        units.extend(read(&mut depacketizer, &(8, 0, body(body::audio_sequence_header(audio).unwrap()))));
        for frame in r.pictures.iter().chain(&r.sounds) {
            let prefix = body::frame_prefix(frame, Some(video), Some(audio), Extent::Basic).unwrap();
            let kind = if frame.track == TrackKind::Video { 9 } else { 8 };
            let tag = (kind, frame.dts.as_millis() as u32, body((prefix, &frame.payload)));
            units.extend(read(&mut depacketizer, &tag));
        }
        let frames: Vec<_> = units.iter().filter_map(|u| if let Unit::Frame(f) = u { Some(f) } else { None }).collect();
        assert!(frames.into_iter().eq(r.pictures.iter().chain(&r.sounds)), "{file}");
        let configs = units.iter().filter(|u| match u {
            Unit::VideoConfig(c) => **c == *video,
            Unit::AudioConfig(c) => **c == *audio,
            _ => false,
        });
        assert_eq!(configs.count(), 2, "{file}");
    }
}

#[test]
fn vp9_tells_a_new_size_with_the_keyframe_that_has_it() {
    let r = read_file("vp9-ac3");
    let mut depacketizer = Depacketizer::new();
    let all = tags("vp9-ac3");
    let header = all.iter().find(|(kind, _, body)| *kind == 9 && body[0] == 0x90).unwrap();
    let keyframe = all.iter().find(|(kind, _, body)| *kind == 9 && body[0] == 0x91).unwrap();
    let inter = all.iter().find(|(kind, _, body)| *kind == 9 && body[0] == 0xa1).unwrap();
    assert!(read(&mut depacketizer, header).is_empty(), "the size is not known yet");
    assert!(read(&mut depacketizer, inter).is_empty(), "nothing to refer to");
    assert!(
        matches!(&read(&mut depacketizer, keyframe)[..], [Unit::VideoConfig(c), Unit::Frame(_)] if *c == r.video[0])
    );
    assert!(matches!(&read(&mut depacketizer, header)[..], [Unit::VideoConfig(c)] if *c == r.video[0]));
    let mut wider = keyframe.2.to_vec();
    wider[5 + 5] = 0x07; // 128 pixels: the width less one begins in the fifth byte of the frame
    let units = read(&mut depacketizer, &(9, 1000, wider.into()));
    let Unit::VideoConfig(config) = &units[0] else { panic!("a configuration expected, {units:?} found") };
    assert_eq!(config.resolution(), Some((128, 48)));
}

#[test]
fn opus_without_a_header_is_mono_or_stereo_as_told() {
    for (channels, told) in [(2, None), (1, Some(&b"\x94Opus\x01\x01\0\0\0\x04"[..]))] {
        let mut d = Depacketizer::new();
        assert!(d.audio(0, &Bytes::from_static(b"\x90Opus")).unwrap().is_empty());
        if let Some(told) = told {
            d.audio(0, &Bytes::from_static(told)).unwrap();
        }
        let units = d.audio(0, &Bytes::from_static(b"\x91Opus\xfc\0")).unwrap();
        assert!(matches!(&units[..], [Unit::AudioConfig(c), Unit::Frame(_)] if c.channels() == channels), "{units:?}");
        assert_eq!(d.audio(20, &Bytes::from_static(b"\x91Opus\xfc\0")).unwrap().len(), 1, "once only");
    }
}

#[test]
fn hevc_by_its_number_in_classic_flv() {
    let r = read_file("hevc-opus");
    let mut d = Depacketizer::new();
    let header = Bytes::from([&[0x1c, 0, 0, 0, 0], &r.video[0].raw()[..]].concat());
    assert!(matches!(&d.video(0, &header).unwrap()[..], [Unit::VideoConfig(c)] if **c == *r.video[0]));
    let body = Bytes::from([&[0x1c, 1, 0, 0, 80], &r.pictures[0].payload[..]].concat());
    assert!(matches!(&d.video(0, &body).unwrap()[..], [Unit::Frame(f)] if *f == r.pictures[0]));
}

#[test]
fn classic_codecs_by_fourcc_are_read_and_written_in_classic_form() {
    let r = read_file("multitrack");
    let mut d = Depacketizer::new();
    let header = Bytes::from([&b"\x90avc1"[..], r.video[0].raw()].concat());
    assert!(matches!(&d.video(0, &header).unwrap()[..], [Unit::VideoConfig(c)] if *c == r.video[0]));
    let header = Bytes::from([&b"\x90mp4a"[..], r.audio[0].raw().unwrap()].concat());
    assert!(matches!(&d.audio(0, &header).unwrap()[..], [Unit::AudioConfig(c)] if *c == r.audio[0]));
    assert_eq!(d.audio(0, &Bytes::from_static(b"\x91mp4axy")).unwrap().len(), 1);
    assert_eq!(d.audio(50, &Bytes::from_static(b"\x91.mp3\xff\xfb\x90\x44")).unwrap().len(), 2);
    assert_eq!(body::video_sequence_header(&r.video[0]).unwrap().0.as_slice(), [0x17, 0, 0, 0, 0]);
    assert_eq!(body::color_info_prefix(&r.video[0]), None);
}

#[test]
fn a_frame_of_another_codec_than_its_header_is_refused() {
    let mut d = Depacketizer::new();
    for tag in tags("hevc-opus").iter().take(5) {
        read(&mut d, tag);
    }
    assert!(d.video(0, &Bytes::from_static(b"\x91av01xy")).is_err());
    assert!(d.video(0, &Bytes::from_static(b"\x17\x01\0\0\0xy")).is_err());
    assert!(d.audio(0, &Bytes::from_static(b"\xaf\x01xy")).is_err());
    assert!(d.audio(0, &Bytes::from_static(b"\x91fLaCxy")).is_err());
}

proptest! {
    #[test]
    fn time_below_milliseconds_is_written_as_a_modifier(nanos in 0i64..1_000_000_000, audio: bool, keyframe: bool, offset in 0i64..500) {
        let r = read_file("hevc-opus");
        let (video, audio_config) = (&*r.video[0], &*r.audio[0]);
        let dts = Timestamp::from_nanos(nanos);
        let frame = Frame {
            track: if audio { TrackKind::Audio } else { TrackKind::Video },
            keyframe: keyframe || audio,
            dts,
            pts: if audio { dts } else { dts.offset_millis(offset) },
            payload: Bytes::from_static(b"\xfc\x01"),
        };
        for extent in [Extent::Full, Extent::Basic] {
            let mut d = Depacketizer::new();
            for tag in tags("hevc-opus").iter().take(3) {
                read(&mut d, tag);
            }
            let prefix = body::frame_prefix(&frame, Some(video), Some(audio_config), extent).unwrap();
            let tag = Bytes::from([prefix.as_slice(), &frame.payload].concat());
            let clock = dts.as_millis() as u32;
            let units = if audio { d.audio(clock, &tag) } else { d.video(clock, &tag) }.unwrap();
            let Some(Unit::Frame(back)) = units.last() else { panic!("a frame expected") };
            match extent {
                Extent::Full => prop_assert_eq!(back, &frame),
                Extent::Basic => prop_assert_eq!(back.dts, Timestamp::from_millis(dts.as_millis())),
            }
        }
    }

    #[test]
    fn any_enhanced_body_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64), kind in 0u8..8, codec in 0usize..11) {
        const FOURCC: [&[u8; 4]; 11] =
            [b"avc1", b"hvc1", b"av01", b"vp09", b"mp4a", b".mp3", b"Opus", b"fLaC", b"ac-3", b"ec-3", b"vvc1"];
        let mut d = Depacketizer::new();
        for tag in tags("av1-flac").iter().take(4) {
            read(&mut d, tag);
        }
        let body = Bytes::from([&[0x90 | kind], &FOURCC[codec][..], &bytes].concat());
        let _ = (d.audio(0, &body), d.video(0, &body));
    }
}
