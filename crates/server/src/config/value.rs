//! What a setting's value may be: each type parses itself from text (environment, flags) and from TOML, and says in
//! plain words what it expects. A value that exists is a value in range.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use millrace_hub::AddressRange;
use millrace_site::{CorsOrigins, MailSender, MailServer};
use millrace_transcode::{AudioCodec, VideoCodec};
use toml::de::DeValue;

/// A type that a configuration key can have.
pub(crate) trait Setting: Sized {
    /// What a value must be, to follow the word "expected".
    fn expected() -> String;

    /// Reads the value as it stands in an environment variable or on the command line.
    fn from_text(text: &str) -> Option<Self>;

    /// Reads the value as it stands in the file: a string, unless the type says otherwise.
    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        value.as_str().and_then(Self::from_text)
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// The number, for whatever integer holds it.
    pub(crate) fn get<T: TryFrom<u64>>(self) -> T
    where
        T::Error: fmt::Debug,
    {
        T::try_from(self.0).expect("the range of a key fits the type that reads it")
    }
}

impl<const MIN: u64, const MAX: u64> Setting for Whole<MIN, MAX> {
    fn expected() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().filter(|n| (MIN..=MAX).contains(n)).map(Self)
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        let number = value.as_integer()?;
        u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|n| (MIN..=MAX).contains(n)).map(Self)
    }
}

/// A length of time from `MIN` to `MAX` milliseconds, written with its unit: `500ms`, `2s`, `1m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span<const MIN: u64, const MAX: u64>(Duration);

impl<const MIN: u64, const MAX: u64> Span<MIN, MAX> {
    /// The length of time.
    pub(crate) fn get(self) -> Duration {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> Setting for Span<MIN, MAX> {
    fn expected() -> String {
        let (min, max) = (with_unit(MIN, TIME_UNITS), with_unit(MAX, TIME_UNITS));
        format!("a duration from {min} to {max}, such as \"500ms\", \"2s\" or \"1m\"")
    }

    fn from_text(text: &str) -> Option<Self> {
        let millis = parse_with_unit(text, TIME_UNITS)?;
        (MIN..=MAX).contains(&millis).then(|| Self(Duration::from_millis(millis)))
    }
}

/// A number of bytes from `MIN` to `MAX`, written with its unit: `512KiB`, `16MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Size<MIN, MAX> {
    /// The number of bytes.
    pub(crate) fn get(self) -> usize {
        usize::try_from(self.0).expect("sizes are far below the address space")
    }
}

impl<const MIN: u64, const MAX: u64> Setting for Size<MIN, MAX> {
    fn expected() -> String {
        let (min, max) = (with_unit(MIN, SIZE_UNITS), with_unit(MAX, SIZE_UNITS));
        format!("a size from {min} to {max}, such as \"512KiB\" or \"16MiB\"")
    }

    fn from_text(text: &str) -> Option<Self> {
        parse_with_unit(text, SIZE_UNITS).filter(|n| (MIN..=MAX).contains(n)).map(Self)
    }
}

impl Setting for bool {
    fn expected() -> String {
        "true or false".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }
}

impl Setting for SocketAddr {
    fn expected() -> String {
        "an IP address and port, such as \"0.0.0.0:8080\" or \"[::]:8080\"".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Setting for PathBuf {
    fn expected() -> String {
        "a path".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }
}

/// A line of text for people, neither empty nor longer than [`Line::MAX`] characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line(String);

impl Line {
    const MAX: usize = 100;

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for Line {
    fn expected() -> String {
        format!("a line of text, 1 to {} characters", Self::MAX)
    }

    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = (1..=Self::MAX).contains(&text.chars().count()) && !text.contains(char::is_control);
        fits.then(|| Self(text.to_owned()))
    }
}

/// Address of a database. It may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The address. A secret: for the database only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

impl Setting for DatabaseUrl {
    fn expected() -> String {
        "sqlite://FILE, or postgres://USER:PASSWORD@HOST/NAME".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        let known = ["sqlite://", "postgres://", "postgresql://"];
        known.iter().any(|start| text.starts_with(start) && text.len() > start.len()).then(|| Self(text.to_owned()))
    }
}

/// Address of the place where files are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StorageUrl(String);

impl StorageUrl {
    /// The address.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for StorageUrl {
    fn expected() -> String {
        "file://DIRECTORY, or s3://BUCKET/PREFIX?endpoint=URL&region=NAME&path_style=BOOL".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse::<millrace_objects::Place>().is_ok().then(|| Self(text.to_owned()))
    }
}

/// Name or secret of an access key, as a storage gives them out. A secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AccessKey(String);

impl AccessKey {
    const MAX: usize = 256;

    /// The text. A secret: for the storage only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(…)")
    }
}

impl Setting for AccessKey {
    fn expected() -> String {
        format!("1 to {} characters without spaces", Self::MAX)
    }

    fn from_text(text: &str) -> Option<Self> {
        let sound = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        sound.then(|| Self(text.to_owned()))
    }
}

impl Setting for MailServer {
    fn expected() -> String {
        "smtp://HOST:PORT or smtps://USER:PASSWORD@HOST".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Setting for MailSender {
    fn expected() -> String {
        "an e-mail address, or NAME <ADDRESS>".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A key of 256 bits. A secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct HexKey(String);

impl HexKey {
    /// The 64 digits. A secret: for the site only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HexKey(…)")
    }
}

impl Setting for HexKey {
    fn expected() -> String {
        "64 hexadecimal digits".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| Self(text.to_owned()))
    }
}

/// A setting that may be left empty.
impl<T: Setting> Setting for Option<T> {
    fn expected() -> String {
        format!("{}, or nothing", T::expected())
    }

    fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::from_text(text).map(Some) }
    }
}

/// Addresses and networks, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Networks(Vec<AddressRange>);

impl Networks {
    /// The ranges.
    pub(crate) fn ranges(&self) -> &[AddressRange] {
        &self.0
    }
}

impl Setting for Networks {
    fn expected() -> String {
        "addresses and networks such as \"127.0.0.0/8, ::1\", or nothing".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        let range = |text: &str| {
            let (address, bits) = match text.split_once('/') {
                Some((address, bits)) => (address.parse::<IpAddr>().ok()?, bits.parse().ok()?),
                None => text.parse::<IpAddr>().ok().map(|ip| (ip, if ip.is_ipv4() { 32 } else { 128 }))?,
            };
            AddressRange::new(address, bits)
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(range).collect::<Option<Vec<_>>>().map(Self)
    }
}

/// Heights of renditions, in pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heights(Vec<u32>);

impl Heights {
    /// The heights, the largest first.
    pub(crate) fn get(&self) -> Vec<u32> {
        self.0.clone()
    }
}

impl Setting for Heights {
    fn expected() -> String {
        "at most 8 numbers of pixels from 144 to 4320 such as \"1080, 720\", or nothing".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let mut heights = parts.map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>()?;
        heights.sort_unstable_by(|a, b| b.cmp(a));
        heights.dedup();
        let fit = heights.len() <= 8 && heights.iter().all(|height| (144..=4320).contains(height));
        fit.then_some(Self(heights))
    }
}

impl Setting for VideoCodec {
    fn expected() -> String {
        "\"h264\", \"hevc\", \"av1\" or \"vp9\"".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "h264" => Self::H264,
            "hevc" => Self::Hevc,
            "av1" => Self::Av1,
            "vp9" => Self::Vp9,
            _ => return None,
        })
    }
}

impl Setting for AudioCodec {
    fn expected() -> String {
        "\"aac\" or \"opus\"".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "aac" => Self::Aac,
            "opus" => Self::Opus,
            _ => return None,
        })
    }
}

/// Scheme and authority of a web address, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin(String);

impl Origin {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for Origin {
    fn expected() -> String {
        "an address such as \"https://video.example\", without a path".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let uri: axum::http::Uri = text.parse().ok()?;
        let sound =
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty());
        (sound && text.matches('/').count() == 2).then(|| Self(text.to_owned()))
    }
}

/// Origins whose pages may use the API: a list separated by commas, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origins {
    These(Vec<Origin>),
    All,
}

impl Origins {
    /// As the site takes them.
    pub(crate) fn to_site(&self) -> CorsOrigins {
        match self {
            Self::All => CorsOrigins::All,
            Self::These(these) if these.is_empty() => CorsOrigins::Own,
            Self::These(these) => CorsOrigins::These(these.iter().map(|one| one.as_str().to_lowercase()).collect()),
        }
    }
}

impl Setting for Origins {
    fn expected() -> String {
        "addresses such as \"https://app.example\", separated by commas, or \"*\", or nothing".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self::All);
        }
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(Origin::from_text).collect::<Option<Vec<_>>>().map(Self::These)
    }
}

/// What to log: a level, or `tracing-subscriber` directives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFilter(String);

impl LogFilter {
    /// The directives.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for LogFilter {
    fn expected() -> String {
        "off, error, warn, info, debug or trace, or directives such as \"info,millrace_rtmp=debug\"".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        // A lone word that is no level would be taken as the name of a crate and silence everything.
        let plain_levels = ["off", "error", "warn", "info", "debug", "trace"];
        let sound = text.split(',').all(|part| part.contains('=') || plain_levels.contains(&part.trim()));
        let parses = tracing_subscriber::EnvFilter::try_new(text).is_ok();
        (sound && parses).then(|| Self(text.to_owned()))
    }
}

/// Declares a setting that is one of a few words.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $Type:ident { $( $(#[doc = $variant_doc:literal])+ $Variant:ident = $word:literal, )+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $Type { $( $(#[doc = $variant_doc])+ $Variant, )+ }

        impl $Type {
            const WORDS: &[(&str, Self)] = &[$( ($word, Self::$Variant), )+];
        }

        impl Setting for $Type {
            fn expected() -> String {
                let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                words.join(" or ")
            }

            fn from_text(text: &str) -> Option<Self> {
                Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
            }
        }
    };
}

words! {
    /// How log lines are written.
    LogFormat {
        /// For people.
        Text = "text",
        /// For machines, one JSON object per line.
        Json = "json",
    }
}

words! {
    /// A language that the pages are written in.
    Language {
        /// English.
        English = "en",
        /// 简体中文.
        Chinese = "zh-CN",
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Keeps `text` from being printed.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. Take care where it goes.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Units from the smallest to the largest, each with its worth in the smallest.
type Units = &'static [(&'static str, u64)];

/// Splits `2s` into number and unit, and gives its worth in the smallest unit.
fn parse_with_unit(text: &str, units: Units) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let (_, worth) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*worth)
}

/// Writes `value` in the largest unit that divides it.
fn with_unit(value: u64, units: Units) -> String {
    let largest = units.iter().rev().find(|(_, worth)| value != 0 && value.is_multiple_of(*worth));
    let (name, worth) = largest.unwrap_or(&units[0]);
    format!("{}{name}", value / worth)
}

const TIME_UNITS: Units = &[("ms", 1), ("s", SECOND), ("m", MINUTE), ("h", HOUR)];
const SIZE_UNITS: Units = &[("B", 1), ("KiB", KIB), ("MiB", MIB), ("GiB", GIB)];

pub(super) const SECOND: u64 = 1000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const KIB: u64 = 1024;
pub(super) const MIB: u64 = 1024 * KIB;
pub(super) const GIB: u64 = 1024 * MIB;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    type AnySpan = Span<0, { u64::MAX }>;
    type AnySize = Size<0, { u64::MAX }>;

    #[test]
    fn durations_need_a_unit() {
        for (text, millis) in [("500ms", 500), ("2s", 2_000), ("2 s", 2_000), ("1m", 60_000), ("1h", 3_600_000)] {
            assert_eq!(AnySpan::from_text(text).unwrap().get(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "2", "s", "-1s", "1.5s", "2 seconds", "2S", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(AnySpan::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        for (text, bytes) in [("0B", 0), ("512KiB", 512 << 10), ("16MiB", 16 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(AnySize::from_text(text).unwrap().get(), bytes, "{text}");
        }
        for text in ["16", "16MB", "16mib", "MiB"] {
            assert_eq!(AnySize::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn ranges_hold_at_their_ends() {
        type Count = Whole<1, 8>;
        assert_eq!(Count::from_text("1").map(Whole::get::<u8>), Some(1));
        assert_eq!(Count::from_text("8").map(Whole::get::<u8>), Some(8));
        assert_eq!(Count::from_text("0"), None);
        assert_eq!(Count::from_text("9"), None);
        assert_eq!(Span::<500, 1000>::from_text("499ms"), None);
        assert!(Span::<500, 1000>::from_text("1s").is_some());
        assert_eq!(Span::<500, 1000>::from_text("1001ms"), None);
        assert_eq!(
            Span::<500, 90_000>::expected(),
            "a duration from 500ms to 90s, such as \"500ms\", \"2s\" or \"1m\""
        );
    }

    #[test]
    fn a_log_filter_is_a_level_or_directives() {
        for good in ["info", "off", "warn,millrace_hub=trace", "millrace_rtmp=debug"] {
            assert!(LogFilter::from_text(good).is_some(), "{good}");
        }
        for bad in ["", "loud", "inof", "info,hub", "hub=loud"] {
            assert_eq!(LogFilter::from_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_origin_has_no_path() {
        assert_eq!(Origin::from_text("https://video.example/").unwrap().as_str(), "https://video.example");
        assert!(Origin::from_text("http://[::1]:8080").is_some());
        for bad in
            ["video.example", "https://", "ftp://video.example", "https://video.example/live", "/", "https://a b"]
        {
            assert_eq!(Origin::from_text(bad), None, "{bad}");
        }
        assert_eq!(Option::<Origin>::from_text(""), Some(None));
        assert_eq!(Option::<Origin>::from_text("x"), None);
    }

    #[test]
    fn origins_are_a_list_or_all() {
        let origins = |text| Origins::from_text(text).map(|origins| origins.to_site());
        assert_eq!(origins(""), Some(CorsOrigins::Own));
        assert_eq!(origins(" * "), Some(CorsOrigins::All));
        let two = vec!["https://app.example".to_owned(), "http://localhost:5173".to_owned()];
        assert_eq!(origins("https://App.example/, http://localhost:5173"), Some(CorsOrigins::These(two)));
        for bad in ["app.example", "*, https://app.example", "https://app.example/path"] {
            assert_eq!(origins(bad), None, "{bad}");
        }
    }

    #[test]
    fn networks_are_a_list() {
        let networks = |text| Networks::from_text(text).map(|n| n.ranges().to_vec());
        let range = |address: &str, bits| AddressRange::new(address.parse().unwrap(), bits).unwrap();
        assert_eq!(networks(""), Some(Vec::new()));
        assert_eq!(networks("10.0.0.0/8, ::1"), Some(vec![range("10.0.0.0", 8), range("::1", 128)]));
        assert_eq!(networks("192.0.2.1"), Some(vec![range("192.0.2.1", 32)]));
        for bad in ["localhost", "10.0.0.0/33", "10.0.0.0/", "10/8", "::/129", "10.0.0.0/8 ::1"] {
            assert_eq!(networks(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_line_is_bounded_and_single() {
        assert_eq!(Line::from_text(" 水车 ").unwrap().as_str(), "水车");
        assert!(Line::from_text(&"x".repeat(Line::MAX)).is_some());
        assert_eq!(Line::from_text(&"x".repeat(Line::MAX + 1)), None);
        assert_eq!(Line::from_text("  "), None);
        assert_eq!(Line::from_text("a\nb"), None);
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2hunter2".to_owned())), "Secret(…)");
        assert_eq!(format!("{:?}", AccessKey::from_text("hunter2").unwrap()), "AccessKey(…)");
    }
}
