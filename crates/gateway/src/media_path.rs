use millrace_hub::StreamId;

/// What a media URL asks for. Everything else on the HTTP port is the site's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaPath {
    /// `/{app}/{name}.flv`: FLV over HTTP, or over a WebSocket by upgrade.
    Flv(StreamId),
    /// `/{app}/{name}.m3u8`: the multivariant playlist.
    Multivariant(StreamId),
    /// `/{app}/{name}/ts.m3u8`: the media playlist of MPEG-TS segments.
    MediaPlaylist(StreamId),
    /// `/{app}/{name}/{segment}.ts`.
    Segment(StreamId, String),
    /// `/{app}/{name}.jpg`: the live picture.
    Thumbnail(StreamId),
}

/// First parts of the site's own paths: no application of these names has media URLs.
pub const RESERVED_APPS: [&str; 16] = [
    "about", "admin", "api", "assets", "docs", "embed", "healthz", "login", "readyz", "register", "search", "settings",
    "setup", "static", "studio", "w",
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
                    "jpg" => Some(Self::Thumbnail(id)),
                    _ => None,
                }
            }
            Some((name, "ts.m3u8")) => Some(Self::MediaPlaylist(StreamId::parse(app, name).ok()?)),
            Some((name, segment)) if segment.ends_with(".ts") && !segment.contains('/') => {
                Some(Self::Segment(StreamId::parse(app, name).ok()?, segment.to_owned()))
            }
            Some(_) => None,
        }
    }

    /// The stream that it is about.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        match self {
            Self::Flv(id)
            | Self::Multivariant(id)
            | Self::MediaPlaylist(id)
            | Self::Segment(id, _)
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
            ("/live/movie/ts.m3u8", MediaPath::MediaPlaylist(id())),
            ("/live/movie/0193-7.ts", MediaPath::Segment(id(), "0193-7.ts".to_owned())),
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
