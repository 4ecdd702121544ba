//! FFmpeg as a program: whether it is there, and what it can do.

use std::{
    collections::HashSet,
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
    /// What it encodes with, by name.
    encoders: HashSet<String>,
    /// Whether it writes text into pictures.
    pub(crate) drawtext: bool,
}

impl Ffmpeg {
    /// Asks the program at `path`. None where it does not start.
    pub(crate) fn find(path: &Path) -> Option<Self> {
        let version = version_of(path)?;
        let names = |what: &str| {
            let list = output(path, &["-hide_banner", what]).unwrap_or_default();
            list.lines().filter_map(name_in).map(str::to_owned).collect::<HashSet<_>>()
        };
        Some(Self {
            path: path.to_owned(),
            version,
            encoders: names("-encoders"),
            drawtext: names("-filters").contains("drawtext"),
        })
    }

    /// Whether it has that encoder.
    pub(crate) fn encodes(&self, encoder: &str) -> bool {
        self.encoders.contains(encoder)
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
fn name_in(line: &str) -> Option<&str> {
    line.split_whitespace().nth(1)
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
        assert_eq!(name_in(" V....D libx264rgb           libx264 H.264 / AVC"), Some("libx264rgb"));
        assert_eq!(name_in(""), None);
    }
}
