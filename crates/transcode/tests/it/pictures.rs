use std::path::Path;
use std::process::Command;

use millrace_transcode::storyboard_vtt;

use crate::support::{Bench, PLAIN, ffmpeg, judge, probe, send};

/// A picture's brightness, 0 to 255, by rows.
fn brightness(path: &Path) -> Vec<u8> {
    let words = ["-v", "error", "-i", path.to_str().unwrap(), "-vf", "format=gray", "-f", "rawvideo", "-"];
    Command::new("ffmpeg").args(words).output().unwrap().stdout
}

#[tokio::test]
async fn thumbnails_have_the_videos_shape_and_come_from_all_over() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    // Brighter with time: from black to white in 4 seconds.
    let words =
        "-f lavfi -i color=black:s=240x320:r=25:d=4,geq=lum=T*50+16:cb=128:cr=128 -c:v libx264 -preset ultrafast -g 25";
    let path = bench.make("a.mp4", words);
    let probe = probe(&ffmpeg, &path).await;
    let pictures = send(ffmpeg.thumbnails(&path, &probe, 3, 160)).await.unwrap();
    assert_eq!(pictures.len(), 3);
    let shades: Vec<_> = pictures
        .iter()
        .map(|jpeg| {
            let path = bench.write("x.jpg", jpeg);
            assert_eq!(judge(&path).size(), (120, 160));
            brightness(&path)[0]
        })
        .collect();
    assert!(shades[0] + 20 < shades[1] && shades[1] + 20 < shades[2], "{shades:?}");
}

#[tokio::test]
async fn black_frames_are_passed_over() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    // Black for the first half second of what each picture is chosen from.
    let words = "-f lavfi -i color=white:s=64x36:r=10:d=3,geq=lum='if(lt(T,0.8),16,200)':cb=128:cr=128 -c:v libx264 -preset ultrafast";
    let path = bench.make("a.mp4", words);
    let probe = probe(&ffmpeg, &path).await;
    let pictures = ffmpeg.thumbnails(&path, &probe, 1, 160).await.unwrap();
    assert!(brightness(&bench.write("x.jpg", &pictures[0]))[0] > 150);
}

#[tokio::test]
async fn one_frame_is_enough_and_more_count_is_no_more_pictures() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let path = bench.make("a.mp4", "-f lavfi -i testsrc2=s=64x36:d=0.04 -c:v libx264 -frames:v 1");
    let probe = probe(&ffmpeg, &path).await;
    assert_eq!(ffmpeg.thumbnails(&path, &probe, 3, 1280).await.unwrap().len(), 1);
    let board = send(ffmpeg.storyboard(&path, &probe)).await.unwrap().unwrap();
    assert_eq!((board.sheets.len(), board.layout.count), (1, 1));
    assert_eq!(judge(&bench.write("x.jpg", &board.sheets[0])).size(), (64, 36));
}

#[tokio::test]
async fn sound_has_its_cover_or_nothing() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let plain = bench.make("a.mp3", "-f lavfi -i sine=d=1");
    let none = probe(&ffmpeg, &plain).await;
    assert!(ffmpeg.thumbnails(&plain, &none, 3, 1280).await.unwrap().is_empty());
    assert!(ffmpeg.storyboard(&plain, &none).await.unwrap().is_none());

    let cover = bench.make("cover.jpg", "-f lavfi -i testsrc2=s=100x50:d=0.04 -frames:v 1");
    let words =
        format!("-i {} -i {} -map 0 -map 1 -c copy -disposition:v attached_pic", plain.display(), cover.display());
    let path = bench.make("b.mp3", &words);
    let probe = probe(&ffmpeg, &path).await;
    let pictures = ffmpeg.thumbnails(&path, &probe, 3, 80).await.unwrap();
    assert_eq!(pictures.len(), 1);
    assert_eq!(judge(&bench.write("x.jpg", &pictures[0])).size(), (80, 40));
}

/// Each tile shows its second, whether keyframes alone are decoded or all frames.
#[tokio::test]
async fn each_tile_of_a_storyboard_shows_its_time() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    for keyframe_each in [5, 1000] {
        let words = format!(
            "-f lavfi -i color=black:s=64x36:r=5:d=30,geq=lum=floor(T)*7+16:cb=128:cr=128 \
             -c:v libx264 -preset ultrafast -g {keyframe_each} -keyint_min 1"
        );
        let path = bench.make("a.mp4", &words);
        let probe = probe(&ffmpeg, &path).await;
        let board = ffmpeg.storyboard(&path, &probe).await.unwrap().unwrap();
        let layout = &board.layout;
        assert_eq!((layout.count, layout.columns, layout.rows, board.sheets.len()), (30, 5, 5, 2));
        let paths: Vec<_> = board.sheets.iter().enumerate().map(|(n, s)| bench.write(&format!("{n}.jpg"), s)).collect();
        assert_eq!(judge(&paths[1]).size(), (5 * 64, 5 * 36));
        let sheets: Vec<_> = paths.iter().map(|path| brightness(path)).collect();
        let text = storyboard_vtt(layout, "{n}.jpg");
        let places: Vec<_> = text.lines().filter_map(|line| line.split_once(".jpg#xywh=")).collect();
        assert_eq!(places.len(), 30);
        for (second, (sheet, place)) in places.into_iter().enumerate() {
            let [x, y, w, h] = place.split(',').map(|n| n.parse::<usize>().unwrap()).collect::<Vec<_>>()[..] else {
                panic!("{place}")
            };
            let middle = (y + h / 2) * 5 * 64 + x + w / 2;
            let shade = sheets[sheet.parse::<usize>().unwrap()][middle];
            // Video's levels begin at 16 and are stretched to a picture's.
            let wanted = second as f64 * 7.0 * 255.0 / 219.0;
            assert!((f64::from(shade) - wanted).abs() < 5.0, "{second}: {shade}, not {wanted}, every {keyframe_each}");
        }
    }
}

#[tokio::test]
async fn a_turned_video_has_turned_pictures() {
    let (bench, ffmpeg) = (Bench::new(), ffmpeg().await);
    let path = crate::transcoding::rotated(&bench, &bench.make("a.mp4", PLAIN));
    let probe = probe(&ffmpeg, &path).await;
    let pictures = ffmpeg.thumbnails(&path, &probe, 1, 1280).await.unwrap();
    assert_eq!(judge(&bench.write("x.jpg", &pictures[0])).size(), (180, 320));
    let board = ffmpeg.storyboard(&path, &probe).await.unwrap().unwrap();
    assert_eq!((board.layout.tile_width, board.layout.tile_height), (90, 160));
    assert_eq!(judge(&bench.write("y.jpg", &board.sheets[0])).size(), (3 * 90, 160));
}
