//! Languages and messages: every visible string comes from `messages/{language}.toml`.
//!
//! A key is the path of tables (`home.live_now`). A message may hold `{placeholders}`; a counted message is a pair of
//! keys ending in `_one` and `_other`. Keys below `script.` are handed to the islands in the browser.

use std::{collections::BTreeMap, fmt::Display, sync::LazyLock};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A language that the site speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Language {
    /// English.
    #[serde(rename = "en")]
    En,
    /// 简体中文.
    #[serde(rename = "zh-CN")]
    ZhCn,
}

impl Language {
    /// Every language, in the order of the language menu.
    pub const ALL: [Self; 2] = [Self::En, Self::ZhCn];

    /// The BCP 47 tag.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::ZhCn => "zh-CN",
        }
    }

    /// The language with exactly this tag, whatever its case.
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    /// The best language for an `Accept-Language` header (RFC 9110 §12.5.4): highest quality first, then header
    /// order; a primary subtag is enough (`zh-TW` and `zh` read 简体中文 rather than English).
    pub fn negotiate(accept_language: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for range in accept_language.split(',').take(MAX_ACCEPT_RANGES) {
            let mut parts = range.split(';').map(str::trim);
            let primary = parts.next().and_then(|tag| tag.split('-').next()).unwrap_or_default();
            let quality = match parts.find_map(|part| part.strip_prefix("q=")) {
                Some(value) => value.parse::<f32>().unwrap_or(0.0),
                None => 1.0,
            };
            let known = Self::ALL.into_iter().find(|language| {
                language.tag().split('-').next().is_some_and(|ours| ours.eq_ignore_ascii_case(primary))
            });
            if let Some(language) = known
                && quality > 0.0
                && best.is_none_or(|(highest, _)| quality > highest)
            {
                best = Some((quality, language));
            }
        }
        best.map(|(_, language)| language)
    }

    /// The messages of this language.
    pub(crate) fn messages(self) -> &'static Messages {
        match self {
            Self::En => &EN,
            Self::ZhCn => &ZH_CN,
        }
    }
}

/// All messages of one language.
#[derive(Debug)]
pub(crate) struct Messages {
    language: Language,
    texts: BTreeMap<String, String>,
    script: String,
}

impl Messages {
    fn parse(language: Language, source: &str) -> Self {
        let table: toml::Table =
            source.parse().expect("the message files are part of the crate and parse in its tests");
        let mut texts = BTreeMap::new();
        flatten("", &table, &mut texts);
        let script: BTreeMap<&str, &str> =
            texts.iter().filter_map(|(key, text)| Some((key.strip_prefix(SCRIPT_PREFIX)?, text.as_str()))).collect();
        let script = json_for_html(&script);
        Self { language, texts, script }
    }

    /// The language of these messages.
    pub(crate) const fn language(&self) -> Language {
        self.language
    }

    /// The message of `key`; the key itself where there is none, so that a slip is seen and not fatal.
    pub(crate) fn get<'a>(&'a self, key: &'a str) -> &'a str {
        debug_assert!(self.texts.contains_key(key), "no message {key}");
        self.texts.get(key).map_or(key, String::as_str)
    }

    /// The message of `key` with `{name}` replaced by `value`.
    pub(crate) fn with(&self, key: &str, name: &str, value: impl Display) -> String {
        self.get(key).replace(&format!("{{{name}}}"), &value.to_string())
    }

    /// The counted message of `key` for `count`, with `{count}` abbreviated for people (1.2K, 1.2万).
    pub(crate) fn count(&self, key: &str, count: u64) -> String {
        let form = if count == 1 { "one" } else { "other" };
        self.with(&format!("{key}_{form}"), "count", self.abbreviate(count))
    }

    /// `count` as people write it in this language: 1.2K, 3M; 1.2万, 3亿.
    pub(crate) fn abbreviate(&self, count: u64) -> String {
        let units: &[(u64, &str)] = match self.language {
            Language::En => &[(1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K")],
            Language::ZhCn => &[(100_000_000, "亿"), (10_000, "万")],
        };
        match units.iter().find(|(size, _)| count >= *size) {
            None => count.to_string(),
            Some((size, unit)) => {
                let tenths = count / (size / 10);
                match (tenths / 10, tenths % 10) {
                    (whole, 0) => format!("{whole}{unit}"),
                    (whole, _) if whole >= 100 => format!("{whole}{unit}"),
                    (whole, tenth) => format!("{whole}.{tenth}{unit}"),
                }
            }
        }
    }

    /// A span of time in at most two units: "45 s", "12 min", "2 h 5 min", "3 d 4 h".
    pub(crate) fn duration(&self, seconds: u64) -> String {
        let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
        let unit = |name: &str, value: u64| self.with(name, "n", value);
        let pair = |first: String, name: &str, rest: u64| match rest {
            0 => first,
            rest => format!("{first} {}", unit(name, rest)),
        };
        match (days, hours, minutes) {
            (0, 0, 0) => unit("script.unit_seconds", seconds),
            (0, 0, _) => unit("script.unit_minutes", minutes),
            (0, _, _) => pair(unit("script.unit_hours", hours), "script.unit_minutes", minutes % 60),
            _ => pair(unit("script.unit_days", days), "script.unit_hours", hours % 24),
        }
    }

    /// The islands' messages as JSON that is safe inside a `<script type="application/json">` element.
    pub(crate) fn script(&self) -> &str {
        &self.script
    }

    /// The messages whose keys begin so.
    pub(crate) fn below(&self, prefix: &'static str) -> impl Iterator<Item = (&str, &str)> {
        let all = self.texts.range(prefix.to_owned()..);
        all.map(|(key, text)| (key.as_str(), text.as_str())).take_while(move |(key, _)| key.starts_with(prefix))
    }

    #[cfg(test)]
    pub(crate) fn texts(&self) -> &BTreeMap<String, String> {
        &self.texts
    }
}

/// `value` as JSON in which nothing can end a script element or start a comment.
pub(crate) fn json_for_html(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("strings and plain structs always serialise");
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn flatten(prefix: &str, table: &toml::Table, into: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, into),
            toml::Value::String(text) => {
                into.insert(key, text.clone());
            }
            other => unreachable!("message {key} is {}, not text; the tests read every file", other.type_str()),
        }
    }
}

/// Ranges of an `Accept-Language` header that are looked at; browsers send fewer than ten.
const MAX_ACCEPT_RANGES: usize = 32;
const SCRIPT_PREFIX: &str = "script.";

static EN: LazyLock<Messages> = LazyLock::new(|| Messages::parse(Language::En, include_str!("../messages/en.toml")));
static ZH_CN: LazyLock<Messages> =
    LazyLock::new(|| Messages::parse(Language::ZhCn, include_str!("../messages/zh-CN.toml")));

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{collections::BTreeSet, fs, path::PathBuf};

    use super::*;

    #[test]
    fn every_language_has_the_same_keys_and_placeholders() {
        let english = Language::En.messages().texts();
        for language in Language::ALL {
            let texts = language.messages().texts();
            let keys = |texts: &BTreeMap<String, String>| texts.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(keys(english), keys(texts), "keys of {}", language.tag());
            for (key, text) in texts {
                assert_eq!(placeholders(&english[key]), placeholders(text), "{key} of {}", language.tag());
                assert!(!text.trim().is_empty(), "{key} of {} is blank", language.tag());
            }
        }
    }

    #[test]
    fn every_message_is_used_and_every_used_message_exists() {
        let mut sources = String::new();
        for folder in ["templates", "src", "../../web/src"] {
            read_all(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder), &mut sources);
        }
        for key in Language::En.messages().texts().keys() {
            let stem = key.trim_end_matches("_one").trim_end_matches("_other");
            let name = stem.strip_prefix(SCRIPT_PREFIX).unwrap_or(stem);
            let used = ['"', '\'']
                .iter()
                .any(|quote| [stem, name].iter().any(|name| sources.contains(&format!("{quote}{name}{quote}"))));
            // Those are found by what they say, and tested where they are.
            let found = ["api.operation.", "work."].iter().any(|prefix| key.starts_with(prefix));
            assert!(used || found, "message {key} is not used");
        }
        for (index, _) in sources.match_indices("t.get(\"") {
            let key = sources[index + 7..].split('"').next().unwrap();
            assert!(Language::En.messages().texts().contains_key(key), "template uses unknown message {key}");
        }
    }

    #[test]
    fn templates_have_no_text_of_their_own() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("templates");
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let source = fs::read_to_string(&path).unwrap();
            let visible = visible_text(&source);
            let letters: String = visible.chars().filter(|c| c.is_alphabetic()).collect();
            assert!(letters.is_empty(), "{} has its own text: {visible:?}", path.display());
        }
    }

    #[test]
    fn visible_text_sees_elements_and_attributes() {
        assert_eq!(visible_text("<p class=\"a\">{{ t.get(\"x\") }}</p>{% if a > b %}{% endif %}{# note #}"), "");
        assert_eq!(visible_text("<p>Hello</p>"), "Hello");
        assert_eq!(visible_text("<img alt=\"Picture\">"), "Picture");
        assert_eq!(visible_text("<a title=\"{{ t.get(\"x\") }}\" aria-label='{{ y }}'></a>"), "");
    }

    #[test]
    fn negotiates_by_quality_then_order() {
        let cases = [
            ("zh-CN,zh;q=0.9,en;q=0.8", Some(Language::ZhCn)),
            ("de, en;q=0.7, zh;q=0.9", Some(Language::ZhCn)),
            ("en-GB,zh", Some(Language::En)),
            ("zh-TW", Some(Language::ZhCn)),
            ("fr,de;q=0.3", None),
            ("en;q=0, zh;q=0.1", Some(Language::ZhCn)),
            ("", None),
            (";;q=,,q=1;", None),
        ];
        for (header, expected) in cases {
            assert_eq!(Language::negotiate(header), expected, "{header}");
        }
    }

    #[test]
    fn looks_at_a_bounded_number_of_ranges() {
        let padded = |count: usize| format!("{}zh", "de,".repeat(count));
        assert_eq!(Language::negotiate(&padded(MAX_ACCEPT_RANGES - 1)), Some(Language::ZhCn));
        assert_eq!(Language::negotiate(&padded(MAX_ACCEPT_RANGES)), None);
    }

    #[test]
    fn abbreviates_numbers_as_people_do() {
        let cases = [
            (0, "0", "0"),
            (999, "999", "999"),
            (1_000, "1K", "1000"),
            (1_249, "1.2K", "1249"),
            (12_345, "12.3K", "1.2万"),
            (999_999, "999K", "99.9万"),
            (3_000_000, "3M", "300万"),
        ];
        for (count, en, zh) in cases {
            assert_eq!(Language::En.messages().abbreviate(count), en);
            assert_eq!(Language::ZhCn.messages().abbreviate(count), zh);
        }
    }

    #[test]
    fn durations_have_at_most_two_units() {
        let cases =
            [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_600, "1 h"), (7_500, "2 h 5 min"), (273_600, "3 d 4 h")];
        for (seconds, text) in cases {
            assert_eq!(Language::En.messages().duration(seconds), text);
        }
    }

    #[test]
    fn script_messages_cannot_leave_their_element() {
        assert_eq!(json_for_html(&"</script><!--&"), "\"\\u003c/script\\u003e\\u003c!--\\u0026\"");
    }

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
    }

    fn read_all(folder: &PathBuf, into: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read_all(&path, into);
            } else if let Ok(text) = fs::read_to_string(&path) {
                into.push_str(&text);
            }
        }
    }

    /// What a reader or a screen reader would get from a template: text outside tags and expressions, and the values
    /// of attributes that are read aloud.
    fn visible_text(template: &str) -> String {
        let mut plain = String::new();
        let mut rest = template;
        while let Some(start) = rest.find('{') {
            let close = match rest.as_bytes().get(start + 1) {
                Some(b'{') => "}}",
                Some(b'%') => "%}",
                Some(b'#') => "#}",
                _ => "{",
            };
            plain.push_str(&rest[..start]);
            let end = rest[start + 1..].find(close).map_or(rest.len(), |at| start + 1 + at + close.len());
            rest = &rest[end..];
        }
        plain.push_str(rest);

        let mut text = String::new();
        for piece in plain.split('<') {
            let (tag, after) = piece.split_once('>').unwrap_or(("", piece));
            for name in ["alt", "title", "aria-label", "placeholder"] {
                for quote in ['"', '\''] {
                    if let Some((_, value)) = tag.split_once(&format!(" {name}={quote}")) {
                        text.push_str(value.split(quote).next().unwrap_or_default());
                    }
                }
            }
            text.push_str(after);
        }
        text.trim().to_owned()
    }
}
