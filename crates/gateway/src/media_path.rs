use millrace_hub::{CLOCK, HlsFormat, ResourceName, StreamId};

/// What a media URL asks for. Everything else on the HTTP port is the site's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaPath {
    /// `/{app}/{name}.flv`: FLV over HTTP, or over a WebSocket by upgrade.
    Flv(StreamId),
    /// `/{app}/{name}.m3u8`: the multivariant playlist.
    Multivariant(StreamId),
    /// `/{app}/{name}/ts.m3u8` or `cmaf.m3u8`: the media playlist of one format.
    MediaPlaylist(StreamId, HlsFormat),
    /// `/{app}/{name}/{segment}.ts`, `.m4s` or `.mp4`: what media playlists name.
    Resource(StreamId, ResourceName),
    /// `/{app}/{name}.mpd`: the manifest of MPEG-DASH.
    Manifest(StreamId),
    /// `/{app}/{name}/clock`: the server's time, for players of MPEG-DASH.
    Clock(StreamId),
    /// `/{app}/{name}.jpg`: the live picture.
    Thumbnail(StreamId),
}

/// First parts of the site's own paths: no application of these names has media URLs.
pub const RESERVED_APPS: [&str; 20] = [
    "about", "admin", "api", "assets", "browse", "docs", "embed", "healthz", "login", "media", "readyz", "register",
    "reset", "search", "settings", "setup", "static", "studio", "videos", "w",
];

impl MediaPath {
    /// Reads a URL's path. `None` where it is not one of media; names are checked here, and
    /// percent-encoding is not decoded, since names need none.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (app, rest) = path.strip_prefix('/')?.split_once('/')?;
        if RESERVED_APPS.contains(&app) {
            return None;
        }
        match rest.split_once('/') {
            None => {
                let (name, extension) = rest.rsplit_once('.')?;
                let id = StreamId::parse(app, name).ok()?;
                match extension {
                    "flv" => Some(Self::Flv(id)),
                    "m3u8" => Some(Self::Multivariant(id)),
                    "mpd" => Some(Self::Manifest(id)),
                    "jpg" => Some(Self::Thumbnail(id)),
                    _ => None,
                }
            }
            Some((name, file)) => {
                if let Some(format) = HlsFormat::of_playlist(file) {
                    return Some(Self::MediaPlaylist(StreamId::parse(app, name).ok()?, format));
                }
                if file == CLOCK {
                    return Some(Self::Clock(StreamId::parse(app, name).ok()?));
                }
                let resource = ResourceName::parse(file).filter(|_| !file.contains('/'))?;
                Some(Self::Resource(StreamId::parse(app, name).ok()?, resource))
            }
        }
    }

    /// The stream that it is about.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        match self {
            Self::Flv(id)
            | Self::Multivariant(id)
            | Self::MediaPlaylist(id, _)
            | Self::Resource(id, _)
            | Self::Manifest(id)
            | Self::Clock(id)
            | Self::Thumbnail(id) => id,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn media_urls() {
        let id = || StreamId::parse("live", "movie").unwrap();
        for (path, expected) in [
            ("/live/movie.flv", MediaPath::Flv(id())),
            ("/live/movie.m3u8", MediaPath::Multivariant(id())),
            ("/live/movie/ts.m3u8", MediaPath::MediaPlaylist(id(), HlsFormat::Ts)),
            ("/live/movie/cmaf.m3u8", MediaPath::MediaPlaylist(id(), HlsFormat::Cmaf)),
            ("/live/movie/0193-7.ts", MediaPath::Resource(id(), ResourceName::parse("0193-7.ts").unwrap())),
            ("/live/movie/x-init0.mp4", MediaPath::Resource(id(), ResourceName::parse("x-init0.mp4").unwrap())),
            ("/live/movie.mpd", MediaPath::Manifest(id())),
            ("/live/movie/clock", MediaPath::Clock(id())),
            ("/live/movie.jpg", MediaPath::Thumbnail(id())),
        ] {
            assert_eq!(MediaPath::parse(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_is_not_media_is_the_sites() {
        for path in [
            "/",
            "/live",
            "/live/",
            "/live/movie",
            "/live/movie.mp4",
            "/live/.flv",
            "/@movie",
            "/embed/@movie.flv",
            "/assets/x.jpg",
            "/api/v1.flv",
            "live/movie.flv",
            "//movie.flv",
            "/live/../movie.flv",
            "/live/%2e%2e.flv",
            "/live/MOVIE.flv",
            "/live/a/b/c.ts",
            "/live/a.b.flv",
            "/live/movie/../../x.ts",
        ] {
            assert_eq!(MediaPath::parse(path), None, "{path}");
        }
    }
}
