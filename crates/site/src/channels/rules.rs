//! What may be said of a channel. Each rule says in words what is wrong.

use millrace_store::Channel;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A place elsewhere, such as a creator's own site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    /// What it is called.
    #[schema(example = "My site")]
    pub(crate) title: String,
    /// `http://` or `https://`.
    #[schema(example = "https://example.org/")]
    pub(crate) url: String,
}

/// Kinds of things that are shown, as addresses have them, with their messages.
pub(crate) const CATEGORIES: [(&str, &str); 12] = [
    ("art", "category.art"),
    ("education", "category.education"),
    ("film", "category.film"),
    ("gaming", "category.gaming"),
    ("music", "category.music"),
    ("news", "category.news"),
    ("outdoors", "category.outdoors"),
    ("science", "category.science"),
    ("sports", "category.sports"),
    ("talk", "category.talk"),
    ("technology", "category.technology"),
    ("travel", "category.travel"),
];

/// A name for people.
pub(crate) fn title(text: &str) -> Result<&str, &'static str> {
    let text = text.trim();
    let length = text.chars().count();
    if (1..=MAX_TITLE).contains(&length) && !text.chars().any(char::is_control) {
        Ok(text)
    } else {
        Err("title must have 1 to 100 letters, and no control characters")
    }
}

/// What it is about.
pub(crate) fn description(text: &str) -> Result<&str, &'static str> {
    if text.chars().count() > MAX_DESCRIPTION { Err("description must have at most 5,000 letters") } else { Ok(text) }
}

/// The tag of a language (BCP 47), or nothing.
pub(crate) fn language(text: &str) -> Result<&str, &'static str> {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if text.is_empty() || text.len() <= MAX_LANGUAGE && text.len() >= 2 && text.split('-').all(part) {
        Ok(text)
    } else {
        Err("language must be a language tag such as en or zh-CN")
    }
}

/// Languages that lists can be narrowed to, as the first part of a tag, with the messages of their names.
pub(crate) const LANGUAGES: [(&str, &str); 45] = [
    ("ar", "spoken.ar"),
    ("bn", "spoken.bn"),
    ("bg", "spoken.bg"),
    ("yue", "spoken.yue"),
    ("ca", "spoken.ca"),
    ("zh", "spoken.zh"),
    ("hr", "spoken.hr"),
    ("cs", "spoken.cs"),
    ("da", "spoken.da"),
    ("nl", "spoken.nl"),
    ("en", "spoken.en"),
    ("et", "spoken.et"),
    ("fil", "spoken.fil"),
    ("fi", "spoken.fi"),
    ("fr", "spoken.fr"),
    ("de", "spoken.de"),
    ("el", "spoken.el"),
    ("he", "spoken.he"),
    ("hi", "spoken.hi"),
    ("hu", "spoken.hu"),
    ("id", "spoken.id"),
    ("it", "spoken.it"),
    ("ja", "spoken.ja"),
    ("ko", "spoken.ko"),
    ("lv", "spoken.lv"),
    ("lt", "spoken.lt"),
    ("ms", "spoken.ms"),
    ("nb", "spoken.nb"),
    ("fa", "spoken.fa"),
    ("pl", "spoken.pl"),
    ("pt", "spoken.pt"),
    ("ro", "spoken.ro"),
    ("ru", "spoken.ru"),
    ("sr", "spoken.sr"),
    ("sk", "spoken.sk"),
    ("sl", "spoken.sl"),
    ("es", "spoken.es"),
    ("sv", "spoken.sv"),
    ("ta", "spoken.ta"),
    ("te", "spoken.te"),
    ("th", "spoken.th"),
    ("tr", "spoken.tr"),
    ("uk", "spoken.uk"),
    ("ur", "spoken.ur"),
    ("vi", "spoken.vi"),
];

/// The language of a tag, whatever its region or script, with the message of its name.
pub(crate) fn language_of(tag: &str) -> Option<(&'static str, &'static str)> {
    LANGUAGES.into_iter().find(|(language, _)| speaks(tag, language))
}

/// Whether a tag is that of `language`, or of one of its regions or scripts.
pub(crate) fn speaks(tag: &str, language: &str) -> bool {
    let begins = tag.get(..language.len()).is_some_and(|start| start.eq_ignore_ascii_case(language));
    begins && matches!(tag.as_bytes().get(language.len()), None | Some(b'-'))
}

/// One of [`CATEGORIES`], or nothing.
pub(crate) fn category(text: &str) -> Result<&str, &'static str> {
    if text.is_empty() || CATEGORIES.iter().any(|(name, _)| *name == text) {
        Ok(text)
    } else {
        Err("category is not one of this site's")
    }
}

/// The message of a category.
pub(crate) fn category_message(name: &str) -> Option<&'static str> {
    CATEGORIES.iter().find(|(known, _)| *known == name).map(|(_, message)| *message)
}

/// Words to be found by, as JSON.
pub(crate) fn tags(tags: &[String]) -> Result<String, &'static str> {
    let mut kept: Vec<String> = Vec::new();
    for tag in tags {
        let tag = tag.trim().trim_start_matches('#').to_lowercase();
        if tag.is_empty() || tag.chars().count() > MAX_TAG || tag.chars().any(|c| c.is_control() || c == ',') {
            return Err("a tag must have 1 to 30 letters, and no comma");
        }
        if !kept.contains(&tag) {
            kept.push(tag);
        }
    }
    if kept.len() > MAX_TAGS { Err("there may be at most 10 tags") } else { Ok(json(&kept)) }
}

/// Places elsewhere, as JSON.
pub(crate) fn links(links: &[Link]) -> Result<String, &'static str> {
    if links.len() > MAX_LINKS {
        return Err("there may be at most 10 links");
    }
    for link in links {
        let length = link.title.trim().chars().count();
        if !(1..=MAX_LINK_TITLE).contains(&length) || link.title.chars().any(char::is_control) {
            return Err("a link's title must have 1 to 50 letters");
        }
        let web = link.url.starts_with("https://") || link.url.starts_with("http://");
        let plain = link.url.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>'));
        if !web || !plain || link.url.len() > MAX_URL {
            return Err("a link's url must begin with http:// or https://, and have no spaces");
        }
    }
    Ok(json(links))
}

/// Hosts that may embed the player: with spaces between them, as a policy's `frame-ancestors` has them.
pub(crate) fn embed_hosts(hosts: &[String]) -> Result<String, &'static str> {
    let mut kept: Vec<String> = Vec::new();
    for host in hosts {
        let host = host.trim().to_ascii_lowercase();
        let (wild, name) = host.strip_prefix("*.").map_or((false, &*host), |name| (true, name));
        let (name, port) = name.split_once(':').unwrap_or((name, "80"));
        let label =
            |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let good = name.len() <= 253 && name.split('.').all(label) && port.parse::<u16>().is_ok();
        if !good || wild && !name.contains('.') {
            return Err("embed_hosts must be hosts such as example.org, *.example.org or example.org:8080");
        }
        kept.push(host);
    }
    if kept.len() > MAX_HOSTS { Err("there may be at most 20 hosts") } else { Ok(kept.join(" ")) }
}

/// Whether a page of `origin` may embed a player that `hosts` may, as browsers read `frame-ancestors` (CSP 3, 6.7.2.8).
pub(crate) fn may_embed(hosts: &str, origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let standard = if scheme == "https" { "443" } else { "80" };
    let (host, port) = split_port(authority).unwrap_or((authority, standard));
    hosts.split(' ').any(|allowed| {
        let (name, wanted) = split_port(allowed).map_or((allowed, None), |(name, port)| (name, Some(port)));
        let same_host = match name.strip_prefix('*') {
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => host == name,
        };
        // What is served over TLS is as good as what is not.
        let same_port = wanted.is_none_or(|wanted| wanted == port || wanted == "80" && port == "443");
        same_host && same_port && (wanted.is_some() || port == standard)
    })
}

fn split_port(authority: &str) -> Option<(&str, &str)> {
    authority.rsplit_once(':').filter(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What a key is called; the first one is called nothing.
pub(crate) fn label(text: &str) -> Result<&str, &'static str> {
    let text = text.trim();
    let length = text.chars().count();
    if (1..=MAX_LABEL).contains(&length) && !text.chars().any(char::is_control) {
        Ok(text)
    } else {
        Err("label must have 1 to 50 letters")
    }
}

/// What of a channel is searched.
pub(crate) fn search_text(handle: &str, title: &str, description: &str, tags: &str) -> String {
    let tags = list::<String>(tags).join(" ");
    let text = format!("{handle} {title} {tags} {description}").to_lowercase();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words of a search.
pub(crate) fn words(query: &str) -> Vec<String> {
    let words = query.split_whitespace().map(|word| word.trim_start_matches(['#', '@']).to_lowercase());
    words.filter(|word| !word.is_empty()).take(millrace_store::MAX_WORDS).collect()
}

/// A list out of its column.
pub(crate) fn list<T: for<'a> Deserialize<'a>>(json: &str) -> Vec<T> {
    serde_json::from_str(json).unwrap_or_default()
}

/// The hosts out of their column; none where all may.
pub(crate) fn hosts(channel: &Channel) -> Option<Vec<String>> {
    channel.embed_hosts.as_ref().map(|hosts| hosts.split_whitespace().map(str::to_owned).collect())
}

fn json<T: Serialize + ?Sized>(list: &T) -> String {
    serde_json::to_string(list).expect("lists of texts can be written")
}

/// Channels of one owner.
pub(crate) const MAX_CHANNELS: i64 = 20;
/// Keys of one channel.
pub(crate) const MAX_KEYS: usize = 20;
const MAX_TITLE: usize = 100;
const MAX_DESCRIPTION: usize = 5000;
const MAX_LANGUAGE: usize = 35;
const MAX_TAGS: usize = 10;
const MAX_TAG: usize = 30;
const MAX_LINKS: usize = 10;
const MAX_LINK_TITLE: usize = 50;
const MAX_URL: usize = 500;
const MAX_HOSTS: usize = 20;
const MAX_LABEL: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_is_taken_and_what_is_refused() {
        assert_eq!(title(" Night market 夜市 "), Ok("Night market 夜市"));
        assert!(title("").is_err() && title(&"a".repeat(101)).is_err() && title("a\u{0}").is_err());
        assert!(description(&"字".repeat(5000)).is_ok() && description(&"字".repeat(5001)).is_err());
        for good in ["", "en", "zh-CN", "zh-Hant-TW"] {
            assert!(language(good).is_ok(), "{good}");
        }
        for bad in ["e", "en-", "en US", "<b>", &"a-".repeat(20)] {
            assert!(language(bad).is_err(), "{bad}");
        }
        assert!(category("music").is_ok() && category("").is_ok() && category("Music").is_err());
        assert_eq!(tags(&strings(&["#Jazz", "jazz", " 爵士 "])), Ok(r#"["jazz","爵士"]"#.to_owned()));
        assert!(tags(&strings(&[""])).is_err() && tags(&strings(&["a,b"])).is_err());
        assert!(tags(&(0..11).map(|n| n.to_string()).collect::<Vec<_>>()).is_err());
        let link = |url: &str| [Link { title: "A".to_owned(), url: url.to_owned() }];
        assert!(links(&link("https://example.org/?a=b")).is_ok());
        for bad in ["javascript:alert(1)", "//example.org", "https://a b", "https://a\"", "data:text/html,x"] {
            assert!(links(&link(bad)).is_err(), "{bad}");
        }
        assert_eq!(embed_hosts(&strings(&["Example.ORG", "*.a.b:8080"])), Ok("example.org *.a.b:8080".to_owned()));
        for bad in ["", "a b", "https://a.b", "a;b", "*", "*.b", "a.b:x", "a..b", "'self'"] {
            assert!(embed_hosts(&strings(&[bad])).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_language_is_known_by_the_first_part_of_its_tag() {
        assert_eq!(language_of("zh-Hant-TW"), Some(("zh", "spoken.zh")));
        assert_eq!(language_of("EN"), Some(("en", "spoken.en")));
        assert!(language_of("zha").is_none() && language_of("").is_none() && language_of("z").is_none());
        assert!(speaks("pt-BR", "pt-br") && !speaks("pt", "pt-br"));
    }

    #[test]
    fn who_may_embed_is_read_as_browsers_read_it() {
        let hosts = "example.org *.a.example:8080 b.example:80 [::1]:8080";
        for origin in [
            "http://example.org",
            "https://example.org",
            "http://x.y.a.example:8080",
            "http://b.example",
            "https://b.example",
            "http://[::1]:8080",
        ] {
            assert!(may_embed(hosts, origin), "{origin}");
        }
        for origin in [
            "http://example.org:8080",
            "https://www.example.org",
            "http://a.example:8080",
            "http://x.a.example",
            "https://b.example:8443",
            "http://[::1]",
            "null",
            "",
        ] {
            assert!(!may_embed(hosts, origin), "{origin}");
        }
        assert!(!may_embed("", "http://example.org"));
    }

    #[test]
    fn a_channel_is_found_by_its_words_in_any_case() {
        let text = search_text("night_market", "Nachtmarkt ÄÖ", "All\n\nday", r#"["食物"]"#);
        assert_eq!(text, "night_market nachtmarkt äö 食物 all day");
        assert_eq!(words(" #食物  ÄÖ @x "), ["食物", "äö", "x"]);
    }
}
