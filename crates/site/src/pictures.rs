//! Pictures of people and channels: taken as they come, and kept as the site draws them.
//!
//! What somebody uploads is never given to others. It is decoded within bounds, turned upright, cut to its shape, made
//! smaller where it is large, and encoded anew: what else the file held, where it was taken for one, is not part of that.

use std::io::Cursor;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, GenericImageView, ImageDecoder, ImageEncoder, ImageError, ImageFormat,
    ImageReader, Limits,
};
use millrace_objects::{Error, Key, Objects};

use crate::workers::{Busy, Workers};
use crate::{Site, headers};

/// What a picture is for. It decides the picture's proportions, and how large it is at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A square.
    Avatar,
    /// A broad strip.
    Banner,
    /// What stands for a video.
    Thumbnail,
}

impl Shape {
    /// Width and height in pixels.
    const fn size(self) -> (u32, u32) {
        match self {
            Self::Avatar => (256, 256),
            Self::Banner => (1600, 400),
            Self::Thumbnail => (1280, 720),
        }
    }
}

/// Why a picture is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// It is none, or of another kind.
    #[error("a picture must be a JPEG, PNG, WebP or GIF file")]
    Kind,
    /// It cannot be read.
    #[error("the picture is damaged")]
    Damaged,
    /// It has too many pixels.
    #[error("the picture is too large: at most 8192 pixels wide and high, and 128 MiB when decoded")]
    Large,
    /// Come back later.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// It cannot be stored.
    #[error(transparent)]
    Objects(#[from] Error),
}

/// The pictures of a site. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pictures {
    objects: Objects,
    workers: Workers,
}

impl Pictures {
    pub(crate) fn new(objects: Objects) -> Self {
        Self { objects, workers: Workers::new(THREADS, QUEUE) }
    }

    /// Keeps a picture that somebody uploaded, in that shape.
    pub(crate) async fn keep(&self, upload: Vec<u8>, shape: Shape) -> Result<Key, Unfit> {
        let (extension, bytes) = self.workers.work(move || redrawn(&upload, shape)).await??;
        Ok(self.objects.put(extension, bytes).await?)
    }

    /// Deletes a picture that nothing refers to any more. Where that fails, it stays behind and harms nobody.
    pub(crate) async fn discard(&self, key: Option<String>) {
        let Some(key) = key.as_deref().and_then(Key::parse) else { return };
        if let Err(error) = self.objects.delete(&key).await {
            tracing::warn!(%error, %key, "a picture that is no longer needed could not be deleted");
        }
    }
}

/// Where the pictures are.
pub(crate) fn routes() -> Router<Site> {
    Router::new().route("/media/{key}", get(picture))
}

/// The address of a picture.
pub(crate) fn url(key: &str) -> String {
    format!("/media/{key}")
}

/// Width and height of the picture that begins with these bytes, in pixels.
pub(crate) fn size_of(head: &[u8]) -> Option<(u32, u32)> {
    ImageReader::new(Cursor::new(head)).with_guessed_format().ok()?.into_dimensions().ok()
}

async fn picture(State(site): State<Site>, Path(key): Path<String>) -> Response {
    let mut response = find(&site, &key).await.unwrap_or_else(|status| {
        let mut response = [(header::CACHE_CONTROL, "no-store")].into_response();
        *response.status_mut() = status;
        response
    });
    secure(response.headers_mut());
    response
}

async fn find(site: &Site, key: &str) -> Result<Response, StatusCode> {
    let key = Key::parse(key).ok_or(StatusCode::NOT_FOUND)?;
    let kind = content_type(key.extension()).ok_or(StatusCode::NOT_FOUND)?;
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, %key, "a picture could not be read");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    // Pictures of videos are among the objects, too, and not for everybody.
    if !site.accounts.store.is_picture(key.as_str()).await.map_err(|error| failed(&error))? {
        return Err(StatusCode::NOT_FOUND);
    }
    let object = site.accounts.pictures.objects.get(&key).await.map_err(|error| match error {
        Error::NotFound => StatusCode::NOT_FOUND,
        error => failed(&error),
    })?;
    let mut response = Body::from_stream(object.chunks).into_response();
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.insert(header::CONTENT_LENGTH, object.size.into());
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    Ok(response)
}

/// A picture that is opened by itself runs nothing.
fn secure(answer: &mut HeaderMap) {
    headers::harden(answer);
    answer.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
}

fn content_type(extension: &str) -> Option<&'static str> {
    match extension {
        JPEG => Some("image/jpeg"),
        WEBP => Some("image/webp"),
        _ => None,
    }
}

/// The picture as the site keeps it, with its extension.
fn redrawn(upload: &[u8], shape: Shape) -> Result<(&'static str, Vec<u8>), Unfit> {
    let picture = shaped(decoded(upload)?, shape);
    let (width, height) = picture.dimensions();
    let drawn = picture.to_rgba8();
    let opaque = drawn.pixels().all(|pixel| pixel[3] == u8::MAX);
    let mut bytes = Vec::new();
    let done = if opaque {
        let rgb = DynamicImage::ImageRgba8(drawn).to_rgb8();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
        encoder.write_image(&rgb, width, height, ExtendedColorType::Rgb8)
    } else {
        WebPEncoder::new_lossless(&mut bytes).write_image(&drawn, width, height, ExtendedColorType::Rgba8)
    };
    done.map_err(|_| Unfit::Damaged)?;
    Ok((if opaque { JPEG } else { WEBP }, bytes))
}

/// The first picture of a file, upright.
fn decoded(upload: &[u8]) -> Result<DynamicImage, Unfit> {
    let format = image::guess_format(upload).map_err(|_| Unfit::Kind)?;
    if !matches!(format, ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif) {
        return Err(Unfit::Kind);
    }
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED);
    let mut reader = ImageReader::with_format(Cursor::new(upload), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(unfit)?;
    limits.reserve(decoder.total_bytes()).map_err(unfit)?;
    decoder.set_limits(limits).map_err(unfit)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(unfit)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn unfit(error: ImageError) -> Unfit {
    match error {
        ImageError::Limits(_) => Unfit::Large,
        ImageError::Unsupported(_) => Unfit::Kind,
        _ => Unfit::Damaged,
    }
}

/// The middle of a picture in the shape's proportions, no larger than the shape. It is cut first: a picture that is a
/// thousand times as high as wide never grows to the shape's width.
fn shaped(picture: DynamicImage, shape: Shape) -> DynamicImage {
    let ((width, height), (to_width, to_height)) = (picture.dimensions(), shape.size());
    // Widths and heights are below 2^13, so that products fit.
    let cut_width = width.min((height * to_width / to_height).max(1));
    let cut_height = height.min((width * to_height / to_width).max(1));
    let (x, y) = ((width - cut_width) / 2, (height - cut_height) / 2);
    let cut = picture.crop_imm(x, y, cut_width, cut_height);
    if cut_width <= to_width && cut_height <= to_height {
        return cut;
    }
    cut.resize_exact(to_width, to_height, FilterType::CatmullRom)
}

/// The largest file that is taken, in bytes.
pub(crate) const MAX_UPLOAD: usize = 5 << 20;
/// The most pixels that a picture may be wide, or high.
const MAX_SIDE: u32 = 8192;
/// The most bytes that a picture may have when it is decoded.
const MAX_DECODED: u64 = 128 << 20;
/// Of JPEG, out of 100.
const QUALITY: u8 = 85;
/// Pictures that are drawn at a time: each may need [`MAX_DECODED`] bytes, and as much again to be turned.
const THREADS: usize = 2;
/// Those who are served or wait. Their files are in memory.
const QUEUE: usize = 16;
const JPEG: &str = "jpg";
const WEBP: &str = "webp";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "pictures_tests.rs"]
mod tests;
