//! Names of streams: what a peer asks for in its commands, and RTMP URLs.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// Which stream a request is about, as the peer put it.
///
/// It is checked for nothing: whoever uses it decides what a name may be.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// The application: the first part of what `connect` named.
    pub app: String,
    /// The stream's name or key.
    pub name: String,
    /// What followed a question mark, of the application and of the name.
    pub query: Option<String>,
}

impl Target {
    /// Takes apart the application of `connect` and the name of `publish` or `play`.
    ///
    /// An application may have an instance (`live/_definst_`), which means nothing here. But where
    /// the name is empty the instance is the name: OBS with all of `rtmp://host/live/key` in its
    /// server field connects to `live/key` and publishes nothing.
    pub fn new(app: &str, name: &str) -> Self {
        let (app, app_query) = split_query(app);
        let (name, name_query) = split_query(name);
        let (app, instance) = app.split_once('/').unwrap_or((app, ""));
        let name = if name.is_empty() { instance.trim_matches('/') } else { name };
        let query = match (name_query, app_query) {
            (Some(name), Some(app)) => Some(format!("{name}&{app}")),
            (query, None) | (None, query) => query.map(str::to_owned),
        };
        Self { app: app.to_owned(), name: name.to_owned(), query }
    }

    /// The value of a query parameter, as it is written.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.query.as_deref()?.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find_map(|(n, value)| (n == name).then_some(value))
    }

    /// The stream key: the parameter `key` if there is one, else the name.
    pub fn key(&self) -> &str {
        self.parameter("key").filter(|key| !key.is_empty()).unwrap_or(&self.name)
    }
}

/// Without name and query, since those are or hold keys.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("app", &self.app).finish_non_exhaustive()
    }
}

/// The first part of an application.
pub(crate) fn app_name(app: &str) -> &str {
    let (app, _) = split_query(app);
    app.split_once('/').map_or(app, |(app, _)| app)
}

/// A name without slashes and blanks around it, which users paste, and its query.
fn split_query(name: &str) -> (&str, Option<&str>) {
    let name = name.trim();
    let (name, query) = match name.split_once('?') {
        Some((name, query)) => (name, (!query.is_empty()).then_some(query)),
        None => (name, None),
    };
    (name.trim_matches('/').trim(), query)
}

/// Where a client connects and what it asks for there.
#[derive(Clone, PartialEq, Eq)]
pub struct RtmpUrl {
    /// Whether the connection is over TLS (`rtmps`).
    pub tls: bool,
    /// Name or address of the host, without the brackets of an IPv6 address.
    pub host: String,
    /// Its port: 1935 unless the URL says otherwise, or 443 over TLS.
    pub port: u16,
    /// The application, with its instance if it has one.
    pub app: String,
    /// The stream's name or key, with its query.
    pub name: String,
}

impl RtmpUrl {
    /// The URL of the application, which `connect` tells the server.
    pub fn tc_url(&self) -> String {
        let scheme = if self.tls { "rtmps" } else { "rtmp" };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        let port = match self.port {
            port if port == default_port(self.tls) => String::new(),
            port => format!(":{port}"),
        };
        format!("{scheme}://{open}{}{close}{port}/{}", self.host, self.app)
    }
}

/// Without the name, since it may be a key.
impl fmt::Debug for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RtmpUrl({}/…)", self.tc_url())
    }
}

/// `rtmp://host[:port]/app[/instance]/name[?query]`.
impl FromStr for RtmpUrl {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self, Error> {
        let wrong = |expected| Error::Url { expected };
        let (scheme, rest) = url.trim().split_once("://").ok_or(wrong("rtmp://"))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "rtmp" => false,
            "rtmps" => true,
            _ => return Err(wrong("rtmp:// or rtmps://")),
        };
        let (authority, path) = rest.split_once('/').ok_or(wrong("an application after the host"))?;
        if authority.contains('@') {
            return Err(wrong("no user or password before the host"));
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(wrong("] after an IPv6 address"))?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        if host.is_empty() {
            return Err(wrong("a host"));
        }
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(wrong("a port of 1 to 65535"))?,
            None if port.is_empty() => default_port(tls),
            None => return Err(wrong("a port or a path after the host")),
        };
        let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        let mut parts = path.trim_matches('/').splitn(3, '/');
        let app = parts.next().filter(|app| !app.is_empty());
        let app = app.ok_or(wrong("an application after the host"))?;
        let (app, name) = match (parts.next(), parts.next()) {
            (Some(instance), Some(name)) => (format!("{app}/{instance}"), name),
            (Some(name), None) => (app.to_owned(), name),
            (None, _) => return Err(wrong("a stream name after the application")),
        };
        Ok(Self { tls, host: host.to_owned(), port, app, name: format!("{name}{query}") })
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 1935 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn target(app: &str, name: &str) -> (String, String, Option<String>) {
        let Target { app, name, query } = Target::new(app, name);
        (app, name, query)
    }

    fn plain(app: &str, name: &str) -> (String, String, Option<String>) {
        (app.to_owned(), name.to_owned(), None)
    }

    #[test]
    fn names_come_in_many_dresses() {
        assert_eq!(target("live", "movie"), plain("live", "movie"));
        assert_eq!(target("live/", "/movie"), plain("live", "movie"));
        assert_eq!(target(" live", "movie \r\n"), plain("live", "movie"));
        assert_eq!(target("live/_definst_", "movie"), plain("live", "movie"));
        assert_eq!(target("", ""), plain("", ""));
        assert_eq!(target("live", "a/b"), plain("live", "a/b"));
    }

    #[test]
    fn obs_with_the_key_in_its_server_field() {
        assert_eq!(target("live/key", ""), plain("live", "key"));
        assert_eq!(target("live/key/", ""), plain("live", "key"));
        let query = Some("token=1".to_owned());
        assert_eq!(target("live/key?token=1", ""), ("live".into(), "key".into(), query));
    }

    #[test]
    fn ffmpeg_leaves_the_query_in_the_name() {
        let target = Target::new("live?app=1", "key?user=alice&token=");
        assert_eq!(target.name, "key");
        assert_eq!(target.query.as_deref(), Some("user=alice&token=&app=1"));
        assert_eq!(target.parameter("user"), Some("alice"));
        assert_eq!(target.parameter("app"), Some("1"));
        assert_eq!(target.parameter("token"), Some(""));
        assert_eq!(target.parameter("none"), None);
        assert_eq!(target.key(), "key");
    }

    #[test]
    fn a_key_may_be_a_parameter() {
        assert_eq!(Target::new("live", "movie?key=secret").key(), "secret");
        assert_eq!(Target::new("live", "?key=secret").key(), "secret");
        assert_eq!(Target::new("live?key=secret", "movie").key(), "secret");
        assert_eq!(Target::new("live", "movie?key=").key(), "movie");
    }

    #[test]
    fn keys_are_not_shown() {
        let shown = format!("{:?}", Target::new("live", "secret?key=secret"));
        assert_eq!(shown, r#"Target { app: "live", .. }"#);
        let url: RtmpUrl = "rtmp://host/live/secret?key=secret".parse().unwrap();
        assert_eq!(format!("{url:?}"), "RtmpUrl(rtmp://host/live/…)");
    }

    #[test]
    fn urls_are_taken_apart() {
        let url = |url: &str| {
            let RtmpUrl { tls, host, port, app, name } = url.parse().unwrap();
            (tls, host, port, app, name)
        };
        let parts = |tls, host: &str, port, app: &str, name: &str| {
            (tls, host.to_owned(), port, app.to_owned(), name.to_owned())
        };
        assert_eq!(url("rtmp://host/live/movie"), parts(false, "host", 1935, "live", "movie"));
        assert_eq!(url("RTMPS://host/live/movie"), parts(true, "host", 443, "live", "movie"));
        assert_eq!(url("rtmp://h:19/live/i/m?k=/"), parts(false, "h", 19, "live/i", "m?k=/"));
        assert_eq!(url("rtmp://[::1]:19/live/m"), parts(false, "::1", 19, "live", "m"));
        assert_eq!(url("rtmp://[::1]/live/a/b/c"), parts(false, "::1", 1935, "live/a", "b/c"));
    }

    #[test]
    fn what_is_no_url_says_what_is_missing() {
        for (url, missing) in [
            ("host/live/movie", "rtmp://"),
            ("http://host/live/movie", "rtmp:// or rtmps://"),
            ("rtmp://host", "an application after the host"),
            ("rtmp://host//", "an application after the host"),
            ("rtmp://host/live", "a stream name after the application"),
            ("rtmp:///live/movie", "a host"),
            ("rtmp://host:0/live/movie", "a port of 1 to 65535"),
            ("rtmp://host:port/live/movie", "a port of 1 to 65535"),
            ("rtmp://[::1/live/movie", "] after an IPv6 address"),
            ("rtmp://[::1]x/live/movie", "a port or a path after the host"),
            ("rtmp://me:pw@host/live/movie", "no user or password before the host"),
        ] {
            assert_eq!(url.parse::<RtmpUrl>(), Err(Error::Url { expected: missing }), "{url}");
        }
    }

    #[test]
    fn a_tc_url_is_the_url_without_the_name() {
        for (url, tc_url) in [
            ("rtmp://host/live/movie?x=1", "rtmp://host/live"),
            ("rtmp://host:1935/live/i/movie", "rtmp://host/live/i"),
            ("rtmps://[::1]:1936/live/movie", "rtmps://[::1]:1936/live"),
        ] {
            assert_eq!(url.parse::<RtmpUrl>().unwrap().tc_url(), tc_url);
        }
    }
}
