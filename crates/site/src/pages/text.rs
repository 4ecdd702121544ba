//! What people write, with its times and addresses as links.

/// Part of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// As it is.
    Plain(String),
    /// A time of the video, as it was written, and in seconds.
    Time(String, u32),
    /// An address on the web.
    Link(String),
}

/// The lines of a text, without empty ones at either end.
pub(super) fn lines(text: &str) -> Vec<Vec<Piece>> {
    let text = text.trim();
    if text.is_empty() { Vec::new() } else { text.lines().map(pieces).collect() }
}

fn pieces(line: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let begins_word = plain.chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != ':');
        let special = if begins_word { time(rest).or_else(|| link(rest)) } else { None };
        match special {
            Some((piece, length)) => {
                if !plain.is_empty() {
                    pieces.push(Piece::Plain(std::mem::take(&mut plain)));
                }
                plain.clear();
                pieces.push(piece);
                rest = &rest[length..];
            }
            None => {
                plain.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Plain(plain));
    }
    pieces
}

/// `2:03` or `1:02:03` at the beginning of `text`, and its length.
fn time(text: &str) -> Option<(Piece, usize)> {
    let length = text.bytes().position(|byte| !byte.is_ascii_digit() && byte != b':').unwrap_or(text.len());
    let ends = text[length..].chars().next().is_none_or(|after| !after.is_alphanumeric());
    let written = &text[..length];
    let parts: Vec<&str> = written.split(':').collect();
    let (hours, minutes, seconds) = match parts[..] {
        [minutes, seconds] => ("0", minutes, seconds),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let number = |text: &str, longest: usize| -> Option<u32> {
        (1..=longest).contains(&text.len()).then(|| text.parse().ok()).flatten()
    };
    let (hours, minutes) = (number(hours, 3)?, number(minutes, 2)?);
    let seconds = number(seconds, 2).filter(|_| seconds.len() == 2)?;
    let fits = ends && seconds < 60 && (parts.len() == 2 || minutes < 60);
    fits.then(|| (Piece::Time(written.to_owned(), hours * 3600 + minutes * 60 + seconds), length))
}

/// An address at the beginning of `text`, and its length.
fn link(text: &str) -> Option<(Piece, usize)> {
    let scheme = ["https://", "http://"].into_iter().find(|scheme| text.starts_with(scheme))?;
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '，' | '。' | '）')).unwrap_or(text.len());
    // A full stop ends a sentence more often than an address.
    let address = text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'']);
    (address.len() > scheme.len()).then(|| (Piece::Link(address.to_owned()), address.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Piece {
        Piece::Plain(text.to_owned())
    }

    #[test]
    fn times_and_addresses_become_links() {
        let line = pieces("0:00 Intro, 1:02:03 end (https://example.org/a?b=1:02). 夜市 12:30");
        let wanted = [
            Piece::Time("0:00".to_owned(), 0),
            plain(" Intro, "),
            Piece::Time("1:02:03".to_owned(), 3723),
            plain(" end ("),
            Piece::Link("https://example.org/a?b=1:02".to_owned()),
            plain("). 夜市 "),
            Piece::Time("12:30".to_owned(), 750),
        ];
        assert_eq!(line, wanted);
    }

    #[test]
    fn what_only_looks_like_them_does_not() {
        for line in
            ["1:2", "12:60", "1:60:00", "a1:02", "1:02a", "1:02:03:04", "::", "https://", "javascript:alert(1)", "1234:00"]
        {
            assert_eq!(pieces(line), [plain(line)], "{line}");
        }
    }

    #[test]
    fn lines_are_kept() {
        assert_eq!(lines("\n a \n\n<b>\n"), [vec![plain("a ")], vec![], vec![plain("<b>")]]);
        assert!(lines(" \n ").is_empty());
    }
}
