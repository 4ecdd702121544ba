//! Words that somebody wrote, as pages show them: addresses and times in them can be pressed, nothing else is markup.

use std::fmt;

use askama::filters::HtmlSafe;

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Plain words.
    Words(&'a str),
    /// An address of the web.
    Link(&'a str),
    /// A time of a video, such as `1:02:03`, and the same in seconds.
    Time(&'a str, u32),
}

/// The parts of a text, in order; put together they are the text.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut words, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        // Neither begins within a word: `a1:02` and `xhttps://` are words.
        let begins =
            text[..at].chars().next_back().is_none_or(|before| !before.is_ascii_alphanumeric() && before != ':');
        let found = if begins { link(rest).or_else(|| time(rest)) } else { None };
        if let Some((piece, length)) = found {
            if words < at {
                pieces.push(Piece::Words(&text[words..at]));
            }
            pieces.push(piece);
            at += length;
            words = at;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    if words < text.len() {
        pieces.push(Piece::Words(&text[words..]));
    }
    pieces
}

/// How many addresses a text holds: those that can be pressed, and those that a reader would copy.
pub(crate) fn links(text: &str) -> usize {
    let lower = text.to_ascii_lowercase();
    lower.matches("http://").count()
        + lower.matches("https://").count()
        + lower.split(|c: char| c.is_whitespace() || "(<\"'".contains(c)).filter(|w| w.starts_with("www.")).count()
}

/// An address at the beginning of `text`, and its bytes. Signs at its end belong to the sentence, and so does a bracket that
/// was not opened in it.
fn link(text: &str) -> Option<(Piece<'_>, usize)> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    if !host.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '[') {
        return None;
    }
    // What is not of ASCII ends it: behind an address, Chinese goes on without a space.
    let end = text.find(|letter: char| !letter.is_ascii_graphic() || matches!(letter, '"' | '<' | '>' | '`'));
    let mut address = &text[..end.unwrap_or(text.len())];
    while let Some(last) = address.chars().next_back() {
        let unopened = last == ')' && !address.contains('(');
        if !unopened && !matches!(last, '.' | ',' | ';' | ':' | '!' | '?' | '\'') {
            break;
        }
        address = &address[..address.len() - 1];
    }
    Some((Piece::Link(address), address.len()))
}

/// A time at the beginning of `text`, `m:ss` to `hhh:mm:ss`, and its bytes.
fn time(text: &str) -> Option<(Piece<'_>, usize)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != ':').unwrap_or(text.len());
    // Letters behind it make it another thing, such as `10:30pm`.
    if text[end..].starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        return None;
    }
    let written = text[..end].trim_end_matches(':');
    let parts: Vec<&str> = written.split(':').collect();
    let (first, rest) = parts.split_first()?;
    let fits = |part: &&str| part.len() == 2 && **part < *"60";
    let most = if rest.len() == 2 { 3 } else { 2 };
    if !(1..=2).contains(&rest.len()) || !(1..=most).contains(&first.len()) || !rest.iter().all(fits) {
        return None;
    }
    let seconds = parts.iter().try_fold(0_u32, |sum, part| Some(sum * 60 + part.parse::<u32>().ok()?))?;
    Some((Piece::Time(written, seconds), written.len()))
}

/// A text as HTML. Times lead to `{page}?t={seconds}`, which scripts turn into a jump of the player on the page.
#[derive(Debug, Clone)]
pub(crate) struct RichText {
    text: String,
    page: String,
}

impl RichText {
    /// `text`, whose times are those of the video whose page has that path.
    pub(crate) fn new(text: &str, page: &str) -> Self {
        Self { text: text.to_owned(), page: page.to_owned() }
    }

    /// The text itself.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for RichText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in pieces(&self.text) {
            match piece {
                Piece::Words(words) => escaped(f, words)?,
                Piece::Link(address) => {
                    f.write_str(r#"<a class="link" rel="nofollow ugc noopener" target="_blank" href=""#)?;
                    escaped(f, address)?;
                    f.write_str(r#"">"#)?;
                    escaped(f, address)?;
                    f.write_str("</a>")?;
                }
                Piece::Time(written, seconds) => {
                    f.write_str(r#"<a class="link" href=""#)?;
                    escaped(f, &self.page)?;
                    write!(f, r#"?t={seconds}" data-seek="{seconds}">{written}</a>"#)?;
                }
            }
        }
        Ok(())
    }
}

/// Everything that is not a tag of ours is escaped.
impl HtmlSafe for RichText {}

fn escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for letter in text.chars() {
        match letter {
            '&' => f.write_str("&amp;")?,
            '<' => f.write_str("&lt;")?,
            '>' => f.write_str("&gt;")?,
            '"' => f.write_str("&quot;")?,
            '\'' => f.write_str("&#39;")?,
            _ => fmt::Write::write_char(f, letter)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_without_the_signs_around_them() {
        for (text, address) in [
            ("see https://example.org/a?b=c#d, please", "https://example.org/a?b=c#d"),
            ("(http://example.org)", "http://example.org"),
            ("https://en.wikipedia.org/wiki/Mill_(race).", "https://en.wikipedia.org/wiki/Mill_(race)"),
            ("见https://example.org/路", "https://example.org/"),
            ("https://example.org/\"onclick=", "https://example.org/"),
        ] {
            assert!(pieces(text).contains(&Piece::Link(address)), "{text}: {:?}", pieces(text));
        }
        for text in ["https://", "javascript:alert(1)", "https:// x", "ftp://example.org", "xhttps://example.org"] {
            assert_eq!(pieces(text), [Piece::Words(text)]);
        }
        assert_eq!(links("HTTPS://a.example www.b.example http://c.example awww."), 3);
    }

    #[test]
    fn times_are_found_where_they_are_times() {
        for (text, seconds) in [("1:02", 62), ("01:02:03", 3723), ("at 100:00:01!", 360_001), ("在0:09：", 9)] {
            assert!(pieces(text).iter().any(|piece| matches!(piece, Piece::Time(_, s) if *s == seconds)), "{text}");
        }
        for text in ["1:60", "1:2", "100:01", "1:02:03:04", "10:30pm", "v1:02", "12345", ":30", "9999:00:00", "1::02"] {
            assert_eq!(pieces(text), [Piece::Words(text)], "{text}");
        }
    }

    #[test]
    fn nothing_that_was_written_is_markup() {
        let text = "<b>\"1:02\" & https://example.org/?a=1&b='2'\n";
        assert_eq!(
            RichText::new(text, "/w/abc").to_string(),
            "&lt;b&gt;&quot;<a class=\"link\" href=\"/w/abc?t=62\" data-seek=\"62\">1:02</a>&quot; &amp; \
             <a class=\"link\" rel=\"nofollow ugc noopener\" target=\"_blank\" \
             href=\"https://example.org/?a=1&amp;b=&#39;2\">https://example.org/?a=1&amp;b=&#39;2</a>&#39;\n"
        );
        for text in ["", "a 1:02 b https://c.example d", "::::", "1:02:", "https://https://", "字1:02字"] {
            let whole: String = pieces(text)
                .iter()
                .map(|piece| match piece {
                    Piece::Words(part) | Piece::Link(part) | Piece::Time(part, _) => *part,
                })
                .collect();
            assert_eq!(whole, text);
        }
    }
}
