//! What may be said of a video beside what may be said of a channel.

use millrace_store::At;

/// A name in addresses, new and not to be guessed.
pub(crate) fn new_short_id() -> String {
    let mut id = String::with_capacity(SHORT_ID);
    while id.len() < SHORT_ID {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        // The upper values would make some letters likelier than others.
        let letters = bytes.iter().map(|byte| usize::from(byte & 63)).filter_map(|at| ALPHABET.get(at));
        id.extend(letters.take(SHORT_ID - id.len()).map(|letter| char::from(*letter)));
    }
    id
}

/// Whether it may be a video's name in addresses.
pub(crate) fn is_short_id(text: &str) -> bool {
    text.len() == SHORT_ID && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The title of a video whose owner said none: its file's name without what it ends in.
pub(crate) fn title_of_file(file_name: &str) -> String {
    let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
    let text: String = stem.chars().map(|letter| if matches!(letter, '_') { ' ' } else { letter }).collect();
    let text: String = text.trim().chars().take(MAX_TITLE).collect();
    if text.is_empty() { "Untitled".to_owned() } else { text }
}

/// What a file was called where it came from: without directories and what a log or a header could stumble over.
pub(crate) fn file_name(text: &str) -> String {
    let name = text.rsplit(['/', '\\']).next().unwrap_or_default();
    name.chars().filter(|letter| !letter.is_control()).take(MAX_FILE_NAME).collect()
}

/// When a video is to be published: later, and not too much later.
pub(crate) fn publish_at(at: At, now: At) -> Result<At, &'static str> {
    if at <= now {
        return Err("publish_at must be in the future");
    }
    if at > now.plus(FURTHEST) { Err("publish_at must be within a year") } else { Ok(at) }
}

/// Why moderators decide as they do.
pub(crate) fn reason(text: &str) -> Result<&str, &'static str> {
    if text.chars().count() > MAX_REASON { Err("reason must have at most 1,000 letters") } else { Ok(text.trim()) }
}

/// What somebody who reports a video says beside the reason.
pub(crate) fn report_words(text: &str) -> Result<&str, &'static str> {
    if text.chars().count() > MAX_REASON { Err("words must have at most 1,000 letters") } else { Ok(text.trim()) }
}

const SHORT_ID: usize = 11;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const MAX_TITLE: usize = 100;
const MAX_FILE_NAME: usize = 200;
const MAX_REASON: usize = 1000;
const FURTHEST: time::Duration = time::Duration::days(366);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_are_names_and_differ() {
        let (one, other) = (new_short_id(), new_short_id());
        assert!(is_short_id(&one) && is_short_id(&other) && one != other);
        for text in ["", "0123456789", "0123456789ab", "0123456789-", "0123456789é"] {
            assert!(!is_short_id(text), "{text}");
        }
    }

    #[test]
    fn a_file_gives_its_title() {
        assert_eq!(title_of_file("Holiday_2026.final.mp4"), "Holiday 2026.final");
        assert_eq!(title_of_file("夜市.mov"), "夜市");
        assert_eq!(title_of_file(".mp4"), "Untitled");
        assert_eq!(file_name("C:\\videos\\a\r\nb.mp4"), "ab.mp4");
        assert_eq!(file_name("../../etc/passwd"), "passwd");
        assert_eq!(title_of_file(&"é".repeat(500)).chars().count(), 100);
    }
}
