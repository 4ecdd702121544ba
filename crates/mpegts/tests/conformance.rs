//! The muxer's output under a monitor, under the `mpeg2ts` crate, and under FFmpeg.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use millrace_media::{AacConfig, AudioConfig, AvcConfig, Frame, Mp3Config, Timestamp, TrackKind, Unit, VideoConfig};
use millrace_mpegts::audio::MAX_PES_PAYLOAD;
use millrace_mpegts::{Error, MAX_FILL, Muxer};
use proptest::prelude::*;
use support::ffmpeg::{self, TempFile};
use support::flv;
use support::monitor::{self, Report};

fn apply(muxer: &mut Muxer, unit: &Unit, out: &mut Vec<u8>) {
    match unit {
        Unit::VideoConfig(c) => muxer.set_video(c.clone()).unwrap(),
        Unit::AudioConfig(c) => muxer.set_audio(c.clone()).unwrap(),
        Unit::Frame(frame) => muxer.push(frame, out).unwrap(),
        Unit::Discontinuity => muxer.discontinuity(out),
        Unit::Metadata(_) => {}
    }
}

/// One transport stream, with a segment at each keyframe.
fn mux(units: &[Unit]) -> Vec<u8> {
    let mut muxer = Muxer::new();
    let mut out = Vec::new();
    for unit in units {
        if matches!(unit, Unit::Frame(f) if f.is_video_keyframe()) {
            muxer.flush(&mut out);
            muxer.begin_segment();
        }
        apply(&mut muxer, unit, &mut out);
    }
    muxer.flush(&mut out);
    out
}

fn monitored(units: &[Unit]) -> Report {
    let report = monitor::check(&mux(units));
    report.assert_in_time();
    report
}

fn avc() -> Arc<VideoConfig> {
    const X264: &[u8] = &[
        0x01, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc, 0xb8,
        0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x07, 0x8b, 0x16, 0xcb, 0x01, 0x00, 0x05, 0x68,
        0xeb, 0xe3, 0xcb, 0x20,
    ];
    Arc::new(VideoConfig::Avc(AvcConfig::parse(Bytes::from_static(X264)).unwrap()))
}

fn aac() -> Arc<AudioConfig> {
    Arc::new(AudioConfig::Aac(AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap()))
}

fn picture(ms: i64, keyframe: bool, size: usize) -> Frame {
    let mut payload = u32::try_from(size + 1).unwrap().to_be_bytes().to_vec();
    payload.push(if keyframe { 0x65 } else { 0x41 });
    payload.resize(size + 5, 0xa5);
    frame(TrackKind::Video, ms, keyframe, payload)
}

fn sound(ms: i64, size: usize) -> Frame {
    frame(TrackKind::Audio, ms, true, vec![0x21; size])
}

fn frame(track: TrackKind, ms: i64, keyframe: bool, payload: Vec<u8>) -> Frame {
    let at = Timestamp::from_millis(ms);
    Frame { track, keyframe, dts: at, pts: at, payload: payload.into() }
}

/// Pictures and sounds by time, as a publisher interleaves them.
fn interleaved(pictures: Vec<Frame>, sounds: Vec<Frame>) -> Vec<Unit> {
    let mut frames: Vec<_> = pictures.into_iter().chain(sounds).collect();
    frames.sort_by_key(|f| f.dts);
    let mut units = vec![];
    if frames.iter().any(|f| f.track == TrackKind::Video) {
        units.push(Unit::VideoConfig(avc()));
    }
    if frames.iter().any(|f| f.track == TrackKind::Audio) {
        units.push(Unit::AudioConfig(aac()));
    }
    units.extend(frames.into_iter().map(Unit::Frame));
    units
}

fn sounds(from_ms: i64, count: i64) -> Vec<Frame> {
    (0..count).map(|n| sound(from_ms + n * 1024 / 48, 200)).collect()
}

#[test]
fn recorded_streams_pass_the_monitor() {
    for (name, video, audio) in [
        ("h264-aac.flv", Some(0x1b), Some(0x0f)),
        ("h264-mp3.flv", Some(0x1b), Some(0x03)),
        ("video-h264.flv", Some(0x1b), None),
        ("audio-aac.flv", None, Some(0x0f)),
        ("audio-mp3.flv", None, Some(0x03)),
        ("h264-aac-large-timestamps.flv", Some(0x1b), Some(0x0f)),
        ("hevc-aac.flv", Some(0x24), Some(0x0f)),
        ("h264-eac3.flv", Some(0x1b), Some(0x87)),
    ] {
        let units = flv::fixture(name);
        let report = monitored(&units);
        assert_eq!((report.video_type, report.audio_type), (video, audio), "{name}");
        assert_eq!(report.video.len(), flv::frames(&units, TrackKind::Video).len(), "{name}");
        if audio == Some(0x0f) {
            assert_eq!(report.adts_frames(), flv::frames(&units, TrackKind::Audio).len(), "{name}");
        }
        assert!(report.tables_interval <= 100.0, "{name}: {report:?}");
    }
}

#[test]
fn the_mpeg2ts_crate_reads_the_same() {
    use mpeg2ts::ts::{ReadTsPacket, TsPacketReader, TsPayload};
    let units = flv::fixture("h264-aac.flv");
    let ts = mux(&units);
    let report = monitor::check(&ts);
    let mut reader = TsPacketReader::new(&ts[..]);
    let (mut packets, mut tables, mut clocks, mut times) = (0, 0, 0, Vec::new());
    while let Some(packet) = reader.read_ts_packet().unwrap() {
        packets += 1;
        clocks += usize::from(packet.adaptation_field.is_some_and(|a| a.pcr.is_some()));
        match packet.payload {
            Some(TsPayload::Pat(pat)) => {
                assert_eq!(pat.table[0].program_num, 1);
                tables += 1;
            }
            Some(TsPayload::Pmt(pmt)) => {
                assert_eq!(pmt.es_info.iter().map(|s| s.stream_type as u8).collect::<Vec<_>>(), [0x1b, 0x0f]);
                assert_eq!(pmt.pcr_pid.unwrap(), pmt.es_info[0].elementary_pid);
                tables += 1;
            }
            Some(TsPayload::PesStart(pes)) if pes.header.stream_id.is_video() => {
                let pts = pes.header.pts.unwrap();
                times.push((pts.as_u64() as i64, pes.header.dts.unwrap_or(pts).as_u64() as i64));
            }
            _ => {}
        }
    }
    assert_eq!((packets, tables, clocks), (report.packets, report.table_packets, report.clocks.len()));
    assert_eq!(times, report.video.iter().map(|p| (p.pts, p.dts)).collect::<Vec<_>>());
}

#[test]
fn ffmpeg_finds_every_frame_at_its_time_and_warns_of_nothing() {
    for (name, arguments, rate) in [
        (
            "b-frames",
            "-f lavfi -i testsrc2=size=640x360:rate=30 -f lavfi -i sine=sample_rate=44100 -t 8 \
             -c:v libx264 -preset veryfast -bf 3 -g 60 -pix_fmt yuv420p -c:a aac -b:a 96k",
            44_100,
        ),
        (
            "five-a-second",
            "-f lavfi -i testsrc2=size=320x180:rate=5 -f lavfi -i sine=sample_rate=48000 -t 8 \
             -c:v libx264 -preset veryfast -bf 2 -g 10 -pix_fmt yuv420p -c:a libmp3lame -b:a 64k",
            48_000,
        ),
        (
            "large-pictures",
            "-f lavfi -i testsrc2=size=1280x720:rate=25 -f lavfi -i sine=sample_rate=48000 -t 4 \
             -c:v libx264 -preset ultrafast -tune zerolatency -qp 4 -g 25 -pix_fmt yuv420p -c:a aac -ac 2",
            48_000,
        ),
    ] {
        let units = ffmpeg::encode(name, arguments);
        let ts = mux(&units);
        let report = monitor::check(&ts);
        report.assert_in_time();
        assert!(report.tables_interval <= 100.0, "{name}: tables after {} ms", report.tables_interval);
        let file = TempFile::with(&format!("{name}.ts"), &ts);
        let packets = ffmpeg::packets(file.path());
        let (video, audio): (Vec<_>, Vec<_>) = packets.iter().partition(|p| p.video);
        let source = flv::frames(&units, TrackKind::Video);
        assert_eq!(video.len(), source.len(), "{name}");
        let shift = video[0].dts - source[0].dts.as_secs_f64();
        for (found, given) in video.iter().zip(&source) {
            assert!((found.dts - shift - given.dts.as_secs_f64()).abs() < 0.0005, "{name}: {found:?} {given:?}");
            assert!((found.pts - shift - given.pts.as_secs_f64()).abs() < 0.0005, "{name}: {found:?} {given:?}");
            assert_eq!(found.keyframe, given.keyframe, "{name}");
        }
        let source = flv::frames(&units, TrackKind::Audio);
        assert_eq!(audio.len(), source.len(), "{name}");
        for (found, given) in audio.iter().zip(&source) {
            assert!((found.pts - shift - given.pts.as_secs_f64()).abs() < 0.0015, "{name}: {found:?} {given:?}");
        }
        for pair in audio.windows(2) {
            let step = pair[1].pts - pair[0].pts;
            let exact = if name == "five-a-second" { 1152.0 } else { 1024.0 } / f64::from(rate);
            assert!((step - exact).abs() < 0.000_025, "{name}: {step} for {exact}");
        }
        let (pictures, samples) = ffmpeg::decode(file.path());
        assert_eq!(pictures, flv::frames(&units, TrackKind::Video).len(), "{name}");
        assert!(samples > 0);
    }
}

#[test]
fn ffmpeg_reads_hevc_and_dolby_sound() {
    for (name, sound, codecs) in
        [("hevc-aac.flv", "vp9-ac3.flv", "hevc,ac3"), ("hevc-opus.flv", "h264-eac3.flv", "hevc,eac3")]
    {
        let pictures = flv::fixture(name).into_iter().filter(|u| match u {
            Unit::Frame(f) => f.track == TrackKind::Video,
            other => matches!(other, Unit::VideoConfig(_)),
        });
        let sounds = flv::fixture(sound).into_iter().filter(|u| match u {
            Unit::Frame(f) => f.track == TrackKind::Audio,
            other => matches!(other, Unit::AudioConfig(_)),
        });
        let mut units: Vec<_> = pictures.chain(sounds).collect();
        units.sort_by_key(|u| if let Unit::Frame(f) = u { f.dts } else { Timestamp::from_millis(-1) });
        let ts = mux(&units);
        monitor::check(&ts).assert_in_time();
        let file = TempFile::with(&format!("{name}.ts"), &ts);
        assert_eq!(ffmpeg::codecs(file.path()), codecs);
        let packets = ffmpeg::packets(file.path());
        let (video, audio): (Vec<_>, Vec<_>) = packets.iter().partition(|p| p.video);
        let source = flv::frames(&units, TrackKind::Video);
        assert_eq!(video.len(), source.len(), "{name}");
        let shift = video[0].dts - source[0].dts.as_secs_f64();
        for (found, given) in video.iter().zip(&source) {
            assert!((found.pts - shift - given.pts.as_secs_f64()).abs() < 0.0005, "{name}: {found:?} {given:?}");
            assert_eq!(found.keyframe, given.keyframe, "{name}");
        }
        assert_eq!(audio.len(), flv::frames(&units, TrackKind::Audio).len(), "{sound}");
        for pair in audio.windows(2) {
            assert!((pair[1].pts - pair[0].pts - 0.032).abs() < 0.000_025, "{sound}: {pair:?}");
        }
        let (pictures, samples) = ffmpeg::decode(file.path());
        assert_eq!((pictures, samples), (source.len(), audio.len() * 1536), "{name}");
    }
}

#[test]
fn sound_keeps_the_clock_of_pictures_that_are_far_apart() {
    let pictures = (0..10).map(|n| picture(n * 1000, n % 5 == 0, 20_000)).collect();
    let report = monitored(&interleaved(pictures, sounds(0, 460)));
    assert!(report.clock_interval <= 90.0 && report.tables_interval <= 100.0, "{report:?}");
    assert_eq!((report.video.len(), report.adts_frames()), (10, 460));
    assert!(report.audio.len() <= 460 / 3 + 1, "three frames to a packet");
}

#[test]
fn a_track_that_is_ahead_does_not_carry_the_clock_past_the_other() {
    for ahead in [-3000i64, -500, 500, 3000] {
        let (sound, picture_from) = (ahead.max(0), (-ahead).max(0));
        let pictures = (0..250).map(|n| picture(picture_from + n * 40, n % 50 == 0, 9000)).collect();
        let mut units = interleaved(pictures, sounds(sound, 460));
        units.sort_by_key(|u| match u {
            Unit::Frame(f) if f.track == TrackKind::Audio => f.dts.as_millis() - sound,
            Unit::Frame(f) => f.dts.as_millis() - picture_from,
            _ => -1,
        });
        let report = monitored(&units);
        assert_eq!((report.video.len(), report.adts_frames()), (250, 460), "{ahead} ms");
        assert!(report.clocks.iter().all(|c| !c.1));
    }
}

#[test]
fn a_track_that_was_behind_and_falls_silent_does_not_stop_the_clock() {
    let mut units = interleaved((0..25).map(|n| picture(n * 40, n == 0, 900)).collect(), sounds(500, 420));
    units.sort_by_key(|u| match u {
        Unit::Frame(f) if f.track == TrackKind::Audio => f.dts.as_millis() - 500,
        Unit::Frame(f) => f.dts.as_millis(),
        _ => -1,
    });
    let report = monitored(&units);
    let (first, last) = (report.clocks[0].0, report.clocks.last().unwrap().0);
    assert!((last - first) / 90 > 8000, "{report:?}");
}

#[test]
fn pictures_that_are_far_apart_and_alone_keep_it_too() {
    let pictures = (0..10).map(|n| picture(n * 1000, n % 5 == 0, 300)).collect();
    let report = monitored(&interleaved(pictures, vec![]));
    assert!(report.clock_interval <= 90.0 && report.tables_interval <= 100.0, "{report:?}");
}

#[test]
fn counters_and_time_go_on_over_segments_and_each_begins_with_tables() {
    let units = flv::fixture("h264-aac.flv");
    let mut muxer = Muxer::new();
    let (mut segments, mut out) = (vec![], Vec::new());
    for unit in &units {
        if matches!(unit, Unit::Frame(f) if f.is_video_keyframe()) && !out.is_empty() {
            muxer.flush(&mut out);
            segments.push(std::mem::take(&mut out));
            muxer.begin_segment();
        }
        apply(&mut muxer, unit, &mut out);
    }
    muxer.flush(&mut out);
    segments.push(out);
    assert_eq!(segments.len(), 2);
    for segment in &segments {
        let pids: Vec<_> = segment.chunks(188).take(3).map(|p| u16::from_be_bytes([p[1] & 0x1f, p[2]])).collect();
        assert_eq!(pids, [0, 0x1000, 0x100]);
        let alone = monitor::check(segment);
        assert!(alone.video[0].random_access);
        assert!(segment[2 * 188 + 5] & 0x50 == 0x50, "random access and clock in the first picture");
    }
    monitor::check(&segments.concat()).assert_in_time();
}

#[test]
fn a_discontinuity_is_announced_and_time_may_go_back() {
    let mut units = interleaved((0..50).map(|n| picture(5000 + n * 40, n == 0, 900)).collect(), sounds(5000, 90));
    units.push(Unit::Discontinuity);
    units.extend(interleaved((0..50).map(|n| picture(n * 40, n == 0, 900)).collect(), sounds(0, 90)));
    let report = monitor::check(&mux(&units));
    assert_eq!(report.clocks.iter().filter(|c| c.1).count(), 1);
    assert_eq!((report.video.len(), report.adts_frames()), (100, 180));
    assert_eq!(report.video[50].dts - report.video[0].dts, -5000 * 90);
    assert_eq!(report.maps.len(), 1, "the same tracks need no new map");
}

#[test]
fn a_gap_is_bridged_up_to_the_limit_and_announced_beyond() {
    let fill = i64::try_from(MAX_FILL.as_millis()).unwrap();
    let gap = |ms| monitored(&interleaved(vec![picture(0, true, 10), picture(ms, true, 10)], vec![]));
    let bridged = gap(fill);
    assert!(bridged.clocks.len() > 100 && bridged.clocks.iter().all(|c| !c.1));
    let announced = gap(fill + 1);
    assert_eq!(announced.clocks.iter().map(|c| c.1).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_track_that_comes_later_makes_a_new_map_and_takes_the_clock() {
    let mut units = interleaved(vec![], sounds(0, 47));
    units.push(Unit::VideoConfig(avc()));
    units.extend(interleaved((0..25).map(|n| picture(1000 + n * 40, n == 0, 5000)).collect(), vec![]).split_off(1));
    let report = monitored(&units);
    assert_eq!(report.maps, [(0x101, 0), (0x100, 1)]);
    assert_eq!((report.video.len(), report.adts_frames()), (25, 47));
}

#[test]
fn times_wrap_at_33_bits_without_a_break() {
    // In this stream, 600 ms after its beginning, the 26.5 hours end.
    let shift = (1 << 33) / 90 - millrace_media::EPOCH.as_millis() as i64 - 600;
    let mut units = flv::fixture("h264-aac.flv");
    for unit in &mut units {
        if let Unit::Frame(frame) = unit {
            frame.dts = frame.dts.offset_millis(shift);
            frame.pts = frame.pts.offset_millis(shift);
        }
    }
    let ts = mux(&units);
    let report = monitor::check(&ts);
    report.assert_in_time();
    assert!(report.clocks.iter().all(|c| !c.1));
    assert!(report.video[0].dts < 1 << 33 && report.video.last().unwrap().dts >= 1 << 33);
    let file = TempFile::with("wrap.ts", &ts);
    assert_eq!(ffmpeg::packets(file.path()).iter().filter(|p| p.video).count(), report.video.len());
}

#[test]
fn parameter_sets_come_once_and_delimiters_are_ours() {
    let VideoConfig::Avc(config) = &*avc() else { unreachable!() };
    let mut payload = vec![];
    let changed = [0x68, 0xeb, 0xe3, 0xcb, 0x21];
    for nal in [&[9, 0x10][..], &config.sps()[0], &config.pps()[0], &changed, &[6, 1, 2], &[0x65, 1, 2, 3]] {
        payload.extend(u32::try_from(nal.len()).unwrap().to_be_bytes());
        payload.extend(nal);
    }
    let report = monitored(&[Unit::VideoConfig(avc()), Unit::Frame(frame(TrackKind::Video, 0, true, payload))]);
    let mut expected = vec![0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1];
    expected.extend(&config.sps()[0]);
    expected.extend([0, 0, 0, 1]);
    expected.extend(&config.pps()[0]);
    expected.extend([0, 0, 1]);
    expected.extend(changed);
    expected.extend([0, 0, 1, 6, 1, 2, 0, 0, 1, 0x65, 1, 2, 3]);
    assert_eq!(report.video[0].payload, expected);
}

#[test]
fn malformed_frames_are_refused_and_leave_no_trace() {
    let mut muxer = Muxer::new();
    let mut out = Vec::new();
    let early = muxer.push(&picture(0, true, 10), &mut out).unwrap_err();
    assert!(matches!(early, Error::NoConfig { track: TrackKind::Video, .. }));
    muxer.set_video(avc()).unwrap();
    muxer.set_audio(aac()).unwrap();
    let cut = frame(TrackKind::Video, 0, true, vec![0, 0, 0, 9, 0x65]);
    let e = muxer.push(&cut, &mut out).unwrap_err();
    assert_eq!(e.to_string(), "Video frame at 0.000s: NAL unit is cut short: 9 bytes needed at offset 0, 1 present");
    muxer.push(&frame(TrackKind::Video, 0, true, vec![0, 0, 0, 2, 6, 1]), &mut out).unwrap();
    assert!(muxer.push(&sound(0, 8185), &mut out).is_err());
    assert!(out.is_empty());
    muxer.push(&sound(0, 8184), &mut out).unwrap();
    muxer.flush(&mut out);
    assert_eq!(monitor::check(&out).audio[0].payload.len(), 8191);
}

#[test]
fn audio_packets_have_a_limit() {
    let config = Mp3Config { sample_rate: 44_100, channels: 2, samples_per_frame: 1152, kbit_s: 128 };
    let mut muxer = Muxer::new();
    muxer.set_audio(Arc::new(AudioConfig::Mp3(config))).unwrap();
    let mut out = Vec::new();
    muxer.push(&sound(0, MAX_PES_PAYLOAD), &mut out).unwrap();
    muxer.push(&sound(26, MAX_PES_PAYLOAD - 1), &mut out).unwrap();
    muxer.push(&sound(52, 1), &mut out).unwrap();
    muxer.push(&sound(78, 1), &mut out).unwrap();
    let e = muxer.push(&sound(104, MAX_PES_PAYLOAD + 1), &mut out).unwrap_err();
    assert!(matches!(e, Error::FrameTooLong { max: MAX_PES_PAYLOAD, .. }));
    muxer.flush(&mut out);
    let sizes: Vec<_> = monitor::check(&out).audio.iter().map(|p| p.payload.len()).collect();
    assert_eq!(sizes, [MAX_PES_PAYLOAD, MAX_PES_PAYLOAD, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the rates, sizes and (moderate) disorder, nothing is lost and the monitor is content.
    #[test]
    fn any_stream_passes_the_monitor(
        sizes in proptest::collection::vec(prop_oneof![0usize..700, 0usize..90_000], 1..40),
        interval in 8i64..400,
        gop in 1usize..20,
        jitter in proptest::collection::vec(0i64..8, 40),
        audio in proptest::option::of((-3000i64..3000, 1usize..1500)),
    ) {
        let pictures: Vec<_> = sizes.iter().zip(&jitter).enumerate()
            .map(|(n, (size, jitter))| picture(n as i64 * interval + jitter, n % gop == 0, *size)).collect();
        let end = sizes.len() as i64 * interval;
        let sounds: Vec<_> = audio.map_or(vec![], |(skew, size)| {
            (0..end * 48 / 1024).map(|n| sound(n * 1024 / 48 + skew, size)).collect()
        });
        let count = sounds.len();
        // The sound's stamps are ahead of its place in the stream by `skew`; the track that is behind begins.
        let mut units = interleaved(pictures, sounds);
        if let Some((skew, _)) = audio {
            let (picture_late, sound_late) = if skew < 0 { (8, 0) } else { (0, 8) };
            units.sort_by_key(|u| match u {
                Unit::Frame(f) if f.track == TrackKind::Audio => f.dts.as_millis() - skew + sound_late,
                Unit::Frame(f) => f.dts.as_millis() + picture_late,
                _ => -1,
            });
        }
        let report = monitored(&units);
        prop_assert_eq!(report.video.len(), sizes.len());
        prop_assert_eq!(report.adts_frames(), count);
        prop_assert!(report.tables_interval <= 100.0, "tables after {}", report.tables_interval);
    }

    /// Not even nonsense makes it write anything but whole packets.
    #[test]
    fn any_frames_give_whole_packets(frames in proptest::collection::vec(
        (any::<bool>(), any::<bool>(), any::<i64>(), any::<i64>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..30)) {
        let mut muxer = Muxer::new();
        muxer.set_video(avc()).unwrap();
        muxer.set_audio(aac()).unwrap();
        let mut out = Vec::new();
        for (video, keyframe, dts, pts, payload) in frames {
            let track = if video { TrackKind::Video } else { TrackKind::Audio };
            let (dts, pts) = (Timestamp::from_nanos(dts), Timestamp::from_nanos(pts));
            let _ = muxer.push(&Frame { track, keyframe, dts, pts, payload: payload.into() }, &mut out);
        }
        muxer.flush(&mut out);
        prop_assert_eq!(out.len() % 188, 0);
        prop_assert!(out.chunks(188).all(|p| p[0] == 0x47));
    }
}
