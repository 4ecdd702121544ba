use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use millrace_transcode::{AudioHandling, Container, Error, Keyframes, Limits, NotMedia, Remux, Transcode};
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, PLAIN, ffmpeg, probe, rung, transcode, unheard};

async fn refusal(path: &Path, limits: &Limits) -> Error {
    let error = ffmpeg().await.probe(path, limits).await.unwrap_err();
    assert!(error.is_the_files(), "{error:?}");
    error
}

#[tokio::test]
async fn what_is_no_video_is_refused_in_words() {
    let bench = Bench::new();
    let limits = Limits::default();
    assert!(matches!(refusal(&bench.write("a.mp4", ""), &limits).await, Error::NotMedia(NotMedia::Empty)));
    let text = bench.write("b.mp4", "Dear diary,\n");
    assert_eq!(refusal(&text, &limits).await.to_string(), "this is a text file, not a video");
    let noise: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert!(matches!(refusal(&bench.write("c.mp4", &noise), &limits).await, Error::NotMedia(NotMedia::Unknown)));
    let head = [b"\0\0\0\x18ftypisom\0\0\0\0isommp42".as_slice(), &noise].concat();
    assert!(matches!(refusal(&bench.write("d.mp4", head), &limits).await, Error::Damaged(_)));
    let subtitles = bench.write("e.srt", "1\n00:00:00,000 --> 00:00:01,000\nx\n");
    let only_text = bench.make("e.mkv", &format!("-i {} -c copy", subtitles.display()));
    let words = refusal(&only_text, &limits).await.to_string();
    assert!(words.ends_with("its tracks are of other kinds"), "{words}");
}

#[tokio::test]
async fn a_file_that_was_cut_off_says_so() {
    let bench = Bench::new();
    let whole = std::fs::read(bench.make("a.mp4", PLAIN)).unwrap();
    // The index comes last.
    let cut = bench.write("b.mp4", &whole[..whole.len() / 2]);
    let words = "the file is damaged or incomplete: its index is missing, as when an upload or a recording was cut off";
    assert_eq!(refusal(&cut, &Limits::default()).await.to_string(), words);

    // The index comes first: what is there can be had, and what is missing is told.
    let long = PLAIN.replace("d=3", "d=8");
    let whole = std::fs::read(bench.make("c.mp4", &format!("{long} -movflags +faststart"))).unwrap();
    let cut = bench.write("d.mp4", &whole[..whole.len() / 2]);
    let ffmpeg = ffmpeg().await;
    let every = Keyframes::Every(Duration::from_secs(1));
    let made = transcode(&ffmpeg, &cut, &rung(160, 90), every, &bench.path("e.mp4")).await.unwrap();
    assert!(made.notes.iter().any(|note| note.starts_with("only ")), "{made:?}");
}

#[tokio::test]
async fn ten_thousand_tracks_are_too_many() {
    let bench = Bench::new();
    let mut file = std::fs::read(bench.make("a.mp4", &format!("{PLAIN} -an"))).unwrap();
    let find = |file: &[u8], kind: &[u8]| file.windows(4).position(|w| w == kind).unwrap() - 4;
    let length = |file: &[u8], at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
    let (moov, trak) = (find(&file, b"moov"), find(&file, b"trak"));
    let copy = file[trak..trak + length(&file, trak) as usize].to_vec();
    let grown = length(&file, moov) + copy.len() as u32 * 9_999;
    file[moov..moov + 4].copy_from_slice(&grown.to_be_bytes());
    file.splice(trak..trak, copy.repeat(9_999));
    let many = bench.write("b.mp4", file);
    assert!(matches!(refusal(&many, &Limits::default()).await, Error::TooManyTracks { .. }));
}

#[tokio::test]
async fn pictures_beyond_the_limit_are_refused_and_at_it_taken() {
    let bench = Bench::new();
    let long = bench.make("a.mkv", "-f lavfi -i color=s=16386x16:d=0.04 -c:v png");
    let error = refusal(&long, &Limits::default()).await;
    assert!(matches!(error, Error::TooLarge { width: 16386, height: 16 }), "{error:?}");
    let plain = bench.make("b.mp4", PLAIN);
    let at = Limits { max_pixels: 320 * 180, max_side: 320, ..Limits::default() };
    assert!(ffmpeg().await.probe(&plain, &at).await.is_ok());
    let past = Limits { max_pixels: 320 * 180 - 1, ..at };
    assert_eq!(refusal(&plain, &past).await.to_string(), "the video is too large: 320 x 180 pixels");
}

#[tokio::test]
async fn a_picture_that_claims_a_monstrous_size_is_refused() {
    let bench = Bench::new();
    let mut file = std::fs::read(bench.make("a.mov", "-f lavfi -i color=s=64x36:d=0.04 -c:v png")).unwrap();
    let header = file.windows(4).position(|w| w == b"IHDR").unwrap() + 4;
    file[header..header + 8].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    // The sample entry's as well: width and height are 28 bytes behind its name.
    let entry = file.windows(4).position(|w| w == b"png ").unwrap() + 4 + 24;
    file[entry..entry + 4].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    let error = refusal(&bench.write("b.mov", file), &Limits::default()).await;
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn a_video_that_claims_to_last_for_days_is_refused() {
    let bench = Bench::new();
    let mut file = std::fs::read(bench.make("a.mp4", &format!("{PLAIN} -an"))).unwrap();
    // Version 0: flags, two dates, then (not in tkhd) a scale, and the duration.
    for (kind, offset) in [(b"mvhd", 16), (b"tkhd", 20), (b"mdhd", 16)] {
        let at = file.windows(4).position(|w| w == kind).unwrap() + 4 + offset;
        file[at..at + 4].copy_from_slice(&0x7fff_ff00u32.to_be_bytes());
    }
    // Each picture lasts for hours: the table of times has one entry, a count and a time.
    let times = file.windows(4).position(|w| w == b"stts").unwrap() + 4 + 12;
    file[times..times + 4].copy_from_slice(&0x0fff_ffffu32.to_be_bytes());
    // Without its edit list, which says the truth.
    let edits = file.windows(4).position(|w| w == b"edts").unwrap();
    file[edits..edits + 4].copy_from_slice(b"free");
    let error = refusal(&bench.write("b.mp4", file), &Limits::default()).await;
    assert_eq!(error.to_string(), "the video is too long: more than 24 hours");
}

#[tokio::test]
async fn a_file_that_outgrows_its_duration_does_not_fill_the_disk() {
    let bench = Bench::new();
    let ffmpeg = ffmpeg().await;
    let words = "-f lavfi -i testsrc2=s=64x36:r=2:d=200 -c:v libx264 -preset ultrafast";
    let input = bench.make("a.mp4", words);
    let mut probe = probe(&ffmpeg, &input).await;
    probe.duration = Duration::from_secs(1);
    let spec = Transcode {
        input: &input,
        probe: &probe,
        rung: &rung(64, 36),
        keyframes: &Keyframes::At(Vec::new()),
        output: &bench.path("b.mp4"),
    };
    let error = ffmpeg.transcode(&spec, &unheard(), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, Error::Outgrown), "{error:?}");
    assert_eq!(bench.names(), ["a.mp4"]);
}

/// Playlists and scripts that name a secret file and an address of this machine, as videos.
#[tokio::test]
async fn nothing_that_a_file_points_at_is_opened() {
    let bench = Bench::new();
    let ffmpeg = ffmpeg().await;
    let secret = bench.make("secret.ts", &format!("{PLAIN} -f mpegts"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/secret.ts", listener.local_addr().unwrap());
    let mut traps = Vec::new();
    for target in [format!("{}", secret.display()), format!("file:{}", secret.display()), url] {
        traps.push(format!("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{target}\n#EXT-X-ENDLIST\n"));
        traps.push(format!("ffconcat version 1.0\nfile '{target}'\n"));
        traps.push(format!("\n\nfile '{target}'\n"));
        traps.push(format!("<?xml version=\"1.0\"?><MPD><Period><AdaptationSet><BaseURL>{target}</BaseURL></AdaptationSet></Period></MPD>"));
    }
    let mut probe = probe(&ffmpeg, &secret).await;
    for trap in traps {
        let input = bench.write("trap.mp4", &trap);
        assert!(matches!(refusal(&input, &Limits::default()).await, Error::NotMedia(_)), "{trap}");
        // Even where it is taken for a video, it is read as that and as nothing else.
        for container in [Container::Mp4, Container::Matroska, Container::MpegTs] {
            probe.container = container;
            let output = bench.path("out.mp4");
            let spec = Remux { input: &input, probe: &probe, audio: AudioHandling::Copy, output: &output };
            assert!(ffmpeg.remux(&spec, &unheard(), &CancellationToken::new()).await.is_err(), "{trap}");
        }
    }
    assert_eq!(bench.names(), ["secret.ts", "trap.mp4"]);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "an address was called");
}
