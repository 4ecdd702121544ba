//! Every configuration key: its type, its default and what it means. The reference page is made from this file.

use std::{net::SocketAddr, path::PathBuf};

use millrace_site::{MailSender, MailServer};
use millrace_transcode::{AudioCodec, VideoCodec};
use toml::de::DeValue;

use super::{
    streams::StreamEntry,
    value::{
        AccessKey, DatabaseUrl, GIB, HOUR, Heights, HexKey, Language, Line, LogFilter, LogFormat, MIB, MINUTE,
        Networks, Origin, Origins, SECOND, Setting, Size, Span, StorageUrl, Whole,
    },
};

/// A configuration key as the loader and the reference page see it.
pub(crate) struct Key {
    /// Section and name, `http.listen`.
    pub(crate) path: &'static str,
    /// What it means, a line each.
    pub(crate) doc: &'static [&'static str],
    /// The default, as it would stand in the file.
    pub(crate) default: &'static str,
    /// What a value must be.
    pub(crate) expected: fn() -> String,
    /// Takes a value over; false where it is not what is expected.
    pub(super) set: fn(&mut Config, &Raw<'_, '_>) -> bool,
    /// Whether two configurations agree on it.
    pub(super) same: fn(&Config, &Config) -> bool,
}

/// A value as it was found.
pub(super) enum Raw<'a, 'i> {
    /// In the environment or on the command line.
    Text(&'a str),
    /// In the file.
    Toml(&'a DeValue<'i>),
}

impl Raw<'_, '_> {
    fn store<T: Setting>(&self, target: &mut T) -> bool {
        let value = match self {
            Self::Text(text) => T::from_text(text),
            Self::Toml(value) => T::from_toml(value),
        };
        value.map(|value| *target = value).is_some()
    }

    fn read<T: Setting>(&self) -> Option<T> {
        match self {
            Self::Text(text) => T::from_text(text),
            Self::Toml(value) => T::from_toml(value),
        }
    }
}

/// Declares the sections: their structs, [`Config`] with its defaults, and the table of [`KEYS`].
macro_rules! sections {
    (
        top { $( $(#[doc = $top_doc:literal])+ $top:ident: $TopType:ty = $top_default:literal, )+ }
        $(
            $(#[doc = $section_doc:literal])+
            [$section:ident] $Section:ident {
                $( $(#[doc = $doc:literal])+ $key:ident: $Type:ty = $default:literal, )+
            }
        )+
    ) => {
        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug, PartialEq)]
            pub(crate) struct $Section { $( $(#[doc = $doc])+ pub(crate) $key: $Type, )+ }
        )+

        /// The whole configuration.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct Config {
            $( $(#[doc = $top_doc])+ pub(crate) $top: $TopType, )+
            $( $(#[doc = $section_doc])+ pub(crate) $section: $Section, )+
            /// Streams that may be published here.
            pub(crate) streams: Vec<StreamEntry>,
        }

        impl Default for Config {
            fn default() -> Self {
                Self {
                    $( $top: default(stringify!($top_default)), )+
                    $( $section: $Section { $( $key: default(stringify!($default)), )+ }, )+
                    streams: Vec::new(),
                }
            }
        }

        /// Sections and what they are for, in the order of the reference page.
        pub(crate) const SECTIONS: &[(&str, &[&str])] = &[$( (stringify!($section), &[$($section_doc),+]), )+];

        /// All keys but those of `[[streams]]`.
        pub(crate) const KEYS: &[Key] = &[
            $( Key {
                path: stringify!($top),
                doc: &[$($top_doc),+],
                default: stringify!($top_default),
                expected: <$TopType>::expected,
                set: |config, raw| raw.store(&mut config.$top),
                same: |a, b| a.$top == b.$top,
            }, )+
            $( $( Key {
                path: concat!(stringify!($section), ".", stringify!($key)),
                doc: &[$($doc),+],
                default: stringify!($default),
                expected: <$Type>::expected,
                set: |config, raw| raw.store(&mut config.$section.$key),
                same: |a, b| a.$section.$key == b.$section.$key,
            }, )+ )+
        ];
    };
}

/// Reads a default out of its TOML text.
fn default<T: Setting>(toml: &str) -> T {
    let value = DeValue::parse(toml).expect("a default is a TOML value");
    Raw::Toml(value.get_ref()).read().expect("a default is in its own range")
}

sections! {
    top {
        /// Directory for everything that Millrace writes. Made at the first start.
        data_dir: PathBuf = "./data",
    }

    /// Pages, API and playback over HTTP.
    [http] Http {
        /// Where browsers and players connect.
        listen: SocketAddr = "0.0.0.0:8080",
        /// How long a client may take to send the head of a request.
        header_timeout: Span<SECOND, { 5 * MINUTE }> = "10s",
        /// Other sites whose pages may use the API, such as `https://app.example`, separated by commas; `*` for all. They
        /// act by tokens of their own, never for who is logged in to this site in the same browser. Empty: none.
        cors_origins: Origins = "",
        /// Addresses and networks of reverse proxies in front, such as `127.0.0.1, ::1`: whom they name in `X-Forwarded-For`
        /// counts as who asks, and `X-Forwarded-Proto` says whether it was over HTTPS. Name proxies that write these headers,
        /// and nobody else: whoever is trusted may claim any address. Empty: none, and all who come through one are one.
        trusted_proxies: Networks = "",
    }

    /// Publishing and playback over RTMP.
    [rtmp] Rtmp {
        /// Where encoders and RTMP players connect.
        listen: SocketAddr = "0.0.0.0:1935",
        /// How long a client may take from connecting to the end of the handshake.
        handshake_timeout: Span<SECOND, { 5 * MINUTE }> = "10s",
        /// A connection whose peer sends nothing for this long is closed. Players that take their stream need not send.
        idle_timeout: Span<{ 3 * SECOND }, HOUR> = "60s",
        /// Port that the pages tell encoders to use, where it differs from the one listened on. 0: it does not differ.
        public_port: Whole<0, 65_535> = 0,
    }

    /// RTMP over TLS. Listens where `tls.certificate` and `tls.key` are set.
    [rtmps] Rtmps {
        /// Where encoders and RTMP players connect.
        listen: SocketAddr = "0.0.0.0:1936",
    }

    /// The certificate for TLS. Read again on SIGHUP.
    [tls] Tls {
        /// File with the certificate and those of its issuers, in PEM. Empty: no TLS.
        certificate: Option<PathBuf> = "",
        /// File with the certificate's private key, in PEM. Only the server's user should be able to read it.
        key: Option<PathBuf> = "",
    }

    /// Diagnostics for operators. Not meant for the public: keep it on a private address.
    [ops] Ops {
        /// Where `/streams`, `/metrics` and `/healthz` answer. Empty: nowhere. `millrace worker`, which has no streams, listens
        /// only where this is set: the default is the server's, and both may be on one machine.
        listen: Option<SocketAddr> = "127.0.0.1:9600",
    }

    /// The web site.
    [site] Site {
        /// Name shown on the pages.
        name: Line = "Millrace",
        /// Language of the pages for browsers that ask for neither English nor Chinese.
        default_language: Language = "en",
        /// Address under which visitors reach the site, for links to share. Empty: whatever address they used.
        public_url: Option<Origin> = "",
        /// Where the source code of this server can be had, linked at the foot of each page. Empty: not linked.
        source_url: Option<Line> = "",
        /// The site's own key, 64 hexadecimal digits, with which stream keys and second factors are sealed in the database.
        /// All nodes of a site need the same. Empty: made at the first start, and kept in `data_dir` as `site.key`. Keep a
        /// copy of it: what was sealed is lost without it.
        key: Option<HexKey> = "",
    }

    /// Where accounts are kept, and all else that outlives a restart.
    [database] Database {
        /// `sqlite://` and a file, below `data_dir` unless its path is absolute; or `postgres://` with user, password, host
        /// and name of a database that is there.
        url: DatabaseUrl = "sqlite://millrace.db",
        /// Copies of an SQLite database that are kept in `data_dir` as `backups`, one made each night. 0: none are made.
        /// PostgreSQL is copied with its own programs.
        backups: Whole<0, 365> = 3,
    }

    /// Where files are kept that people upload: videos, and pictures of accounts and channels. `millrace storage move` brings
    /// them from one place to another.
    [storage] Storage {
        /// `file://` and a directory, below `data_dir` unless its path is absolute. Nothing else belongs into it. Made at the
        /// first start. Or `s3://` and a bucket of S3 or of what speaks like it, with names that all keys stand below if one
        /// likes, and then `?` and options with `&` between them: `endpoint` is scheme, host and port of a storage that is not
        /// Amazon's; `region` is `us-east-1` or `AWS_REGION` if it is not said; `path_style=true` names the bucket in the path
        /// of an address, `false` in its host, as Amazon does and others do not by default.
        url: StorageUrl = "file://objects",
        /// Names the access key of a bucket. Both empty: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and their kin, or the
        /// role of a machine at Amazon's. The key needs s3:ListBucket, GetObject, PutObject, DeleteObject and
        /// AbortMultipartUpload.
        access_key_id: Option<AccessKey> = "",
        /// The access key itself. `MILLRACE_STORAGE__SECRET_ACCESS_KEY` keeps it out of the file.
        secret_access_key: Option<AccessKey> = "",
        /// Address at which viewers reach the bucket's endpoint, such as `https://objects.example`, for links to it that are
        /// signed and end: whole files of videos for everybody are then had from there. Only for buckets.
        public_url: Option<Origin> = "",
    }

    /// What may be uploaded. What comes is kept in `data_dir` as `uploads` until it is whole.
    [upload] Upload {
        /// The largest file.
        max_size: Size<MIB, { 64 * 1024 * GIB }> = "8GiB",
        /// The most that is stored for one account, renditions and pictures of its videos included. 0: no limit.
        quota: Size<0, { 1024 * 1024 * GIB }> = "0B",
        /// What uploads, and the work on videos, leave free on the disk.
        reserve: Size<0, { 1024 * GIB }> = "1GiB",
        /// How long an upload may rest before it is given up.
        keep: Span<{ 5 * MINUTE }, { 30 * 24 * HOUR }> = "24h",
    }

    /// Work in the background: making videos playable, deleting, counting, backups.
    [jobs] Jobs {
        /// What a process that is not heard of for so long was doing, another takes up. The same for all that share a
        /// database, whose clocks must agree far better.
        lease: Span<{ 2 * SECOND }, HOUR> = "60s",
    }

    /// Other sizes of videos, made with FFmpeg.
    [transcode] Transcode {
        /// Which: pixels of the shorter side, none larger than the original. Empty: none are made.
        heights: Heights = "1080, 720, 480, 360",
        /// How their pictures are coded. `h264` plays everywhere; the others are smaller, take longer to make, and do not play
        /// on all devices.
        video_codec: VideoCodec = "h264",
        /// How their sound is coded. `aac` plays everywhere.
        audio_codec: AudioCodec = "aac",
        /// How many are made at the same time in this process. 0: none here, workers make them.
        at_once: Whole<0, 64> = 1,
        /// Threads for each. 0: as many as FFmpeg likes.
        threads: Whole<0, 256> = 0,
    }

    /// Videos that were deleted.
    [trash] Trash {
        /// How long they can be restored, in hours: then they are deleted for good.
        keep: Span<0, { 10 * 366 * 24 * HOUR }> = "720h",
    }

    /// Letters to users, who confirm their addresses by them and are helped with a lost password. Needs `site.public_url`.
    [mail] Mail {
        /// The mail server: `smtps://USER:PASSWORD@HOST` for TLS from the first byte, `smtp://USER:PASSWORD@HOST:587?tls=required`
        /// for STARTTLS, `smtp://HOST:25` for a server of one's own without either. Letters that stand for others in user and
        /// password are written as in addresses (`%40` for `@`). Empty: no mail is sent.
        url: Option<MailServer> = "",
        /// Whom letters come from: `noreply@video.example`, or `River TV <noreply@video.example>`.
        from: Option<MailSender> = "",
    }

    /// Rules for publishers.
    [publish] Publish {
        /// Lets anyone publish under any name, without a key. Only for closed networks.
        open: bool = false,
        /// How long players and playlists are kept when a publisher drops, so that it can come back.
        grace: Span<0, HOUR> = "15s",
    }

    /// Groups of pictures kept for players that join: from a keyframe on, with its sound.
    [gop] Gop {
        /// How many groups a joining player gets. With 0 it waits for the next keyframe.
        count: Whole<0, 8> = 1,
        /// The most that one stream keeps, in bytes.
        max_bytes: Size<MIB, GIB> = "32MiB",
        /// The most that one stream keeps, in pictures and sound frames.
        max_frames: Whole<100, 100_000> = 6000,
        /// The most that one stream keeps, in time.
        max_duration: Span<SECOND, { 5 * MINUTE }> = "30s",
    }

    /// Rules for players.
    [play] Play {
        /// A player that takes nothing for this long is disconnected.
        stall_timeout: Span<SECOND, HOUR> = "30s",
        /// How far a player may fall behind before it skips to the newest keyframe; never less than what a joining player gets.
        window: Span<500, MINUTE> = "2s",
    }

    /// HTTP Live Streaming.
    [hls] Hls {
        /// Shortest length of a segment. It ends at the next keyframe.
        segment: Span<500, { 30 * SECOND }> = "2s",
        /// About how long the parts of a segment are, by which players that know Low-Latency HLS follow. They keep four of
        /// them behind live.
        part: Span<100, { 2 * SECOND }> = "200ms",
        /// Segments in a playlist.
        window: Whole<3, 60> = 6,
        /// How long the playlist and its segments stay after the stream has ended.
        keep_after_end: Span<0, { 24 * HOUR }> = "60s",
    }

    /// Bounds that keep the server standing. What is beyond them is refused with words that say so; who watches or
    /// publishes already is never cut by them. IPv6 addresses count by their /64.
    [limits] Limits {
        /// Connections at a time, HTTP and RTMP together. Each needs a file descriptor (`ulimit -n`), and no more are
        /// admitted than the system gives; one over RTMPS needs three, and counts as three. A sixteenth more is kept
        /// for trusted addresses and for viewers of HLS and of videos.
        connections: Whole<16, 1_000_000> = 100000,
        /// Connections at a time from one address. Whole networks may stand behind one.
        connections_per_address: Whole<1, 1_000_000> = 1000,
        /// Connections that one address may make per second, over ten seconds.
        connects_per_second: Whole<1, 1000> = 100,
        /// Files of videos that are sent at a time: originals and downloads, whole or by ranges. Segments of HLS, with
        /// which this site's own player watches, do not count.
        downloads: Whole<1, 1_000_000> = 2000,
        /// The same to one address.
        downloads_per_address: Whole<1, 1_000_000> = 50,
        /// Addresses to which limits of one address do not apply: probes of a cluster, one's own network. Connections from
        /// `http.trusted_proxies` are trusted as well.
        trusted: Networks = "127.0.0.0/8, ::1",
        /// Publishers at a time.
        publishers: Whole<1, 100_000> = 5000,
        /// Publishers at a time from one address.
        publishers_per_address: Whole<1, 100_000> = 200,
        /// Streams at a time, those included that only wait for their publisher.
        streams: Whole<1, 100_000> = 10000,
        /// Players at a time, on all streams, over RTMP, HTTP-FLV and WebSocket. Each needs a file descriptor, too.
        /// Viewers of HLS keep no connection, and are not among them.
        players: Whole<1, 1_000_000> = 100000,
        /// The same from one address. Whole networks may stand behind one; it matters for those who come through a proxy,
        /// whose connections are not counted by address.
        players_per_address: Whole<1, 1_000_000> = 1000,
    }

    /// Ending in good order.
    [shutdown] Shutdown {
        /// After SIGTERM, streams and answers get this long to end.
        timeout: Span<0, HOUR> = "10s",
    }

    /// The log, on standard error.
    [log] Log {
        /// How much to say.
        level: LogFilter = "info",
        /// How to write it.
        format: LogFormat = "text",
    }

    /// FFmpeg, which makes other sizes and pictures of videos, brings what browsers do not play into MP4, and makes thumbnails
    /// of what is on air and the demonstration channel. Live streams, and videos that are MP4 already, play without it.
    [ffmpeg] Ffmpeg {
        /// Program to start, by name or path. `ffprobe` is expected beside it.
        path: PathBuf = "ffmpeg",
    }

    /// Still pictures of what is on air. They need FFmpeg.
    [thumbnails] Thumbnails {
        /// Whether to make them.
        enabled: bool = true,
        /// How old a picture may become before it is made anew.
        interval: Span<SECOND, HOUR> = "10s",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid() {
        // `Config::default` parses each of them and would panic.
        let config = Config::default();
        assert_eq!(config.http.listen.port(), 8080);
        assert_eq!(config.gop.count.get::<u8>(), 1);
    }

    #[test]
    fn every_key_is_explained() {
        for key in KEYS {
            assert!(key.doc.last().is_some_and(|line| line.ends_with('.')), "{}", key.path);
        }
    }
}
