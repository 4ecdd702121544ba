//! FFmpeg as a program: whether it is there, and what it can do.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// An FFmpeg that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ffmpeg {
    /// How to start it.
    pub(crate) path: PathBuf,
    /// As it says itself.
    pub(crate) version: String,
    /// Whether it encodes H.264 by x264.
    pub(crate) x264: bool,
    /// Whether it writes text into pictures.
    pub(crate) drawtext: bool,
}

impl Ffmpeg {
    /// Asks the program at `path`. None where it does not start.
    pub(crate) fn find(path: &Path) -> Option<Self> {
        let version = version_of(path)?;
        let lists = |what: &str, name: &str| {
            output(path, &["-hide_banner", what]).is_some_and(|list| list.lines().any(|line| lists_name(line, name)))
        };
        Some(Self {
            path: path.to_owned(),
            version,
            x264: lists("-encoders", "libx264"),
            drawtext: lists("-filters", "drawtext"),
        })
    }
}

/// What the program at `path` says of its version: ffmpeg or ffprobe. None where it does not start.
pub(crate) fn version_of(path: &Path) -> Option<String> {
    let banner = output(path, &["-version"])?;
    banner.split_whitespace().skip_while(|word| *word != "version").nth(1).map(str::to_owned)
}

/// Where ffprobe is, if `ffmpeg` is where FFmpeg is.
pub(crate) fn ffprobe_beside(ffmpeg: &Path) -> PathBuf {
    ffmpeg.with_file_name("ffprobe")
}

/// A font for text in pictures: bold or not, of even width or not.
pub(crate) fn font(kind: Font) -> Option<PathBuf> {
    let names: &[&str] = match kind {
        Font::Title => &["dejavu/DejaVuSans-Bold.ttf", "DejaVuSans-Bold.ttf", "liberation/LiberationSans-Bold.ttf"],
        Font::Digits => &["dejavu/DejaVuSansMono.ttf", "DejaVuSansMono.ttf", "liberation/LiberationMono-Regular.ttf"],
    };
    let places = FONT_DIRECTORIES.iter().flat_map(|directory| names.iter().map(|name| Path::new(directory).join(name)));
    places.into_iter().find(|path| path.is_file())
}

/// What a font is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Font {
    /// A heading.
    Title,
    /// A clock, which must not wobble.
    Digits,
}

fn output(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Lists of FFmpeg have flags, name, description.
fn lists_name(line: &str, name: &str) -> bool {
    line.split_whitespace().nth(1) == Some(name)
}

/// Where Debian, Fedora, Alpine, Arch and macOS with Homebrew keep fonts.
const FONT_DIRECTORIES: &[&str] = &[
    "/usr/share/fonts/truetype",
    "/usr/share/fonts/dejavu-sans-fonts",
    "/usr/share/fonts/dejavu-sans-mono-fonts",
    "/usr/share/fonts",
    "/usr/share/fonts/TTF",
    "/Library/Fonts",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_none() {
        assert_eq!(Ffmpeg::find(Path::new("/nonexistent/ffmpeg")), None);
        assert_eq!(version_of(Path::new("/bin/false")), None);
    }

    #[test]
    fn ffprobe_stands_beside() {
        assert_eq!(ffprobe_beside(Path::new("ffmpeg")), Path::new("ffprobe"));
        assert_eq!(ffprobe_beside(Path::new("/opt/ff/bin/ffmpeg")), Path::new("/opt/ff/bin/ffprobe"));
    }

    #[test]
    fn lists_are_read_by_column() {
        assert!(lists_name(" V....D libx264              libx264 H.264 / AVC", "libx264"));
        assert!(!lists_name(" V....D libx264rgb           libx264 H.264 / AVC", "libx264"));
    }
}
