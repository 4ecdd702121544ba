//! What files are, for those who fetch them.

/// The media type of files whose names end so.
#[must_use]
pub fn media_type(extension: &str) -> &'static str {
    MEDIA_TYPES.iter().find(|(known, _)| *known == extension).map_or(ANY, |(_, media_type)| media_type)
}

pub(crate) const MEDIA_TYPES: [(&str, &str); 20] = [
    ("mp4", "video/mp4"),
    ("m4s", "video/iso.segment"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("mkv", "video/x-matroska"),
    ("ts", "video/mp2t"),
    ("mpg", "video/mpeg"),
    ("flv", "video/x-flv"),
    ("avi", "video/x-msvideo"),
    ("wmv", "video/x-ms-asf"),
    ("ogg", "video/ogg"),
    ("mxf", "application/mxf"),
    ("wav", "audio/wav"),
    ("flac", "audio/flac"),
    ("mp3", "audio/mpeg"),
    ("aac", "audio/aac"),
    ("jpg", "image/jpeg"),
    ("webp", "image/webp"),
    ("png", "image/png"),
    ("vtt", "text/vtt"),
];
/// Of what is none of these.
pub(crate) const ANY: &str = "application/octet-stream";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_of_the_type_that_their_names_end_in() {
        assert_eq!(media_type("mov"), "video/quicktime");
        assert_eq!(media_type("vtt"), "text/vtt");
        assert_eq!(media_type("exe"), "application/octet-stream");
    }
}
