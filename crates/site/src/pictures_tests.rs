use image::codecs::gif::GifEncoder;
use image::{Frame, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn plain(width: u32, height: u32, colour: [u8; 3]) -> DynamicImage {
    RgbImage::from_pixel(width, height, Rgb(colour)).into()
}

fn drawn(upload: &[u8], shape: Shape) -> (&'static str, DynamicImage) {
    let (extension, bytes) = redrawn(upload, shape).unwrap();
    assert_eq!(image::guess_format(&bytes).unwrap(), ImageFormat::from_extension(extension).unwrap());
    (extension, image::load_from_memory(&bytes).unwrap())
}

fn is_near(pixel: Rgba<u8>, colour: [u8; 3]) -> bool {
    pixel.0.iter().zip(colour).all(|(one, other)| one.abs_diff(other) < 8)
}

/// A PNG that says it is so large, with next to nothing in it.
fn png_of_size(width: u32, height: u32) -> Vec<u8> {
    let mut png = encoded(&plain(1, 1, [0; 3]), ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    png
}

/// Of PNG's chunks (PNG, Annex D).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// A JPEG with what a camera writes: that it lay on its side, and where it was.
fn photograph(picture: &DynamicImage, place: &str) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x02".to_vec();
    tiff.extend(b"\x01\x0e\0\x02\0\0\0"); // description: text
    tiff.push(u8::try_from(place.len()).unwrap());
    tiff.extend(b"\0\0\0\x26");
    tiff.extend(b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"); // orientation: to be turned clockwise
    tiff.extend([0; 4]);
    tiff.extend(place.as_bytes());
    let jpeg = encoded(picture, ImageFormat::Jpeg);
    let length = u16::try_from(2 + 6 + tiff.len()).unwrap();
    [&jpeg[..2], b"\xff\xe1", &length.to_be_bytes(), b"Exif\0\0", &tiff, &jpeg[2..]].concat()
}

#[test]
fn every_kind_is_taken_and_cut_to_its_shape() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
        let upload = encoded(&plain(900, 500, [200, 30, 30]), format);
        let (extension, avatar) = drawn(&upload, Shape::Avatar);
        assert_eq!((extension, avatar.dimensions()), (JPEG, (256, 256)), "{format:?}");
        assert!(is_near(avatar.get_pixel(128, 128), [200, 30, 30]), "{format:?}");
        let (_, banner) = drawn(&upload, Shape::Banner);
        assert_eq!(banner.dimensions(), (900, 225), "{format:?}: never enlarged");
    }
    let (_, banner) = drawn(&encoded(&plain(3000, 2000, [1, 2, 3]), ImageFormat::Jpeg), Shape::Banner);
    assert_eq!(banner.dimensions(), (1600, 400));
}

#[test]
fn the_middle_is_kept() {
    let mut picture = RgbImage::from_pixel(900, 300, Rgb([255, 0, 0]));
    image::imageops::overlay(&mut picture, &RgbImage::from_pixel(300, 300, Rgb([0, 0, 255])), 300, 0);
    let (_, avatar) = drawn(&encoded(&picture.into(), ImageFormat::Png), Shape::Avatar);
    for (x, y) in [(4, 4), (128, 128), (251, 251)] {
        assert!(is_near(avatar.get_pixel(x, y), [0, 0, 255]), "{x} {y}");
    }
}

#[test]
fn what_can_be_seen_through_stays_so() {
    let mut picture = RgbaImage::from_pixel(300, 300, Rgba([0, 0, 0, 0]));
    image::imageops::overlay(&mut picture, &RgbaImage::from_pixel(300, 150, Rgba([0, 200, 0, 255])), 0, 0);
    let (extension, avatar) = drawn(&encoded(&picture.into(), ImageFormat::Png), Shape::Avatar);
    assert_eq!(extension, WEBP);
    assert_eq!(avatar.get_pixel(128, 200)[3], 0);
    assert_eq!(avatar.get_pixel(128, 20), Rgba([0, 200, 0, 255]));
}

#[test]
fn a_photograph_stands_upright_and_does_not_tell_where_it_was_taken() {
    let mut lying = RgbImage::from_pixel(200, 200, Rgb([255, 0, 0]));
    image::imageops::overlay(&mut lying, &RgbImage::from_pixel(100, 200, Rgb([0, 0, 255])), 0, 0); // blue: left half
    let upload = photograph(&lying.into(), "52.5200 N, 13.4050 E");
    assert!(upload.windows(7).any(|part| part == b"13.4050"));
    let (_, bytes) = redrawn(&upload, Shape::Avatar).unwrap();
    for secret in [&b"13.4050"[..], b"Exif"] {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret));
    }
    let upright = image::load_from_memory(&bytes).unwrap();
    assert!(is_near(upright.get_pixel(100, 20), [0, 0, 255]), "left has become top");
    assert!(is_near(upright.get_pixel(100, 180), [255, 0, 0]));
}

#[test]
fn of_an_animation_the_first_picture_is_kept() {
    let mut gif = Vec::new();
    let frames = [[250, 0, 0, 255], [0, 0, 250, 255]].map(|colour| RgbaImage::from_pixel(64, 64, Rgba(colour)));
    GifEncoder::new(&mut gif).encode_frames(frames.map(Frame::new)).unwrap();
    let (extension, avatar) = drawn(&gif, Shape::Avatar);
    assert_eq!((extension, avatar.dimensions()), (JPEG, (64, 64)));
    assert!(is_near(avatar.get_pixel(32, 32), [250, 0, 0]));
}

#[test]
fn sizes_are_refused_before_anything_is_decoded() {
    for (width, height) in [(60_000, 60_000), (u32::MAX, 1), (MAX_SIDE + 1, 1), (1, MAX_SIDE + 1), (MAX_SIDE, MAX_SIDE)]
    {
        let refused = redrawn(&png_of_size(width, height), Shape::Avatar).unwrap_err();
        assert!(matches!(refused, Unfit::Large), "{width} x {height}: {refused:?}");
    }
    let damaged = redrawn(&png_of_size(100, 100), Shape::Avatar).unwrap_err();
    assert!(matches!(damaged, Unfit::Damaged), "what the size allows has to be there: {damaged:?}");
}

#[test]
fn a_picture_as_narrow_as_a_thread_does_not_grow() {
    for (width, height) in [(1, MAX_SIDE), (MAX_SIDE, 1), (1, 1)] {
        let upload = encoded(&plain(width, height, [9; 3]), ImageFormat::Png);
        for shape in [Shape::Avatar, Shape::Banner] {
            let (_, picture) = drawn(&upload, shape);
            assert!(picture.width() <= 4 && picture.height() == 1, "{width} x {height} {shape:?}");
        }
    }
}

#[test]
fn what_is_no_picture_is_refused() {
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    let bmp = b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0\0\0\0\0";
    for upload in [&b""[..], b"GIF", b"hello", b"<!doctype html><script>", svg, bmp, &[0; 100]] {
        let refused = redrawn(upload, Shape::Avatar).unwrap_err();
        assert!(matches!(refused, Unfit::Kind), "{upload:?}: {refused:?}");
    }
}

#[test]
fn files_that_break_off_are_refused_or_shown_as_far_as_they_go() {
    let mut picture = RgbImage::new(300, 200);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        *pixel = Rgb([(x * 7 % 256) as u8, (y * 13 % 256) as u8, (x * y % 256) as u8]);
    }
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
        let whole = encoded(&picture.clone().into(), format);
        for tenths in 0..10 {
            let _ = redrawn(&whole[..whole.len() * tenths / 10], Shape::Avatar); // it does not panic
        }
        let refused = redrawn(&whole[..16], Shape::Avatar).unwrap_err();
        assert!(matches!(refused, Unfit::Damaged), "{format:?}: {refused:?}");
    }
    let png = encoded(&picture.into(), ImageFormat::Png);
    assert!(matches!(redrawn(&png[..png.len() / 2], Shape::Avatar), Err(Unfit::Damaged)));
}
