//! What jobs say of their work, in the visitor's language.
//!
//! They write English, which logs, scripts and rows of older versions have as well. The English messages below `work.` are
//! those very words, with placeholders for what differs: whatever fits one of them is said by the same message of another
//! language, and anything else as it was written.

use std::sync::LazyLock;

use crate::i18n::{Language, Messages};

/// `said`, in the language of `t` where it is known there.
pub(crate) fn translated(said: &str, t: &Messages) -> String {
    if t.language() == Language::En {
        return said.to_owned();
    }
    let found = FORMS.iter().find_map(|form| Some((form.key, form.values(said)?)));
    let Some((key, values)) = found else { return said.to_owned() };
    // A reason may be of the same words. It is shorter, as each form has words of its own.
    values
        .into_iter()
        .fold(t.get(key).to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), &translated(value, t)))
}

/// The same, as it stands alone.
pub(crate) fn sentence(said: &str, t: &Messages) -> String {
    let mut words = translated(said, t);
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// An English message: what it begins with, then each placeholder's name with the words behind it.
struct Form {
    key: &'static str,
    begins: &'static str,
    rest: Vec<(&'static str, &'static str)>,
}

impl Form {
    fn new(key: &'static str, message: &'static str) -> Self {
        let mut parts = message.split('{');
        let begins = parts.next().unwrap_or_default();
        Self { key, begins, rest: parts.filter_map(|part| part.split_once('}')).collect() }
    }

    /// Letters of its own.
    fn own(&self) -> usize {
        self.begins.len() + self.rest.iter().map(|(_, behind)| behind.len()).sum::<usize>()
    }

    /// The values that make `said` of it.
    fn values<'a>(&self, said: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
        let mut left = said.strip_prefix(self.begins)?;
        let mut values = Vec::new();
        for (at, (name, behind)) in self.rest.iter().enumerate() {
            let is_last = at + 1 == self.rest.len();
            let (value, further) = if is_last { (left.strip_suffix(behind)?, "") } else { left.split_once(behind)? };
            if value.is_empty() {
                return None;
            }
            values.push((*name, value));
            left = further;
        }
        left.is_empty().then_some(values)
    }
}

/// Those that say most first: they are the ones that are meant.
static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let mut forms: Vec<_> =
        Language::En.messages().below("work.").map(|(key, message)| Form::new(key, message)).collect();
    forms.sort_by_key(|form| std::cmp::Reverse(form.own()));
    forms
});

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

    fn chinese(said: &str) -> String {
        translated(said, Language::ZhCn.messages())
    }

    #[test]
    fn words_and_what_is_in_them_are_translated() {
        assert_eq!(chinese("the video is too large: 60000 x 40000 pixels"), "画面过大：60000 × 40000 像素");
        assert_eq!(chinese("the file is damaged or incomplete: it ends early"), "文件已损坏或不完整：提前结束");
        assert_eq!(chinese("making 720p"), "正在生成 720p");
        assert_eq!(chinese("FFmpeg was ended by signal 11"), "FFmpeg 被终止，信号 11");
        assert_eq!(
            chinese("FFmpeg was ended by signal 9, as systems do where memory is short"),
            "FFmpeg 被终止，信号 9（通常是因为系统内存不足）"
        );
        let note = "12 objects: 3 orphans removed, 0 videos lack files";
        assert_eq!(chinese(note), "共 12 个对象：清除 3 个无主对象，0 个视频缺少文件");
        assert_eq!(translated(note, Language::En.messages()), note);
        assert_eq!(sentence("its file is not there", Language::En.messages()), "Its file is not there");
        assert_eq!(sentence("", Language::En.messages()), "");
    }

    #[test]
    fn what_is_not_known_stays_as_it_is() {
        for said in ["", "of a later version", "making ", "making 720p, and more", "the video is too large"] {
            assert_eq!(chinese(said), said);
        }
        assert_eq!(chinese("FFmpeg failed: no such preset"), "FFmpeg 出错：no such preset");
        assert_eq!(chinese("a fault of the program: {what} {what}"), "程序故障：{what} {what}");
    }

    #[test]
    fn what_jobs_write_is_known_and_what_is_known_is_written() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut unused: Vec<_> = FORMS.iter().map(|form| form.key).collect();
        for (file, marks) in SOURCES {
            let source = std::fs::read_to_string(crates.join(file)).unwrap();
            let source = source.split("#[cfg(test)]").next().unwrap();
            for mark in *marks {
                let mut found = false;
                for words in source.split(mark).skip(1).filter_map(literal) {
                    found = true;
                    let said = filled(words);
                    // What passes on the words of another has none.
                    if !said.contains(char::is_alphabetic) {
                        continue;
                    }
                    let form = FORMS.iter().find(|form| form.values(&said).is_some());
                    let form = form.unwrap_or_else(|| panic!("{file}: `work.` has no message for {words:?}"));
                    unused.retain(|key| *key != form.key);
                }
                assert!(found, "{file} has nothing behind {mark:?}");
            }
        }
        assert_eq!(unused, [""; 0], "nobody writes these");
    }

    /// The text at the beginning of what follows, which may be made of parts.
    fn literal(source: &str) -> Option<&str> {
        let rest = source.trim_start().trim_start_matches("format!(").trim_start().strip_prefix('"')?;
        rest.split('"').next()
    }

    /// Words with a value in each of their places.
    fn filled(words: &str) -> String {
        let mut parts = words.split('{');
        let begins = parts.next().unwrap_or_default().to_owned();
        parts.filter_map(|part| part.split_once('}')).fold(begins, |said, (_, behind)| format!("{said}7{behind}"))
    }

    /// Files of the crates, and what stands before the words that jobs write.
    const SOURCES: &[(&str, &[&str])] = &[
        ("jobs/src/attempt.rs", &["let words =", "else { return ", "(None, None) => ", "\n    format!("]),
        ("jobs/src/context.rs", &["Failure::retry("]),
        ("jobs/src/registry.rs", &["Failure::last("]),
        ("mp4/src/error.rs", &["#[error("]),
        ("objects/src/error.rs", &["#[error("]),
        ("store/src/backup.rs", &["#[error("]),
        ("store/src/error.rs", &["/// The database itself failed.\n    #[error("]),
        ("transcode/src/container.rs", &["#[error("]),
        ("transcode/src/error.rs", &["#[error(", "\", ", "if signal == 9 { "]),
        ("transcode/src/make.rs", &["Error::Damaged("]),
        ("transcode/src/pictures.rs", &["Error::Damaged("]),
        ("transcode/src/probe.rs", &["(0, _) => ", "(_, 0) => ", "        _ => "]),
        ("transcode/src/remux.rs", &["Error::NothingToPlay("]),
        ("transcode/src/storyboard.rs", &["Error::Damaged("]),
        ("transcode/src/transcode.rs", &["Error::NothingToPlay("]),
        (
            "vod/src/jobs/housekeeping.rs",
            &["Failure::retry(", "job.progress(500, ", "job.progress(250, ", "let note ="],
        ),
        ("vod/src/jobs/pictures.rs", &["Failure::last(", "job.progress(50, ", "job.progress(300, "]),
        ("vod/src/jobs/open.rs", &["Failure::last("]),
        ("vod/src/jobs/process.rs", &["Failure::last(", "let words =", "let note ="]),
        ("vod/src/jobs/transcode.rs", &["Failure::last(", "Some(_) => ", "None => "]),
        ("vod/src/workshop.rs", &["Failure::last(", "Failure::retry(", "Cancelled => "]),
    ];
}
